//! What gold's models and the checks share of DataFusion: the session they are planned in, how a plan is run on
//! the calling thread, what an expression may not contain, and how an error is worded.
//!
//! Contract: one partition, no spilling, no memory limit (a finite pool takes other code paths inside DataFusion),
//! no clock, no files. A plan's integers and decimals never wrap around: they fail. Never lets a panic or a value
//! of a row out: both end as a plain message.

mod checked;
mod exact;
mod expression;
mod message;
mod run;
mod session;
mod wording;

pub(crate) use checked::is_overflow;
pub(crate) use expression::{Place, order_dependent, unfit};
pub(crate) use message::{planning_message, runtime_message};
pub(crate) use run::{Failure, collect, drive, guarded};
pub(crate) use session::{Planning, session};

/// A type as the pipeline file names it.
pub(crate) fn type_name(kind: &arrow::datatypes::DataType) -> String {
    wording::types(&kind.to_string())
}
