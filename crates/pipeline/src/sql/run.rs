//! Running DataFusion's futures on the calling thread.
//!
//! The plans here read from memory and have one partition: nothing waits for I/O. The calling thread polls them
//! itself, so that a fold works the same inside and outside a tokio runtime.

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
///
/// It runs outside tokio's cooperative budget: inside a task that has used its budget up, a stream that asks for
/// it would otherwise never become ready.
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What [`guarded`] found.
#[derive(Debug)]
pub(crate) enum Failure {
    /// DataFusion's error.
    Error(DataFusionError),
    /// DataFusion panicked. Its message is not kept: it may hold values of rows.
    Panic,
}

/// Runs `work`, which must not leave anything of the caller's half changed, and turns a panic into a value.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, DataFusionError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::Error),
        Err(_) => Err(Failure::Panic),
    }
}

/// Runs a plan of one partition and returns its rows.
pub(crate) fn collect(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let mut stream = plan.execute(0, Arc::clone(context))?;
    drive(async move {
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        Ok(batches)
    })
}
