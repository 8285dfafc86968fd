//! Numbers from their text, exactly: a run of digits and a power of ten, never a float on the way.
//!
//! What is larger than the type is out of range, also where it has a fraction; what fits but has digits that would be
//! lost is a matter of precision. Work is linear in the text, whatever its exponent says.

use super::flaw::Flaw;
use crate::expect::definition::TimestampForm;

/// Exponents beyond this are held at it: 10^(2^40) is as far out of every range as more would be.
const EXPONENT_MAX: i64 = 1 << 40;
/// 10^39 exceeds 2^127.
const DIGITS_MAX: i64 = 39;

/// `±digits × 10^exponent`; the digits begin and end with one that is not zero, and there are none for zero.
#[derive(Debug)]
struct Exact {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Exact {
    /// Reads a number as JSON spells it (RFC 8259, section 6); `None` for any other text.
    fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, read_power(power)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let starts_well = whole == "0" || !(whole.is_empty() || whole.starts_with('0'));
        if !starts_well || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut exponent = power.saturating_sub(i64::try_from(fraction.len()).ok()?);
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        while digits.last() == Some(&0) {
            digits.pop();
            exponent = exponent.saturating_add(1);
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        Some(Self { negative, digits: digits.split_off(zeros), exponent })
    }

    /// The number times `10^places`, cut toward zero, and whether something was cut off.
    fn scaled(&self, places: i64) -> Result<(i128, Rest), Flaw> {
        if self.digits.is_empty() {
            return Ok((0, Rest::Nothing));
        }
        let exponent = self.exponent.saturating_add(places);
        let length = i64::try_from(self.digits.len()).map_err(|_| Flaw::Range)?;
        let kept = length.saturating_add(exponent);
        if kept > DIGITS_MAX {
            return Err(Flaw::Range);
        }
        let mut value = 0_i128;
        for place in 0..usize::try_from(kept).unwrap_or(0) {
            let digit = self.digits.get(place).copied().unwrap_or(0);
            value = value.checked_mul(10).and_then(|tens| tens.checked_add(digit.into())).ok_or(Flaw::Range)?;
        }
        // The last digit is not zero: with a place below the point, something is cut off.
        let rest = if exponent < 0 { Rest::Something } else { Rest::Nothing };
        Ok((if self.negative { -value } else { value }, rest))
    }
}

/// What was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    Something,
}

