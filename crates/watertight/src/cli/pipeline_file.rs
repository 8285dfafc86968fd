//! Loading the pipeline file for a command: from disk, with this process's environment, and its SQL checked.

use std::path::Path;
use watertight_config::{PipelineConfig, Problem, Problems};
use watertight_core::schema::{ModelDef, StreamDef, silver_schema};
use watertight_pipeline::checks::Checks;
use watertight_pipeline::gold::engine::ModelPlan;

/// A check of a file that is right by itself, such as whether its SQL can be planned. It gives the place of a
/// problem with `config.source.problem("models.x.sql", …)`.
pub(crate) type Extra = fn(&PipelineConfig) -> Vec<Problem>;

/// What is checked beyond the file itself, in this order; every command that loads a file runs all of them.
const EXTRAS: &[Extra] = &[checks_of_streams, sql_of_models];

fn checks_of_streams(config: &PipelineConfig) -> Vec<Problem> {
    let failed = config.streams.iter().filter_map(|stream| Some((stream, Checks::new(stream).err()?)));
    let problem = |(stream, error): (&StreamDef, _)| {
        config.source.problem(&format!("streams.{}.checks", stream.name), one_line(&error), None)
    };
    failed.map(problem).collect()
}

fn sql_of_models(config: &PipelineConfig) -> Vec<Problem> {
    let failed = config.models.iter().filter_map(|model| {
        let stream = config.streams.iter().find(|stream| stream.name == model.from)?;
        Some((model, ModelPlan::new(model, &silver_schema(stream)).err()?))
    });
    let problem = |(model, error): (&ModelDef, _)| {
        config.source.problem(&format!("models.{}.sql", model.name), one_line(&error), None)
    };
    failed.map(problem).collect()
}

fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().replace('\n', " ")
}

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
