//! Holes: which of them the books declare, and what the event log says of the others.

use super::cover::{Cover, merge, without};
use super::lookup::{self, Found, Wanted};
use super::{Range, place};
use crate::books::Cause;
use crate::finding::{Code, Findings};
use crate::lake::Table;
use crate::request::{InLog, LogView};
use crate::rows::TableFacts;
use std::collections::BTreeMap;

/// Holes of one partition that are told one by one; the rest are told in one.
const TOLD_MAX: usize = 100;
/// Declared ranges of one partition and cause that are told one by one; otherwise they are told in one.
const DECLARED_TOLD_MAX: usize = 10;

/// The holes of all partitions.
pub(super) struct Holes<'a> {
    cover: &'a Cover,
    by_key: BTreeMap<usize, Vec<Range>>,
}

impl<'a> Holes<'a> {
    pub(super) fn new(cover: &'a Cover) -> Self {
        Self { cover, by_key: BTreeMap::new() }
    }

    /// Adds offsets in no row.
    pub(super) fn add_all(&mut self, key: usize, holes: Vec<Range>) {
        self.by_key.entry(key).or_default().extend(holes);
    }

    /// Tells what is declared, and what is missing. `unread` files of the table could not be read, or were left out.
    pub(super) fn tell(
        self,
        table: &Table,
        facts: Option<&TableFacts>,
        unread: usize,
        log: &dyn LogView,
        findings: &Findings,
    ) {
        for (number, partition) in self.cover.partitions.iter().enumerate() {
            tell_declared(table, partition, findings);
            let mut holes: Vec<Range> = self.by_key.get(&number).cloned().unwrap_or_default();
            holes.extend(partition.between().into_iter().map(|(range, _)| range));
            holes.sort_unstable();
            let missing = without(&merge(holes.into_iter()), &partition.all_declared());
            let teller = Teller { table, facts, unread, log, findings, partition };
            missing.iter().take(TOLD_MAX).for_each(|hole| teller.tell(*hole));
            if let Some(rest) = missing.get(TOLD_MAX..).filter(|rest| !rest.is_empty()) {
                teller.tell_rest(rest);
            }
        }
    }
}

fn tell_declared(table: &Table, partition: &super::cover::Partition, findings: &Findings) {
    let causes = [
        (Cause::NoRecord, "hold no record (markers, compacted)"),
        (Cause::Damaged, "are lost: damaged in the log before they were read"),
        (Cause::Retention, "are lost: removed from the log before they were read"),
    ];
    for (cause, words) in causes {
        let ranges = partition.declared_as(cause);
        let offsets: u64 = ranges.iter().map(|(from, to)| from.abs_diff(*to)).fold(0, u64::saturating_add);
        let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else { continue };
        if ranges.len() > DECLARED_TOLD_MAX {
            let place = place(table).of_partition(partition.partition).offsets(*first, *last);
            let what = format!("the books declare that {offsets} offsets in {} ranges {words}", ranges.len());
            findings.add(Code::OffsetsDeclared, place, what);
            continue;
        }
        for (from, to) in ranges {
            let mut place = place(table).of_partition(partition.partition).offsets(from, to);
            place.version = partition.version_of(from);
            let what = format!("the books declare that {} offsets {words}", from.abs_diff(to));
            findings.add(Code::OffsetsDeclared, place, what);
        }
    }
}

/// Tells the holes of one partition.
struct Teller<'a> {
    table: &'a Table,
    facts: Option<&'a TableFacts>,
    unread: usize,
    log: &'a dyn LogView,
    findings: &'a Findings,
    partition: &'a super::cover::Partition,
}

impl Teller<'_> {
    fn tell(&self, (from, to): Range) {
        let one = self.partition;
        let stretches = match self.log.stretches(&one.topic, &one.incarnation, one.partition, from, to) {
            Ok(stretches) => stretches,
            Err(unable) => {
                self.findings.unable(unable);
                vec![(from, to, InLog::Unknown)]
            }
        };
        let mut merged: Vec<(i64, i64, InLog)> = Vec::new();
        for (begin, end, state) in stretches {
            match merged.last_mut() {
                Some((_, last, before)) if *before == state && *last == begin => *last = end,
                _ => merged.push((begin, end, state)),
            }
        }
        for (begin, end, state) in merged {
            self.tell_stretch(begin, end, state);
        }
    }

    fn tell_stretch(&self, from: i64, to: i64, state: InLog) {
        let offsets = from.abs_diff(to);
        let version = self.partition.version_of(from);
        let (code, why) = match state {
            InLog::Record => (Code::OffsetsLost, "still in the log: lost by us, or removed from the table".to_owned()),
            InLog::NoRecord => {
                (Code::OffsetsLost, "the log never had a record there, but the books do not declare it".to_owned())
            }
            InLog::Damaged => (Code::OffsetsLost, "damaged in the log, but the books do not declare it".to_owned()),
            InLog::Gone => (Code::OffsetsRetention, format!("no longer in the log{}", self.span(from, to))),
            InLog::Never | InLog::Unknown if version.is_some() => {
                (Code::OffsetsLost, "in the commit by its books; the log does not tell".to_owned())
            }
            InLog::Never | InLog::Unknown => {
                (Code::OffsetsLost, "commits before and behind were made; the log does not tell".to_owned())
            }
        };
        let covered = if version.is_some() { "" } else { ", and in no commit" };
        let are = if offsets == 1 { "offset is" } else { "offsets are" };
        let unread = match self.unread {
            0 => String::new(),
            files => format!("; {files} files of the table were not read"),
        };
        let mut place = place(self.table).of_partition(self.partition.partition).offsets(from, to);
        place.version = version;
        self.findings.add(code, place, format!("{offsets} {are} in no row{covered}: {why}{unread}"));
    }

    /// When the records around a hole were written.
    fn span(&self, from: i64, to: i64) -> String {
        let Some(facts) = self.facts else { return String::new() };
        let at = |offset: i64| -> Wanted { (self.partition.incarnation.clone(), self.partition.partition, offset) };
        let (before, behind) = (at(from.saturating_sub(1)), at(to));
        let rows = lookup::rows(self.table, facts, &[before.clone(), behind.clone()], self.findings);
        let time = |wanted: &Wanted| {
            let us = rows.get(wanted).and_then(|rows| rows.iter().find_map(|row: &Found| row.timestamp_us));
            us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok()).map(|time| time.to_string())
        };
        match (time(&before), time(&behind)) {
            (None, None) => String::new(),
            (before, behind) => {
                let open = || "the end of what is here".to_owned();
                format!("; written between {} and {}", before.unwrap_or_else(open), behind.unwrap_or_else(open))
            }
        }
    }

    fn tell_rest(&self, rest: &[Range]) {
        let offsets: u64 = rest.iter().map(|(from, to)| from.abs_diff(*to)).fold(0, u64::saturating_add);
        let (Some((from, _)), Some((_, to))) = (rest.first(), rest.last()) else { return };
        let place = place(self.table).of_partition(self.partition.partition).offsets(*from, *to);
        let what = format!("{} more holes of {offsets} offsets, not held against the log one by one", rest.len());
        self.findings.add(Code::OffsetsLost, place, what);
    }
}
