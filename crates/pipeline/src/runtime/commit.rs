//! Commits that survive lost answers: held against their books, then tried until it is known how they ended.

use super::health::{Condition, Health, Part, Rebuilding};
use super::signal::Stop;
use super::stopwatch::Stopwatch;
use std::time::Duration;
use watertight_core::books::{Books, Imbalance, Layer};
use watertight_core::port::{
    Clock, CommitOutcome, CommitRequest, DataFile, ErrorKind, Ids, LakeTable, PortError, Spent,
};
use watertight_core::position::PositionStep;

/// First pause after a failure that may pass.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// Longest pause: a freed disk or a store that is back is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitFailure {
    /// A stop was asked for while waiting for a failure to pass; nothing is half done.
    #[error("stopped while waiting for a failure to pass")]
    Stopped,
    /// The books do not balance: a defect; nothing was committed.
    #[error("{0}; this is a defect in watertight, nothing of it was committed: please report it")]
    Imbalance(Imbalance),
    /// The port's error, of a kind that does not pass by itself.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An append as its stage leaves it: what is only known at the commit is entered in its books by [`Committer::append`].
#[derive(Debug)]
pub struct Draft {
    /// What the table's rows are.
    pub layer: Layer,
    /// Positions that move.
    pub steps: Vec<PositionStep>,
    /// Staged files.
    pub files: Vec<DataFile>,
    /// The books, but for bytes, totals, commit time and what the table spent.
    pub books: Books,
}

/// Makes commits for one part of the pipeline: retries what may pass, resolves what is unknown.
///
/// A model's never waits, because it works on its stream's thread, and streams go on without models: what may pass is
/// returned at the first failure. What is unknown of it is then resolved by opening its table again, not by a retry.
pub struct Committer<'a> {
    /// Whose condition is reported.
    pub part: Part,
    /// Where it is reported.
    pub health: &'a Health,
    /// Ends the waiting.
    pub stop: &'a Stop,
    /// Commit times.
    pub clock: &'a dyn Clock,
    /// Commit ids and jitter.
    pub ids: &'a dyn Ids,
}

impl Committer<'_> {
    /// Microseconds since the epoch.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// A watch that runs from now.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch<'_> {
        Stopwatch::start(self.clock)
    }

    /// A fresh commit id.
    #[must_use]
    pub fn fresh_id(&self) -> String {
        self.ids.fresh()
    }

    /// Notes how far this part has read back what it keeps in memory; at the end it is done with it.
    pub fn note_rebuilding(&self, done: u64, of: u64) {
        self.health.note_rebuilding(&self.part, (done < of).then_some(Rebuilding { done, of }));
    }

    fn waits(&self) -> bool {
        !matches!(self.part, Part::Model(_))
    }

    /// Tries `action` until it succeeds or fails for good; for a model, once.
    ///
    /// # Errors
    /// `Stopped`, or an error whose kind is neither `Retry` nor `Unknown`; for a model, any.
    pub fn retry<T>(&self, what: &str, mut action: impl FnMut() -> Result<T, PortError>) -> Result<T, CommitFailure> {
        let mut pause = BACKOFF_FIRST;
        loop {
            let error = match action() {
                Ok(done) => {
                    if self.waits() {
                        self.health.set(&self.part, Condition::Running);
                    }
                    return Ok(done);
                }
                Err(error) => error,
            };
            if !self.waits() || !matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown) {
                return Err(error.into());
            }
            tracing::warn!(part = %self.part, what, error = error.chain(), "waiting for this to pass");
            self.health.set(&self.part, Condition::Waiting { error: format!("{what}: {}", error.chain()) });
            if self.stop.wait(self.jitter(pause)) {
                return Err(CommitFailure::Stopped);
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    /// Makes an append upon the table's newest one, held against its files and positions before; returns the version that
    /// holds it.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn append(&self, table: &mut dyn LakeTable, draft: Draft) -> Result<u64, CommitFailure> {
        let Draft { layer, steps, files, mut books } = draft;
        let timestamp_us = self.now_us();
        let Spent { write_us, sync_us, entry_us } = table.spent();
        (books.took.write_us, books.took.sync_us, books.took.entry_us_before) = (write_us, sync_us, entry_us);
        books.bytes = Some(files.iter().map(|file| file.size).sum());
        books.check_files(layer, &files).map_err(CommitFailure::Imbalance)?;
        books.check_steps(&steps).map_err(CommitFailure::Imbalance)?;
        books.carry(table.state().last_append.as_ref(), timestamp_us);
        self.commit(table, &CommitRequest { steps, files, books, timestamp_us })
    }

    /// Commits; returns the version that holds it, whether written now or found there.
    fn commit(&self, table: &mut dyn LakeTable, request: &CommitRequest) -> Result<u64, CommitFailure> {
        match self.retry("commit", || table.commit(request))? {
            CommitOutcome::Committed(version) | CommitOutcome::AlreadyCommitted(version) => Ok(version),
        }
    }

    /// Between half of and the whole pause, so that several waiters do not come back in step.
    fn jitter(&self, pause: Duration) -> Duration {
        let byte = self.ids.fresh().bytes().last().unwrap_or_default();
        pause / 2 + pause * u32::from(byte & 15) / 32
    }
}
