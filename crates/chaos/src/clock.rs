//! A wall clock that is wrong by what the environment says.
//!
//! `WATERTIGHT_CLOCK_OFFSET` holds a sign, a number and a unit (`s`, `h` or `day`; seconds where there is none):
//! `+1day`, `-1h`, `90`. Where it is unset or empty, the clock is right.

use std::sync::Arc;
use watertight_core::port::Clock;

const VARIABLE: &str = "WATERTIGHT_CLOCK_OFFSET";

/// A clock that is always wrong by the same.
struct Wrong {
    right: Arc<dyn Clock>,
    by_us: i64,
}

impl Clock for Wrong {
    fn now_us(&self) -> i64 {
        self.right.now_us().saturating_add(self.by_us)
    }
}

/// The clock of this process: `right`, or what the environment makes of it. An offset that cannot be read ends the
/// process: a test that plants nothing proves nothing.
pub(crate) fn of_environment(right: Arc<dyn Clock>) -> Arc<dyn Clock> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    if text.is_empty() {
        return right;
    }
    match offset_us(&text) {
        Some(by_us) => Arc::new(Wrong { right, by_us }),
        None => {
            eprintln!("error: {VARIABLE}: '{text}' is no offset; write it like +1day, -1h or 90");
            std::process::exit(2)
        }
    }
}

fn offset_us(text: &str) -> Option<i64> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1, size),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len()));
    let seconds: i64 = match unit {
        "" | "s" => 1,
        "h" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(sign * seconds)?.checked_mul(1_000_000)
}
