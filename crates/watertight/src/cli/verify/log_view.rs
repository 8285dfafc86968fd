//! The event log as `verify` asks it: what became of offsets that the tables lack.
//!
//! The log is looked at, never opened for writing. Only the stretches that are asked for are read: what the tables have is
//! not looked for, and may be gone from the log. Tables without a hole ask nothing: that the log could have answered is
//! looked at all the same, for "balanced" says that offsets were held against it. A log that gives nothing for a while could
//! not be read, which is no finding.

use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, EventLog, Fetched, GapCause, OffsetBounds, PortError, ReadFrom};
use watertight_verify::finding::{Place, Unable};
use watertight_verify::report::{Range, TableReport};
use watertight_verify::request::{InLog, LogView, Scope};

/// Bytes of a fetch: records are only counted, so few are held at a time.
const FETCH_BYTES_MAX: usize = 4 << 20;
/// Longest wait in one fetch.
const FETCH_WAIT: Duration = Duration::from_secs(1);
/// How long a log may give nothing of what it has: a broker that was lost has a successor by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries at a log that says to try again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A log that is looked at.
pub(super) struct LogOf {
    log: Arc<dyn EventLog>,
    patience: Duration,
}

impl LogOf {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, patience: PATIENCE }
    }

    /// The tables whose offsets the log cannot be asked about: it, the topic or a partition is not there, or not to be read.
    /// A topic that was made anew is another one, and has nothing to say of the one before.
    pub(super) fn silent_about(&self, tables: &[TableReport], scope: &Scope) -> Vec<Unable> {
        let is_bronze = |told: &&TableReport| told.table.starts_with("bronze.") && !told.table.ends_with("_dlq");
        let asked = tables.iter().filter(is_bronze).filter(|told| scope.has_table(&told.table));
        let unable = |told: &TableReport| {
            let mut ranges = told.ranges.iter().filter(|range| scope.has_partition(range.partition));
            let why = ranges.find_map(|range| self.why_silent(range))?;
            let why = format!(
                "{why}, so that the table's offsets could not be held against the log: bring it back, or verify the \
                 tables by themselves with --lake"
            );
            Some(Unable { place: Place::table(&told.table), why })
        };
        asked.filter_map(unable).collect()
    }

    fn why_silent(&self, range: &Range) -> Option<String> {
        match self.log.topic(&range.topic) {
            Ok(Some(info)) if info.incarnation == range.incarnation && range.partition < info.partitions => {
                self.log.bounds(&range.topic, range.partition).err().map(|error| error.chain())
            }
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("the event log of the pipeline file has no topic {}", range.topic)),
            Err(error) => Some(error.chain()),
        }
    }

    /// What is known of the log's own range, `at..end`, by reading it.
    fn read(
        &self,
        (topic, partition): (&str, i32),
        (mut at, end): (i64, i64),
        stretches: &mut Stretches,
    ) -> Result<(), PortError> {
        let mut reader = self.log.reader(topic, &[ReadFrom::offset(partition, at)])?;
        let mut moved = Instant::now();
        while at < end {
            let before = at;
            match reader.fetch(FETCH_BYTES_MAX, FETCH_WAIT) {
                Ok(parts) => {
                    for part in parts.iter().filter(|part| part.partition == partition) {
                        stretches.cover(part, (at, end));
                        at = at.max(part.to);
                    }
                }
                // Retention went on meanwhile.
                Err(error) if error.kind == ErrorKind::OutOfRange => {
                    let earliest = self.log.bounds(topic, partition)?.earliest;
                    stretches.push(at, earliest.min(end), InLog::Gone);
                    at = at.max(earliest);
                    reader.seek(partition, at)?;
                }
                Err(error) if error.kind == ErrorKind::Retry && moved.elapsed() < self.patience => {
                    std::thread::sleep(RETRY_AFTER);
                }
                Err(error) => return Err(error),
            }
            if at > before {
                moved = Instant::now();
            } else if moved.elapsed() >= self.patience {
                let message = format!("the log has offsets {at}..{end} of {topic}/{partition} and does not give them");
                return Err(PortError::new(ErrorKind::Stop, message));
            }
        }
        Ok(())
    }
}

