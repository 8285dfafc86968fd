//! The interactive shell: lines in, statements out, until the end of input.
//!
//! A statement may span lines and ends with `;`. `\d` lists tables, `\d silver.x` a table's columns, `\q` leaves.
//! Ctrl-C drops what was typed so far, Ctrl-D leaves. An error of a statement is printed and the shell goes on; so it
//! does when the session's [`crate::Interrupt`] is raised, which ends the statement and those after it on the line.

mod terminal;
#[cfg(test)]
mod tests;

use crate::output::type_name;
use crate::{Format, QueryError, Session, split};
use std::io::Write;
use std::path::Path;
use terminal::Terminal;

const HELP: &str = "\
statements end with ;   \\d lists tables   \\d silver.x lists columns   \\q leaves   Ctrl-C drops the line or ends the query
";

/// What a terminal gives.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Text(String),
    /// Ctrl-C.
    Cancelled,
    /// Ctrl-D, or the end of a file.
    End,
}

/// Where lines come from.
trait Lines {
    /// The next line, with a prompt where there is somebody to prompt.
    fn next(&mut self, prompt: &str) -> Result<Line, QueryError>;

    /// Keeps a statement, to be called back later.
    fn remember(&mut self, statement: &str);
}

/// What one line of input asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Nothing,
    Leave,
    Help,
    Tables,
    Columns(&'a str),
    Unknown(&'a str),
    /// Statements; whether the last is closed.
    Statements(Vec<&'a str>, bool),
}

/// A shell on a session.
#[derive(Debug)]
pub struct Repl<'a> {
    session: &'a Session,
    format: Format,
}

impl<'a> Repl<'a> {
    /// A shell that prints rows in `format`.
    #[must_use]
    pub fn new(session: &'a Session, format: Format) -> Self {
        Self { session, format }
    }

    /// Reads from the terminal until the end. `history` is a file for statements, kept between shells; `None`: none.
    ///
    /// # Errors
    /// `Io` from the terminal or `out`; statements' own errors are printed.
    pub fn run(&self, history: Option<&Path>, out: &mut dyn Write) -> Result<(), QueryError> {
        let mut terminal = Terminal::open(history)?;
        say(out, HELP)?;
        self.serve(&mut terminal, out)
    }

    fn serve(&self, lines: &mut dyn Lines, out: &mut dyn Write) -> Result<(), QueryError> {
        let mut typed = String::new();
        loop {
            let prompt = if typed.is_empty() { "watertight> " } else { "        ... " };
            let line = lines.next(prompt)?;
            // At the prompt Ctrl-C is a key; what was raised before now meant a statement that has ended.
            self.session.interrupt().clear();
            match line {
                Line::End => return Ok(()),
                Line::Cancelled => {
                    typed.clear();
                    continue;
                }
                Line::Text(text) => {
                    if !typed.is_empty() {
                        typed.push('\n');
                    }
                    typed.push_str(&text);
                }
            }
            match asked(&typed) {
                Asked::Statements(_, false) => continue,
                Asked::Statements(statements, true) => {
                    lines.remember(typed.trim());
                    self.answer_all(&statements, out)?;
                }
                Asked::Leave => return Ok(()),
                Asked::Nothing => {}
                command => {
                    lines.remember(typed.trim());
                    self.command(&command, out)?;
                }
            }
            typed.clear();
        }
    }

    fn command(&self, command: &Asked<'_>, out: &mut dyn Write) -> Result<(), QueryError> {
        match command {
            Asked::Help => say(out, HELP),
            Asked::Unknown(command) => say(out, &format!("there is no command {}\n{HELP}", command.escape_debug())),
            Asked::Tables => {
                let tables = self.session.tables();
                let text: String = tables.iter().map(|table| format!("{table}\n")).collect();
                say(out, if tables.is_empty() { "the lake has no tables yet, run the pipeline first\n" } else { &text })
            }
            Asked::Columns(table) => match self.session.columns(table) {
                Err(error) => say(out, &format!("error: {error}\n")),
                Ok(schema) => {
                    let width = schema.fields().iter().map(|field| field.name().chars().count()).max().unwrap_or(0);
                    let line = |field: &arrow::datatypes::FieldRef| {
                        let required = if field.is_nullable() { "" } else { " not null" };
                        format!("{:width$}  {}{required}\n", field.name(), type_name(field.data_type()))
                    };
                    say(out, &schema.fields().iter().map(line).collect::<String>())
                }
            },
            Asked::Nothing | Asked::Leave | Asked::Statements(..) => Ok(()),
        }
    }

    /// Runs the statements of a line until one is interrupted.
    fn answer_all(&self, statements: &[&str], out: &mut dyn Write) -> Result<(), QueryError> {
        for statement in statements {
            self.answer(statement, out)?;
            if self.session.interrupt().is_raised() {
                return say(out, "interrupted\n");
            }
        }
        Ok(())
    }

    /// Runs a statement and prints its rows, or its error.
    fn answer(&self, statement: &str, out: &mut dyn Write) -> Result<(), QueryError> {
        let answered = self.session.stream(statement).and_then(|rows| {
            let schema = rows.schema();
            self.format.write(&schema, rows, out)
        });
        match answered {
            Ok(_) | Err(QueryError::Interrupted) => Ok(()),
            Err(error @ QueryError::Io { .. }) => Err(error),
            Err(error) => say(out, &format!("error: {error}\n")),
        }
    }
}

fn asked(typed: &str) -> Asked<'_> {
    let words = typed.trim();
    if let Some(command) = words.strip_prefix('\\') {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        return match (name, argument.trim().trim_end_matches(';')) {
            ("q", "") => Asked::Leave,
            ("d" | "dt", "") => Asked::Tables,
            ("d", table) => Asked::Columns(table),
            ("h" | "?", "") => Asked::Help,
            _ => Asked::Unknown(words),
        };
    }
    match words.trim_end_matches(';').to_ascii_lowercase().as_str() {
        "" => return Asked::Nothing,
        "quit" | "exit" => return Asked::Leave,
        "help" => return Asked::Help,
        _ => {}
    }
    let (statements, closed) = split(typed);
    if statements.is_empty() { Asked::Nothing } else { Asked::Statements(statements, closed) }
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), QueryError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| QueryError::io("could not write to the terminal", error))
}
