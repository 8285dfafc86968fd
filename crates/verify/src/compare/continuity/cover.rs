//! The ranges of offsets that bronze's commits cover, by incarnation and partition.

use super::Range;
use crate::books::copies::Copies;
use crate::books::{Books, Cause, Declared, Entry};
use crate::lake::Table;
use crate::request::Request;
use std::collections::BTreeMap;

/// A commit's range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered {
    pub(super) range: Range,
    pub(super) version: u64,
    /// Whether the scope has that version and partition.
    pub(super) judged: bool,
}

/// One partition of one life of a topic.
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) incarnation: String,
    pub(super) partition: i32,
    /// By their beginning.
    pub(super) ranges: Vec<Covered>,
    /// The same, merged.
    merged: Vec<Range>,
    /// Declared to hold no record, by their beginning.
    pub(super) declared: Vec<Declared>,
}

/// All of them.
pub(super) struct Cover {
    pub(super) partitions: Vec<Partition>,
    by_key: BTreeMap<(String, i32), usize>,
    /// Up to which version the log has no entries any more, where `ops.commits` has not the books of all of them: what these
    /// commits cover is not known.
    pub(super) unknown_up_to: Option<u64>,
}

impl Cover {
    /// Takes the ranges from the books of the table's commits, and from the copies of those whose entries were cleaned up.
    pub(super) fn of(table: &Table, copies: &Copies, request: &Request) -> Self {
        let mut cover = Self { partitions: Vec::new(), by_key: BTreeMap::new(), unknown_up_to: None };
        cover.take_cleaned_up(table, copies, request);
        for commit in &table.commits {
            let Some(books) = commit.books() else { continue };
            let in_scope = request.scope.has_version(&table.name, commit.version, commit.timestamp_us);
            cover.take(books, commit.version, in_scope, request);
        }
        for partition in &mut cover.partitions {
            partition.ranges.sort_by_key(|covered| (covered.range, covered.version));
            partition.declared.sort_by_key(|gap| (gap.from, gap.to));
            partition.merged = merge(partition.ranges.iter().map(|covered| covered.range));
        }
        cover
    }

    /// What those commits cover that a checkpoint stands for.
    fn take_cleaned_up(&mut self, table: &Table, copies: &Copies, request: &Request) {
        let Some(at) = table.checkpoint else { return };
        // Their files are known as the checkpoint's, and are looked at with it.
        let in_scope = request.scope.has_version(&table.name, at, 0);
        let name = table.name.to_string();
        let (mut next, mut whole) = (0, true);
        for ((_, version), copied) in copies.range((name.clone(), 0)..=(name, at)) {
            whole &= *version == next && (copied.books.is_some() || copied.kind == "foreign");
            next = version.saturating_add(1);
            if let Some(books) = &copied.books {
                self.take(books, *version, in_scope, request);
            }
        }
        self.unknown_up_to = (!whole || next <= at).then_some(at);
    }

    /// Takes the ranges of an append.
    fn take(&mut self, books: &Books, version: u64, in_scope: bool, request: &Request) {
        // Ranges that are none were entered with the books.
        let is_range = |entry: &&Entry| books.kind == "append" && 0 <= entry.from && entry.from < entry.to;
        for entry in books.entries.iter().filter(is_range) {
            let partition = self.entry(&books.topic, &books.incarnation, entry.partition);
            let judged = in_scope && request.scope.has_partition(entry.partition);
            partition.ranges.push(Covered { range: (entry.from, entry.to), version, judged });
            if judged {
                let inside = |gap: &&Declared| entry.from <= gap.from && gap.from < gap.to && gap.to <= entry.to;
                partition.declared.extend(entry.gaps.iter().filter(inside));
            }
        }
    }

    fn entry(&mut self, topic: &str, incarnation: &str, partition: i32) -> &mut Partition {
        let partitions = &mut self.partitions;
        let number = *self.by_key.entry((incarnation.to_owned(), partition)).or_insert_with(|| {
            partitions.push(Partition {
                topic: topic.to_owned(),
                incarnation: incarnation.to_owned(),
                partition,
                ranges: Vec::new(),
                merged: Vec::new(),
                declared: Vec::new(),
            });
            partitions.len() - 1
        });
        &mut self.partitions[number]
    }

