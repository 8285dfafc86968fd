//! `watertight run`: the pipeline, until it is told to stop.

use super::pipeline_file;
use super::{Exit, quantity};
use crate::status::{HealthWriter, ProgressLine, RetentionWatch};
use crate::{Outside, wiring};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watertight_adapters::ownership::{RunLock, pipeline_uuid};
use watertight_adapters::segment_log::SegmentLog;
use watertight_adapters::system::SystemIds;
use watertight_config::{LogConfig, PipelineConfig};
use watertight_core::port::{EventLog as _, Lake, PortError, TopicInfo};
use watertight_pipeline::runtime::{
    CommitBounds, Health, Part, Parts, Rebuilding, RunUntil, Setup, Stop, Upto, run, stopping_at_panic,
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
    /// that only events from an unbelievable future opened stay open.
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

/// How often retention of the log is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// How often commit times are left for `status`.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

pub(super) fn execute(args: &Args, outside: &Outside) -> anyhow::Result<Exit> {
    let config = pipeline_file::load(&args.file)?;
    let _lock = RunLock::take(&config.lake, &outside.steps)?;
    let pipeline = pipeline_uuid(&config.lake, &config.name, &SystemIds, &outside.steps)?;
    let log = wiring::open_segment_log(&config, outside)?;
    let parts = Parts {
        log: log.clone(),
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
    let ended = Stop::default();
    let (mut outcome, housed) = std::thread::scope(|scope| {
        let house = || {
            stopping_at_panic("house", &stop, || {
                keep_house(&config, &log, parts.lake.as_ref(), &writer, &health, &ended);
            })
        };
        let started = std::thread::Builder::new().name("house".to_owned()).spawn_scoped(scope, house);
        if let Err(error) = &started {
            tracing::warn!(%error, "retention and readings for status are off: no thread for them");
        }
        let outcome = run(&setup, &parts, &health, &stop);
        ended.request();
        let housed = started.ok().and_then(|thread| thread.join().ok()).and_then(Result::err);
        Ok::<_, PortError>((outcome?, housed))
    })?;
    writer.write(&health.all(), &health.commit_times(), &BTreeMap::new());
    stop.request();
    outcome.failures.extend(housed);
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

/// The offsets from which a bronze table still needs the log, by partition: retention spares them. Several streams may
/// read one topic; the one that is furthest behind counts.
fn needed_from<'a>(
    lake: &dyn Lake,
    streams: impl Iterator<Item = &'a str>,
    topic: &TopicInfo,
) -> Result<BTreeMap<i32, i64>, PortError> {
    let mut needed: BTreeMap<i32, i64> = (0..topic.partitions).map(|partition| (partition, i64::MAX)).collect();
    for stream in streams {
        let bronze = lake.look("bronze", stream)?;
        for (partition, from) in &mut needed {
            let at = bronze.iter().flat_map(|bronze| &bronze.state().positions).find(|(key, _)| {
                key.topic == topic.name && key.incarnation == topic.incarnation && key.partition == *partition
            });
            *from = at.map_or(0, |(_, next)| *next).min(*from);
        }
    }
    Ok(needed)
}

/// What the parts read again at a start, as one line; `None` when there is nothing of the kind.
fn rebuilding_line(rebuilding: &BTreeMap<Part, Rebuilding>) -> Option<String> {
    let percent = |at: &Rebuilding| at.done.saturating_mul(100) / at.of.max(1);
    let parts = rebuilding.iter().map(|(part, at)| format!("{part} {} of {} rows ({}%)", at.done, at.of, percent(at)));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("reading state back from the tables: {}", parts.join(", ")))
}

/// What goes on beside the pipeline: the log's retention, readings for `status`, and a line on the terminal while state
/// is rebuilt.
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
    let (mut line, mut watch) = (ProgressLine::on_stderr(), RetentionWatch::default());
    while !ended.wait(HEALTH_EVERY) {
        watch.look(config, log, lake);
        let rebuilding = health.rebuilding();
        writer.write(&health.all(), &health.commit_times(), &rebuilding);
        match rebuilding_line(&rebuilding) {
            Some(text) => line.show(&text),
            None => line.clear(),
        }
        if (age.is_some() || retention.bytes.is_some()) && std::time::Instant::now() >= next_retention {
            next_retention += RETENTION_EVERY;
            for name in config.streams.iter().map(|stream| stream.topic.as_str()).collect::<BTreeSet<_>>() {
                let applied = log.topic(name).and_then(|topic| {
                    let Some(topic) = topic else { return Ok(Vec::new()) };
                    let readers = config.streams.iter().filter(|stream| stream.topic == name);
                    let needed = needed_from(lake, readers.map(|stream| stream.name.as_str()), &topic)?;
                    log.apply_retention(name, age, retention.bytes, &needed)
                });
                if let Err(error) = applied {
                    tracing::warn!(topic = name, error = error.chain(), "retention was not applied");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_adapters::memory::lake::MemoryLake;
    use watertight_core::books::Books;
    use watertight_core::port::{CommitRequest, TableSpec};
    use watertight_core::position::{PositionKey, PositionStep};
    use watertight_core::schema::{BRONZE_PARTITION, bronze_schema};

    /// Bronze of `stream` has read partition 0 of the topic up to `to`.
    fn has_read(lake: &MemoryLake, stream: &str, to: i64) {
        let spec = TableSpec {
            schema_name: "bronze".to_owned(),
            table: stream.to_owned(),
            columns: Arc::new(bronze_schema()),
            partition_column: BRONZE_PARTITION.to_owned(),
            pipeline: "p".to_owned(),
        };
        let (topic, incarnation) = ("ticks".to_owned(), "i".to_owned());
        let key = PositionKey { pipeline: "p".to_owned(), topic, incarnation, partition: 0 };
        let steps = vec![PositionStep { key, from: None, to }];
        let request = CommitRequest { steps, files: vec![], books: Books::append("p", stream.into()), timestamp_us: 0 };
        lake.open(&spec).expect("a new table").commit(&request).expect("committed");
    }

    #[test]
    fn retention_spares_what_any_stream_of_the_topic_has_not_read() {
        let lake = MemoryLake::default();
        let topic = TopicInfo { name: "ticks".to_owned(), incarnation: "i".to_owned(), partitions: 2 };
        has_read(&lake, "fast", 100);
        let needed = |streams: &[&'static str]| needed_from(&lake, streams.iter().copied(), &topic).expect("read");
        assert_eq!(needed(&["fast"]), BTreeMap::from([(0, 100), (1, 0)]));
        assert_eq!(needed(&["fast", "new"]), BTreeMap::from([(0, 0), (1, 0)]), "a stream without a table needs it all");
        has_read(&lake, "slow", 40);
        assert_eq!(needed(&["fast", "slow"]), BTreeMap::from([(0, 40), (1, 0)]));
    }
}
