//! Dates and RFC 3339 instants from their text. The form is matched here, the calendar is jiff's.
//!
//! Text of another form is of the wrong type; text of the right form that names no day or time is out of range. What is
//! kept lies within the years 0001–9999, UTC.

use super::flaw::Flaw;
use jiff::civil;

/// 0001-01-01T00:00:00Z.
const FIRST_US: i64 = -62_135_596_800_000_000;
/// 10000-01-01T00:00:00Z.
const END_US: i64 = 253_402_300_800_000_000;
const DAY_SECONDS: i64 = 86_400;
const DAY_FORM: &str = "0000-00-00";

/// A date `YYYY-MM-DD` as days since the epoch.
///
/// # Errors
/// [`Flaw::Type`] for another form, [`Flaw::Range`] for a day that does not exist.
pub(crate) fn date(text: &str) -> Result<i32, Flaw> {
    day_number(numbers(text, DAY_FORM).ok_or(Flaw::Type)?)
}

/// An instant within the years that are kept.
///
/// # Errors
/// [`Flaw::Range`] outside them.
pub(crate) fn in_years(us: i64) -> Result<i64, Flaw> {
    if (FIRST_US..END_US).contains(&us) { Ok(us) } else { Err(Flaw::Range) }
}

/// An RFC 3339 instant as microseconds since the epoch: `T`, `t` or a space between date and time, a zone, a fraction of
/// any length, cut to microseconds.
///
/// # Errors
/// [`Flaw::Type`] for another form and for second 60, [`Flaw::Range`] for what does not exist.
pub(crate) fn rfc3339(text: &str) -> Result<i64, Flaw> {
    let day = text.get(..10).and_then(|day| numbers(day, DAY_FORM)).ok_or(Flaw::Type)?;
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return Err(Flaw::Type);
    }
    let clock = text.get(11..19).and_then(|clock| numbers(clock, "00:00:00")).ok_or(Flaw::Type)?;
    let (fraction_us, zone) = fraction(text.get(19..).ok_or(Flaw::Type)?)?;
    let east_seconds = offset(zone)?;
    let [hour, minute, second] = clock;
    if second == 60 {
        return Err(Flaw::Type);
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Flaw::Range);
    }
    let seconds = i64::from(day_number(day)?) * DAY_SECONDS + i64::from(hour * 3600 + minute * 60 + second);
    in_years((seconds - east_seconds?) * 1_000_000 + fraction_us)
}

/// The microseconds of a fraction, where there is one, and what follows it.
fn fraction(text: &str) -> Result<(i64, &str), Flaw> {
    let Some(digits) = text.strip_prefix('.') else { return Ok((0, text)) };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = digits.len() - rest.len();
    if count == 0 {
        return Err(Flaw::Type);
    }
    let kept = digits.bytes().take(count).chain([b'0'; 6]).take(6);
    Ok((kept.fold(0, |us, digit| us * 10 + i64::from(digit - b'0')), rest))
}

/// Seconds east of UTC: the outer error is about the form, the inner one about an offset that does not exist.
fn offset(zone: &str) -> Result<Result<i64, Flaw>, Flaw> {
    if matches!(zone, "Z" | "z") {
        return Ok(Ok(0));
    }
    let (sign, clock) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (None, Some(clock)) => (-1, clock),
        (None, None) => return Err(Flaw::Type),
    };
    let [hours, minutes] = numbers(clock, "00:00").ok_or(Flaw::Type)?;
    if hours > 23 || minutes > 59 {
        return Ok(Err(Flaw::Range));
    }
    Ok(Ok(sign * i64::from(hours * 3600 + minutes * 60)))
}

/// The numbers in `text` where it has this form: `0` stands for a digit, everything else for itself.
fn numbers<const N: usize>(text: &str, form: &str) -> Option<[i32; N]> {
    let mut found = [0_i32; N];
    let mut current = 0;
    if text.len() != form.len() {
        return None;
    }
    for (byte, expected) in text.bytes().zip(form.bytes()) {
        if expected == b'0' && byte.is_ascii_digit() {
            let number = found.get_mut(current)?;
            *number = *number * 10 + i32::from(byte - b'0');
        } else if expected != b'0' && byte == expected {
            current += 1;
        } else {
            return None;
        }
    }
    Some(found)
}

/// Days since the epoch.
fn day_number([year, month, day]: [i32; 3]) -> Result<i32, Flaw> {
    // The year 0 is in jiff's calendar, and in no reader's of the tables.
    if year == 0 {
        return Err(Flaw::Range);
    }
    let small = |number: i32| i8::try_from(number).map_err(|_| Flaw::Range);
    let year = i16::try_from(year).map_err(|_| Flaw::Range)?;
    let date = civil::Date::new(year, small(month)?, small(day)?).map_err(|_| Flaw::Range)?;
    let since = date.duration_since(civil::date(1970, 1, 1)).as_secs() / DAY_SECONDS;
    i32::try_from(since).map_err(|_| Flaw::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_the_epoch() {
        for (text, days) in [
            ("1970-01-01", Ok(0)),
            ("1969-12-31", Ok(-1)),
            ("2000-02-29", Ok(11_016)),
            ("0001-01-01", Ok(-719_162)),
            ("9999-12-31", Ok(2_932_896)),
            ("0000-01-01", Err(Flaw::Range)),
            ("2023-02-29", Err(Flaw::Range)),
            ("2023-13-01", Err(Flaw::Range)),
            ("2023-01-00", Err(Flaw::Range)),
            ("2023-2-9", Err(Flaw::Type)),
            ("2023/01/01", Err(Flaw::Type)),
            ("2023-01-01 ", Err(Flaw::Type)),
            ("２023-01-1", Err(Flaw::Type)),
        ] {
            assert_eq!(date(text), days, "{text}");
        }
    }

    #[test]
    fn instants_are_read_in_every_form_that_rfc_3339_allows() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01 00:00:00-00:00", 0),
            ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.123456789123Z", 123_456),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1970-01-01T05:30:00+05:30", 0),
            ("1969-12-31T16:00:00-08:00", 0),
            ("9999-12-31T23:59:59.999999Z", END_US - 1),
            ("0001-01-01T00:00:00Z", FIRST_US),
        ] {
            assert_eq!(rfc3339(text), Ok(us), "{text}");
        }
    }

    #[test]
    fn another_form_is_of_the_wrong_type_before_anything_is_out_of_range() {
        for text in [
            "2023-11-14T22:13:60Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20+0100",
            "2023-11-14T22:13:20 Z",
            "2023-11-14_22:13:20Z",
            "2023-1x-14T22:13:20+24:00",
            "2023-02-30T22:13:60Z",
            "2023-02-3é",
            "",
        ] {
            assert_eq!(rfc3339(text), Err(Flaw::Type), "{text}");
        }
        for text in [
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:61Z",
            "2023-02-30T22:13:20Z",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20+00:60",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(rfc3339(text), Err(Flaw::Range), "{text}");
        }
    }
}
