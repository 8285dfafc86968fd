//! The pipeline file: YAML text → definitions.
//!
//! Contract: [`load`] turns the file into a [`PipelineConfig`] of core's definitions, or into *all* the problems
//! found in it, each with its line, column and path, sorted as they stand in the file. The way there has three
//! steps, one folder each: `yaml` (text → a tree of nodes that know where they stand, `${VAR}` filled in after
//! YAML is parsed, so that a value cannot become structure), `raw` (tree → keys of the right shape and unit) and
//! `build` (keys → definitions: names, references, files, defaults).
//!
//! One table of keys (`keys`) drives the reader, the JSON Schema ([`json_schema`]) and the reference
//! ([`reference`]), so that the three cannot drift apart.
//!
//! What it never does: it opens no file and reads no environment by itself (both are given to [`load`]), it
//! writes nothing, and the value of a variable never appears in a problem: what stands in the file does.

mod build;
mod config;
mod keys;
mod problem;
mod raw;
mod reference;
mod schema;
mod suggest;
mod type_text;
mod units;
mod yaml;

pub use build::parse_brokers;
pub use config::{CommitConfig, Definitions, KafkaConfig, LogConfig, PipelineConfig, Retention, Secret, Source};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use schema::json_schema;
pub use units::{parse_duration_us, parse_instant_us, show_duration, show_size};

use problem::Report;
use std::io;
use std::path::Path;

/// Looks a variable of the environment up; `None` when it isn't set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;
/// Reads a text file: the pipeline file, and the SQL files and files of secrets that it names.
pub type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<String>;
/// Finds what this crate cannot know to be wrong in definitions, which is their SQL.
pub type SqlCheck<'a> = &'a dyn Fn(&Definitions) -> Vec<Problem>;

/// Reads and checks the pipeline file at `path`.
///
/// Paths in the file are taken relative to the folder of the file; `env` fills `${VAR}` and gives secrets, `reader` reads
/// `path` itself, the `.sql` files of models and the files of secrets.
///
/// # Errors
/// [`Problems`] holds everything that is wrong with the file, not only the first; a file that cannot be read or
/// isn't YAML is one problem.
pub fn load(path: &Path, env: Env<'_>, reader: Reader<'_>) -> Result<PipelineConfig, Problems> {
    load_and_check(path, env, reader, &|_| Vec::new())
}

/// As [`load`], with the problems that `check` finds among the others.
///
/// `check` is given the definitions that could be made out of the file, also when other parts of it are wrong. It
/// gives the place of a problem with [`Source::problem`] and [`Source::sql_problem`].
///
/// # Errors
/// As [`load`].
pub fn load_and_check(
    path: &Path,
    env: Env<'_>,
    reader: Reader<'_>,
    check: SqlCheck<'_>,
) -> Result<PipelineConfig, Problems> {
    let mut report = Report::new(path.display().to_string());
    let built = reader(path)
        .map_err(|error| report.whole_file(format!("cannot read the pipeline file: {error}")))
        .ok()
        .and_then(|text| yaml::parse(&text, env, &mut report))
        .and_then(|root| raw::read(&root, &mut report))
        .map(|raw| {
            let base = path.parent().unwrap_or(Path::new(""));
            build::pipeline(&raw, build::Outside { base, env, reader }, &mut report)
        });
    let Some(built) = built else { return Err(report.finish()) };
    report.extend(check(&built.definitions));
    match built.config {
        Some(config) if report.is_empty() => Ok(config),
        _ => Err(report.finish()),
    }
}