impl LogView for LogOf {
    fn stretches(
        &self,
        topic: &str,
        incarnation: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, i64, InLog)>, Unable> {
        let unable = |error: PortError| Unable {
            place: Place::default().of_partition(partition).offsets(from, to),
            why: format!("the log of topic {topic} cannot be read: {}", error.chain()),
        };
        let mut stretches = Stretches::default();
        let known = self.log.topic(topic).map_err(unable)?;
        let known = known.filter(|info| info.incarnation == incarnation && (0..info.partitions).contains(&partition));
        if known.is_none() {
            stretches.push(from, to, InLog::Unknown);
            return Ok(stretches.0);
        }
        let OffsetBounds { earliest, next } = self.log.bounds(topic, partition).map_err(unable)?;
        // Above what can be read now there may be records: a transaction before them is open.
        let written = if to > next { self.log.end(topic, partition).map_err(unable)?.max(next) } else { next };
        stretches.push(from, to.min(earliest), InLog::Gone);
        let (first, end) = (from.max(earliest), to.min(next));
        if first < end {
            self.read((topic, partition), (first, end), &mut stretches).map_err(unable)?;
        }
        stretches.push(from.max(next), to.min(written), InLog::Unknown);
        stretches.push(from.max(written), to, InLog::Never);
        Ok(stretches.0)
    }
}

/// Stretches in order; neighbours of one kind are one.
#[derive(Debug, Default)]
struct Stretches(Vec<(i64, i64, InLog)>);

impl Stretches {
    fn push(&mut self, from: i64, to: i64, what: InLog) {
        if from >= to {
            return;
        }
        match self.0.last_mut() {
            Some((_, end, last)) if *end == from && *last == what => *end = to,
            _ => self.0.push((from, to, what)),
        }
    }

    /// Adds what a fetch brought of `from..to`.
    fn cover(&mut self, part: &Fetched, (from, to): (i64, i64)) {
        let records =
            part.records.metas().iter().map(|meta| (meta.offset, meta.offset.saturating_add(1), InLog::Record));
        let gaps = part.gaps.iter().map(|gap| (gap.from, gap.to, cause(gap.cause)));
        let mut pieces: Vec<(i64, i64, InLog)> = records.chain(gaps).collect();
        pieces.sort_unstable_by_key(|(first, _, _)| *first);
        let mut at = from;
        for (first, end, what) in pieces {
            let (first, end) = (first.max(at), end.min(to));
            if first < end {
                // A fetch covers its range with records and gaps; were there neither, nobody knows.
                self.push(at, first, InLog::Unknown);
                self.push(first, end, what);
                at = end;
            }
        }
        self.push(at, part.to.min(to), InLog::Unknown);
    }
}

