//! Time and identity from outside, so that simulation can drive them.

/// Wall-clock time.
pub trait Clock: Send + Sync {
    /// Microseconds since the epoch, UTC. May jump either way; callers that need order keep a maximum.
    fn now_us(&self) -> i64;

    /// Microseconds since some moment of the clock's own: for how long something took, and for nothing that is decided.
    /// Does not go back, unless a clock has nothing better than its time of day.
    fn monotonic_us(&self) -> i64 {
        self.now_us()
    }
}

/// Fresh identifiers.
pub trait Ids: Send + Sync {
    /// A new identifier, unique for ever (a UUID's text).
    fn fresh(&self) -> String;
}
