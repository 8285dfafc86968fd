//! Reading a status: positions and totals from each table's newest commit, ends from the log.

use super::health_file::{HealthFile, Reading};
use serde::Serialize;
use std::collections::BTreeMap;
use watertight_config::PipelineConfig;
use watertight_core::books::{Books, Outcome};
use watertight_core::port::{EventLog, Lake, PortError};

/// A pipeline's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    /// Pipeline name.
    pub(crate) pipeline: String,
    /// Who runs it now.
    pub(crate) run_by: Option<String>,
    /// Streams.
    pub(crate) streams: Vec<StreamStatus>,
    /// Models.
    pub(crate) models: Vec<ModelStatus>,
}

/// A stream's status. Counts are since its tables began.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StreamStatus {
    /// Stream name.
    pub(crate) stream: String,
    /// Topic.
    pub(crate) topic: String,
    /// Records in the log: the sum of next − earliest.
    pub(crate) in_log: i64,
    /// Rows in bronze.
    pub(crate) bronze: u64,
    /// Outcomes that silver's books hold.
    pub(crate) outcome: Outcome,
    /// Rows among the dead letters.
    pub(crate) dead_letter_rows: u64,
    /// Records not yet in silver.
    pub(crate) lag: i64,
    /// The stream's watermark, microseconds.
    pub(crate) watermark_us: Option<i64>,
    /// Time of silver's last commit, microseconds.
    pub(crate) last_commit_us: Option<i64>,
    /// Version of silver's last commit.
    pub(crate) silver_version: Option<u64>,
    /// By partition.
    pub(crate) partitions: Vec<PartitionStatus>,
    /// What the process that runs, or last ran, says of it.
    pub(crate) reading: Option<Reading>,
}

/// A partition's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartitionStatus {
    /// Partition number.
    pub(crate) partition: i32,
    /// First offset the log keeps.
    pub(crate) earliest: i64,
    /// The log's next offset.
    pub(crate) next: i64,
    /// Bronze's position.
    pub(crate) bronze: Option<i64>,
    /// Silver's position.
    pub(crate) silver: Option<i64>,
    /// Records not yet in silver.
    pub(crate) lag: i64,
    /// Its watermark, microseconds.
    pub(crate) watermark_us: Option<i64>,
    /// Whether it is idle.
    pub(crate) idle: bool,
}

/// A model's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ModelStatus {
    /// Model name.
    pub(crate) model: String,
    /// Rows in its table.
    pub(crate) rows: u64,
    /// Windows up to here are written, microseconds.
    pub(crate) closed_until_us: Option<i64>,
    /// Time of its last commit, microseconds.
    pub(crate) last_commit_us: Option<i64>,
    /// What the process that runs, or last ran, says of it.
    pub(crate) reading: Option<Reading>,
}

struct Table {
    version: u64,
    positions: BTreeMap<(String, i32), i64>,
    last: Option<Books>,
}

/// Reads the status. Changes nothing anywhere.
///
/// # Errors
/// When a table or the log cannot be read.
pub(crate) fn gather(
    config: &PipelineConfig,
    log: &dyn EventLog,
    lake: &dyn Lake,
    run_by: Option<String>,
) -> Result<Status, PortError> {
    let health = HealthFile::read(&config.state);
    let mut streams = Vec::new();
    for def in &config.streams {
        let bronze = look(lake, "bronze", &def.name)?;
        let dead = look(lake, "bronze", &format!("{}_dlq", def.name))?;
        let silver = look(lake, "silver", &def.name)?;
        let last = silver.as_ref().and_then(|table| table.last.as_ref());
        let times = last.and_then(|books| books.watermarks.clone()).unwrap_or_default();
        let mut status = StreamStatus {
            stream: def.name.clone(),
            topic: def.topic.clone(),
            in_log: 0,
            bronze: rows(bronze.as_ref()),
            outcome: last.map(|books| books.totals).unwrap_or_default(),
            dead_letter_rows: rows(dead.as_ref()),
            lag: 0,
            watermark_us: times.stream_us,
            last_commit_us: last.map(|books| books.committed_at_us),
            silver_version: silver.as_ref().map(|table| table.version),
            partitions: Vec::new(),
            reading: health.streams.get(&def.name).cloned(),
        };
        let topic = log.topic(&def.topic)?;
        for partition in 0..topic.as_ref().map_or(0, |topic| topic.partitions) {
            let bounds = log.bounds(&def.topic, partition)?;
            let incarnation = topic.as_ref().map_or("", |topic| &topic.incarnation);
            let at = |table: &Option<Table>| {
                table.as_ref().and_then(|t| t.positions.get(&(incarnation.to_owned(), partition)).copied())
            };
            let (bronze, silver) = (at(&bronze), at(&silver));
            let lag = (bounds.next - silver.unwrap_or(bounds.earliest)).max(0);
            let time = times.partitions.get(&partition).copied().unwrap_or_default();
            status.in_log += bounds.next - bounds.earliest;
            status.lag += lag;
            status.partitions.push(PartitionStatus {
                partition,
                earliest: bounds.earliest,
                next: bounds.next,
                bronze,
                silver,
                lag,
                watermark_us: time.watermark_us,
                idle: time.idle,
            });
        }
        streams.push(status);
    }
    let mut models = Vec::new();
    for def in &config.models {
        let gold = look(lake, "gold", &def.name)?;
        let last = gold.as_ref().and_then(|table| table.last.as_ref());
        models.push(ModelStatus {
            model: def.name.clone(),
            rows: rows(gold.as_ref()),
            closed_until_us: last.and_then(|books| books.closed_until_us),
            last_commit_us: last.map(|books| books.committed_at_us),
            reading: health.models.get(&def.name).cloned(),
        });
    }
    Ok(Status { pipeline: config.name.clone(), run_by, streams, models })
}

fn rows(table: Option<&Table>) -> u64 {
    table.and_then(|table| table.last.as_ref()).map_or(0, |books| books.rows_total)
}

fn look(lake: &dyn Lake, schema_name: &str, table: &str) -> Result<Option<Table>, PortError> {
    let Some(table) = lake.look(schema_name, table)? else { return Ok(None) };
    let state = table.state();
    let positions = state.positions.iter().map(|(key, next)| ((key.incarnation.clone(), key.partition), *next));
    Ok(Some(Table { version: state.version, positions: positions.collect(), last: state.last_append.clone() }))
}
