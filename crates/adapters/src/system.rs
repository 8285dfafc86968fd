//! The system's clock and random identifiers: the only place that reads either.

use std::sync::OnceLock;
use std::time::Instant;
use watertight_core::port::{Clock, Ids};

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that reads the clock")]
    fn now_us(&self) -> i64 {
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }

    fn monotonic_us(&self) -> i64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let since = BEGAN.get_or_init(Instant::now).elapsed();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Random UUIDs (version 4).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn fresh(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// The lowest priority that Linux has.
const NICE_MAX: i32 = 19;

/// Gives this thread, and those that it starts from here on, what the others leave of the processors.
///
/// # Errors
/// When the system refuses.
pub fn yield_to_others() -> std::io::Result<()> {
    rustix::process::setpriority_process(None, NICE_MAX).map_err(std::io::Error::from)
}
