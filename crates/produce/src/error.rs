//! What can go wrong while producing, by what the caller does about it.

use crate::generate::PlanError;
use std::path::{Path, PathBuf};
use watertight_core::port::PortError;

/// Why a run ended without having done what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The options don't fit each other: change them (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The generator does not fit the stream: change the stream's definition or the generator.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The event log refused in a way that waiting does not cure.
    #[error("the event log refused: {}", .0.chain())]
    Log(#[source] PortError),
    /// Stopped while the log or the ledger did not accept; what was acknowledged is in the ledger or is found again.
    #[error("stopped before everything was acknowledged: {0}; start again with the same ledger to go on")]
    Interrupted(String),
    /// The ledger is not usable as it is.
    #[error("ledger {}: {what}", path.display())]
    Ledger {
        /// The ledger's file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// The input cannot be read, or is not of the format that was said.
    #[error("input {name}: {what}")]
    Input {
        /// A path, or `standard input`.
        name: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// A file of the truth cannot be written or read.
    #[error("truth {}: {what}", path.display())]
    Truth {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
}

impl ProduceError {
    pub(crate) fn ledger(path: &Path, what: impl Into<String>) -> Self {
        Self::Ledger { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn input(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Input { name: name.into(), what: what.into() }
    }

    pub(crate) fn truth(path: &Path, what: impl ToString) -> Self {
        Self::Truth { path: path.to_owned(), what: what.to_string() }
    }
}
