//! The producer: sends events into an event log, keeps a ledger of what was acknowledged, and says what must come out.
//!
//! Contract: an event is sent once, in order within its partition, whatever answers are lost and however often the
//! producer is killed, as long as it keeps a ledger. Generated events are a pure function of their options, and so is
//! their truth. This crate is an independent oracle: it depends on the core's ports and records only and shares no
//! code with what decodes, deduplicates or aggregates events.
//!
//! `request` → (`generate` | `input`) → `batch` → `send` → `ledger`; `tail` resolves what is in doubt; `truth` computes and
//! compares.

mod batch;
mod error;
#[cfg(test)]
mod fixtures;
mod generate;
mod input;
mod ledger;
mod request;
mod run;
mod send;
mod tail;
pub mod truth;

pub use error::ProduceError;
pub use generate::{GeneratorKind, ItemRef, Items, PlanError, PlanSpec, Shares};
pub use input::json_format_of;
pub use ledger::{
    Header as LedgerHeader, Line as LedgerLine, PRODUCER_HEADER, Place, SEQUENCE_HEADER, SourceHeader,
    read as read_ledger,
};
pub use request::{
    Appends, Batching, GenerateOptions, InputFormat, InputFrom, InputOptions, ProduceRequest, ProduceSummary, Progress,
    Source, Waiting,
};
pub use run::run;
