//! The terminal, through rustyline; statements are kept in a history file.

use super::{Line, Lines};
use crate::QueryError;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use std::path::{Path, PathBuf};

/// Statements kept.
const HISTORY_LINES_MAX: usize = 2_000;

pub(super) struct Terminal {
    editor: DefaultEditor,
    history: Option<PathBuf>,
}

impl Terminal {
    /// An unreadable history is begun anew: it is a convenience.
    pub(super) fn open(history: Option<&Path>) -> Result<Self, QueryError> {
        let config = Config::builder().max_history_size(HISTORY_LINES_MAX).map_err(failed)?.build();
        let mut editor = DefaultEditor::with_config(config).map_err(failed)?;
        if let Some(path) = history {
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history: history.map(Path::to_owned) })
    }
}

impl Lines for Terminal {
    fn next(&mut self, prompt: &str) -> Result<Line, QueryError> {
        match self.editor.readline(prompt) {
            Ok(text) => Ok(Line::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Line::Cancelled),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(failed(error)),
        }
    }

    fn remember(&mut self, statement: &str) {
        let _ = self.editor.add_history_entry(statement);
        if let Some(path) = &self.history {
            let _ = self.editor.append_history(path);
        }
    }
}

fn failed(error: ReadlineError) -> QueryError {
    let source = match error {
        ReadlineError::Io(error) => error,
        other => std::io::Error::other(other.to_string()),
    };
    QueryError::io("the terminal failed", source)
}
