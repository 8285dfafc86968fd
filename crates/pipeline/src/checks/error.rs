//! Why checks are refused.

/// An error of a stream's checks. A failing row is none.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The definition must change. `validate` prints every reason.
    #[error("the checks of stream '{stream}' cannot be used: {}", reasons.join("; "))]
    Refused {
        /// The stream.
        stream: String,
        /// Each names its check and says what to do. Never empty.
        reasons: Vec<String>,
    },
    /// The rows to check don't have the stream's declared columns. A defect of the caller.
    #[error("the checks of stream '{stream}' were given rows with other columns than it declares")]
    Schema {
        /// The stream.
        stream: String,
    },
}
