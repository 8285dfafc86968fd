//! The ports: what the pipeline asks of the outside. Blocking calls; an adapter that needs a runtime brings one.
//!
//! Each port has an embedded, a production and a memory adapter, held to one contract suite
//! (`adapters/src/contract`).

mod clock;
mod error;
mod lake;
mod log;

pub use clock::{Clock, Ids};
pub use error::{ErrorKind, OffsetRange, PortError};
pub use lake::{CommitOutcome, CommitRequest, DataFile, Lake, LakeCommit, LakeTable, Spent, TableSpec, TableState};
pub use log::{Append, EventLog, Fetched, Gap, GapCause, LogReader, OffsetBounds, Offsets, ReadFrom, TopicInfo};
