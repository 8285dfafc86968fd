//! Which live files may hold rows of given positions.
//!
//! Rows are mapped to commits by (incarnation, partition, offset), never by file: a rewrite may have put rows of many
//! commits into one. What a file holds is taken from its facts; of files outside the scope, which have none, from the
//! books of the commit that added them; where there are neither, the file may hold anything and is read.
//!
//! Silver has no incarnation in its rows. The file's commit tells it; a file that was rewritten tells it only where all
//! of silver is of one incarnation.

use super::plan::SilverCommit;
use crate::compare::stream::{Blind, Observed, blind_files, ranges_of};
use crate::lake::{LiveFile, Table};
use crate::request::Request;
use crate::rows::facts::commit_of;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A range `from..to` of a partition.
pub(super) type Range = (i64, i64);

/// A live file.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) file: &'a LiveFile,
    /// Silver: the incarnation of all its rows, where it is known.
    pub(super) incarnation: Option<Arc<str>>,
    /// Incarnation, partition, first offset, offset after the last; `None`: anything.
    held: Option<Vec<(String, i32, i64, i64)>>,
}

impl Source<'_> {
    /// Whether it may hold rows of these ranges.
    pub(super) fn may_hold(&self, incarnation: &str, wanted: &BTreeMap<i32, Vec<Range>>) -> bool {
        if self.incarnation.as_deref().is_some_and(|own| own != incarnation) {
            return false;
        }
        let Some(held) = &self.held else { return true };
        held.iter().filter(|(of, ..)| of.is_empty() || of == incarnation).any(|(_, partition, first, end)| {
            let ranges = wanted.get(partition).map_or(&[][..], Vec::as_slice);
            ranges.iter().any(|(from, to)| first < to && from < end)
        })
    }

    /// Whether all that it holds lies in `covered`, as far as is known.
    pub(super) fn is_within(&self, covered: &Cover) -> bool {
        let Some(held) = &self.held else { return false };
        held.iter().all(|(of, partition, first, end)| {
            let own = self.incarnation.as_deref().filter(|_| of.is_empty()).unwrap_or(of);
            (!own.is_empty()) && covered.has_all(own, *partition, *first, *end)
        })
    }
}

/// The live files of a table that can be read, and those that cannot.
pub(super) fn sources<'a>(
    (table, facts): Observed<'a>,
    request: &Request,
    incarnation_of: &dyn Fn(u64) -> Option<Arc<str>>,
) -> (Vec<Source<'a>>, Vec<Blind>) {
    let mut blind = blind_files((table, facts));
    blind.retain(|blind| {
        blind.missing || table.live.get(&blind.path).is_some_and(|file| in_scope(table, file.version, request))
    });
    let mut found = Vec::new();
    for (path, file) in &table.live {
        let held = match facts.get(path) {
            Some(facts) => {
                let range = |((of, partition), held): (&(String, i32), &crate::rows::Held)| {
                    (of.clone(), *partition, held.first, held.last.saturating_add(1))
                };
                Some(facts.held.iter().map(range).collect())
            }
            None if blind.iter().any(|blind| blind.path == *path) => continue,
            None => ranges_of(table, file),
        };
        found.push(Source { path, file, incarnation: incarnation_of(file.version), held });
    }
    (found, blind)
}

/// Whether a file of this version is checked anew; one whose commit is not known may be.
pub(super) fn in_scope(table: &Table, version: u64, request: &Request) -> bool {
    let commit = commit_of(table, version);
    commit.is_none_or(|commit| request.scope.has_version(&table.name, version, commit.timestamp_us))
}

/// The incarnation of silver's rows by the version that added their file.
pub(super) fn incarnations(commits: &[SilverCommit<'_>]) -> (BTreeMap<u64, Arc<str>>, Option<Arc<str>>) {
    let mut by_version: BTreeMap<u64, Arc<str>> = BTreeMap::new();
    let mut only: Option<Arc<str>> = None;
    let mut several = false;
    for commit in commits {
        let incarnation: Arc<str> = match &only {
            Some(only) if **only == *commit.books.incarnation => Arc::clone(only),
            _ => Arc::from(commit.books.incarnation.as_str()),
        };
        several |= only.as_ref().is_some_and(|only| *only != incarnation);
        only.get_or_insert_with(|| Arc::clone(&incarnation));
        by_version.insert(commit.version, incarnation);
    }
    (by_version, only.filter(|_| !several))
}

/// Ranges of offsets by incarnation and partition, each with the number of the commit that covers it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cover {
    ranges: BTreeMap<String, BTreeMap<i32, Vec<(i64, i64, u32)>>>,
}

