//! Durations, sizes, whole numbers and instants as they are written in the file.
//!
//! Durations are in microseconds and sizes in bytes. A number without its unit is refused, except 0: what the unit
//! was is not ours to guess.

use crate::suggest::did_you_mean;

/// What is wrong with a written quantity, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

const DURATION_UNITS: [(&str, i64); 9] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("day", 86_400_000_000),
    ("days", 86_400_000_000),
    ("week", 604_800_000_000),
    ("weeks", 604_800_000_000),
];
const DURATION_WORDS: [(&str, &str); 13] = [
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("mins", "min"),
    ("minute", "min"),
    ("minutes", "min"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("d", "days"),
    ("m", "min"),
];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A duration such as `2 h` in microseconds.
pub(crate) fn duration_us(text: &str) -> Result<i64, Unreadable> {
    let (number, unit) = split(text, "a duration", "10 s")?;
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(|| {
        let word = DURATION_WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(unit)).map(|(_, unit)| *unit);
        unknown_unit("duration", unit, word, "us, ms, s, min, h, days or weeks")
    })?;
    i64::try_from(number).ok().and_then(|number| number.checked_mul(factor)).ok_or_else(|| too_large(text))
}

/// A size such as `128 MiB` in bytes.
pub(crate) fn size_bytes(text: &str) -> Result<u64, Unreadable> {
    let (number, unit) = split(text, "a size", "128 MiB")?;
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(|| {
        let near = SIZE_UNITS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| name.eq_ignore_ascii_case(unit) || name.replace('B', "").eq_ignore_ascii_case(unit));
        unknown_unit("size", unit, near, "B, KB, MB, GB, TB, KiB, MiB, GiB or TiB")
    })?;
    number.checked_mul(factor).ok_or_else(|| too_large(text))
}

/// A whole number, digits in groups if wanted: `500_000`.
pub(crate) fn whole(text: &str) -> Result<u64, Unreadable> {
    match split(text, "a whole number", "500_000")? {
        (number, "") => Ok(number),
        (_, unit) => {
            Err(Unreadable { message: format!("a whole number has no unit, found '{unit}'"), suggestion: None })
        }
    }
}

/// A date (`2024-05-01`, midnight UTC) or an RFC 3339 time, in microseconds since the epoch.
pub(crate) fn instant_us(text: &str) -> Result<i64, Unreadable> {
    let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10);
    let instant = match date {
        Some(date) => i64::try_from(date.duration_since(jiff::civil::date(1970, 1, 1)).as_micros()).ok(),
        None => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond),
    };
    instant.ok_or_else(|| Unreadable {
        message: "expected a date or a time with its zone".into(),
        suggestion: Some("for example 2024-05-01 or 2024-05-01T00:00:00Z".into()),
    })
}

/// The number and the unit behind it.
fn split<'a>(text: &'a str, what: &str, example: &str) -> Result<(u64, &'a str), Unreadable> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let suggestion = || Some(format!("for example {example}"));
    if digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return Err(Unreadable { message: format!("expected {what}"), suggestion: suggestion() });
    }
    if unit.starts_with(['.', ',']) {
        return Err(Unreadable {
            message: format!("expected {what} in whole units"),
            suggestion: Some("use a smaller unit instead of a fraction".into()),
        });
    }
    let number = digits.replace('_', "").parse().map_err(|_| too_large(text))?;
    Ok((number, unit.trim_start()))
}

fn unknown_unit(what: &str, unit: &str, near: Option<&str>, units: &str) -> Unreadable {
    if unit.is_empty() {
        return Unreadable { message: format!("a {what} needs its unit"), suggestion: Some(format!("use {units}")) };
    }
    let suggestion = near
        .map(|near| format!("did you mean '{near}'?"))
        .or_else(|| did_you_mean(unit, units.split([',', ' ']).filter(|unit| unit.len() > 1 && *unit != "or")))
        .unwrap_or_else(|| format!("use {units}"));
    Unreadable { message: format!("'{}' is not a unit of {what}", unit.escape_debug()), suggestion: Some(suggestion) }
}

