//! Loading the pipeline file for a command: from disk, with this process's environment, and its SQL checked.
//!
//! `validate` plans the SQL of every stream and model that could be made out of the file, whatever else is wrong, so
//! that all problems come at once. The other commands leave models alone: one that cannot be planned stops by itself
//! when it is opened, and keeps nobody from running, asking and producing. Nor do they look at the signing key, which only
//! certificates need.

use super::sql_place;
use std::path::Path;
use watertight_config::{Definitions, PipelineConfig, Problem, Problems, Source};
use watertight_core::schema::{ModelDef, StreamDef, silver_schema};
use watertight_pipeline::checks::{CheckError, Checks};
use watertight_pipeline::gold::engine::{ModelError, ModelPlan};
use watertight_verify::report::signature::SigningKey;

/// Loads the pipeline file for a command that works with it.
///
/// # Errors
/// All problems of the file and of its checks, in the order of the file.
pub(crate) fn load(path: &Path) -> Result<PipelineConfig, Problems> {
    load_and(path, problems_of_all_checks)
}

/// Loads the pipeline file to find whatever is wrong with it.
///
/// # Errors
/// All problems of the file, its checks and its models, in the order of the file.
pub(crate) fn examine(path: &Path) -> Result<PipelineConfig, Problems> {
    load_and(path, |found| {
        let models = found.models.iter().flat_map(|model| problems_of_model(model, found));
        problems_of_all_checks(found).into_iter().chain(models).chain(problem_of_signing_key(found)).collect()
    })
}

fn load_and(path: &Path, check: impl Fn(&Definitions) -> Vec<Problem>) -> Result<PipelineConfig, Problems> {
    let env = |name: &str| std::env::var(name).ok();
    let reader = |path: &Path| std::fs::read_to_string(path);
    watertight_config::load_and_check(path, &env, &reader, &check)
}

fn problems_of_all_checks(found: &Definitions) -> Vec<Problem> {
    found.streams.iter().flat_map(|stream| problems_of_checks(stream, &found.source)).collect()
}

/// One problem for each thing that is wrong with a check, at the check.
fn problems_of_checks(stream: &StreamDef, source: &Source) -> Vec<Problem> {
    let checks = format!("streams.{}.checks", stream.name);
    match Checks::new(stream) {
        Ok(_) => Vec::new(),
        Err(CheckError::Refused { reasons, .. }) => reasons
            .iter()
            .map(|reason| {
                let (at, what, suggestion) = words(&reason.why);
                let Some(name) = &reason.check else { return source.problem(&checks, what, suggestion) };
                // One line needs no place in it: the file's own is at its first character.
                let long = stream.checks.iter().any(|check| check.name == *name && check.sql.contains('\n'));
                let place = at.filter(|_| long).map(|(line, column)| format!(", line {line}, column {column}"));
                let message = format!("check '{name}'{}: {what}", place.unwrap_or_default());
                source.problem(&format!("{checks}.{name}"), message, suggestion)
            })
            .collect(),
        Err(error) => vec![source.problem(&checks, one_line(&error.to_string()), None)],
    }
}

/// One problem for each thing that is wrong with a model, with its place in the SQL. A model whose stream could not be
/// made out is passed over.
fn problems_of_model(model: &ModelDef, found: &Definitions) -> Vec<Problem> {
    let Some(stream) = found.streams.iter().find(|stream| stream.name == model.from) else { return Vec::new() };
    let reasons = match ModelPlan::new(model, &silver_schema(stream)) {
        Ok(_) => return Vec::new(),
        Err(ModelError::Refused { reasons, .. }) => reasons,
        Err(error) => vec![error.to_string()],
    };
    let problem = |reason: &String| {
        let (at, what, suggestion) = words(reason);
        // Of most complaints the planner gives no place: then the name that it complains of tells.
        let at = at.or_else(|| sql_place::of(&what, &model.sql));
        found.source.sql_problem(&model.name, at, &what, suggestion)
    };
    reasons.iter().map(problem).collect()
}

/// What `verify --certificate` would say of the signing key.
fn problem_of_signing_key(found: &Definitions) -> Option<Problem> {
    let error = SigningKey::parse(found.signing_key.as_ref()?.expose()).err()?;
    let of_file = "certificates.signing_key_file";
    let key = if found.source.has(of_file) { of_file } else { "certificates.signing_key" };
    Some(found.source.problem(key, format!("verify cannot sign with it: {error}"), None))
}

/// The planner's `[line L, column C: ]what is wrong[. Did you mean 'x'?]` in its parts.
fn words(reason: &str) -> (Option<(u32, u32)>, String, Option<String>) {
    let (at, text) = placed(reason).map_or((None, reason), |(at, text)| (Some(at), text));
    match text.split_once(". Did you mean ") {
        Some((what, meant)) => (at, one_line(what), Some(format!("did you mean {}", one_line(meant)))),
        None => (at, one_line(text), None),
    }
}

/// The place with which a reason begins, and the rest.
fn placed(reason: &str) -> Option<((u32, u32), &str)> {
    let (line, rest) = reason.strip_prefix("line ")?.split_once(", column ")?;
    let (column, rest) = rest.split_once(": ")?;
    Some(((line.parse().ok()?, column.parse().ok()?), rest))
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planners_words_fall_into_place_what_is_wrong_and_what_was_meant() {
        let reason = "line 3, column 7: unknown column 'pric'. Did you mean 'ticks.price'?";
        let meant = Some("did you mean 'ticks.price'?".to_owned());
        assert_eq!(words(reason), (Some((3, 7)), "unknown column 'pric'".to_owned(), meant));
        for without in ["it doesn't aggregate; add GROUP BY", "line up: a", "line 3, column x: a"] {
            assert_eq!(words(without), (None, without.to_owned(), None));
        }
    }
}
