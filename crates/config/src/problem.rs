//! Problems: what is wrong in the pipeline file, where, and what to write instead.
//!
//! Problems are collected in a `Report` while the file is read, and given out together as [`Problems`], in the
//! order in which they stand in the file. They show the text of the file, never the value of a variable.

use std::fmt;

/// A place in the file, both counted from 1; line 0 is the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One problem in a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was given.
    pub file: String,
    /// Line, from 1; 0 when the problem is with the file as a whole.
    pub line: u32,
    /// Column in characters, from 1; 0 when the problem is with the file as a whole.
    pub column: u32,
    /// Path of the key, such as `streams.stock_ticks.columns.price.type`; empty at the top.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do or what was perhaps meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": error: {}", self.message)?;
        self.suggestion.as_ref().map_or(Ok(()), |suggestion| write!(f, "; {suggestion}"))
    }
}

/// All problems of a pipeline file, in the order in which they stand in it; never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems while a file is read.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(file: String) -> Self {
        Self { file, problems: Vec::new() }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn whole_file(&mut self, message: String) {
        self.add(Place { line: 0, column: 0 }, "", message, None);
    }

    pub(crate) fn add(&mut self, at: Place, path: &str, message: impl Into<String>, suggestion: Option<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            message: message.into(),
            suggestion,
        });
    }

    pub(crate) fn extend(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    pub(crate) fn finish(mut self) -> Problems {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems.dedup();
        Problems(self.problems)
    }
}
