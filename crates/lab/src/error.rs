//! Why a lab could not do what was asked, and what to do about it.

use std::io;
use std::path::PathBuf;

/// A failure of the lab itself: none of them says anything about what is being tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The servers' programs are not in the cache, or only half of them.
    #[error("Kafka {version} is not in {}; run `setup/install.sh test`", folder.display())]
    NotInstalled {
        /// The version that is wanted.
        version: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A program of the system that a lab needs.
    #[error("the program `{program}` is missing; run `setup/install.sh test`")]
    NoProgram {
        /// Its name on the path.
        program: &'static str,
    },
    /// Kafka 4 runs on Java 17 or later.
    #[error("Kafka needs Java {wanted} or later, but `java -version` says: {found}")]
    OldJava {
        /// The oldest that will do.
        wanted: u32,
        /// What was found.
        found: String,
    },
    /// A program ran and failed.
    #[error("{what} failed ({status})\n{tail}")]
    Failed {
        /// What it was doing.
        what: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        tail: String,
    },
    /// A server ended while it was awaited.
    #[error("{server} ended before it was ready; its log, {}, ends so:\n{tail}", log.display())]
    Ended {
        /// Its name.
        server: String,
        /// Its whole log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A server runs but was not ready in time.
    #[error("{server} was not ready within {within_s} s; its log, {}, ends so:\n{tail}", log.display())]
    NotReady {
        /// Its name.
        server: String,
        /// How long it was waited for, in seconds.
        within_s: u64,
        /// Its whole log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A port that a server must have belongs to another process.
    #[error("port {port} of {server} is used by another process; end that one, or begin with a new folder")]
    PortBusy {
        /// Whose port it is.
        server: String,
        /// The port.
        port: u16,
    },
    /// Somebody else's server answered on our port.
    #[error("a server that is not ours answers on port {port} of {server}; end that one, or begin with a new folder")]
    Stranger {
        /// Whose port it should be.
        server: String,
        /// The port.
        port: u16,
    },
    /// What was asked does not fit: said in full.
    #[error("{0}")]
    Refused(String),
    /// The system refused something.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it was refused.
        #[source]
        source: io::Error,
    },
}

impl LabError {
    /// For `map_err`: an error of the system, with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The message and, where the system refused something, why: for panics of tests, which print one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Io { what, source } => format!("{what}: {source}"),
            other => other.to_string(),
        }
    }
}
