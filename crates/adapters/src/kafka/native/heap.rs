//! The heap that librdkafka lives on: the C library's, not the program's allocator.
//!
//! Contract: settings of speed only, made once for the process, before the first client. With the C library's own,
//! what was fetched and unpacked goes back to the kernel as soon as it is read, and the next fetch takes pages that the
//! kernel has to clear first. Records are allocated by librdkafka's thread and freed by ours, so that a heap for each
//! thread would hold much memory that is free and not used.

use std::sync::Once;

/// Free memory at the heap's end that stays with the process, bytes: more than the fetched records that wait
/// (`queued.max.messages.kbytes`) and those of a fetch that is on its way.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 64 << 20;
/// Blocks of this many bytes and more are mapped one by one, and unmapped when they are freed: the most that can be
/// asked for. Fetches and what is unpacked of them stay below.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: i32 = 32 << 20;

/// Makes the settings, the first time.
pub(in crate::kafka) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(set);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set() {
    use std::ffi::c_int;

    // From glibc's malloc.h, part of its binary interface.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    for (parameter, value) in [(M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, MAPPED_BYTES_MIN), (M_TRIM_THRESHOLD, KEPT_BYTES)] {
        // SAFETY: it takes two numbers, may be called at any time and from any thread, and changes nothing where it
        // refuses a value.
        if unsafe { mallopt(parameter, value) } == 0 {
            tracing::debug!(parameter, value, "the C library does not take a setting of its heap");
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set() {}
