//! Errors of ports: the kind says what the caller does.

use std::error::Error as StdError;

/// What the caller of a port does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// May pass by itself (no space, busy, time-out): try again with backoff; nothing was changed.
    Retry,
    /// The answer was lost: what was asked may or may not have happened. Read back before anything else.
    Unknown,
    /// Another owner is at work, or moved the position: discard the work and read again.
    Fenced,
    /// What is asked for is below what is kept: offsets are lost to retention.
    OutOfRange,
    /// Stored bytes are not what was written (checksum, truncated entry): stop this part, keep the evidence.
    Corrupt,
    /// The outside is set up in a way that can't work (permission, foreign change): stop, an operator decides.
    Stop,
    /// A defect in Watertight.
    Bug,
}

/// Offsets of one partition that an error is about: lost ones (`OutOfRange`), or those that were read and are above the
/// log's end (`Stop`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// Partition number.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
}

/// An error with its kind, what was being done, what to do, and the chain of sources.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What the caller does.
    pub kind: ErrorKind,
    /// What was being done and what the operator can do; never payloads or secrets.
    pub message: String,
    /// The partition it is about and its offsets, where it is about one.
    pub range: Option<OffsetRange>,
    /// Where it came from.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PortError {
    /// An error without a source.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), range: None, source: None }
    }

    /// An error that another one caused.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), range: None, source: Some(source.into()) }
    }

    /// The same, about these offsets.
    #[must_use]
    pub fn about(mut self, range: OffsetRange) -> Self {
        self.range = Some(range);
        self
    }

    /// An I/O error while doing `what`; its kind follows from the operating system's code.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::StorageFull
            | Io::QuotaExceeded
            | Io::Interrupted
            | Io::TimedOut
            | Io::WouldBlock
            | Io::ResourceBusy => ErrorKind::Retry,
            Io::ReadOnlyFilesystem | Io::PermissionDenied => ErrorKind::Retry,
            _ if matches!(source.raw_os_error(), Some(23 | 24)) => ErrorKind::Retry, // ENFILE, EMFILE
            _ => ErrorKind::Stop,
        };
        let message = format!("{}: {source}", what.into());
        Self { kind, message, range: None, source: Some(Box::new(source)) }
    }

    /// The message followed by those of its sources that add something.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(error) = next {
            let said = error.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = error.source();
        }
        text
    }
}
