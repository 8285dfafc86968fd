//! A ledger's lines, by what bronze can say of them.

use super::file::{self, Header};
use super::join::{AHEAD, Known, LINE, NAMED, Named, incarnation_key, ledger_id};
use super::range::{Beginnings, Start, next_offset};
use crate::finding::{Findings, Place, Unable};
use crate::lake::Table;
use crate::request::Request;
use crate::spill::Buckets;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A ledger that was read.
pub(super) struct Ledger {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    /// Lines.
    pub(super) lines: u64,
    /// The largest acknowledged offset of each partition.
    pub(super) last: BTreeMap<i32, i64>,
    /// By partition: lines below where bronze begins.
    pub(super) before: BTreeMap<i32, u64>,
    /// By partition: lines at or above bronze's position that the log has, or bronze has read since.
    pub(super) ahead: BTreeMap<i32, u64>,
}

impl Ledger {
    /// Whether it says nothing of an offset, as it lies behind all that it has of the partition.
    pub(super) fn ends_before(&self, partition: i32, offset: i64) -> bool {
        self.last.get(&partition).is_none_or(|last| offset > *last)
    }
}

/// Lines of one partition of which something is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown {
    first: i64,
    last: i64,
    /// How many.
    pub(super) count: u64,
}

impl Unknown {
    /// None yet; the first will be at this offset.
    pub(super) fn at(offset: i64) -> Self {
        Self { first: offset, last: offset, count: 0 }
    }

    /// Counts a line.
    pub(super) fn note(&mut self, offset: i64) {
        (self.first, self.last) = (self.first.min(offset), self.last.max(offset));
        self.count = self.count.saturating_add(1);
    }

    /// Enters that nothing is known of them, and why.
    pub(super) fn tell(self, ledger: &Path, partition: i32, why: String, findings: &Findings) {
        let place = Place::default().in_file(&ledger.display().to_string()).of_partition(partition);
        findings.unable(Unable { place: place.offsets(self.first, self.last.saturating_add(1)), why });
    }
}

/// Where the lines of a ledger go.
pub(super) struct Sets<'a> {
    /// Those that bronze must have, by position.
    pub(super) known: &'a mut Buckets<Known>,
    /// The ids of the others: a ledger has them, and nothing is asked of them.
    pub(super) named: &'a mut Buckets<Named>,
}

/// Enters a ledger's lines, from where bronze begins as far as it has come.
pub(super) fn enter(
    (bronze, beginnings): (&Table, &Beginnings<'_>),
    (number, path, header): (u16, PathBuf, Header),
    request: &Request,
    sets: &mut Sets<'_>,
    findings: &Findings,
) -> Result<Ledger, Unable> {
    let incarnation = incarnation_key(&header.incarnation);
    let mut range: BTreeMap<i32, (Start, i64)> = BTreeMap::new();
    let mut unknown: BTreeMap<i32, Unknown> = BTreeMap::new();
    let mut ledger =
        Ledger { path, header, lines: 0, last: BTreeMap::new(), before: BTreeMap::new(), ahead: BTreeMap::new() };
    let Ledger { path, header, lines, last, before, .. } = &mut ledger;
    file::read(path, &mut |line| {
        *lines = lines.saturating_add(1);
        let (partition, offset) = (line.partition, line.offset);
        let largest = last.entry(partition).or_insert(offset);
        *largest = (*largest).max(offset);
        let (start, next) = *range.entry(partition).or_insert_with(|| {
            let next = next_offset(bronze, &header.incarnation, partition);
            (beginnings.start(&header.incarnation, partition, next), next)
        });
        let first = match start {
            Start::At(first) | Start::By(first) => first,
        };
        let in_scope = request.scope.has_partition(partition);
        if offset < first && matches!(start, Start::At(_)) {
            let count = before.entry(partition).or_default();
            *count = count.saturating_add(1);
        } else if offset < first && in_scope {
            unknown.entry(partition).or_insert_with(|| Unknown::at(offset)).note(offset);
        }
        let id = ledger_id(line.id);
        if in_scope && (first..next).contains(&offset) {
            return sets.known.push(Known::of(incarnation, (partition, offset), LINE, number, id));
        }
        let kind = if in_scope && offset >= next { AHEAD } else { NAMED };
        sets.named.push(Named { id, kind, partition, offset, ledger: number })
    })?;
    for (partition, unknown) in unknown {
        let why = format!(
            "whether bronze was to read {} acknowledged ids is not known: where it began is in neither its Delta log, which \
             does not go back to version 0, nor in ops.commits: restore the oldest entries of the log",
            unknown.count
        );
        unknown.tell(&ledger.path, partition, why, findings);
    }
    Ok(ledger)
}