impl Cover {
    pub(super) fn add(&mut self, incarnation: &str, partition: i32, (from, to): Range, commit: u32) {
        if from >= to {
            return;
        }
        if !self.ranges.contains_key(incarnation) {
            self.ranges.insert(incarnation.to_owned(), BTreeMap::new());
        }
        if let Some(partitions) = self.ranges.get_mut(incarnation) {
            partitions.entry(partition).or_default().push((from, to, commit));
        }
    }

    /// To be called once all is added.
    pub(super) fn settle(&mut self) {
        self.ranges.values_mut().flat_map(|of| of.values_mut()).for_each(|ranges| ranges.sort_unstable());
    }

    fn of(&self, incarnation: &str, partition: i32) -> &[(i64, i64, u32)] {
        self.ranges.get(incarnation).and_then(|of| of.get(&partition)).map_or(&[], Vec::as_slice)
    }

    /// The commit that covers an offset.
    pub(super) fn commit(&self, incarnation: &str, partition: i32, offset: i64) -> Option<u32> {
        let ranges = self.of(incarnation, partition);
        let behind = ranges.partition_point(|(from, ..)| *from <= offset);
        let (_, to, commit) = ranges.get(behind.checked_sub(1)?)?;
        (offset < *to).then_some(*commit)
    }

    /// The same, of whichever incarnation; the newest where several do.
    pub(super) fn commit_of_any(&self, partition: i32, offset: i64) -> Option<u32> {
        self.ranges.keys().filter_map(|incarnation| self.commit(incarnation, partition, offset)).max()
    }

    /// In how many lives of topics a commit covers this place.
    pub(super) fn lives(&self, partition: i32, offset: i64) -> usize {
        self.ranges.keys().filter(|incarnation| self.commit(incarnation, partition, offset).is_some()).count()
    }

    /// Whether every offset of `first..end` is covered.
    pub(super) fn has_all(&self, incarnation: &str, partition: i32, first: i64, end: i64) -> bool {
        let ranges = self.of(incarnation, partition);
        let behind = ranges.partition_point(|(from, ..)| *from <= first);
        let mut at = first;
        for (from, to, _) in ranges.iter().skip(behind.saturating_sub(1)) {
            if at >= end || *from > at {
                break;
            }
            at = at.max(*to);
        }
        at >= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_tells_the_commit_of_an_offset_and_where_it_ends() {
        let mut cover = Cover::default();
        for (range, commit) in [((20, 30), 2), ((0, 10), 0), ((10, 20), 1), ((40, 50), 3), ((50, 50), 4)] {
            cover.add("i", 0, range, commit);
        }
        cover.add("j", 0, (0, 5), 9);
        cover.settle();
        let commits: Vec<_> = [-1, 0, 9, 10, 29, 30, 39, 40, 50].map(|offset| cover.commit("i", 0, offset)).to_vec();
        let wanted = [None, Some(0), Some(0), Some(1), Some(2), None, None, Some(3), None];
        assert_eq!(commits, wanted);
        assert_eq!((cover.commit("i", 1, 0), cover.commit("k", 0, 0)), (None, None));
        assert_eq!((cover.commit_of_any(0, 3), cover.commit_of_any(0, 7)), (Some(9), Some(0)));
        assert!(cover.has_all("i", 0, 0, 30) && cover.has_all("i", 0, 5, 6) && cover.has_all("i", 0, 45, 50));
        assert!(!cover.has_all("i", 0, 0, 31) && !cover.has_all("i", 0, 29, 41) && !cover.has_all("i", 0, 49, 51));
        assert!(!cover.has_all("k", 0, 0, 1));
    }
}
