//! Reading what others may have written ill: a panic in a library over it is an answer, not the end.
//!
//! Contract: a panic inside [`guarded`] comes back as `None`, and whoever called says what it means (a damaged file, say).
//! What the panic says never gets out: it may hold values of rows. The program's panic hook asks [`is_inside`], and stays
//! silent. Panics elsewhere are defects, and none of this module's business.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is at work whose panic will be caught and told in our own words.
#[must_use]
pub fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Does `work`; `None` where it panicked. What it had under way is given up: nothing that it changed may be used then.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let _inside = Inside::enter();
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// One more guarded call, until it is dropped.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get().saturating_add(1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_leaves_the_thread_as_it_was() {
        assert!(!is_inside());
        assert_eq!(guarded(is_inside), Some(true));
        assert_eq!(guarded(|| guarded::<()>(|| panic!("planted")).is_none() && is_inside()), Some(true));
        assert!(guarded::<()>(|| panic!("planted")).is_none());
        assert!(!is_inside());
    }
}
