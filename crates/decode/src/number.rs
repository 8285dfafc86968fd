//! Numbers from their text, exactly: no value passes through a float on its way to an integer or a decimal.
//!
//! Contract: the text is a JSON number. Its value times `10^scale` is taken as an integer; what doesn't fit is
//! told apart from what would be lost. Work and memory are linear in the text, whatever the exponent says.

use crate::convert::Flaw;

/// An integer in sign and magnitude, cut from a number's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    negative: bool,
    magnitude: u128,
    rest: Rest,
}

/// What was cut off below the last digit kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    Something,
}

/// Exponents are held within this, far beyond any text that is read: 10^±(2^40) is as out of range as more.
const EXPONENT_MAX: i64 = 1 << 40;

/// `text × 10^scale`, cut toward zero.
///
/// # Errors
/// [`Flaw::Range`] when the magnitude is 2^128 or more.
fn cut(text: &[u8], scale: i64) -> Result<Cut, Flaw> {
    let negative = text.first() == Some(&b'-');
    let text = if negative { &text[1..] } else { text };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(place) => (&text[..place], exponent(&text[place + 1..])),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let fraction_digits = point.map_or(0, |point| mantissa.len() - point - 1) as i64;
    let digits = (mantissa.len() - usize::from(point.is_some())) as i64;
    // How many digits of the mantissa, from the left, belong to the integer; the rest is cut off.
    let kept = digits - fraction_digits + exponent + scale;
    let mut magnitude = 0_u128;
    let mut rest = Rest::Nothing;
    for (index, byte) in std::iter::zip(0.., mantissa.iter().filter(|byte| **byte != b'.')) {
        let digit = u128::from(byte - b'0');
        if index < kept {
            magnitude = magnitude.checked_mul(10).and_then(|m| m.checked_add(digit)).ok_or(Flaw::Range)?;
        } else if digit != 0 {
            rest = Rest::Something;
            break;
        }
    }
    if magnitude != 0 && kept > digits {
        // 10^39 exceeds every u128.
        let missing = u32::try_from((kept - digits).min(39)).map_err(|_| Flaw::Range)?;
        magnitude = 10_u128.checked_pow(missing).and_then(|m| m.checked_mul(magnitude)).ok_or(Flaw::Range)?;
    }
    Ok(Cut { negative, magnitude, rest })
}

fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value = 0_i64;
    for byte in digits {
        value = (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX);
    }
    if negative { -value } else { value }
}

impl Cut {
    fn signed(self) -> Result<i128, Flaw> {
        let magnitude = i128::try_from(self.magnitude).map_err(|_| Flaw::Range)?;
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    fn whole(self) -> Result<(), Flaw> {
        match self.rest {
            Rest::Nothing => Ok(()),
            Rest::Something => Err(Flaw::Precision),
        }
    }
}

/// A run of at most 18 digits, with or without a minus, as it stands in most payloads.
fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A 64-bit integer; `1.0` and `1e3` are integers.
///
/// # Errors
/// [`Flaw::Range`] outside 64 bits, [`Flaw::Precision`] when there is a fraction.
pub(crate) fn long(text: &[u8]) -> Result<i64, Flaw> {
    if let Some(value) = short_integer(text) {
        return Ok(value);
    }
    let cut = cut(text, 0)?;
    let value = i64::try_from(cut.signed()?).map_err(|_| Flaw::Range)?;
    cut.whole().map(|()| value)
}

/// A 32-bit integer, in 64 bits.
///
/// # Errors
/// As [`long`], for 32 bits.
pub(crate) fn int(text: &[u8]) -> Result<i64, Flaw> {
    let cut = match short_integer(text) {
        Some(value) => return i32::try_from(value).map(i64::from).map_err(|_| Flaw::Range),
        None => cut(text, 0)?,
    };
    let value = i32::try_from(cut.signed()?).map_err(|_| Flaw::Range)?;
    cut.whole().map(|()| i64::from(value))
}

/// The unscaled value of a decimal of `precision` digits (1–38), `scale` of them after the point.
///
/// # Errors
/// [`Flaw::Range`] when it has more digits before the point than the type, [`Flaw::Precision`] when digits after the
/// point other than trailing zeros would be lost.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Flaw> {
    let value = match short_decimal(text, scale) {
        Some(value) => value,
        None => {
            let cut = cut(text, i64::from(scale))?;
            let value = cut.signed()?;
            if value.unsigned_abs() < 10_u128.pow(u32::from(precision)) {
                cut.whole()?;
            }
            value
        }
    };
    if value.unsigned_abs() < 10_u128.pow(u32::from(precision)) { Ok(value) } else { Err(Flaw::Range) }
}

/// A decimal of at most 18 digits without exponent and with no more places than `scale`.
fn short_decimal(text: &[u8], scale: u8) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 19 {
        return None;
    }
    let mut value = 0_i64;
    let mut count = 0_u32;
    let mut places = None;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            count += 1;
            places = places.map(|places: u32| places + 1);
        } else if *byte == b'.' {
            places = Some(0);
        } else {
            return None;
        }
    }
    let missing = u32::from(scale).checked_sub(places.unwrap_or(0))?;
    if count > 18 || missing > 18 {
        return None;
    }
    let value = i128::from(if negative { -value } else { value });
    Some(value * i128::from(10_i64.pow(missing)))
}

