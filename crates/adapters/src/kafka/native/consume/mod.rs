//! Consuming: batches of messages, leader epochs, and one partition's events with their offsets.
//!
//! Contract: what is given out is safe to use; messages cannot outlive their batch.

mod batch;
mod consumer;
mod hook;
mod list;

pub(in crate::kafka) use batch::{Batch, Message};
pub(in crate::kafka) use consumer::Consumer;
pub(in crate::kafka) use hook::Watcher;

use std::ffi::{CStr, c_char};

/// A C string as text; empty for null.
///
/// # Safety
/// `text` is null, or points to a string that ends with NUL and lives for the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
