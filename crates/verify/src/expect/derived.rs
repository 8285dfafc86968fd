//! What silver adds to a row besides its values: pure functions of the record.

const DAY_US: i64 = 86_400_000_000;

/// The flag of a row whose time is beyond the tolerated future.
pub const FUTURE_FLAG: &str = "future_event_time";

/// `_arrival_delay_seconds`: from the event to the log's timestamp (not to ingestion), below zero where the event's
/// clock was ahead.
#[must_use]
pub fn arrival_delay_seconds(event_time_us: i64, kafka_timestamp_us: i64) -> f64 {
    // Rounded once to a double, then divided: the column holds that very double.
    (i128::from(kafka_timestamp_us) - i128::from(event_time_us)) as f64 / 1e6
}

/// `_event_date`: the UTC day of an instant, in days since the epoch.
#[must_use]
pub fn event_date(event_time_us: i64) -> i32 {
    // An i64 of microseconds is 1.1 × 10^8 days at most.
    i32::try_from(event_time_us.div_euclid(DAY_US)).unwrap_or(i32::MAX)
}

/// `_quality_flags` of a row of silver.
#[must_use]
pub fn quality_flags(future: bool) -> &'static [&'static str] {
    if future { &[FUTURE_FLAG] } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_counted_from_the_event_to_the_log() {
        assert_eq!(arrival_delay_seconds(1_000_000, 3_500_000), 2.5);
        assert_eq!(arrival_delay_seconds(3_500_000, 1_000_000), -2.5);
        assert!(arrival_delay_seconds(i64::MIN, i64::MAX).is_finite());
    }

    #[test]
    fn a_day_begins_at_midnight_on_both_sides_of_the_epoch() {
        assert_eq!([0, DAY_US - 1, DAY_US, -1, -DAY_US].map(event_date), [0, 0, 1, -1, -1]);
        assert!(event_date(i64::MIN) < 0 && event_date(i64::MAX) > 0);
    }

    #[test]
    fn only_a_time_in_the_future_is_flagged() {
        assert_eq!(quality_flags(true), ["future_event_time"]);
        assert!(quality_flags(false).is_empty());
    }
}
