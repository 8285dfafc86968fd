//! Amounts on the command line and in reports: counts such as `2M`, durations such as `60min`.

use std::time::Duration;

/// `2M`, `500k`, `2_000_000` → a whole number above 0.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a count; write a whole number above 0, such as 2M, 500k or 2_000_000");
    let (digits, factor) = match text.trim().char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text.trim()[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text.trim()[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text.trim()[..at], 1_000_000_000),
        _ => (text.trim(), 1),
    };
    let plain =
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '_');
    let number = plain.then(|| digits.replace('_', "").parse::<u64>().ok()).flatten();
    number.and_then(|number| number.checked_mul(factor)).filter(|number| *number > 0).ok_or_else(wrong)
}

/// `200ms`, `90s`, `60min`, `2 h` → a duration above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; write one above 0, such as 200ms, 90s, 60min or 2h");
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let unit_ms = match text[end..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number = text[..end].parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    number.filter(|ms| (1..=MS_MAX).contains(ms)).map(Duration::from_millis).ok_or_else(wrong)
}

/// A week: no measurement takes longer, and it can be added to any instant.
const MS_MAX: u64 = 7 * 24 * 3_600_000;

/// A duration as it is written on the command line and in a pipeline file: `200 ms`, `1 s`.
pub(crate) fn short_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

/// A count as it is written on the command line: `2M`, `500k`, `1234`.
pub(crate) fn short(count: u64) -> String {
    match count {
        0 => "0".to_owned(),
        _ if count.is_multiple_of(1_000_000) => format!("{}M", count / 1_000_000),
        _ if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

/// A count with its thousands apart: `1_234_567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1_u64 << 20) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_are_written() {
        for (text, number) in
            [("2M", 2_000_000), ("500k", 500_000), ("10", 10), ("2_000_000", 2_000_000), ("1G", 1_000_000_000)]
        {
            assert_eq!(count(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in [
            "",
            "0",
            "0k",
            "M",
            "k",
            "-1",
            "+1",
            "1.5M",
            "2MM",
            "2 M",
            "_5",
            "99999999999999999999",
            "99999999999G",
            "é",
        ] {
            assert!(count(bad).is_err(), "{bad}");
        }
        for bad in ["", "s", "0s", "10", "10 fortnights", "1.5h", "-1s", "99999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read_as_they_are_written() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("60 min"), Ok(Duration::from_secs(3_600)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        for text in ["1 s", "200 ms", "1500 ms", "90 s"] {
            assert_eq!(duration(text).map(short_duration).as_deref(), Ok(text));
        }
    }

    #[test]
    fn counts_are_written_so_that_they_read_back() {
        for number in [1, 999, 1_000, 1_500, 1_234_567, 2_000_000, 10_000_000] {
            assert_eq!(count(&short(number)), Ok(number));
            assert_eq!(count(&grouped(number)), Ok(number));
        }
        assert_eq!((short(2_000_000), short(500_000), short(1_234)), ("2M".into(), "500k".into(), "1234".into()));
        assert_eq!((grouped(1), grouped(1_234), grouped(123_456)), ("1".into(), "1_234".into(), "123_456".into()));
    }
}