    /// The number of a partition.
    pub(super) fn find(&self, incarnation: &str, partition: i32) -> Option<usize> {
        self.by_key.get(&(incarnation.to_owned(), partition)).copied()
    }

    /// Incarnation and partition of a number.
    pub(super) fn key(&self, number: usize) -> (&str, i32) {
        self.partitions.get(number).map_or(("", 0), |one| (one.incarnation.as_str(), one.partition))
    }

    /// Partition of a number.
    pub(super) fn partition(&self, number: usize) -> i32 {
        self.key(number).1
    }

    /// Whether a commit covers this offset.
    pub(super) fn has(&self, number: usize, offset: i64) -> bool {
        let Some(one) = self.partitions.get(number) else { return false };
        let behind = one.merged.partition_point(|(from, _)| *from <= offset);
        behind.checked_sub(1).and_then(|at| one.merged.get(at)).is_some_and(|(_, to)| offset < *to)
    }

    /// The ranges that are judged, merged, by partition.
    pub(super) fn judged(&self) -> Vec<(usize, Range)> {
        let of =
            |one: &Partition| merge(one.ranges.iter().filter(|covered| covered.judged).map(|covered| covered.range));
        let numbered = self.partitions.iter().enumerate();
        numbered.flat_map(|(number, one)| of(one).into_iter().map(move |range| (number, range))).collect()
    }

    /// How many offsets are judged.
    pub(super) fn offsets(&self) -> u64 {
        self.judged().iter().map(|(_, (from, to))| from.abs_diff(*to)).fold(0, u64::saturating_add)
    }
}

impl Partition {
    /// What no commit covers, between those that are judged, and the version whose range comes behind it.
    pub(super) fn between(&self) -> Vec<(Range, u64)> {
        let mut found = Vec::new();
        let mut end: Option<i64> = None;
        for Covered { range: (from, to), version, judged } in &self.ranges {
            if let Some(end) = end.filter(|end| end < from && *judged) {
                found.push(((end, *from), *version));
            }
            end = Some(end.map_or(*to, |end| end.max(*to)));
        }
        found
    }

    /// The version that covers an offset.
    pub(super) fn version_of(&self, offset: i64) -> Option<u64> {
        let behind = self.ranges.partition_point(|covered| covered.range.0 <= offset);
        let before = self.ranges.get(..behind)?.iter().rev();
        before.take(64).find(|covered| offset < covered.range.1).map(|covered| covered.version)
    }

    /// Declared ranges of one cause, merged.
    pub(super) fn declared_as(&self, cause: Cause) -> Vec<Range> {
        merge(self.declared.iter().filter(|gap| gap.cause == cause).map(|gap| (gap.from, gap.to)))
    }

    /// All declared ranges, merged.
    pub(super) fn all_declared(&self) -> Vec<Range> {
        merge(self.declared.iter().map(|gap| (gap.from, gap.to)))
    }
}

/// Merges ranges that come by their beginning and overlap or touch.
pub(in crate::compare) fn merge(ranges: impl Iterator<Item = Range>) -> Vec<Range> {
    let mut merged: Vec<Range> = Vec::new();
    for (from, to) in ranges {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// What is left of ranges without others; both in order and merged.
pub(in crate::compare) fn without(ranges: &[Range], others: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    let mut others = others.iter().copied().peekable();
    for (from, to) in ranges.iter().copied() {
        let mut at = from;
        while at < to {
            match others.peek().copied() {
                Some((_, end)) if end <= at => {
                    others.next();
                }
                Some((begin, _)) if begin >= to => {
                    left.push((at, to));
                    at = to;
                }
                Some((begin, end)) => {
                    if begin > at {
                        left.push((at, begin));
                    }
                    at = end;
                }
                None => {
                    left.push((at, to));
                    at = to;
                }
            }
        }
    }
    left
}
