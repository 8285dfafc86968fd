//! What wakes readers within a process.

use super::partition::locked;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung after each publication; a listener that notes the count before it looks misses nothing.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
}

impl Bell {
    /// How often it was rung so far.
    pub(super) fn count(&self) -> u64 {
        *locked(&self.rung)
    }

    /// Wakes all listeners.
    pub(super) fn ring(&self) {
        *locked(&self.rung) += 1;
        self.heard.notify_all();
    }

    /// Waits until it was rung more than `seen` times, at most `wait`.
    pub(super) fn listen(&self, seen: u64, wait: Duration) {
        let rung = locked(&self.rung);
        drop(self.heard.wait_timeout_while(rung, wait, |rung| *rung == seen).unwrap_or_else(PoisonError::into_inner));
    }
}
