//! What is read from words of the command line: rates, speeds, shares, durations, times, brokers.

use std::time::Duration;

/// `500/s`, `500`, `30_000/min` → events per second, above 0.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "min")) => (number, 60.0),
        Some((number, "h")) => (number, 3_600.0),
        Some((_, unit)) => return Err(format!("'{unit}' is not a unit of time; write 500/s, 500/min or 500/h")),
    };
    positive(number, "a rate such as 500/s").map(|number| number / seconds)
}

/// `60x` or `60` → event seconds per second, above 0.
pub(crate) fn speed(text: &str) -> Result<f64, String> {
    positive(text.strip_suffix('x').unwrap_or(text), "a speed such as 60x")
}

/// `5%` or `0.05` → a share from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, factor) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    let share = number.trim().parse::<f64>().ok().map(|number| number * factor);
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "expected a share such as 5% or 0.05".to_owned())
}

/// `30s`, `2 min` → a duration above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let us = watertight_config::parse_duration_us(text)?;
    u64::try_from(us)
        .ok()
        .filter(|us| *us > 0)
        .map(Duration::from_micros)
        .ok_or_else(|| "expected more than 0".to_owned())
}

/// `2026-01-05T14:30:00Z` or `2026-01-05` → microseconds since the epoch.
pub(crate) fn instant_us(text: &str) -> Result<i64, String> {
    watertight_config::parse_instant_us(text)
}

/// `2_000_000` → a whole number above 0.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let number = text.replace('_', "").parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number above 0, such as 2_000_000".to_owned())
}

/// `kafka-1:9092,kafka-2:9092` → the same without spaces.
pub(crate) fn brokers(text: &str) -> Result<String, String> {
    watertight_config::parse_brokers(text)
}

fn positive(text: &str, what: &str) -> Result<f64, String> {
    let number = text.trim().replace('_', "").parse::<f64>().ok();
    number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| format!("expected {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_they_are_written() {
        assert_eq!(rate("500/s"), Ok(500.0));
        assert_eq!(rate("30_000/min"), Ok(500.0));
        assert_eq!(rate("0.5"), Ok(0.5));
        assert_eq!(speed("60x"), Ok(60.0));
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.05"), Ok(0.05));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(count("2_000_000"), Ok(2_000_000));
        assert_eq!(instant_us("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(brokers("kafka-1:9092, [::1]:9093").as_deref(), Ok("kafka-1:9092,[::1]:9093"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in ["0/s", "-1/s", "5/fortnight", "nan", "inf", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert!(share("101%").is_err() && share("-0.1").is_err() && share("x").is_err());
        assert!(duration("0 s").is_err() && duration("30").is_err() && duration("-1 s").is_err());
        assert!(count("0").is_err() && count("1.5").is_err());
        assert!(speed("0x").is_err() && instant_us("noon").is_err());
        assert!(brokers("kafka").is_err() && brokers("a:1,").is_err() && brokers("a\":1").is_err());
    }
}
