//! Named threads: a panic in one of them is never lost.
//!
//! There are two ways to run one. Where the pipeline cannot go on without it, [`stopping_at_panic`]: a panic asks
//! everything to stop and comes back as a failure that names the thread, so that the run ends with another code than 0.
//! Where its work is a cache that the next start does without, `in_background`: a panic is a warning that names it.

use super::signal::Stop;
use super::stream::StreamFailure;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of a thread. Whoever started it joins it and enters the failure in how the run ended.
///
/// # Errors
/// [`StreamFailure::Panicked`], after `stop` was asked for.
pub fn stopping_at_panic<T>(thread: &str, stop: &Stop, body: impl FnOnce() -> T) -> Result<T, StreamFailure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        stop.request();
        StreamFailure::Panicked { thread: thread.to_owned(), message: panic_message(panic.as_ref()) }
    })
}

/// Starts a thread that nobody waits for, for work that may be lost at any time: a panic in it costs time only.
pub(crate) fn in_background(name: &'static str, work: impl FnOnce() + Send + 'static) {
    let body = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let said = panic_message(panic.as_ref());
            tracing::warn!(
                thread = name,
                panic = said,
                "it panicked, which is a defect in watertight: please report it; it only costs time"
            );
        }
    };
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
        tracing::warn!(thread = name, %error, "it could not be started; it only costs time");
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_asks_everything_to_stop_and_is_named() {
        let stop = Stop::default();
        assert_eq!(stopping_at_panic("house", &stop, || 7).ok(), Some(7));
        assert!(!stop.requested());
        let planted: Result<(), _> = stopping_at_panic("house", &stop, || panic!("the planted panic"));
        let failure = planted.expect_err("planted");
        assert!(failure.to_string().starts_with("house panicked: the planted panic;"), "{failure}");
        assert!(stop.requested());
    }

    #[test]
    fn a_panic_in_the_background_ends_only_its_own_thread() {
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        in_background("planted", move || {
            let _dropped_by_the_panic = sender;
            panic!("the planted panic");
        });
        assert!(ended.recv().is_err(), "it is over, and this thread is not");
    }
}