fn too_large(text: &str) -> Unreadable {
    Unreadable { message: format!("{} is too large", text.escape_debug()), suggestion: None }
}

/// Reads a duration as the pipeline file writes it (`30 s`, `2h`), in microseconds.
///
/// # Errors
/// What is wrong with it and what to write instead, in words.
pub fn parse_duration_us(text: &str) -> Result<i64, String> {
    duration_us(text).map_err(Unreadable::into_words)
}

/// Reads a date or an RFC 3339 time as the pipeline file writes it, in microseconds since the epoch.
///
/// # Errors
/// What is wrong with it and what to write instead, in words.
pub fn parse_instant_us(text: &str) -> Result<i64, String> {
    instant_us(text).map_err(Unreadable::into_words)
}

impl Unreadable {
    fn into_words(self) -> String {
        let Self { message, suggestion } = self;
        suggestion.map_or_else(|| message.clone(), |suggestion| format!("{message}; {suggestion}"))
    }
}

/// Words a duration in microseconds with the largest unit that divides it: `90 min`.
#[must_use]
pub fn show_duration(us: i64) -> String {
    let unit = |name: &str, factor: i64| (us % factor == 0 && us != 0).then(|| format!("{} {name}", us / factor));
    unit("days", 86_400_000_000)
        .or_else(|| unit("h", 3_600_000_000))
        .or_else(|| unit("min", 60_000_000))
        .or_else(|| unit("s", 1_000_000))
        .or_else(|| unit("ms", 1_000))
        .unwrap_or_else(|| if us == 0 { "0 s".into() } else { format!("{us} us") })
}

/// Words a size in bytes with the largest binary unit that divides it: `128 MiB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(|| format!("{bytes} B"), |(name, shift)| format!("{} {name}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_microseconds() {
        for (text, want) in [
            ("2 h", 7_200_000_000),
            ("10 min", 600_000_000),
            ("1 s", 1_000_000),
            ("200ms", 200_000),
            ("8 days", 691_200_000_000),
            ("1_000 us", 1_000),
            ("0", 0),
        ] {
            assert_eq!(duration_us(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        for (text, want) in [("128 MiB", 128 << 20), ("64 KB", 64_000), ("1 GiB", 1 << 30), ("10B", 10)] {
            assert_eq!(size_bytes(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_quantity_that_cannot_be_meant_is_refused_with_advice() {
        for (text, want) in [
            ("10", "use us, ms, s, min, h, days or weeks"),
            ("1.5 h", "use a smaller unit instead of a fraction"),
            ("10 minutes", "did you mean 'min'?"),
            ("10 m", "did you mean 'min'?"),
            ("soon", "for example 10 s"),
            ("-5 s", "for example 10 s"),
            ("1__0 s", "for example 10 s"),
        ] {
            assert_eq!(duration_us(text).expect_err(text).suggestion.as_deref(), Some(want), "{text}");
        }
        assert_eq!(size_bytes("128 mib").expect_err("case").suggestion.as_deref(), Some("did you mean 'MiB'?"));
        assert_eq!(size_bytes("128 M").expect_err("short").suggestion.as_deref(), Some("did you mean 'MB'?"));
        assert!(duration_us("9999999999999 days").expect_err("large").message.ends_with("is too large"));
        assert!(whole("99999999999999999999999").expect_err("large").message.ends_with("is too large"));
        assert!(whole("5 s").is_err());
    }

    #[test]
    fn instants_are_dates_or_times_with_a_zone() {
        assert_eq!(instant_us("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(instant_us("1970-01-01T01:00:00+01:00"), Ok(0));
        for bad in ["1970-01-01T00:00:00", "19700101", "tomorrow", "2024-02-30"] {
            assert!(instant_us(bad).is_err(), "{bad}");
        }
    }
}