/// A number of units since the epoch as microseconds; `scale` is the number of decimal places from the unit to a
/// microsecond (6 for seconds, 3 for milliseconds, 0 for microseconds, -3 for nanoseconds).
///
/// # Errors
/// [`Flaw::Range`] outside 64 bits; [`Flaw::Precision`] when the number isn't whole in microseconds. Nanoseconds
/// (`scale` below 0) are cut instead, toward the past, as the digits of RFC 3339 text are.
pub(crate) fn epoch_micros(text: &[u8], scale: i64) -> Result<i64, Flaw> {
    let cut = cut(text, scale)?;
    let mut value = cut.signed()?;
    if scale >= 0 {
        i64::try_from(value).map_err(|_| Flaw::Range)?;
        cut.whole()?;
    } else if cut.negative && cut.rest == Rest::Something {
        value -= 1;
    }
    i64::try_from(value).map_err(|_| Flaw::Range)
}

/// Whether `text` is a JSON number and nothing else.
pub(crate) fn is_number(text: &str) -> bool {
    let scanner = crate::scan::Scanner::new(text, 0);
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
        && scanner.value(0, 0, &mut Vec::new()).is_ok_and(|(_, end)| end == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_taken_from_any_notation_and_nothing_is_rounded() {
        for (text, value) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("-0.000e5", Ok(0)),
            ("0e999999999999999999999", Ok(0)),
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("1200e-2", Ok(12)),
            ("0.00012e+5", Ok(12)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Flaw::Range)),
            ("-9223372036854775809", Err(Flaw::Range)),
            ("1e19", Err(Flaw::Range)),
            ("1e999999999999999999999", Err(Flaw::Range)),
            ("1.5", Err(Flaw::Precision)),
            ("1e-1", Err(Flaw::Precision)),
            ("1e-999999999999999999999", Err(Flaw::Precision)),
            ("99999999999999999999.5", Err(Flaw::Range)),
        ] {
            assert_eq!(long(text.as_bytes()), value, "{text}");
        }
        assert_eq!(int(b"2147483647"), Ok(2_147_483_647));
        assert_eq!(int(b"2147483648"), Err(Flaw::Range));
        assert_eq!(int(b"-2147483648.0"), Ok(-2_147_483_648));
        assert_eq!(int(b"0.1"), Err(Flaw::Precision));
    }

    #[test]
    fn decimals_are_exact_up_to_38_digits() {
        let nines = "9".repeat(38);
        let all: i128 = nines.parse().expect("38 digits fit");
        assert_eq!(decimal(nines.as_bytes(), 38, 0), Ok(all));
        assert_eq!(decimal(format!("-0.{nines}").as_bytes(), 38, 38), Ok(-all));
        assert_eq!(decimal(format!("{}.{}", &nines[..20], &nines[..18]).as_bytes(), 38, 18), Ok(all));
        assert_eq!(decimal(format!("{nines}e-38").as_bytes(), 38, 38), Ok(all));
        assert_eq!(decimal(format!("0.{nines}e38").as_bytes(), 38, 0), Ok(all));
        assert_eq!(decimal(format!("1{}", "0".repeat(38)).as_bytes(), 38, 0), Err(Flaw::Range));
        assert_eq!(decimal(b"340282366920938463463374607431768211456", 38, 0), Err(Flaw::Range));
        for (text, value) in [
            ("12.34", Ok(1234)),
            ("12.3400", Ok(1234)),
            ("12.3", Ok(1230)),
            ("-12", Ok(-1200)),
            ("99.99", Ok(9999)),
            ("99.999", Err(Flaw::Precision)),
            ("100", Err(Flaw::Range)),
            ("123.456", Err(Flaw::Range)),
            ("0.001", Err(Flaw::Precision)),
            ("1e-2", Ok(1)),
            ("1e-3", Err(Flaw::Precision)),
            ("0.10e2", Ok(1000)),
            ("0e-99", Ok(0)),
        ] {
            assert_eq!(decimal(text.as_bytes(), 4, 2), value, "{text}");
        }
    }

    #[test]
    fn epoch_numbers_become_microseconds_from_their_digits() {
        for (text, scale, value) in [
            ("1700000000", 6, Ok(1_700_000_000_000_000)),
            ("1700000000.123456", 6, Ok(1_700_000_000_123_456)),
            ("1.7e9", 6, Ok(1_700_000_000_000_000)),
            ("1700000000.1234567", 6, Err(Flaw::Precision)),
            ("-1.5", 3, Ok(-1500)),
            ("1.0", 0, Ok(1)),
            ("1.5", 0, Err(Flaw::Precision)),
            ("1999", -3, Ok(1)),
            ("-1", -3, Ok(-1)),
            ("-1000", -3, Ok(-1)),
            ("-1001.5", -3, Ok(-2)),
            ("9223372036855", 6, Err(Flaw::Range)),
            ("1e300", -3, Err(Flaw::Range)),
        ] {
            assert_eq!(epoch_micros(text.as_bytes(), scale), value, "{text} × 10^{scale}");
        }
    }
}
