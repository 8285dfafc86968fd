//! Keys → definitions: names, references, files and paths, once each key by itself is right.

mod log;
mod model;
mod secret;
mod stream;

pub use log::parse_brokers;

use crate::config::{CommitConfig, Definitions, LogConfig, PipelineConfig, Source};
use crate::problem::Report;
use crate::raw::{RawCommit, RawLog, RawPipeline, Spanned};
use crate::{Env, Reader, yaml};
use std::path::{Component, Path, PathBuf};

/// What of its outside the building is given.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// The folder of the pipeline file.
    pub(crate) base: &'a Path,
    pub(crate) env: Env<'a>,
    pub(crate) reader: Reader<'a>,
}

/// What could be built.
pub(crate) struct Built {
    pub(crate) definitions: Definitions,
    /// `None` when a part is missing, which is reported then.
    pub(crate) config: Option<PipelineConfig>,
}

/// The parts of a pipeline beside its definitions.
struct Parts {
    log: Option<LogConfig>,
    lake: Option<PathBuf>,
    state: Option<PathBuf>,
}

/// Builds the pipeline; what is wrong is reported.
pub(crate) fn pipeline(raw: &RawPipeline, outside: Outside<'_>, report: &mut Report) -> Built {
    let Outside { base, reader, .. } = outside;
    let name = raw.name.as_ref().map(|name| name.value.as_str());
    let log = raw.log.as_ref().and_then(|raw| log::log(raw, name, outside, report));
    let lake = raw.lake.as_ref().and_then(|lake| folder(lake, base, report));
    let state = match &raw.state {
        Some(state) => folder(state, base, report),
        None => lake.as_ref().map(|lake| lake.join("_watertight").join("state")),
    };
    apart(raw, base, report);
    stream::tables_apart(&raw.streams, report);
    let streams: Vec<_> = raw.streams.iter().map(|raw| stream::stream(raw, report)).collect();
    let models: Vec<_> =
        raw.models.iter().map(|model| model::model(model, &raw.stream_names, base, reader, report)).collect();
    let complete = streams.iter().all(Option::is_some) && models.iter().all(Option::is_some);
    let (models, origins): (Vec<_>, Vec<_>) =
        models.into_iter().flatten().map(|(model, origin)| (model.clone(), (model.name, origin))).unzip();
    let source =
        Source { file: report.file().to_owned(), places: raw.places.clone(), sql: origins.into_iter().collect() };
    let signing_key = raw.signing_key.as_ref().and_then(|raw| secret::secret(raw, outside, report));
    let definitions = Definitions { streams: streams.into_iter().flatten().collect(), models, signing_key, source };
    let parts = Parts { log, lake, state };
    let config = if complete { whole(raw, parts, &definitions) } else { None };
    Built { definitions, config }
}

fn whole(raw: &RawPipeline, parts: Parts, definitions: &Definitions) -> Option<PipelineConfig> {
    Some(PipelineConfig {
        name: raw.name.as_ref()?.value.clone(),
        log: parts.log?,
        lake: parts.lake?,
        state: parts.state?,
        streams: definitions.streams.clone(),
        models: definitions.models.clone(),
        commit: commit(raw.commit.as_ref()?)?,
        signing_key: definitions.signing_key.clone(),
        source: definitions.source.clone(),
    })
}

fn commit(raw: &RawCommit) -> Option<CommitConfig> {
    Some(CommitConfig { interval_us: raw.interval?, max_rows: raw.max_rows?, max_bytes: raw.max_bytes? })
}

/// A folder of this machine, relative to the folder of the file.
fn folder(text: &Spanned<String>, base: &Path, report: &mut Report) -> Option<PathBuf> {
    if let Some((scheme, _)) = text.value.split_once("://") {
        let (message, suggestion) = if scheme == "file" {
            ("a folder is written without a scheme", "write the path alone")
        } else {
            ("tables elsewhere than in a folder come with a later version", "use a local path, for example data/lake")
        };
        text.problem(report, format!("{message}, found {}", yaml::quoted(&text.shown)), Some(suggestion.into()));
        return None;
    }
    if text.value.contains('\0') {
        text.problem(report, "a path holds a NUL character", None);
        return None;
    }
    Some(base.join(&text.value))
}

/// The log, the lake and the state each have a folder of their own: a topic must not pass for a table.
fn apart(raw: &RawPipeline, base: &Path, report: &mut Report) {
    let place = |text: Option<&Spanned<String>>| text.map(|text| (text.clone(), plain(&base.join(&text.value))));
    let log = place(raw.log.as_ref().and_then(|log| match log {
        RawLog::Local(log) => log.path.as_ref(),
        RawLog::Kafka(_) => None,
    }));
    let lake = place(raw.lake.as_ref());
    let state = place(raw.state.as_ref());
    let inside = Some("give each a folder of its own, for example data/log and data/lake".to_owned());
    if let (Some((log, log_at)), Some((lake, lake_at))) = (&log, &lake)
        && (log_at.starts_with(lake_at) || lake_at.starts_with(log_at))
    {
        let line = log.at.line;
        lake.problem(report, format!("the lake and the log (line {line}) lie in one another"), inside.clone());
    }
    for (name, other) in [("log", &log), ("lake", &lake)] {
        if let (Some((state, state_at)), Some((_, other_at))) = (&state, other)
            && (state_at == other_at
                || (name == "log" && state_at.starts_with(other_at))
                || other_at.starts_with(state_at))
        {
            state.problem(report, format!("the state and the {name} lie in one another"), inside.clone());
        }
    }
}

/// A path without `.` and, as far as the text tells, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
