//! Deciding a commit: facts read from the table → one decision. Pure, and tested over every combination.
//!
//! A commit for `(from, to]` may be made only where the stored position equals `from` on the exact version it is
//! written against, and where the append it carries on is still the newest: a commit that moves no position (windows
//! closed, a partition declared idle) is fenced by that alone. Unknown is not success: an attempt whose answer was lost is resolved by reading the table.

use crate::position::{PositionStep, Positions, StepError, check_steps};

/// What is known of the last attempt to write this commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAttempt {
    /// None was made.
    None,
    /// It was refused before anything was written.
    Refused,
    /// Its answer was lost, or the version was found taken: the table must be read.
    Unknown,
}

/// What was read from the table before deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Positions on the base version.
    pub stored: &'a Positions,
    /// The steps the commit would make.
    pub steps: &'a [PositionStep],
    /// The last attempt.
    pub last_attempt: LastAttempt,
    /// Whether the table was read after the last attempt.
    pub read_since: bool,
    /// Whether a version read since bears this commit's id.
    pub own_id_found: bool,
    /// Whether a foreign commit that removes data, or changes protocol or schema, was read.
    pub foreign_damage: bool,
    /// Whether the append that this one carries on is still the newest; true where it names none.
    pub follows_newest: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write it against this base version.
    Commit,
    /// It is in the table: go on as after success.
    AlreadyCommitted,
    /// Read the table first.
    ReadFirst,
    /// Someone else moved the positions: discard the work and read again.
    Stale(StepError),
    /// Someone else appended since the work was done: discard it and read again.
    Overtaken,
    /// Stop this table and tell the operator.
    Halt,
}

/// What is said of a commit that was overtaken.
pub const OVERTAKEN: &str = "another writer appended since this work was done; it is discarded and read again";

/// Decides. Same facts, same decision.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    if facts.last_attempt == LastAttempt::Unknown && !facts.read_since {
        return Decision::ReadFirst;
    }
    if facts.own_id_found {
        return Decision::AlreadyCommitted;
    }
    if facts.foreign_damage {
        return Decision::Halt;
    }
    match check_steps(facts.stored, facts.steps) {
        Ok(()) if facts.follows_newest => Decision::Commit,
        Ok(()) => Decision::Overtaken,
        Err(error @ StepError::Moved { .. }) => Decision::Stale(error),
        Err(StepError::Backwards { .. }) => Decision::Halt,
    }
}

/// Whether what `follows` names is still the newest append.
#[must_use]
pub fn follows_newest(follows: Option<&str>, newest: Option<&str>) -> bool {
    follows.is_none_or(|named| newest == Some(named))
}

#[cfg(test)]
mod tests;
