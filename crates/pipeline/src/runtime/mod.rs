//! Running it: epochs, commits that survive lost answers, one supervisor over named threads.

mod commit;
mod ending;
mod fetch;
mod health;
mod identity;
mod models;
mod partitions;
mod signal;
mod start;
mod state;
mod stopwatch;
mod stream;
mod supervisor;
mod threads;
mod topics;
mod unfinished;

pub use commit::{CommitFailure, Committer, Draft};
pub use ending::HeldBack;
pub use health::{Condition, Health, Part, Rebuilding};
pub use identity::StreamIdentity;
pub use signal::Stop;
pub use start::{Parts, Setup, Upto};
pub(crate) use state::{is_gone, unusable};
pub use stopwatch::Stopwatch;
pub use stream::{CommitBounds, RunUntil, StreamFailure};
pub use supervisor::{RunOutcome, run};
pub(crate) use threads::in_background;
pub use threads::stopping_at_panic;
