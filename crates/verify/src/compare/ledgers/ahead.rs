//! Acknowledged records at or above bronze's position: the log must have them.
//!
//! What the log has there comes to the tables later, and is counted. What it does not have can never come: it is missing,
//! and lost before it was read. A pipeline that runs may have read it meanwhile, and retention removed it behind that: so
//! bronze is looked at once more before something is said to be gone. Where the log is not at hand, is another, or cannot
//! be read, nobody knows: that is entered as what could not be checked, and is neither fine nor lost.

use super::lines::{Ledger, Unknown};
use super::range::next_offset;
use super::{Beside, Found, Missing, file, keep};
use crate::books::{Cause, Declared};
use crate::finding::{Findings, Unable};
use crate::lake::Table;
use crate::request::{InLog, Request};
use std::collections::BTreeMap;

/// What the log says of a partition, from bronze's position to the last offset that the ledger acknowledges.
struct Told {
    /// In order.
    stretches: Vec<(i64, i64, InLog)>,
    /// Why nothing is known, where it could not be asked.
    refused: Option<String>,
    /// What bronze has come to since, where that had to be asked and could be.
    since: Option<Since>,
    /// Lines of which nothing is known.
    unknown: Option<Unknown>,
}

/// What bronze has come to since it was looked at first.
struct Since {
    next: i64,
    /// Offsets of which its commits since say that they hold no record, or are lost; by their beginning.
    declared: Vec<Declared>,
}

/// What becomes of an acknowledged record.
enum Fate {
    /// The tables come to it, or have since.
    Comes,
    Unknown,
    Missing(Missing),
}

impl Told {
    fn fate(&self, offset: i64) -> Option<Fate> {
        let index = self.stretches.partition_point(|(_, to, _)| *to <= offset);
        let (_, _, state) = self.stretches.get(index).filter(|(from, ..)| *from <= offset)?;
        Some(match (state, &self.since) {
            (InLog::Record, _) => Fate::Comes,
            (InLog::Unknown, _) | (InLog::Gone, None) => Fate::Unknown,
            (InLog::Never, _) => Fate::Missing(Missing::BehindTheLog),
            (InLog::NoRecord | InLog::Damaged, _) => Fate::Missing(Missing::NotInTheLog),
            (InLog::Gone, Some(since)) => since.fate(offset),
        })
    }
}

impl Since {
    /// Of a partition, by bronze as it was and as it is now.
    fn of(then: &Table, now: &Table, incarnation: &str, partition: i32) -> Self {
        let commits = now.commits.iter().filter(|commit| commit.version > then.version && commit.is_append());
        let books = commits.filter_map(|commit| commit.books()).filter(|books| books.incarnation == incarnation);
        let entries = books.flat_map(|books| &books.entries).filter(|entry| entry.partition == partition);
        let mut declared: Vec<Declared> = entries.flat_map(|entry| &entry.gaps).copied().collect();
        declared.sort_unstable_by_key(|gap| gap.from);
        Self { next: next_offset(now, incarnation, partition), declared }
    }

    /// Of an offset that the log no longer has.
    fn fate(&self, offset: i64) -> Fate {
        let behind = self.declared.partition_point(|gap| gap.from <= offset);
        let gap = behind.checked_sub(1).and_then(|at| self.declared.get(at)).filter(|gap| offset < gap.to);
        match gap.map(|gap| gap.cause) {
            None if offset < self.next => Fate::Comes,
            None | Some(Cause::Retention) => Fate::Missing(Missing::GoneFromTheLog),
            Some(Cause::NoRecord | Cause::Damaged) => Fate::Missing(Missing::NotInTheLog),
        }
    }
}

/// Holds the lines of a ledger that bronze has not come to against the log.
pub(super) fn check(
    bronze: &Table,
    (number, ledger): (u16, &mut Ledger),
    beside: &Beside<'_>,
    request: &Request,
    found: &mut Found,
    findings: &Findings,
) -> Result<(), Unable> {
    let mut told = ask(bronze, ledger, beside, request);
    if told.is_empty() {
        return Ok(());
    }
    look_again(bronze, ledger, &mut told, beside);
    // Lines that came since the ledger was read lie in no stretch.
    let ahead = &mut ledger.ahead;
    file::read(&ledger.path, &mut |line| {
        let Some(of) = told.get_mut(&line.partition) else { return Ok(()) };
        match of.fate(line.offset) {
            None => {}
            Some(Fate::Comes) => {
                let count = ahead.entry(line.partition).or_default();
                *count = count.saturating_add(1);
            }
            Some(Fate::Unknown) => of.unknown.get_or_insert(Unknown::at(line.offset)).note(line.offset),
            Some(Fate::Missing(missing)) => {
                keep(found.missing.entry((number, line.partition, missing)).or_default(), line.offset);
            }
        }
        Ok(())
    })?;
    for (partition, Told { refused, unknown, .. }) in told {
        let Some(unknown) = unknown else { continue };
        let why = refused.unwrap_or_else(|| {
            "the log was not given, or is another, or a transaction is open there before them: verify with -f and the log \
             of then, or once bronze has come so far"
                .to_owned()
        });
        let count = unknown.count;
        let why = format!("whether the log has {count} acknowledged ids above bronze's position is not known: {why}");
        unknown.tell(&ledger.path, partition, why, findings);
    }
    Ok(())
}

/// Asks the log about each partition of which the ledger has more than bronze.
fn ask(bronze: &Table, ledger: &Ledger, beside: &Beside<'_>, request: &Request) -> BTreeMap<i32, Told> {
    let mut told = BTreeMap::new();
    for (partition, last) in &ledger.last {
        let (topic, incarnation) = (&ledger.header.topic, &ledger.header.incarnation);
        let (next, end) = (next_offset(bronze, incarnation, *partition), last.saturating_add(1));
        if next >= end || !request.scope.has_partition(*partition) {
            continue;
        }
        let (stretches, refused) = match beside.log.stretches(topic, incarnation, *partition, next, end) {
            Ok(stretches) => (stretches, None),
            Err(unable) => (vec![(next, end, InLog::Unknown)], Some(unable.why)),
        };
        told.insert(*partition, Told { stretches, refused, since: None, unknown: None });
    }
    told
}

/// Looks at bronze as it is now, where the log no longer has something that bronze lacked: it had it before it went.
fn look_again(bronze: &Table, ledger: &Ledger, told: &mut BTreeMap<i32, Told>, beside: &Beside<'_>) {
    let is_gone = |of: &Told| of.stretches.iter().any(|(_, _, state)| *state == InLog::Gone);
    if !told.values().any(is_gone) {
        return;
    }
    let now = (beside.now)(&bronze.name).map_err(|unable| unable.why).and_then(|now| {
        let same = now.metadata.id == bronze.metadata.id;
        if same { Ok(now) } else { Err("it is another table by now".to_owned()) }
    });
    for (partition, of) in told.iter_mut().filter(|(_, of)| is_gone(of)) {
        match &now {
            Ok(now) => of.since = Some(Since::of(bronze, now, &ledger.header.incarnation, *partition)),
            Err(why) => {
                let why = format!("the log no longer has all of it, and bronze could not be looked at again: {why}");
                of.refused = Some(why);
            }
        }
    }
}
