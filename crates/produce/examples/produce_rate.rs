//! How fast events are made and handed over: a run of the benchmark's generator into a log that keeps nothing.
//!
//! `cargo run -p watertight-produce --example produce_rate [stocks|api-usage|bench] [count]`

use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicI64, Ordering};
use watertight_core::port::{
    Append, Clock, ErrorKind, EventLog, LogReader, OffsetBounds, PortError, ReadFrom, TopicInfo,
};
use watertight_core::record::NewRecord;
use watertight_core::schema::{
    Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef, TimestampForm,
};
use watertight_produce::{Batching, GenerateOptions, GeneratorKind, ProduceRequest, Source, run};

/// Answers every append and forgets it.
#[derive(Default)]
struct Nowhere {
    next: [AtomicI64; 8],
    bytes: AtomicI64,
}

impl EventLog for Nowhere {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        Ok(Some(TopicInfo { name: topic.to_owned(), incarnation: "i".to_owned(), partitions: 8 }))
    }
    fn topics(&self) -> Result<Vec<String>, PortError> {
        Err(PortError::new(ErrorKind::Bug, "nobody lists its topics"))
    }
    fn create_topic(&self, _: &str, _: i32) -> Result<TopicInfo, PortError> {
        Err(PortError::new(ErrorKind::Bug, "it is there"))
    }
    fn append(&self, _: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        let bytes: usize = records.iter().map(|record| record.value.map_or(0, <[u8]>::len)).sum();
        self.bytes.fetch_add(bytes as i64, Ordering::Relaxed);
        let first_offset = self.next[partition as usize].fetch_add(records.len() as i64, Ordering::Relaxed);
        Ok(Append::dense(first_offset))
    }
    fn bounds(&self, _: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        Ok(OffsetBounds { earliest: 0, next: self.next[partition as usize].load(Ordering::Relaxed) })
    }
    fn reader(&self, _: &str, _: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        Err(PortError::new(ErrorKind::Bug, "nothing is kept"))
    }
}

struct Now(i64);

impl Clock for Now {
    fn now_us(&self) -> i64 {
        self.0
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = match arguments.next().as_deref() {
        Some("stocks") => GeneratorKind::Stocks,
        Some("api-usage") => GeneratorKind::ApiUsage,
        _ => GeneratorKind::Bench,
    };
    let count = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, required: true, path: vec![name.to_owned()] };
    let stream = StreamDef {
        name: "events".to_owned(),
        topic: "events".to_owned(),
        topics: None,
        partitions: 8,
        event_id: EventIdRule::Column("event_id".to_owned()),
        event_time: EventTimeRule {
            column: "ts".to_owned(),
            watermark_delay_us: 60_000_000,
            future_tolerance_us: 600_000_000,
            idle_after_us: i64::MAX,
            not_before_us: 0,
            not_after_us: i64::MAX,
        },
        columns: vec![
            column("event_id", ColumnType::String),
            column("ts", ColumnType::Timestamp(TimestampForm::Rfc3339)),
        ],
        checks: Vec::new(),
        payload: PayloadLimits { bytes_max: 1 << 20, depth_max: 64, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    };
    let request = ProduceRequest {
        stream,
        models: Vec::new(),
        source: Source::Generate(GenerateOptions {
            kind,
            shares: None,
            count: Some(count),
            seed: 1,
            start_time_us: None,
            uuid_ids: false,
        }),
        rate: None,
        producer: "rate".to_owned(),
        ledger: None,
        truth: None,
        steps: watertight_core::steps::Steps::default(),
        batching: Batching::default(),
    };
    let log = Nowhere::default();
    let began = std::time::Instant::now();
    match run(request, &log, &Now(1_795_219_200_000_000), &AtomicBool::new(false), &mut |_| {}) {
        Ok(summary) => {
            let seconds = began.elapsed().as_secs_f64();
            let bytes = log.bytes.load(Ordering::Relaxed) as f64 / summary.sent as f64;
            println!("{:.0} events/s, {bytes:.0} bytes each", summary.sent as f64 / seconds);
        }
        Err(error) => println!("{error}"),
    }
}
