//! `watertight run`: the pipeline, until it is told to stop.

use super::pipeline_file;
use super::{Exit, quantity};
use crate::status::HealthWriter;
use crate::wiring;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watertight_adapters::ownership::{RunLock, pipeline_uuid};
use watertight_adapters::segment_log::SegmentLog;
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_config::{LogConfig, PipelineConfig};
use watertight_core::port::{EventLog as _, Lake, PortError, TopicInfo};
use watertight_pipeline::runtime::{CommitBounds, Health, Parts, RunUntil, Setup, Stop, run};

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
    /// At the end, close the windows that are open, as a recorded decision: no more events will come for them.
    #[arg(long, requires = "until_caught_up")]
    pub(crate) close_windows: bool,
    /// Stop after this time, such as 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) run_for: Option<Duration>,
}

/// How often retention of the log is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// How often commit times are left for `status`.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    std::fs::create_dir_all(&config.lake)
        .with_context(|| format!("could not make the lake {}", config.lake.display()))?;
    let _lock = RunLock::take(&config.lake)?;
    let pipeline = pipeline_uuid(&config.lake, &config.name, &SystemIds)?;
    let log = wiring::open_segment_log(&config)?;
    let parts = Parts {
        log: log.clone(),
        lake: wiring::open_lake(&config),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let setup = setup(&config, pipeline, args);
    let stop = wiring::stop_on_signals().context("signals could not be caught")?;
    let writer = Arc::new(HealthWriter::new(&config.state));
    let on_change = Arc::clone(&writer);
    let health = Health::new(Box::new(move |conditions| on_change.write(conditions, &BTreeMap::new())));
    let ended = Stop::default();
    let outcome = std::thread::scope(|scope| {
        let house = || keep_house(&config, &log, parts.lake.as_ref(), &writer, &health, &ended);
        let started = std::thread::Builder::new().name("house".to_owned()).spawn_scoped(scope, house);
        if let Err(error) = &started {
            tracing::warn!(%error, "retention and readings for status are off: no thread for them");
        }
        let outcome = run(&setup, &parts, &health, &stop);
        ended.request();
        outcome
    })?;
    writer.write(&health.all(), &health.commit_times());
    stop.request();
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    for (model, error) in &outcome.failed_models {
        eprintln!("error: model {model} stopped: {error}; the rest went on, and it catches up from silver once fixed");
    }
    tell_totals(&config, parts.lake.as_ref())?;
    Ok(if outcome.failures.is_empty() && outcome.failed_models.is_empty() { Exit::Fine } else { Exit::Failed })
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
    }
}

/// One line per stream: what its tables hold now.
fn tell_totals(config: &PipelineConfig, lake: &dyn Lake) -> anyhow::Result<()> {
    for stream in &config.streams {
        let Some(silver) = lake.look("silver", &stream.name)? else { continue };
        let totals = silver.state().last_append.as_ref().map(|books| books.totals).unwrap_or_default();
        eprintln!(
            "{}: {} records: {} silver ({} late), {} duplicates, {} dead letters, {} lost",
            stream.name,
            totals.records,
            totals.silver,
            totals.late,
            totals.duplicates,
            totals.dead_letters,
            totals.lost
        );
    }
    Ok(())
}

/// The offsets from which bronze still needs the log, by partition: retention spares them.
fn needed_from(lake: &dyn Lake, stream: &str, topic: &TopicInfo) -> Result<BTreeMap<i32, i64>, PortError> {
    let mut needed: BTreeMap<i32, i64> = (0..topic.partitions).map(|partition| (partition, 0)).collect();
    if let Some(bronze) = lake.look("bronze", stream)? {
        let positions = bronze.state().positions.iter().filter(|(key, _)| key.incarnation == topic.incarnation);
        needed.extend(positions.map(|(key, next)| (key.partition, *next)));
    }
    Ok(needed)
}

/// What goes on beside the pipeline: the log's retention, and readings for `status`.
fn keep_house(
    config: &PipelineConfig,
    log: &SegmentLog,
    lake: &dyn Lake,
    writer: &HealthWriter,
    health: &Health,
    ended: &Stop,
) {
    let LogConfig::Local { retention, .. } = &config.log;
    let age = retention.age_us.map(|us| Duration::from_micros(us.unsigned_abs()));
    let mut next_retention = std::time::Instant::now();
    while !ended.wait(HEALTH_EVERY) {
        writer.write(&health.all(), &health.commit_times());
        if (age.is_some() || retention.bytes.is_some()) && std::time::Instant::now() >= next_retention {
            next_retention += RETENTION_EVERY;
            for stream in &config.streams {
                let applied = log.topic(&stream.topic).and_then(|topic| {
                    let Some(topic) = topic else { return Ok(Vec::new()) };
                    let needed = needed_from(lake, &stream.name, &topic)?;
                    log.apply_retention(&stream.topic, age, retention.bytes, &needed)
                });
                if let Err(error) = applied {
                    tracing::warn!(topic = stream.topic, error = error.chain(), "retention was not applied");
                }
            }
        }
    }
}
