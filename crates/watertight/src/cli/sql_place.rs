//! Where a complaint about SQL points: at the name that it complains of, where that stands in the SQL once.
//!
//! Contract: a place is given only if it is the only one that can be meant. Comments and text in quotes are passed over.

/// Line and column, from 1.
type Place = (u32, u32);

/// The place in `sql` of what `complaint` names: a function (`sum(`), something in single quotes, the keyword with which it
/// begins, or what it reads.
pub(super) fn of(complaint: &str, sql: &str) -> Option<Place> {
    // What is behind a semicolon is advice.
    let complaint = complaint.split(';').next().unwrap_or(complaint);
    let words = words(sql);
    let once = |name: &str, called: bool| {
        let fits = |word: &&Word<'_>| word.text.eq_ignore_ascii_case(name) && (word.called || !called);
        let mut found = words.iter().filter(fits);
        found.next().filter(|_| found.next().is_none()).map(|word| word.at)
    };
    let mut called = complaint.match_indices('(').filter_map(|(at, _)| last_word(&complaint[..at]));
    // A quote opens behind a space; within a word it is an apostrophe.
    let spaced = format!(" {complaint}");
    let mut quoted = spaced.split(" '").skip(1).filter_map(|rest| last_word(rest.split('\'').next()?));
    let first =
        complaint.split(' ').next().filter(|word| word.len() > 1 && !word.contains(|c: char| !c.is_uppercase()));
    let behind = ["it reads ", "there is no type "].iter().find_map(|begin| complaint.strip_prefix(begin));
    called
        .find_map(|name| once(name, true))
        .or_else(|| quoted.find_map(|name| once(name, false)))
        .or_else(|| once(first?, false))
        .or_else(|| once(behind?.split(' ').next()?, false))
}

/// The word at the end of a text.
fn last_word(text: &str) -> Option<&str> {
    let start =
        text.rfind(|c: char| !is_part(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    Some(&text[start..]).filter(|word| !word.is_empty())
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A word of a statement.
struct Word<'a> {
    text: &'a str,
    at: Place,
    /// Whether a parenthesis follows.
    called: bool,
}

fn words(sql: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut rest, mut at) = (sql, (1, 1));
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            c if is_part(c) => rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (text, behind) = rest.split_at(length);
        if is_part(first) {
            words.push(Word { text, at, called: behind.trim_start().starts_with('(') });
        }
        at = text.chars().fold(at, |(line, column), c| if c == '\n' { (line + 1, 1) } else { (line, column + 1) });
        rest = behind;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT window_start, -- sum(a) of LIMIT\n  é, sum (price) AS s, max(a) AS \"a\", 'LIMIT', max(b) AS b\n\
                       FROM ticks\nGROUP BY window_start\nLIMIT 3";

    #[test]
    fn a_name_that_stands_in_the_sql_once_is_the_place() {
        for (complaint, place) in [
            ("there is no sum(string); there is max(long)", Some((2, 6))),
            ("LIMIT would count over all windows", Some((5, 1))),
            ("it reads ticks", Some((3, 6))),
            ("'x.price' is no condition: it is decimal", Some((2, 11))),
            ("there is no max(string)", None),
            ("there is no min(string)", None),
            ("'window_start' is odd", None),
            ("it doesn't see its ticks", None),
            ("something is wrong; leave LIMIT out, or sum(x)", None),
            ("", None),
        ] {
            assert_eq!(of(complaint, SQL), place, "{complaint}");
        }
    }

    #[test]
    fn what_has_no_end_is_passed_over() {
        for sql in ["SELECT 'open", "SELECT /* open", "-- open", "", "é"] {
            assert_eq!(of("there is no open(long)", sql), None, "{sql}");
        }
    }
}
