//! Findings of rows that follow one another are one finding with a range: a file that is gone is one fact.
//!
//! Contract: what is entered is reported exactly once, at the latest by [`Runs::flush`]; only consecutive offsets of one
//! partition with the same code, place and words are joined. It holds one open run per code and partition.

use crate::finding::{Code, Findings, Place};
use std::collections::BTreeMap;

/// More ranges than this of one commit and partition are told as one that spans them, with the number in it.
const RANGES_TOLD_MAX: usize = 8;

#[derive(Debug)]
struct Run {
    place: Place,
    what: &'static str,
    first: i64,
    last: i64,
    count: u64,
}

impl Run {
    fn tell(self, code: Code, findings: &Findings) {
        let Self { place, what, first, last, count } = self;
        let place = place.offsets(first, last.saturating_add(1));
        match count {
            1 => findings.add(code, place, what),
            count => findings.add(code, place, format!("{what} ({count} in a row)")),
        }
    }
}

/// Open runs.
pub(super) struct Runs<'a> {
    findings: &'a Findings,
    open: BTreeMap<(Code, i32), Run>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(findings: &'a Findings) -> Self {
        Self { findings, open: BTreeMap::new() }
    }

    /// Enters an offset; `place` names everything but the partition and the offset.
    pub(super) fn add(&mut self, code: Code, place: &Place, partition: i32, offset: i64, what: &'static str) {
        if let Some(run) = self.open.get_mut(&(code, partition)) {
            let same = run.what == what
                && run.place.table == place.table
                && run.place.version == place.version
                && run.place.file == place.file;
            if same && run.last.checked_add(1) == Some(offset) {
                run.last = offset;
                run.count = run.count.saturating_add(1);
                return;
            }
        }
        let place = place.clone().of_partition(partition);
        let run = Run { place, what, first: offset, last: offset, count: 1 };
        if let Some(before) = self.open.insert((code, partition), run) {
            before.tell(code, self.findings);
        }
    }

    /// Reports what is open.
    pub(super) fn flush(&mut self) {
        for ((code, _), run) in std::mem::take(&mut self.open) {
            run.tell(code, self.findings);
        }
    }
}

/// Offsets, in any order and perhaps repeated, as ranges `first..=last` with the number of offsets in each; one that
/// spans all where there would be more than [`RANGES_TOLD_MAX`].
pub(in crate::compare) fn ranges(offsets: &mut Vec<i64>) -> Vec<(i64, i64, u64)> {
    offsets.sort_unstable();
    offsets.dedup();
    let mut ranges: Vec<(i64, i64, u64)> = Vec::new();
    for &offset in offsets.iter() {
        match ranges.last_mut() {
            Some((_, last, count)) if last.checked_add(1) == Some(offset) => {
                *last = offset;
                *count += 1;
            }
            _ => ranges.push((offset, offset, 1)),
        }
    }
    match (ranges.first(), ranges.last()) {
        (Some(first), Some(last)) if ranges.len() > RANGES_TOLD_MAX => vec![(first.0, last.1, offsets.len() as u64)],
        _ => ranges,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_offsets_of_a_partition_are_one_finding() {
        let findings = Findings::default();
        let mut runs = Runs::new(&findings);
        let place = Place::table("silver.t").at_version(3);
        for offset in [5, 6, 7, 9] {
            runs.add(Code::RowUnfounded, &place, 0, offset, "no record");
            runs.add(Code::RowUnfounded, &place, 1, offset + 100, "no record");
        }
        runs.add(Code::RowUnfounded, &place, 0, 10, "another thing");
        runs.add(Code::RowUnfounded, &place.clone().at_version(4), 0, 11, "another thing");
        runs.flush();
        runs.flush();
        let kept = findings.into_kept();
        let mut found: Vec<_> = kept.findings.iter().map(|f| (f.place.partition, f.place.offsets)).collect();
        found.sort_unstable();
        let wanted = [(0, 5, 8), (0, 9, 10), (0, 10, 11), (0, 11, 12), (1, 105, 108), (1, 109, 110)];
        let wanted: Vec<_> = wanted.iter().map(|(p, from, to)| (Some(*p), Some((*from, *to)))).collect();
        assert_eq!(found, wanted);
        let whole = kept.findings.iter().find(|f| f.place.offsets == Some((5, 8))).expect("there");
        assert_eq!(whole.what, "no record (3 in a row)");
    }

    #[test]
    fn offsets_become_ranges_and_many_ranges_one_span() {
        assert!(ranges(&mut vec![]).is_empty());
        assert_eq!(ranges(&mut vec![3, 1, 2, 2, 7]), [(1, 3, 3), (7, 7, 1)]);
        assert_eq!(ranges(&mut (0..20).map(|n| n * 2).collect()), [(0, 38, 20)]);
        assert_eq!(ranges(&mut vec![i64::MAX, i64::MIN]), [(i64::MIN, i64::MIN, 1), (i64::MAX, i64::MAX, 1)]);
    }
}
