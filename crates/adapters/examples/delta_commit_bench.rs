//! Commit time behind 0, 1,000 and 5,000 versions: `cargo run --example delta_commit_bench [folder]`.

use arrow::array::{Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::books::Books;
use watertight_core::port::{CommitRequest, Lake, LakeTable, PortError, TableSpec};
use watertight_core::position::{PositionKey, PositionStep};

const PIPELINE: &str = "11111111-2222-4333-8444-555555555555";
const MEASURED: i64 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let root = std::env::args().nth(1).map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let lake = DeltaLake::open(&root, Arc::new(SystemClock), Arc::new(SystemIds));
    let columns = vec![Field::new("n", DataType::Int64, false), Field::new("_event_date", DataType::Date32, false)];
    let spec = TableSpec {
        schema_name: "silver".to_owned(),
        table: "bench".to_owned(),
        columns: Arc::new(Schema::new(columns)),
        partition_column: "_event_date".to_owned(),
        pipeline: PIPELINE.to_owned(),
    };
    let mut at = 0;
    for behind in [0, 1000, 5000] {
        let mut table = lake.open(&spec)?;
        while at < behind {
            commit(table.as_mut(), &spec, at)?;
            at += 1;
        }
        let mut times = Vec::new();
        for _ in 0..MEASURED {
            times.push(commit(table.as_mut(), &spec, at)?);
            at += 1;
        }
        drop(table);
        let begun = Instant::now();
        drop(lake.open(&spec)?);
        let opened = begun.elapsed();
        let (stage, commit): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        println!(
            "{behind} versions behind: stage 100 rows {} | commit {} | open {opened:.1?}",
            spread(stage),
            spread(commit)
        );
    }
    Ok(())
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:.2?} p99 {:.2?} max {:.2?}", at(50), at(99), at(100))
}

fn commit(table: &mut dyn LakeTable, spec: &TableSpec, at: i64) -> Result<(Duration, Duration), PortError> {
    let ids = Int64Array::from_iter_values(at * 100..at * 100 + 100);
    let days = Date32Array::from_value(20_000, 100);
    let rows = RecordBatch::try_new(Arc::clone(&spec.columns), vec![Arc::new(ids), Arc::new(days)]);
    let rows = rows.map_err(|error| PortError::new(watertight_core::port::ErrorKind::Bug, error.to_string()))?;
    let begun = Instant::now();
    let file = table.stage(20_000, &rows)?;
    let staged = begun.elapsed();
    let key = PositionKey {
        pipeline: PIPELINE.to_owned(),
        topic: "bench".to_owned(),
        incarnation: "1".to_owned(),
        partition: 0,
    };
    let step = PositionStep { key, from: (at > 0).then_some(at * 100), to: at * 100 + 100 };
    let books = Books { rows: 100, ..Books::append(PIPELINE, format!("commit-{at}")) };
    let begun = Instant::now();
    table.commit(&CommitRequest { steps: vec![step], files: vec![file], books, timestamp_us: at })?;
    Ok((staged, begun.elapsed()))
}
