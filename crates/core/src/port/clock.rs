//! Time and identity from outside, so that simulation can drive them.

/// Wall-clock time.
pub trait Clock: Send + Sync {
    /// Microseconds since the epoch, UTC. May jump either way; callers that need order keep a maximum.
    fn now_us(&self) -> i64;
}

/// Fresh identifiers.
pub trait Ids: Send + Sync {
    /// A new identifier, unique for ever (a UUID's text).
    fn fresh(&self) -> String;
}
