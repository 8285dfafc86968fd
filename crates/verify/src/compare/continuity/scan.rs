//! Going through the positions of the live files: bits are set, doubled rows and rows outside all ranges collected.

use super::Range;
use super::bits::Bits;
use super::cover::Cover;
use crate::finding::Findings;
use crate::lake::{LiveFile, Table};
use crate::request::Request;
use crate::rows::facts::enter;
use crate::rows::{DataFile, FileFacts, FileProblem, Positions, TableFacts};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Ranges of doubled offsets, or of rows outside, that are kept apart; more are counted.
const RANGES_MAX: usize = 100_000;

/// A stretch of committed offsets and its bits.
pub(super) struct Stretch {
    /// Number of the partition in the cover.
    pub(super) key: usize,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) bits: Bits,
}

impl Stretch {
    /// Offsets `from..to` of a partition, none met yet.
    pub(super) fn of((key, from, to): (usize, i64, i64)) -> Self {
        Self { key, from, to, bits: Bits::new(from, to) }
    }
}

/// Rows of a file that no commit covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outside {
    pub(super) file: String,
    pub(super) incarnation: String,
    pub(super) partition: i32,
    pub(super) range: Range,
}

/// What was met besides.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Number of the partition, and offsets that were met more than once: in order, merged.
    pub(super) doubled: Vec<(usize, i64, i64)>,
    /// Doubled rows that were only counted.
    pub(super) doubled_untold: u64,
    /// With the number of rows.
    pub(super) outside: Vec<(Outside, u64)>,
}

impl Met {
    /// Takes another's in.
    pub(super) fn merge(&mut self, other: Self) {
        self.doubled.extend(other.doubled);
        self.doubled.sort_unstable();
        let mut merged: Vec<(usize, i64, i64)> = Vec::with_capacity(self.doubled.len());
        for (key, from, to) in self.doubled.drain(..) {
            match merged.last_mut() {
                Some((of, _, end)) if *of == key && from <= *end => *end = to.max(*end),
                _ => merged.push((key, from, to)),
            }
        }
        self.doubled = merged;
        self.doubled_untold = self.doubled_untold.saturating_add(other.doubled_untold);
        self.outside.extend(other.outside);
        self.outside.sort();
    }
}

/// Goes through the files that hold offsets of the stretches, or through all (`whole`): then rows outside all ranges
/// are
/// collected too.
pub(super) fn scan(
    table: &Table,
    facts: &TableFacts,
    cover: &Cover,
    stretches: &[Stretch],
    whole: bool,
    request: &Request,
    findings: &Findings,
) -> Met {
    let mut by_key: BTreeMap<usize, Vec<&Stretch>> = BTreeMap::new();
    for stretch in stretches {
        by_key.entry(stretch.key).or_default().push(stretch);
    }
    by_key.values_mut().for_each(|stretches| stretches.sort_by_key(|stretch| stretch.from));
    let holds = |file: &FileFacts| {
        file.held.iter().any(|((incarnation, partition), held)| {
            let stretches = cover.find(incarnation, *partition).and_then(|key| by_key.get(&key));
            stretches.is_some_and(|all| all.iter().any(|one| held.first < one.to && one.from <= held.last))
        })
    };
    let files: Vec<(&LiveFile, &FileFacts)> = table
        .live
        .values()
        .filter_map(|file| facts.get(&file.add.path).map(|facts| (file, facts)))
        .filter(|file| whole || holds(file.1))
        .collect();
    let met = Mutex::new(Met::default());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((file, _)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let whole = whole && cover.unknown_up_to.is_none_or(|at| file.version > at);
            let mut look =
                Look { cover, by_key: &by_key, whole, file: &file.add.path, met: Met::default(), last: None };
            if let Err(problem) = look.through(table, file) {
                unable(problem, table, file, findings);
            }
            met.lock().unwrap_or_else(PoisonError::into_inner).merge(look.met);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..request.threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    met.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What the system refused is told; damage was, when the file was read whole.
pub(super) fn unable(problem: FileProblem, table: &Table, file: &LiveFile, findings: &Findings) {
    if let FileProblem::Unable(_) = problem {
        enter(problem, table, file, findings);
    }
}

/// One file being gone through.
struct Look<'a> {
    cover: &'a Cover,
    by_key: &'a BTreeMap<usize, Vec<&'a Stretch>>,
    whole: bool,
    file: &'a str,
    met: Met,
    /// Where the row before was: rows come in runs.
    last: Option<Run<'a>>,
}

/// The rows of one incarnation and partition.
struct Run<'a> {
    incarnation: String,
    partition: i32,
    key: Option<usize>,
    stretch: Option<&'a Stretch>,
}

impl<'a> Look<'a> {
    fn through(&mut self, table: &Table, file: &LiveFile) -> Result<(), FileProblem> {
        let data = DataFile::open(table, file)?;
        for batch in data.batches(&["_kafka_partition", "_kafka_offset", "_log_incarnation"]) {
            let batch = batch?;
            let Some(positions) = Positions::of(&batch) else { continue };
            for row in 0..positions.len() {
                let (partition, offset) = positions.at(row);
                self.take(positions.incarnation(row), partition, offset);
            }
        }
        Ok(())
    }

    fn take(&mut self, incarnation: &str, partition: i32, offset: i64) {
        let same = |run: &Run<'_>| run.partition == partition && run.incarnation == incarnation;
        let mut run = match self.last.take() {
            Some(run) if same(&run) => run,
            _ => {
                let key = self.cover.find(incarnation, partition);
                Run { incarnation: incarnation.to_owned(), partition, key, stretch: None }
            }
        };
        let inside = |stretch: &&Stretch| stretch.from <= offset && offset < stretch.to;
        run.stretch = run.stretch.filter(inside).or_else(|| self.stretch_of(run.key, offset));
        if let Some(stretch) = run.stretch {
            if stretch.bits.set(stretch.from.abs_diff(offset)) {
                self.doubled(stretch.key, offset);
            }
        } else if self.whole && !run.key.is_some_and(|key| self.cover.has(key, offset)) {
            self.outside(incarnation, partition, offset);
        }
        self.last = Some(run);
    }

    fn stretch_of(&self, key: Option<usize>, offset: i64) -> Option<&'a Stretch> {
        let stretches = self.by_key.get(&key?)?;
        let behind = stretches.partition_point(|stretch| stretch.from <= offset);
        let stretch = *stretches.get(behind.checked_sub(1)?)?;
        (offset < stretch.to).then_some(stretch)
    }

    fn doubled(&mut self, key: usize, offset: i64) {
        let after = offset.saturating_add(1);
        let room = self.met.doubled.len() < RANGES_MAX;
        match self.met.doubled.last_mut() {
            Some((of, _, end)) if *of == key && *end == offset => *end = after,
            _ if room => self.met.doubled.push((key, offset, after)),
            _ => self.met.doubled_untold += 1,
        }
    }

    fn outside(&mut self, incarnation: &str, partition: i32, offset: i64) {
        let after = offset.saturating_add(1);
        if let Some((last, rows)) = self.met.outside.last_mut()
            && last.partition == partition
            && last.incarnation == incarnation
            && last.range.0 <= offset
            && offset <= last.range.1
        {
            last.range.1 = last.range.1.max(after);
            *rows += 1;
        } else if self.met.outside.len() < RANGES_MAX {
            let (file, incarnation) = (self.file.to_owned(), incarnation.to_owned());
            self.met.outside.push((Outside { file, incarnation, partition, range: (offset, after) }, 1));
        }
    }
}
