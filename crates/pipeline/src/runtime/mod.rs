//! Running it: epochs, commits that survive lost answers, one supervisor over named threads.

mod commit;
mod health;
mod identity;
mod signal;
mod start;
mod stream;
mod supervisor;

pub use commit::{CommitFailure, Committer};
pub use health::{Condition, Health, Part};
pub use identity::StreamIdentity;
pub use signal::Stop;
pub use start::{Parts, Setup};
pub use stream::{CommitBounds, RunUntil, StreamFailure};
pub use supervisor::{RunOutcome, run};
