//! The program's allocator, and how long memory that was freed stays with the process.
//!
//! Contract: a setting of speed only. What the environment says (`MIMALLOC_PURGE_DELAY`) goes before it.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Memory that is freed goes back to the kernel after this time, milliseconds. An epoch's buffers are freed with its
/// commit and wanted again for the next one: with mimalloc's own, a second, most of them go back in between, and the
/// kernel clears every page anew. Longer than commits are usually apart (`commit.interval`); short enough that what a
/// backlog needed is given back once it is worked off.
const FREED_STAYS_MS: c_long = 10_000;
/// `mi_option_purge_delay` in the `mi_option_e` of mimalloc's header; the same in its versions 2 and 3.
const PURGE_DELAY: c_int = 15;

// mimalloc.h. The crate `mimalloc` links it and offers no setting.
unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// Sets it. Called before anything large is allocated.
pub(crate) fn keep_freed() {
    // SAFETY: it takes two numbers, and ignores an option that it does not know.
    unsafe { mi_option_set_default(PURGE_DELAY, FREED_STAYS_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_the_option_and_the_option_is_set() {
        // SAFETY: it takes a number.
        let now = || unsafe { mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(now(), 1_000, "mimalloc's own");
            keep_freed();
            assert_eq!(now(), FREED_STAYS_MS);
        }
    }
}
