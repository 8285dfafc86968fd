//! Errors of state: all of them cost time, none of them data. The caller retries, or rebuilds from the tables.

use std::path::PathBuf;
use watertight_core::port::{ErrorKind, PortError};

/// What went wrong with the index or its checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused; the set is unchanged.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which file or folder.
        what: String,
        /// The refusal.
        #[source]
        source: std::io::Error,
    },
    /// A run on disk is not what was written: the index must be thrown away and rebuilt from the tables.
    #[error("a run of the duplicate index is damaged ({0}); it must be rebuilt from the tables")]
    DamagedRun(&'static str),
    /// The mark belongs to an epoch that was committed or rolled back before.
    #[error("this mark was settled before, by a commit of a later epoch or a rollback of an earlier one")]
    StaleMark,
    /// `append_ids` without a base: after a rebuild, `write_base` comes first.
    #[error("there is no base to append to; write a base first")]
    NoBase,
    /// `append_ids` does not continue where the checkpoint ends: what lies between would be missing from it.
    #[error("the checkpoint ends at version {stored:?}, so nothing after {after:?} can be appended; write a new base")]
    NotNext {
        /// Version the checkpoint covers.
        stored: Option<u64>,
        /// Version after which the caller wanted to append.
        after: Option<u64>,
    },
    /// The version to be covered is not above the one that is covered.
    #[error("version {upto} is not above {stored:?}, which the checkpoint already covers")]
    Backwards {
        /// Version the checkpoint covers.
        stored: Option<u64>,
        /// Version asked for.
        upto: u64,
    },
    /// Another process, or another store in this one, has the checkpoint open.
    #[error("{0} is in use by another process; stop it first")]
    InUse(PathBuf),
    /// A name that would not be a file name.
    #[error("'{0}' cannot name state; use letters, digits, '.', '-' and '_', at most 200 of them")]
    Name(String),
}

impl StateError {
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

impl From<StateError> for PortError {
    fn from(error: StateError) -> Self {
        let kind = match error {
            StateError::Io { what, source } => return Self::io(what, source),
            StateError::DamagedRun(_) => ErrorKind::Corrupt,
            // The run lock keeps other processes away: it is a job of ours that has not ended yet.
            StateError::InUse(_) => ErrorKind::Retry,
            StateError::StaleMark
            | StateError::NoBase
            | StateError::NotNext { .. }
            | StateError::Backwards { .. }
            | StateError::Name(_) => ErrorKind::Bug,
        };
        Self::new(kind, error.to_string())
    }
}
