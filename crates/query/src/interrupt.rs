//! Asking the statement under way to end, from another thread.
//!
//! What was asked stays asked until it is cleared: it then ends whatever the session is asked next, so none gets lost
//! between two statements. Work that is busy inside a batch is left behind on its thread; nobody waits for it.

use crate::QueryError;
use futures::future::{Either, select};
use futures::task::AtomicWaker;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// The handle by which a session's statements are interrupted; copies are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    raised: AtomicBool,
    waiting: AtomicWaker,
}

impl Interrupt {
    /// Ends the statement under way with [`QueryError::Interrupted`], and those after it until [`Interrupt::clear`].
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        self.0.waiting.wake();
    }

    /// Whether it was raised and not yet cleared.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Lets statements run again.
    pub fn clear(&self) {
        self.0.raised.store(false, Ordering::SeqCst);
    }

    /// What `work` gives, unless it is interrupted before. One thread waits at a time.
    pub(crate) async fn or<F: Future>(&self, work: F) -> Result<F::Output, QueryError> {
        let raised = poll_fn(|context: &mut Context<'_>| {
            self.0.waiting.register(context.waker());
            if self.is_raised() { Poll::Ready(()) } else { Poll::Pending }
        });
        match select(pin!(raised), pin!(work)).await {
            Either::Left(_) => Err(QueryError::Interrupted),
            Either::Right((output, _)) => Ok(output),
        }
    }
}
