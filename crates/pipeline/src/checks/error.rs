//! Why checks are refused.

use std::fmt;

/// A check that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the check; `None` when the stream's columns allow no checks at all.
    pub check: Option<String>,
    /// What is wrong and what to do. One line.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.check.as_ref().map_or(Ok(()), |check| write!(f, "check '{check}': "))?;
        f.write_str(&self.why)
    }
}

fn listed(reasons: &[Refusal]) -> String {
    reasons.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

/// An error of a stream's checks. A failing row is none.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The definition must change. `validate` prints every reason.
    #[error("the checks of stream '{stream}' cannot be used: {}", listed(reasons))]
    Refused {
        /// The stream.
        stream: String,
        /// In the order of the checks, every reason of each. Never empty.
        reasons: Vec<Refusal>,
    },
    /// The rows to check don't have the stream's declared columns. A defect of the caller.
    #[error("the checks of stream '{stream}' were given rows with other columns than it declares")]
    Schema {
        /// The stream.
        stream: String,
    },
}
