//! The program by a clock that is right, then a day ahead, then an hour back, then right again; its producer too.
//!
//! Events bear times of their own, months before what any of these clocks says. Neither of the two that bronze keeps,
//! the log's and that of ingestion, makes an event one of the future, so the truth, which knows no clock, says exactly
//! what must be in the tables. (What a clock behind the events does is a test of its own in
//! `crates/pipeline/tests/it/clocks.rs`.)

use crate::story::{Act, Place, Size};
use std::collections::BTreeMap;
use std::process::Command;

/// What producer and pipeline are wrong by in each of four lives.
const OFFSETS: [&str; 4] = ["0", "+1day", "-1h", "0"];
/// Both partitions get some in each life.
const EVENTS_EACH: u64 = 500;
const SIZE: Size = Size { events: EVENTS_EACH, rows_max: 100 };
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// When a record was logged and ingested, microseconds, and the date that its row lies on, days since the epoch.
struct Times {
    logged_us: i64,
    ingested_us: i64,
    date: i64,
}

/// The times of bronze's rows, by partition in the order of offsets.
fn times(place: &Place) -> BTreeMap<i64, Vec<Times>> {
    let query = "select _kafka_partition, cast(_kafka_timestamp as bigint), cast(_ingested_at as bigint), \
                 cast(_event_date as int) from bronze.stock_ticks order by _kafka_partition, _kafka_offset";
    let output = Command::new(env!("CARGO_BIN_EXE_watertight-planted"))
        .args(["sql", "--format", "csv", "-f"])
        .arg(place.dir.join("pipeline.yaml"))
        .arg(query)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut times: BTreeMap<i64, Vec<Times>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let numbers: Vec<i64> = line.split(',').map(|field| field.parse().expect("a number")).collect();
        let [partition, logged_us, ingested_us, date] = numbers[..] else { panic!("four columns: {line}") };
        times.entry(partition).or_default().push(Times { logged_us, ingested_us, date });
    }
    times
}

/// By how many hours these times differ from the first of them, each change once.
fn hours(times: impl Iterator<Item = i64>) -> Vec<i64> {
    let times: Vec<i64> = times.collect();
    let mut hours: Vec<i64> = times.iter().map(|us| (us - times[0] + HOUR_US / 2).div_euclid(HOUR_US)).collect();
    hours.dedup();
    hours
}

#[test]
fn whatever_the_clock_says_in_a_run_the_tables_end_exact_and_no_time_of_ingestion_goes_back() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let mut place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SIZE, 91);
    for (life, offset) in OFFSETS.into_iter().enumerate() {
        place.size.events = EVENTS_EACH * (life as u64 + 1);
        let last = life + 1 == OFFSETS.len();
        for act in [Act::Produce, if last { Act::Run } else { Act::CatchUp }] {
            let status = place.once_at(act, offset);
            assert!(status.success(), "{act:?} by a clock that is wrong by {offset}: {status}: {}", place.said());
        }
    }
    place.compare().unwrap_or_else(|difference| panic!("{difference}"));

    let times = times(&place);
    assert_eq!(times.len(), 2, "both partitions hold rows");
    assert_eq!(times.values().map(Vec::len).sum::<usize>() as u64, place.size.events);
    for (partition, rows) in times {
        let logged = hours(rows.iter().map(|row| row.logged_us));
        assert_eq!(logged, [0, 24, -1, 0], "partition {partition}: the producer's clock was that of each life");
        let ingested = hours(rows.iter().map(|row| row.ingested_us));
        assert_eq!(ingested, [0, 24], "partition {partition}: it goes ahead with the clock, and not back");
        for pair in rows.windows(2) {
            let (before, after) = (pair[0].ingested_us, pair[1].ingested_us);
            assert!(before <= after, "partition {partition}: _ingested_at goes back from {before} to {after}");
        }
        assert!(rows.iter().all(|row| row.date == row.ingested_us.div_euclid(DAY_US)), "each row lies on its date");
    }
}
