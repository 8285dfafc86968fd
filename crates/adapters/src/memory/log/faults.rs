//! The faults that can be scripted.

use std::time::Duration;
use watertight_core::port::ErrorKind;

/// The calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogCall {
    /// `topic` and `create_topic`.
    Topic,
    /// `append`.
    Append,
    /// `bounds`.
    Bounds,
    /// `fetch`.
    Fetch,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFault {
    /// It fails with this kind before anything was done.
    Reject(ErrorKind),
    /// It is done, and its answer is lost (`Unknown`). A fetch changes nothing: it is as if rejected.
    LoseAnswer,
    /// It takes so long, then works.
    Slow(Duration),
}
