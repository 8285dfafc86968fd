//! Dates and instants from their text, by hand: RFC 3339 and nothing looser.
//!
//! Contract: days and microseconds since 1970-01-01 UTC in the proleptic Gregorian calendar. What is kept lies within the
//! years 0001–9999, which every reader of the tables can show; text of the right form that names no such day or time
//! is out of range, text of another form is of the wrong type. No clock, no time zone data, no locale.

use crate::convert::Flaw;

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;
const DAY_MIN: i32 = -719_162; // 0001-01-01
const DAY_MAX: i32 = 2_932_896; // 9999-12-31

/// A date `YYYY-MM-DD` as days since the epoch.
///
/// # Errors
/// [`Flaw::Type`] for another form, [`Flaw::Range`] for a day that doesn't exist.
pub(crate) fn date(text: &[u8]) -> Result<i32, Flaw> {
    match text.first_chunk::<10>() {
        Some(day) if text.len() == 10 => Day::read(day)?.number(),
        _ => Err(Flaw::Type),
    }
}

/// An instant within the years that are kept.
///
/// # Errors
/// [`Flaw::Range`] outside them.
pub(crate) fn in_years(us: i64) -> Result<i64, Flaw> {
    let days = i64::from(DAY_MIN)..=i64::from(DAY_MAX);
    if days.contains(&us.div_euclid(DAY_US)) { Ok(us) } else { Err(Flaw::Range) }
}

/// An RFC 3339 instant as microseconds since the epoch. `T`, `t` or a space stands between date and time; the zone is
/// `Z`, `z` or an offset `±HH:MM`; a fraction of any length is cut to microseconds.
///
/// # Errors
/// [`Flaw::Type`] for another form, and for second 60 (a leap second has no place in time since the epoch); [`Flaw::Range`]
/// for a day, time or offset that doesn't exist.
pub(crate) fn rfc3339(text: &[u8]) -> Result<i64, Flaw> {
    let (day, rest) = text.split_first_chunk::<10>().ok_or(Flaw::Type)?;
    let ([b'T' | b't' | b' ', time @ ..], rest) = rest.split_first_chunk::<9>().ok_or(Flaw::Type)? else {
        return Err(Flaw::Type);
    };
    let [h1, h0, b':', m1, m0, b':', s1, s0] = *time else { return Err(Flaw::Type) };
    let day = Day::read(day)?;
    let (hour, minute, second) = (pair(h1, h0)?, pair(m1, m0)?, pair(s1, s0)?);
    let (fraction_us, zone) = fraction(rest)?;
    let (sign, zone_hour, zone_minute) = offset(zone)?;
    if second == 60 {
        return Err(Flaw::Type);
    }
    if hour > 23 || minute > 59 || second > 59 || zone_hour > 23 || zone_minute > 59 {
        return Err(Flaw::Range);
    }
    let seconds = i64::from(day.number()?) * 86_400 + i64::from(hour * 3600 + minute * 60 + second)
        - sign * i64::from(zone_hour * 3600 + zone_minute * 60);
    in_years(seconds * 1_000_000 + fraction_us)
}

/// The microseconds of `.digits`, if there is one, and what follows.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), Flaw> {
    let [b'.', digits @ ..] = text else { return Ok((0, text)) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return Err(Flaw::Type);
    }
    let kept = digits[..length].iter().chain(&[b'0'; 6]).take(6);
    let us = kept.fold(0, |us, digit| us * 10 + i64::from(digit - b'0'));
    Ok((us, &digits[length..]))
}

/// The offset from UTC: its sign, hours and minutes.
fn offset(zone: &[u8]) -> Result<(i64, u32, u32), Flaw> {
    match *zone {
        [b'Z' | b'z'] => Ok((1, 0, 0)),
        [b'+', h1, h0, b':', m1, m0] => Ok((1, pair(h1, h0)?, pair(m1, m0)?)),
        [b'-', h1, h0, b':', m1, m0] => Ok((-1, pair(h1, h0)?, pair(m1, m0)?)),
        _ => Err(Flaw::Type),
    }
}

fn pair(tens: u8, ones: u8) -> Result<u32, Flaw> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { Err(Flaw::Type) } else { Ok(u32::from(tens) * 10 + u32::from(ones)) }
}

/// Year, month and day as they are written.
struct Day {
    year: u32,
    month: u32,
    day: u32,
}

impl Day {
    fn read(text: &[u8; 10]) -> Result<Self, Flaw> {
        let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *text else { return Err(Flaw::Type) };
        Ok(Self { year: pair(y3, y2)? * 100 + pair(y1, y0)?, month: pair(m1, m0)?, day: pair(d1, d0)? })
    }

    /// Days since the epoch, if there is such a day.
    fn number(&self) -> Result<i32, Flaw> {
        let Self { year, month, day } = *self;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let month_days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u32::from(leap),
            _ => return Err(Flaw::Range),
        };
        if year == 0 || day == 0 || day > month_days {
            return Err(Flaw::Range);
        }
        // Years are counted from March, so that a leap day ends its year; month lengths then follow (153 m + 2) / 5.
        let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        Ok(days as i32 - 719_468)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let mut expected = DAY_MIN;
        for year in 1..=9999_u32 {
            for month in 1..=12_u32 {
                for day in 1..=31_u32 {
                    if let Ok(days) = date(format!("{year:04}-{month:02}-{day:02}").as_bytes()) {
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, DAY_MAX + 1);
        assert_eq!(date(b"1970-01-01"), Ok(0));
        assert_eq!(date(b"2000-02-29"), Ok(11_016));
    }

    #[test]
    fn days_that_do_not_exist_are_out_of_range_and_other_forms_are_of_the_wrong_type() {
        for text in ["2023-02-29", "1900-02-29", "2023-13-01", "2023-00-01", "2023-01-00", "2023-04-31", "0000-01-01"] {
            assert_eq!(date(text.as_bytes()), Err(Flaw::Range), "{text}");
        }
        for text in ["", "2023-1-1", "2023/01/01", "20230101", "2023-01-01 ", " 2023-01-01", "+2023-01-1", "２023-01-1"]
        {
            assert_eq!(date(text.as_bytes()), Err(Flaw::Type), "{text}");
        }
    }

    #[test]
    fn instants_are_read_in_every_form_that_rfc_3339_allows() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01 00:00:00Z", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.123456789123Z", 123_456),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1970-01-01T05:30:00+05:30", 0),
            ("1969-12-31T16:00:00-08:00", 0),
            ("2023-11-14T22:13:20.123Z", 1_700_000_000_123_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Ok(us), "{text}");
        }
    }

    #[test]
    fn instants_that_do_not_exist_are_refused() {
        for text in [
            "2023-11-14T22:13:60Z",
            "2023-11-14T22:13:20",
            "2023-11-14",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20+0100",
            "2023-11-14T22:13:20+01",
            "2023-11-14T22:13:20ZZ",
            "2023-11-14T22:13:20 Z",
            "2023-11-14_22:13:20Z",
            "2023-1x-14T22:13:20+24:00",
            "2023-02-30T22:13:60Z",
            "2023-11-14T2:13:20Z",
            "",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Err(Flaw::Type), "{text}");
        }
        for text in [
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:60:00Z",
            "2023-11-14T22:13:61Z",
            "2023-02-30T22:13:20Z",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20+00:60",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Err(Flaw::Range), "{text}");
        }
    }
}
