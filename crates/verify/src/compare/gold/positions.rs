//! Gold's positions are a place at which silver stood: after one of its commits, in every partition at once.
//!
//! Gold folds whole commits of silver. A position in the midst of one, moved by hand, would make the next run fold rows
//! again, or pass over some; the rows that are there tell nothing of it. Where silver's log no longer reaches back to its
//! first version, the places at which it stood are not all known, and nothing is said.

use crate::finding::{Code, Findings, Place};
use crate::lake::{Commit, PositionKey, Table};
use crate::request::Scope;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_128;

/// Next offset by position key, as text.
type Positions = BTreeMap<String, i64>;

/// Enters each append of gold whose positions silver never had.
pub(super) fn check(gold: &Table, silver: &Table, scope: &Scope, findings: &Findings) {
    let whole = |table: &Table| table.commits.first().is_some_and(|first| first.version == 0);
    if !whole(gold) || !whole(silver) {
        return;
    }
    let name = gold.name.to_string();
    let (mut at, mut stood) = (Positions::new(), BTreeSet::new());
    for commit in silver.commits.iter().filter(|commit| commit.is_append()) {
        go_on(&mut at, commit);
        stood.insert(key(&of_life(&at, commit)));
    }
    let mut at = Positions::new();
    for commit in gold.commits.iter().filter(|commit| commit.is_append()) {
        go_on(&mut at, commit);
        let here = of_life(&at, commit);
        if !here.is_empty()
            && !stood.contains(&key(&here))
            && scope.has_version(&gold.name, commit.version, commit.timestamp_us)
        {
            let place = Place::table(&name).at_version(commit.version);
            let what = format!("its positions are {}, where {} never stood", shown(&here), silver.name);
            findings.add(Code::BooksPosition, place, what);
        }
    }
}

/// The positions in the life of the topic that the commit is of: those of earlier lives may have been left behind.
fn of_life(at: &Positions, commit: &Commit) -> Positions {
    let incarnation = commit.books().map(|books| books.incarnation.as_str()).unwrap_or_default();
    let is_of_it = |app: &str| PositionKey::parse(app).is_some_and(|key| key.incarnation == incarnation);
    at.iter().filter(|(app, _)| is_of_it(app)).map(|(app, next)| (app.clone(), *next)).collect()
}

fn go_on(at: &mut Positions, commit: &Commit) {
    at.extend(commit.txns.iter().filter(|(app, _)| PositionKey::parse(app).is_some()).cloned());
}

fn key(at: &Positions) -> u128 {
    let mut bytes = Vec::new();
    for (app, next) in at {
        bytes.extend_from_slice(&(app.len() as u64).to_le_bytes());
        bytes.extend_from_slice(app.as_bytes());
        bytes.extend_from_slice(&next.to_le_bytes());
    }
    xxh3_128(&bytes)
}

/// `partition 0 at 15, partition 1 at 7`, eight at most.
fn shown(at: &Positions) -> String {
    let parts: Vec<String> = at
        .iter()
        .filter_map(|(app, next)| Some(format!("partition {} at {next}", PositionKey::parse(app)?.partition)))
        .take(8)
        .collect();
    parts.join(", ")
}
