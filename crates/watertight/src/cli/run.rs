//! `watertight run`: the pipeline, until it is told to stop.
//!
//! What goes on beside it has a file each: `house` for the log's retention and the readings of `status`, `group_offsets`
//! for the positions that Kafka's tools see.

mod group_offsets;
mod house;

use super::pipeline_file;
use super::{Exit, quantity};
use crate::status::HealthWriter;
use crate::wiring::Log;
use crate::{Outside, wiring};
use anyhow::Context as _;
use group_offsets::GroupOffsets;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;
use watertight_adapters::ownership::{RunLock, pipeline_uuid};
use watertight_adapters::system::SystemIds;
use watertight_config::{KafkaConfig, LogConfig, PipelineConfig};
use watertight_core::port::{Lake, PortError};
use watertight_pipeline::runtime::{
    CommitBounds, Health, Parts, RunUntil, Setup, Stop, StreamFailure, Upto, run, stopping_at_panic,
};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SIGTERM or Ctrl-C: what has been read is committed, then it ends with 0. A second signal ends it at once; nothing is
lost by that either, it only takes longer to start.")]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Stop once everything is committed that was in the log at the start.
    #[arg(long)]
    pub(crate) until_caught_up: bool,
    /// At the end, close the windows that are open, as a recorded decision: no more events will come for them. Windows
    /// that only events from an unbelievable future opened stay open. Where an open transaction in Kafka holds records
    /// back, which would be late then, it is waited for up to 10 s; if it is still open, windows are too, and the run
    /// names the offsets and ends with 1: run again when it has ended.
    #[arg(long, requires = "until_caught_up")]
    pub(crate) close_windows: bool,
    /// The last stage: what lies behind it is caught up by a later run that goes further.
    #[arg(long, value_enum, value_name = "LAST", default_value_t)]
    pub(crate) stages: Stages,
    /// Stop after this time, such as 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) run_for: Option<Duration>,
}

/// How far events are carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stages {
    /// Keep records as they came, and nothing else.
    Bronze,
    /// Rows and dead letters too; models stand still.
    Silver,
    /// Everything.
    #[default]
    Gold,
}

impl From<Stages> for Upto {
    fn from(stages: Stages) -> Self {
        match stages {
            Stages::Bronze => Self::Bronze,
            Stages::Silver => Self::Silver,
            Stages::Gold => Self::Gold,
        }
    }
}

pub(super) fn execute(args: &Args, outside: &Outside) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    let _lock = RunLock::take(&config.lake, &outside.steps)?;
    let pipeline = pipeline_uuid(&config.lake, &config.name, &SystemIds, &outside.steps)?;
    let log = wiring::open_log(&config, outside)?;
    let parts = Parts {
        log: log.port(),
        lake: wiring::open_lake_with(&config, outside),
        clock: Arc::clone(&outside.clock),
        ids: Arc::new(SystemIds),
        steps: outside.steps.clone(),
    };
    let setup = setup(&config, pipeline, args);
    let (stop, signals) = wiring::stop_on_signals().context("signals could not be caught")?;
    let writer = Arc::new(HealthWriter::new(&config.state));
    let on_change = Arc::clone(&writer);
    let health = Health::new(Box::new(move |conditions| {
        on_change.write(conditions, &BTreeMap::new(), &BTreeMap::new());
    }));
    let ended = &Stop::default();
    let lake = parts.lake.as_ref();
    let group = match (&log, &config.log) {
        (Log::Kafka(kafka), LogConfig::Kafka(KafkaConfig { group, .. })) => {
            let layer = if args.stages == Stages::Bronze { "bronze" } else { "silver" };
            Some(GroupOffsets::new(Arc::clone(kafka), group, &setup.streams, (lake, layer)))
        }
        _ => None,
    };
    let (mut outcome, beside) = std::thread::scope(|scope| {
        let house = || house::keep(&config, &log, lake, &writer, &health, ended);
        let mut beside = vec![start_beside(scope, "house", &stop, house)];
        if let Some(group) = group {
            beside.push(start_beside(scope, "group offsets", &stop, move || group.keep(ended)));
        }
        let outcome = run(&setup, &parts, &health, &stop);
        ended.request();
        let failed = |thread: Option<Beside<'_>>| thread.and_then(|thread| thread.join().ok()).and_then(Result::err);
        let beside: Vec<StreamFailure> = beside.into_iter().filter_map(failed).collect();
        Ok::<_, PortError>((outcome?, beside))
    })?;
    writer.write(&health.all(), &health.commit_times(), &BTreeMap::new());
    stop.request();
    outcome.failures.extend(beside);
    outcome.failures.extend(signals.join().ok().and_then(Result::err));
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    for (model, error) in &outcome.failed_models {
        eprintln!("error: model {model} stopped: {error}; the rest went on, and it catches up from silver once fixed");
    }
    tell_totals(&config, parts.lake.as_ref());
    Ok(if outcome.failures.is_empty() && outcome.failed_models.is_empty() { Exit::Fine } else { Exit::Failed })
}

type Beside<'scope> = ScopedJoinHandle<'scope, Result<(), StreamFailure>>;

/// Starts a named thread beside the pipeline, which runs without it where there is no thread to be had.
fn start_beside<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    stop: &'scope Stop,
    body: impl FnOnce() + Send + 'scope,
) -> Option<Beside<'scope>> {
    let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, move || stopping_at_panic(name, stop, body));
    started.inspect_err(|error| tracing::warn!(%error, "'{name}' is off: no thread for it")).ok()
}

fn setup(config: &PipelineConfig, pipeline: String, args: &Args) -> Setup {
    let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Setup {
        pipeline,
        streams: config.streams.clone(),
        models: config.models.clone(),
        bounds: CommitBounds {
            interval: Duration::from_micros(config.commit.interval_us.unsigned_abs()),
            rows_max: count(config.commit.max_rows),
            bytes_max: count(config.commit.max_bytes),
        },
        until: RunUntil { caught_up: args.until_caught_up, close_windows: args.close_windows, elapsed: args.run_for },
        state_dir: config.state.clone(),
        upto: args.stages.into(),
    }
}

/// One line per stream: what its tables hold now. How the run ended does not depend on whether they can be read.
fn tell_totals(config: &PipelineConfig, lake: &dyn Lake) {
    for stream in &config.streams {
        let silver = match lake.look("silver", &stream.name) {
            Ok(Some(silver)) => silver,
            Ok(None) => continue,
            Err(error) => {
                eprintln!("{}: its totals cannot be read: {}", stream.name, error.chain());
                continue;
            }
        };
        let totals = silver.state().last_append.as_ref().map(|books| books.totals).unwrap_or_default();
        eprintln!(
            "{}: {} records: {} silver ({} late), {} duplicates, {} dead letters, {} lost, {} unknown fields",
            stream.name,
            totals.records,
            totals.silver,
            totals.late,
            totals.duplicates,
            totals.dead_letters,
            totals.lost,
            totals.unknown_fields
        );
    }
}
