//! What a file holds of each partition of the topic: range, rows, checksum, flags, and whether its offsets ascend.

use super::positions::Positions;
use super::{FileFacts, FileProblem, Held, checksum};
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, ListArray, RecordBatch, StringArray};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// Most incarnations × partitions of one file.
const KEYS_MAX: usize = 65_536;
/// What stands in `_quality_flags` of a row whose time is beyond the tolerated future.
const FUTURE: &str = "future_event_time";

struct Run {
    incarnation: String,
    partition: i32,
    held: Held,
    last: i64,
    flags: [u64; 3],
    disorder: Option<Disorder>,
}

/// Offsets that go down: how often, the first time, and all that is between.
#[derive(Clone, Copy)]
struct Disorder {
    times: u64,
    first: (i64, i64),
    least: i64,
    most: i64,
}

/// Gathers what a file holds.
pub(super) struct Holding {
    runs: Vec<Run>,
    by_key: BTreeMap<(String, i32), usize>,
    current: usize,
    rows: u64,
    hasher: Xxh3,
}

/// The columns of silver that are counted.
struct Flags<'a> {
    late: &'a BooleanArray,
    reasons: &'a ListArray,
    texts: &'a StringArray,
    extra: &'a dyn Array,
}

impl<'a> Flags<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let reasons = batch.column_by_name("_quality_flags")?.as_list_opt::<i32>()?;
        Some(Self {
            late: batch.column_by_name("_is_late_arriving")?.as_boolean_opt()?,
            reasons,
            texts: reasons.values().as_string_opt::<i32>()?,
            extra: batch.column_by_name("_extra")?.as_ref(),
        })
    }

    fn count(&self, row: usize, flags: &mut [u64; 3]) {
        let offsets = self.reasons.value_offsets();
        let bounds = (offsets.get(row).copied(), offsets.get(row + 1).copied());
        let future = match bounds {
            (Some(from), Some(to)) if from < to => (from..to)
                .filter_map(|at| usize::try_from(at).ok())
                .any(|at| self.texts.is_valid(at) && self.texts.value(at) == FUTURE),
            _ => false,
        };
        let late = self.late.is_valid(row) && self.late.value(row);
        let [of_late, of_future, of_unknown] = flags;
        *of_late += u64::from(late);
        *of_future += u64::from(future);
        *of_unknown += u64::from(self.extra.is_valid(row));
    }
}

/// Key and value of bronze's rows and of dead letters.
fn payload(batch: &RecordBatch) -> Option<(&BinaryArray, &BinaryArray)> {
    let column = |name: &str| batch.column_by_name(name)?.as_binary_opt::<i32>();
    Some((column("_key")?, column("_raw_value")?))
}

fn bytes(array: &BinaryArray, row: usize) -> Option<&[u8]> {
    array.is_valid(row).then(|| array.value(row))
}

impl Holding {
    pub(super) fn new() -> Self {
        Self { runs: Vec::new(), by_key: BTreeMap::new(), current: 0, rows: 0, hasher: Xxh3::new() }
    }

    /// Looks at a batch.
    pub(super) fn look(&mut self, batch: &RecordBatch) -> Result<(), FileProblem> {
        self.rows += batch.num_rows() as u64;
        let Some(positions) = Positions::of(batch) else { return Ok(()) };
        let (payload, flags) = (payload(batch), Flags::of(batch));
        for row in 0..positions.len() {
            let (partition, offset) = positions.at(row);
            let run = self.run(positions.incarnation(row), partition, offset)?;
            if let Some(number) = run {
                self.current = number;
            }
            let Some(run) = self.runs.get_mut(self.current) else { continue };
            run.take(offset);
            if let Some((keys, values)) = payload {
                let one = checksum::add(&mut self.hasher, partition, offset, bytes(keys, row), bytes(values, row));
                run.held.checksum = run.held.checksum.wrapping_add(one);
            }
            if let Some(flags) = &flags {
                flags.count(row, &mut run.flags);
            }
        }
        Ok(())
    }

    /// The run that a row belongs to, where that is not the current one.
    fn run(&mut self, incarnation: &str, partition: i32, offset: i64) -> Result<Option<usize>, FileProblem> {
        let is_current = |run: &Run| run.partition == partition && run.incarnation == incarnation;
        if self.runs.get(self.current).is_some_and(is_current) {
            return Ok(None);
        }
        let key = (incarnation.to_owned(), partition);
        if let Some(number) = self.by_key.get(&key) {
            return Ok(Some(*number));
        }
        if self.runs.len() >= KEYS_MAX {
            let what = format!("it holds rows of more than {KEYS_MAX} incarnations and partitions");
            return Err(FileProblem::Wrong { code: Code::FileUnreadable, what });
        }
        let number = self.runs.len();
        self.by_key.insert(key, number);
        let held = Held { first: offset, last: offset, rows: 0, checksum: 0 };
        let incarnation = incarnation.to_owned();
        self.runs.push(Run { incarnation, partition, held, last: i64::MIN, flags: [0; 3], disorder: None });
        Ok(Some(number))
    }

    /// The facts. With `ordered`, offsets that go down are entered; equal ones are found where doubled rows are looked
    /// for.
    pub(super) fn end(self, ordered: bool, place: &Place, findings: &Findings) -> FileFacts {
        let mut facts = FileFacts { rows: self.rows, ..FileFacts::default() };
        for run in self.runs {
            if let Some(disorder) = run.disorder.filter(|_| ordered) {
                let Disorder { times, first: (before, after), least, most } = disorder;
                let place = place.clone().of_partition(run.partition).offsets(least, most.saturating_add(1));
                let what =
                    format!("offset {after} stands behind offset {before}; {times} times in this file they go down");
                findings.add(Code::OffsetsOrder, place, what);
            }
            if run.flags != [0; 3] {
                let flags = facts.flags.entry(run.partition).or_default();
                flags.iter_mut().zip(run.flags).for_each(|(sum, more)| *sum += more);
            }
            facts.held.insert((run.incarnation, run.partition), run.held);
        }
        facts
    }
}

impl Run {
    fn take(&mut self, offset: i64) {
        if self.held.rows > 0 && offset < self.last {
            let first = (self.last, offset);
            let disorder = self.disorder.get_or_insert(Disorder { times: 0, first, least: offset, most: self.last });
            disorder.times += 1;
            disorder.least = disorder.least.min(offset);
            disorder.most = disorder.most.max(self.last);
        }
        self.last = offset;
        self.held.rows += 1;
        self.held.first = self.held.first.min(offset);
        self.held.last = self.held.last.max(offset);
    }
}
