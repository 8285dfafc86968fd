//! Each append carries on where the one before ended: offsets, totals, identity, time.

use super::place;
use super::sequence::Step;
use crate::books::{Books, Counts};
use crate::finding::{Code, Findings};
use crate::lake::Table;
use crate::rows::Layer;
use std::collections::{BTreeMap, HashSet};

/// What the next append must carry on.
pub(super) struct Chain<'a> {
    table: &'a Table,
    layer: Layer,
    /// Next offset by incarnation and partition, as far as it is known.
    ends: BTreeMap<(String, i32), i64>,
    /// The newest append, if it is known.
    previous: Option<Books>,
    /// Whether nothing was before, or all of it was seen.
    known: bool,
    /// Whether an append named the one that it follows: since then each must.
    follows: bool,
    ids: HashSet<String>,
    pipeline_told: bool,
}

impl<'a> Chain<'a> {
    pub(super) fn begin(table: &'a Table, layer: Layer) -> Self {
        Self {
            table,
            layer,
            ends: BTreeMap::new(),
            previous: None,
            known: true,
            follows: false,
            ids: HashSet::new(),
            pipeline_told: false,
        }
    }

    /// Takes the next version; without findings nothing is judged, only carried on.
    pub(super) fn follow(&mut self, step: &Step<'_>, findings: Option<&Findings>) {
        if step.unknown {
            // What came before is not known: from here it is carried on anew.
            (self.known, self.previous) = (false, None);
            self.ends.clear();
        }
        let Some(books) = step.books else { return };
        if let Some(findings) = findings {
            self.check_identity(step.version, books, findings);
        }
        if books.kind == "rewind" {
            self.ends.clear();
        }
        let Some(books) = step.append() else { return };
        if let Some(findings) = findings {
            self.check_follows(step.version, books, findings);
            self.check_totals(step.version, books, findings);
            self.check_time(step.version, books, findings);
        }
        for entry in &books.entries {
            let end = self.ends.insert((books.incarnation.clone(), entry.partition), entry.to);
            if let (Some(findings), Some(end)) = (findings, end)
                && end != entry.from
            {
                let place = place(self.table, step.version)
                    .of_partition(entry.partition)
                    .offsets(end.min(entry.from), end.max(entry.from));
                let what = format!("it begins at offset {}, the commit before ended at {end}", entry.from);
                findings.add(Code::BooksChain, place, what);
            }
        }
        self.follows |= books.follows.is_some();
        (self.known, self.previous) = (true, Some(books.clone()));
    }

    fn check_identity(&mut self, version: u64, books: &Books, findings: &Findings) {
        if !books.commit_id.is_empty() && !self.ids.insert(books.commit_id.clone()) {
            let what = "its commit_id was used by a version before: one commit was made twice";
            findings.add(Code::BooksChain, place(self.table, version), what);
        }
        let ours = self.table.metadata.configuration.get("watertight.pipeline");
        if let Some(ours) = ours
            && *ours != books.pipeline
            && !self.pipeline_told
        {
            self.pipeline_told = true;
            let what = format!("its books are of pipeline {}, the table belongs to {ours}", books.pipeline);
            findings.add(Code::BooksPosition, place(self.table, version), what);
        }
    }

    fn check_follows(&self, version: u64, books: &Books, findings: &Findings) {
        let wrong = match (&books.follows, &self.previous) {
            (Some(named), Some(previous)) => (*named != previous.commit_id)
                .then(|| format!("it follows {named}, the append before is {}", previous.commit_id)),
            (Some(named), None) if self.known => Some(format!("it follows {named}, and no append is before it")),
            (None, Some(previous)) if self.follows => {
                Some(format!("it does not name the append that it follows, which is {}", previous.commit_id))
            }
            _ => None,
        };
        if let Some(what) = wrong {
            findings.add(Code::BooksChain, place(self.table, version), what);
        }
    }

    fn check_totals(&self, version: u64, books: &Books, findings: &Findings) {
        let (totals, rows_total) = match &self.previous {
            Some(previous) => (previous.totals, previous.rows_total),
            None if self.known => (Counts::default(), 0),
            None => return,
        };
        let mut wrong = Vec::new();
        let mut compare = |name: &str, before: u64, added: u128, said: u64| {
            let expected = u128::from(before) + added;
            if expected != u128::from(said) {
                wrong.push(format!("{name} {said}, not {before} + {added}"));
            }
        };
        compare("rows_total", rows_total, books.rows.into(), books.rows_total);
        for (name, count) in COUNTS {
            let added = books.entries.iter().map(|entry| u128::from(count(&entry.outcome))).sum();
            compare(name, count(&totals), added, count(&books.totals));
        }
        if !wrong.is_empty() {
            let what = format!("its totals do not carry on those before: {}", wrong.join(", "));
            findings.add(Code::BooksChain, place(self.table, version), what);
        }
    }

    /// What never goes back.
    fn check_time(&self, version: u64, books: &Books, findings: &Findings) {
        let Some(previous) = &self.previous else { return };
        let stream = |books: &Books| books.watermarks.as_ref().and_then(|watermarks| watermarks.stream_us);
        let mut times = vec![
            ("the stream's watermark", stream(previous), stream(books)),
            ("the largest event time", previous.largest_event_time_us, books.largest_event_time_us),
            ("the end of the closed windows", previous.closed_until_us, books.closed_until_us),
        ];
        if self.layer == Layer::Bronze {
            times.push(("the time of ingestion", Some(previous.ingested_at_us), Some(books.ingested_at_us)));
        }
        for (name, before, now) in times {
            let what = match (before, now) {
                (Some(before), Some(now)) if now < before => format!("{name} goes back from {before} to {now} µs"),
                (Some(before), None) => format!("{name} was {before} µs, and is not said"),
                _ => continue,
            };
            findings.add(Code::BooksChain, place(self.table, version), what);
        }
    }
}

type CountOf = fn(&Counts) -> u64;

const COUNTS: [(&str, CountOf); 11] = [
    ("records", |counts| counts.records),
    ("no_record", |counts| counts.no_record),
    ("lost", |counts| counts.lost),
    ("silver", |counts| counts.silver),
    ("duplicates", |counts| counts.duplicates),
    ("dead_letters", |counts| counts.dead_letters),
    ("withheld", |counts| counts.withheld),
    ("erased", |counts| counts.erased),
    ("late", |counts| counts.late),
    ("future", |counts| counts.future),
    ("unknown_fields", |counts| counts.unknown_fields),
];
