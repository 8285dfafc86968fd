//! Loading the pipeline file for a command: from disk, with this process's environment, and its SQL checked.

use std::path::Path;
use watertight_config::{PipelineConfig, Problem, Problems};

/// A check of a file that is right by itself, such as whether its SQL can be planned. It gives the place of a
/// problem with `config.source.problem("models.x.sql", …)`.
pub(crate) type Extra = fn(&PipelineConfig) -> Vec<Problem>;

/// What is checked beyond the file itself, in this order; every command that loads a file runs all of them.
const EXTRAS: &[Extra] = &[];

/// Loads and checks the pipeline file.
///
/// # Errors
/// All problems of the file; those of [`EXTRAS`] only once the file itself is right.
pub(crate) fn load(path: &Path) -> Result<PipelineConfig, Problems> {
    let config =
        watertight_config::load(path, &|name| std::env::var(name).ok(), &|path| std::fs::read_to_string(path))?;
    let mut problems: Vec<Problem> = EXTRAS.iter().flat_map(|extra| extra(&config)).collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}