fn cause(cause: GapCause) -> InLog {
    match cause {
        GapCause::NoRecord => InLog::NoRecord,
        GapCause::Damaged => InLog::Damaged,
        GapCause::Retention => InLog::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_adapters::memory::log::{LogCall, LogFault, MemoryLog};
    use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
    use watertight_adapters::system::{SystemClock, SystemIds};
    use watertight_core::port::{Append, Gap, LogReader, TopicInfo};
    use watertight_core::record::{NewRecord, Records};
    use watertight_verify::report::Counted;

    #[test]
    fn a_log_says_what_it_has_what_it_never_had_and_that_it_is_another() {
        let scratch = tempfile::tempdir().expect("scratch");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let options = SegmentLogOptions::default();
        let log = SegmentLog::open(scratch.path(), options, clock.clone(), ids.clone()).expect("a log");
        let topic = log.create_topic("t", 1).expect("a topic");
        let record = NewRecord { value: Some(b"x"), ..NewRecord::default() };
        log.append("t", 0, &[record; 5]).expect("appended");
        let view = LogOf::new(Arc::new(SegmentLog::look(scratch.path(), clock, ids)));
        let of = |incarnation: &str, partition, from, to| {
            view.stretches("t", incarnation, partition, from, to).expect("readable")
        };
        let life = topic.incarnation.as_str();
        assert_eq!(of(life, 0, 1, 3), [(1, 3, InLog::Record)]);
        assert_eq!(of(life, 0, 3, 9), [(3, 5, InLog::Record), (5, 9, InLog::Never)]);
        assert_eq!(of(life, 0, 7, 9), [(7, 9, InLog::Never)]);
        assert_eq!(of(life, 1, 0, 2), [(0, 2, InLog::Unknown)]);
        assert_eq!(of("another life", 0, 0, 2), [(0, 2, InLog::Unknown)]);
    }

    /// A log that has more than can be read: a transaction is open before the rest.
    struct HeldBack(MemoryLog, i64);

    impl EventLog for HeldBack {
        fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
            self.0.topic(topic)
        }
        fn topics(&self) -> Result<Vec<String>, PortError> {
            self.0.topics()
        }
        fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
            self.0.create_topic(topic, partitions)
        }
        fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
            self.0.append(topic, partition, records)
        }
        fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
            self.0.bounds(topic, partition)
        }
        fn end(&self, _: &str, _: i32) -> Result<i64, PortError> {
            Ok(self.1)
        }
        fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
            self.0.reader(topic, from)
        }
    }

    #[test]
    fn of_what_an_open_transaction_holds_back_nothing_is_known_and_behind_it_there_never_was_anything() {
        let log = MemoryLog::new(Arc::new(SystemIds));
        let life = log.create_topic("t", 1).expect("a topic").incarnation;
        log.append("t", 0, &[NewRecord::default(); 5]).expect("appended");
        let view = LogOf::new(Arc::new(HeldBack(log, 8)));
        let told = view.stretches("t", &life, 0, 3, 10).expect("readable");
        assert_eq!(told, [(3, 5, InLog::Record), (5, 8, InLog::Unknown), (8, 10, InLog::Never)]);
    }

    #[test]
    fn a_log_that_says_to_try_again_is_read_in_the_end_and_one_that_goes_on_saying_it_is_not() {
        let log = MemoryLog::new(Arc::new(SystemIds));
        let life = log.create_topic("t", 1).expect("a topic").incarnation;
        log.append("t", 0, &[NewRecord::default(); 5]).expect("appended");
        let view = LogOf { log: Arc::new(log.clone()), patience: Duration::from_secs(1) };
        log.inject(LogCall::Fetch, LogFault::Reject(ErrorKind::Retry));
        assert_eq!(view.stretches("t", &life, 0, 1, 9), Ok(vec![(1, 5, InLog::Record), (5, 9, InLog::Never)]));
        for _ in 0..100 {
            log.inject(LogCall::Fetch, LogFault::Reject(ErrorKind::Retry));
        }
        let unable = view.stretches("t", &life, 0, 1, 9).expect_err("not read");
        assert!(unable.why.starts_with("the log of topic t cannot be read: "), "{}", unable.why);
    }

    #[test]
    fn a_log_that_is_gone_or_lost_a_partition_is_silent_about_the_tables_of_its_topic_only() {
        let scratch = tempfile::tempdir().expect("scratch");
        let root = scratch.path().join("log");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let log = SegmentLog::open(&root, SegmentLogOptions::default(), clock.clone(), ids.clone()).expect("a log");
        let life = log.create_topic("t", 2).expect("a topic").incarnation;
        let about = |incarnation: &str, scope: &Scope| {
            let range = |partition| Range {
                topic: "t".to_owned(),
                incarnation: incarnation.to_owned(),
                partition,
                from: 0,
                to: 5,
                rows: None,
                checksum: None,
                missing: Vec::new(),
                declared: Vec::new(),
            };
            let table = |name: &str| TableReport {
                table: name.to_owned(),
                first_version: 0,
                last_version: 1,
                files: 0,
                rows: None,
                counted: Counted::Books,
                ranges: vec![range(0), range(1)],
                closed_until_us: None,
            };
            // A log of its own each time: what is open stays so.
            let view = LogOf::new(Arc::new(SegmentLog::look(&root, clock.clone(), ids.clone())));
            let tables = ["bronze.t", "bronze.t_dlq", "silver.t"].map(table);
            let silent = view.silent_about(&tables, scope).into_iter();
            silent.map(|unable| (unable.place.table.unwrap_or_default(), unable.why)).collect::<Vec<_>>()
        };
        let (all, first) = (Scope::default(), Scope { partitions: vec![0], ..Scope::default() });
        assert!(about(&life, &all).is_empty() && about("another life", &all).is_empty());
        std::fs::remove_dir_all(root.join("t/1")).expect("removed");
        let told = about(&life, &all);
        assert!(told.len() == 1 && told[0].0 == "bronze.t" && told[0].1.contains("t/1"), "{told:?}");
        assert!(told[0].1.contains("could not be held against the log"), "{told:?}");
        assert!(about(&life, &first).is_empty() && about("another life", &all).is_empty());
        std::fs::remove_dir_all(&root).expect("removed");
        for incarnation in [life.as_str(), "another life"] {
            let told = about(incarnation, &all);
            assert!(told.len() == 1 && told[0].1.contains("has no topic t"), "{told:?}");
        }
        let elsewhere = Scope { tables: vec!["gold.m".to_owned()], ..Scope::default() };
        assert!(about(&life, &elsewhere).is_empty());
    }

    #[test]
    fn records_and_gaps_are_told_apart_and_cut_to_what_was_asked() {
        let mut records = Records::default();
        for offset in [10, 11, 14] {
            records.push(offset, 0, -1, None, None, None);
        }
        let gap = |from, to, cause| Gap { from, to, cause };
        let part = Fetched {
            partition: 0,
            from: 10,
            to: 20,
            records,
            gaps: vec![gap(12, 14, GapCause::Damaged), gap(15, 18, GapCause::NoRecord)],
            log_end: 20,
        };
        let mut stretches = Stretches::default();
        stretches.cover(&part, (11, 19));
        let expected = [
            (11, 12, InLog::Record),
            (12, 14, InLog::Damaged),
            (14, 15, InLog::Record),
            (15, 18, InLog::NoRecord),
            (18, 19, InLog::Unknown),
        ];
        assert_eq!(stretches.0, expected);
    }
}
