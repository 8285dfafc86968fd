//! Places, times and numbers in words, fit for a terminal: what others chose (file names, event ids) is made plain.

use crate::finding::Place;

/// An instant in RFC 3339.
pub(crate) fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| format!("{us} us"), |time| format!("{time:.6}"))
}

/// Text without anything that a terminal would obey: control characters are written as escapes. So are those that turn
/// the direction of text around, by which a name could pass for another.
pub(crate) fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Where something is: `bronze.ticks, version 3, partition 2, offsets 10..12`.
pub(crate) fn place(place: &Place) -> String {
    let mut words = Vec::new();
    words.extend(place.table.as_deref().map(plain));
    words.extend(place.version.map(|version| format!("version {version}")));
    words.extend(place.partition.map(|partition| format!("partition {partition}")));
    words.extend(place.offsets.map(|(from, to)| offsets(from, to)));
    words.extend(place.event_id.as_deref().map(|id| format!("event '{}'", plain(id))));
    words.extend(place.window.as_deref().map(|window| format!("window {}", plain(window))));
    words.extend(place.column.as_deref().map(|column| format!("column {}", plain(column))));
    words.extend(place.file.as_deref().map(|file| format!("file {}", plain(file))));
    if words.is_empty() { "the lake".to_owned() } else { words.join(", ") }
}

/// Offsets `from..to`, `to` exclusive; one alone by its number.
pub(crate) fn offsets(from: i64, to: i64) -> String {
    if from.checked_add(1) == Some(to) { format!("offset {from}") } else { format!("offsets {from}..{to}") }
}

/// A count with its noun in the right number: `1 fault`, `2 faults`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Digits in groups of three: `12 345 678` would wrap, `12,345,678` reads.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_the_table_to_the_file() {
        let full = Place::table("silver.ticks")
            .at_version(3)
            .of_partition(2)
            .offsets(10, 12)
            .event("a-1")
            .in_column("price")
            .in_file("x.parquet");
        let words = "silver.ticks, version 3, partition 2, offsets 10..12, event 'a-1', column price, file x.parquet";
        assert_eq!(place(&full), words);
        assert_eq!(place(&Place::default()), "the lake");
        assert_eq!(offsets(7, 8), "offset 7");
        assert_eq!(offsets(i64::MAX, i64::MAX), format!("offsets {0}..{0}", i64::MAX));
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(plain("grün → ≤"), "grün → ≤");
    }

    #[test]
    fn numbers_are_grouped_and_nouns_agree() {
        let shown: Vec<String> = [0, 7, 999, 1_000, 12_345, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1, "fault"), "1 fault");
        assert_eq!(counted(2, "fault"), "2 faults");
    }
}