impl Rest {
    fn none(self) -> Result<(), Flaw> {
        match self {
            Self::Nothing => Ok(()),
            Self::Something => Err(Flaw::Precision),
        }
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_power(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !all_digits(digits) {
        return None;
    }
    let power = digits.bytes().fold(0_i64, |power, byte| (power * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX));
    Some(if negative { -power } else { power })
}

/// An integer from `min` to `max`; `1.0` and `1e3` are integers.
///
/// # Errors
/// [`Flaw::Range`] outside, [`Flaw::Precision`] with a fraction, [`Flaw::Type`] for what is no number.
pub(crate) fn integer(text: &str, min: i64, max: i64) -> Result<i64, Flaw> {
    let (value, rest) = Exact::read(text).ok_or(Flaw::Type)?.scaled(0)?;
    let value = i64::try_from(value).map_err(|_| Flaw::Range)?;
    if !(min..=max).contains(&value) {
        return Err(Flaw::Range);
    }
    rest.none().map(|()| value)
}

/// The unscaled value of a decimal.
///
/// # Errors
/// [`Flaw::Range`] with more digits before the point than the type has, [`Flaw::Precision`] with digits other than zero
/// beyond its places, [`Flaw::Type`] for what is no number.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Flaw> {
    let (value, rest) = Exact::read(text).ok_or(Flaw::Type)?.scaled(scale.into())?;
    let limit = 10_i128.checked_pow(precision.into()).ok_or(Flaw::Range)?;
    if value >= limit || value <= -limit {
        return Err(Flaw::Range);
    }
    rest.none().map(|()| value)
}

/// A number of units since the epoch in microseconds. Nanoseconds are cut toward the past; of the other units every
/// digit counts.
///
/// # Errors
/// [`Flaw::Range`] outside 64 bits, [`Flaw::Precision`] when it is not whole in microseconds, [`Flaw::Type`] for text
/// forms.
pub(crate) fn micros(text: &str, form: TimestampForm) -> Result<i64, Flaw> {
    let places = match form {
        TimestampForm::Rfc3339 => return Err(Flaw::Type),
        TimestampForm::EpochSeconds => 6,
        TimestampForm::EpochMillis => 3,
        TimestampForm::EpochMicros => 0,
        TimestampForm::EpochNanos => -3,
    };
    let number = Exact::read(text).ok_or(Flaw::Type)?;
    let (value, rest) = number.scaled(places)?;
    let past = form == TimestampForm::EpochNanos && number.negative && rest == Rest::Something;
    let us = i64::try_from(value - i128::from(past)).map_err(|_| Flaw::Range)?;
    if form != TimestampForm::EpochNanos {
        rest.none()?;
    }
    Ok(us)
}

/// A 64-bit float, the nearest.
///
/// # Errors
/// [`Flaw::Range`] beyond the largest.
pub(crate) fn double(text: &str) -> Result<f64, Flaw> {
    let value: f64 = text.parse().map_err(|_| Flaw::Type)?;
    if value.is_finite() { Ok(value) } else { Err(Flaw::Range) }
}

/// A 32-bit float, the nearest to the text (not to its 64-bit float).
///
/// # Errors
/// [`Flaw::Range`] beyond the largest.
pub(crate) fn float(text: &str) -> Result<f32, Flaw> {
    let value: f32 = text.parse().map_err(|_| Flaw::Type)?;
    if value.is_finite() { Ok(value) } else { Err(Flaw::Range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> Result<i64, Flaw> {
        integer(text, i64::MIN, i64::MAX)
    }

    #[test]
    fn integers_come_from_any_notation_and_nothing_is_rounded() {
        for (text, value) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("-0.000e5", Ok(0)),
            ("0e999999999999999999999", Ok(0)),
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("1E+3", Ok(1000)),
            ("1200e-2", Ok(12)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Flaw::Range)),
            ("9223372036854775807.5", Err(Flaw::Precision)),
            ("9223372036854775808.5", Err(Flaw::Range)),
            ("1e999999999999999999999", Err(Flaw::Range)),
            ("1e-999999999999999999999", Err(Flaw::Precision)),
            ("1.5", Err(Flaw::Precision)),
            ("01", Err(Flaw::Type)),
            ("1.", Err(Flaw::Type)),
            (".1", Err(Flaw::Type)),
            ("1e", Err(Flaw::Type)),
            ("+1", Err(Flaw::Type)),
            ("", Err(Flaw::Type)),
            ("-", Err(Flaw::Type)),
            (" 1", Err(Flaw::Type)),
            ("0x1", Err(Flaw::Type)),
        ] {
            assert_eq!(long(text), value, "{text}");
        }
        assert_eq!(integer("2147483648", i32::MIN.into(), i32::MAX.into()), Err(Flaw::Range));
    }

    #[test]
    fn decimals_are_exact_up_to_38_digits() {
        let nines = "9".repeat(38);
        assert_eq!(decimal(&nines, 38, 0), Ok(nines.parse().expect("38 digits fit")));
        assert_eq!(decimal(&format!("1{}", "0".repeat(38)), 38, 0), Err(Flaw::Range));
        for (text, value) in [
            ("12.34", Ok(1234)),
            ("12.3400", Ok(1234)),
            ("-12", Ok(-1200)),
            ("99.999", Err(Flaw::Precision)),
            ("100", Err(Flaw::Range)),
            ("123.456", Err(Flaw::Range)),
            ("1e-2", Ok(1)),
            ("1e-3", Err(Flaw::Precision)),
            ("0e-99", Ok(0)),
        ] {
            assert_eq!(decimal(text, 4, 2), value, "{text}");
        }
    }

    #[test]
    fn times_since_the_epoch_keep_every_digit_and_nanoseconds_are_cut_toward_the_past() {
        use TimestampForm::{EpochMicros, EpochMillis, EpochNanos, EpochSeconds};
        for (text, form, value) in [
            ("1700000000.123456", EpochSeconds, Ok(1_700_000_000_123_456)),
            ("1700000000.1234567", EpochSeconds, Err(Flaw::Precision)),
            ("9223372036855", EpochSeconds, Err(Flaw::Range)),
            ("-1.5", EpochMillis, Ok(-1500)),
            ("1.5", EpochMicros, Err(Flaw::Precision)),
            ("1999", EpochNanos, Ok(1)),
            ("-1", EpochNanos, Ok(-1)),
            ("-1000", EpochNanos, Ok(-1)),
            ("-1001.5", EpochNanos, Ok(-2)),
            ("1e300", EpochNanos, Err(Flaw::Range)),
        ] {
            assert_eq!(micros(text, form), value, "{text} {form:?}");
        }
    }

    #[test]
    fn a_float_is_the_nearest_to_the_text() {
        assert_eq!(float("1.00000017881393432617187499"), Ok(1.000_000_1));
        assert_eq!(float("3.5e38"), Err(Flaw::Range));
        assert_eq!(double("-1e309"), Err(Flaw::Range));
        assert_eq!(double("-0").map(f64::to_bits), Ok((-0.0_f64).to_bits()));
    }
}
