//! Positions (`txn`): what the entries of the same commit say, never going back, and in the end what the table has.

use super::place;
use super::sequence::Step;
use crate::books::Books;
use crate::finding::{Code, Findings, Place};
use crate::lake::{PositionKey, Table};
use crate::rows::Layer;
use std::collections::BTreeMap;

/// Positions as the commits of ours moved them.
pub(super) struct Followed<'a> {
    table: &'a Table,
    layer: Layer,
    /// By application id: what it is now.
    now: BTreeMap<String, i64>,
    /// Whether all that moved positions was seen.
    known: bool,
}

fn place_of(table: &Table, version: u64, app_id: &str) -> Place {
    let mut place = place(table, version);
    place.partition = PositionKey::parse(app_id).map(|key| key.partition);
    place
}

fn expected(books: &Books) -> BTreeMap<String, i64> {
    let key = |partition: i32| {
        let Books { pipeline, topic, incarnation, .. } = books;
        format!("watertight/{pipeline}/{topic}/{incarnation}/{partition}")
    };
    books.entries.iter().map(|entry| (key(entry.partition), entry.to)).collect()
}

impl<'a> Followed<'a> {
    pub(super) fn begin(table: &'a Table, layer: Layer) -> Self {
        Self { table, layer, now: BTreeMap::new(), known: true }
    }

    /// Takes the next version; without findings nothing is judged, only carried on.
    pub(super) fn follow(&mut self, step: &Step<'_>, findings: Option<&Findings>) {
        self.known &= !step.unknown;
        let covers = matches!(self.layer, Layer::Bronze | Layer::Silver | Layer::DeadLetters | Layer::Gaps);
        let said: BTreeMap<String, i64> = match (step.books, step.commit) {
            // From a copy: its entries tell the positions.
            (Some(books), None) => expected(books),
            (Some(_), Some(commit)) => commit.txns.iter().cloned().collect(),
            // Unreadable: taken as it stands. Another program's: it had none to move.
            (None, Some(commit)) if step.unknown => commit.txns.iter().cloned().collect(),
            (None, _) => BTreeMap::new(),
        };
        if let (Some(findings), Some(books), Some(_)) = (findings, step.books, step.commit) {
            if covers {
                self.compare(step.version, &expected(books), &said, findings);
            }
            self.check_moves(step, books, &said, findings);
        }
        // Where entry and books differ, the books tell what it should be in the end.
        let moved = match step.append() {
            Some(books) if covers => expected(books),
            _ => said,
        };
        self.now.extend(moved);
    }

    fn compare(
        &self,
        version: u64,
        expected: &BTreeMap<String, i64>,
        said: &BTreeMap<String, i64>,
        findings: &Findings,
    ) {
        for (app_id, to) in expected {
            let what = match said.get(app_id) {
                Some(position) if position == to => continue,
                Some(position) => format!("the position of {app_id} is {position}, the books end at {to}"),
                None => format!("the position of {app_id} is not there, the books end at {to}"),
            };
            findings.add(Code::BooksPosition, place_of(self.table, version, app_id), what);
        }
        for (app_id, position) in said.iter().filter(|(app_id, _)| !expected.contains_key(*app_id)) {
            let what = format!("there is a position {position} of {app_id}, of which the books have no entry");
            findings.add(Code::BooksPosition, place_of(self.table, version, app_id), what);
        }
    }

    fn check_moves(&self, step: &Step<'_>, books: &Books, said: &BTreeMap<String, i64>, findings: &Findings) {
        if books.kind == "rewind" {
            return;
        }
        for (app_id, position) in said {
            let before = self.now.get(app_id);
            let what = match (before, PositionKey::parse(app_id)) {
                (_, None) => format!("'{app_id}' is not the key of a position"),
                (_, Some(key)) if key.pipeline != books.pipeline => {
                    format!("it moves a position of pipeline {}, its books are of {}", key.pipeline, books.pipeline)
                }
                (Some(before), _) if position < before => {
                    format!("the position of {app_id} goes back from {before} to {position}")
                }
                _ => continue,
            };
            findings.add(Code::BooksPosition, place_of(self.table, step.version, app_id), what);
        }
    }

    /// Compares with what the table holds in the end.
    pub(super) fn end(self, findings: &Findings) {
        let version = self.table.version;
        let stored = &self.table.txns;
        for (app_id, to) in &self.now {
            let what = match stored.get(app_id) {
                Some(position) if position == to => continue,
                Some(position) => format!("the table's position of {app_id} is {position}, its commits end at {to}"),
                None => format!("the table has no position of {app_id}, its commits end at {to}"),
            };
            findings.add(Code::BooksPosition, place_of(self.table, version, app_id), what);
        }
        if !self.known {
            return;
        }
        for (app_id, position) in stored {
            if app_id.starts_with("watertight/") && !self.now.contains_key(app_id) {
                let what = format!("the table has a position {position} of {app_id}, which no commit of ours made");
                findings.add(Code::BooksPosition, place_of(self.table, version, app_id), what);
            }
        }
    }
}
