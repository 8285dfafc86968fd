//! What every event log must do. Each function takes a [`Subject`]; `suite!` runs them on one adapter: all of them on
//! ours, and on Kafka those that it can be held to.

mod bounds;
mod reading;
mod records;
mod subjects;
mod topics;

use self::subjects::{OnKafka, Subject};
use crate::memory::log::MemoryLog;
use crate::segment_log::tests::Scratch;
use crate::system::SystemIds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use watertight_core::port::{EventLog, Fetched, LogReader};
use watertight_core::record::NewRecord;

const TOPIC: &str = "ticks";
const WAIT: Duration = Duration::from_secs(5);
const NO_WAIT: Duration = Duration::ZERO;
const MIB: usize = 1 << 20;

macro_rules! suite {
    (ours $adapter:ident: $make:expr) => { mod $adapter {
        use super::*;
        suite!(@everywhere $make);
        // Kafka: the bytes of a running broker cannot be damaged; what was fetched ahead is read although it was
        // removed since; other producers write between the records of a batch; brokers refuse times that lie in the
        // future; the suite's topics have names with a beginning of their own.
        suite!(@each $make; reading: damage_is_a_gap_and_what_follows_is_read;);
        suite!(@each $make; bounds: what_is_removed_under_a_reader_is_out_of_range;);
        suite!(@each $make; records: a_batch_is_contiguous_among_many_writers; timestamps_of_any_size_are_kept;);
        suite!(@each $make; topics: topics_of_the_log_itself_are_not_listed;);
    } };
    (kafka $adapter:ident: $make:expr) => { mod $adapter {
        use super::*;
        suite!(@everywhere $make);
    } };
    (@everywhere $make:expr) => {
        suite!(@each $make; records: offsets_are_dense_from_zero_and_per_partition; null_and_empty_stay_apart;
            headers_keep_order_duplicates_and_nulls; an_empty_batch_appends_nothing;
            the_records_of_each_writer_keep_their_order;);
        suite!(@each $make; topics: making_a_topic_twice_is_once; partitions_are_added_never_removed;
            a_recreated_topic_has_another_incarnation_and_no_records; an_unknown_topic_or_partition_stops;
            a_reader_of_a_removed_topic_stops; topics_are_listed_in_order;);
        suite!(@each $make; reading: a_reader_is_woken_soon; a_fetch_is_bounded_but_never_stuck;
            a_backlog_does_not_starve_other_partitions; a_reader_goes_where_it_is_sent;
            a_fetch_covers_its_range_exactly;);
        suite!(@each $make; bounds: below_the_earliest_is_out_of_range_with_the_exact_range; behind_the_end_stops;
            lag_reaches_zero; an_offset_is_found_by_time; the_end_is_where_the_bounds_end_without_transactions;);
    };
    (@each $make:expr; $of:ident: $($fact:ident;)*) => { $(#[test] fn $fact() { super::$of::$fact(&$make); })* };
}

suite!(ours memory: MemoryLog::new(Arc::new(SystemIds)));
suite!(ours segment_log: Scratch::with_small_segments());
suite!(kafka kafka: OnKafka::new());

fn record(value: &str) -> NewRecord<'_> {
    NewRecord { value: Some(value.as_bytes()), timestamp_ms: 1_000, ..NewRecord::default() }
}

fn append(log: &dyn EventLog, partition: i32, values: &[&str]) -> i64 {
    let records: Vec<NewRecord<'_>> = values.iter().map(|value| record(value)).collect();
    log.append(TOPIC, partition, &records).unwrap().first_offset
}

/// Fetches until nothing more comes; checks that the parts of each partition join without a hole.
fn drain(subject: &impl Subject, reader: &mut dyn LogReader, bytes_max: usize) -> BTreeMap<i32, Vec<Fetched>> {
    let mut all: BTreeMap<i32, Vec<Fetched>> = BTreeMap::new();
    loop {
        let fetched = reader.fetch(bytes_max, subject.comes_within()).unwrap();
        if fetched.is_empty() {
            return all;
        }
        for part in fetched {
            covers_exactly(&part);
            let parts = all.entry(part.partition).or_default();
            assert!(parts.last().is_none_or(|last| last.to == part.from), "parts join");
            parts.push(part);
        }
    }
}

/// Records and gaps together cover `from..to`, each offset once.
fn covers_exactly(part: &Fetched) {
    let mut covered = BTreeSet::new();
    let records = part.records.metas().iter().map(|meta| meta.offset..meta.offset + 1);
    for range in records.chain(part.gaps.iter().map(|gap| gap.from..gap.to)) {
        for offset in range {
            assert!(covered.insert(offset), "offset {offset} comes once");
        }
    }
    assert!(covered.into_iter().eq(part.from..part.to), "{}..{} is covered", part.from, part.to);
}

fn values(parts: &[Fetched]) -> Vec<String> {
    let text = |part: &Fetched, row| String::from_utf8(part.records.value(row).unwrap().to_vec()).unwrap();
    parts.iter().flat_map(|part| (0..part.records.len()).map(|row| text(part, row)).collect::<Vec<_>>()).collect()
}
