//! Errors of the shell: each says whether the statement, a table, or the place written to is at fault.

use datafusion::error::DataFusionError;
use watertight_core::port::PortError;

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A table that is not there.
    #[error("there is no table '{name}'; {}", known_tables(.known))]
    NoSuchTable {
        /// As the statement names it.
        name: String,
        /// The tables there are, as `silver.x`.
        known: Vec<String>,
    },
    /// A statement that would change something.
    #[error("{0} is refused: this shell only reads; tables are written by the pipeline")]
    ReadOnly(String),
    /// The statement cannot be parsed or planned.
    #[error("{0}")]
    Statement(String),
    /// It failed while it ran.
    #[error("the query failed: {0}")]
    Run(String),
    /// It was interrupted; see [`crate::Interrupt`].
    #[error("the query was interrupted")]
    Interrupted,
    /// A table is there and cannot be opened.
    #[error("table {name} cannot be read: {}", .source.chain())]
    Table {
        /// The table, as `silver.x`.
        name: String,
        /// What the lake said.
        #[source]
        source: PortError,
    },
    /// The output, the history or the terminal refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The refusal; `BrokenPipe` means that the reader has gone.
        #[source]
        source: std::io::Error,
    },
}

fn known_tables(known: &[String]) -> String {
    if known.is_empty() {
        "the lake has no tables yet, run the pipeline first".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    }
}

/// What the lake said about a table, on its way through DataFusion.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {source}")]
pub(crate) struct TableUnreadable {
    pub(crate) name: String,
    #[source]
    pub(crate) source: PortError,
}

impl QueryError {
    pub(crate) fn io(what: &'static str, source: std::io::Error) -> Self {
        Self::Io { what, source }
    }

    /// An error of planning.
    pub(crate) fn planning(error: DataFusionError) -> Self {
        unreadable(error).unwrap_or_else(|error| Self::Statement(message(&error)))
    }

    /// An error of running.
    pub(crate) fn running(error: DataFusionError) -> Self {
        unreadable(error).unwrap_or_else(|error| Self::Run(message(&error)))
    }
}

/// Takes the lake's own error out of DataFusion's wrappings.
fn unreadable(error: DataFusionError) -> Result<QueryError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<TableUnreadable>() {
            Ok(table) => Ok(QueryError::Table { name: table.name, source: table.source }),
            Err(inner) => Err(DataFusionError::External(inner)),
        },
        DataFusionError::Context(text, inner) => {
            unreadable(*inner).map_err(|inner| DataFusionError::Context(text, Box::new(inner)))
        }
        DataFusionError::Diagnostic(text, inner) => {
            unreadable(*inner).map_err(|inner| DataFusionError::Diagnostic(text, Box::new(inner)))
        }
        other => Err(other),
    }
}

/// What to use where text is wanted and there are bytes; a cast, as DataFusion advises, fails on what is no text.
const BYTES_ADVICE: &str = "octet_length(column) counts bytes, column = X'00ff' compares them, and \
    try_cast(column as varchar) is their text, or NULL where they are none";

/// The message without DataFusion's prefixes, which name its own parts.
fn message(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    if text.contains("non UTF-8 data") {
        return format!("bytes that are no text in UTF-8 were used as text; {BYTES_ADVICE}");
    }
    if let Some((said, _)) = text.split_once("\n\nHint: Binary types are not automatically coerced") {
        let said = said.rsplit("Error during planning: ").next().unwrap_or(said);
        return format!("{}; {BYTES_ADVICE}", said.trim_end_matches('.'));
    }
    for prefix in ["Error during planning: ", "SQL error: ", "Schema error: ", "Execution error: "] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return unwrapped(rest.trim_end());
        }
    }
    text.trim_end().to_owned()
}

/// The parser's own words, which DataFusion shows as it would show them to itself: `ParserError("…")`.
fn unwrapped(text: &str) -> String {
    let inner = ["ParserError(\"", "TokenizerError(\""].iter().find_map(|wrapper| text.strip_prefix(wrapper));
    match inner.and_then(|inner| inner.strip_suffix("\")")) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_words_stand_without_their_wrapping() {
        let said = r#"ParserError("Expected: an SQL statement, found: \"x\" at Line: 1, Column: 1")"#;
        assert_eq!(unwrapped(said), r#"Expected: an SQL statement, found: "x" at Line: 1, Column: 1"#);
        assert_eq!(unwrapped("table 'x' not found"), "table 'x' not found");
    }
}
