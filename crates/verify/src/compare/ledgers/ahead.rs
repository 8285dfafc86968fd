//! Acknowledged records at or above bronze's position: the log must have them.
//!
//! What the log has there comes to the tables later, and is counted. What it does not have can never come: it is missing,
//! and lost before it was read. Where the log is not at hand, is another, or cannot be read, nobody knows: that is entered
//! as what could not be checked, and is neither fine nor lost.

use super::range::next_offset;
use super::{Found, Ledger, Missing, file, keep};
use crate::finding::{Findings, Place, Unable};
use crate::lake::Table;
use crate::request::{InLog, LogView, Request};
use std::collections::BTreeMap;

/// What the log says of a partition, from bronze's position to the last offset that the ledger acknowledges.
struct Told {
    /// In order.
    stretches: Vec<(i64, i64, InLog)>,
    /// Why nothing is known, where it could not be asked.
    refused: Option<String>,
    /// First and last line of which nothing is known, and how many there are.
    unknown: Option<(i64, i64, u64)>,
}

impl Told {
    fn at(&self, offset: i64) -> Option<InLog> {
        let index = self.stretches.partition_point(|(_, to, _)| *to <= offset);
        self.stretches.get(index).filter(|(from, ..)| *from <= offset).map(|(_, _, state)| *state)
    }
}

/// Holds the lines of a ledger that bronze has not come to against the log.
pub(super) fn check(
    bronze: &Table,
    (number, ledger): (u16, &mut Ledger),
    log: &dyn LogView,
    request: &Request,
    found: &mut Found,
    findings: &Findings,
) -> Result<(), Unable> {
    let mut told = ask(bronze, ledger, log, request);
    if told.is_empty() {
        return Ok(());
    }
    // Lines that came since the ledger was read lie in no stretch.
    let ahead = &mut ledger.ahead;
    file::read(&ledger.path, &mut |line| {
        let Some(of) = told.get_mut(&line.partition) else { return Ok(()) };
        let missing = match of.at(line.offset) {
            None => return Ok(()),
            Some(InLog::Record) => {
                let count = ahead.entry(line.partition).or_default();
                *count = count.saturating_add(1);
                return Ok(());
            }
            Some(InLog::Unknown) => {
                let (first, last, count) = of.unknown.unwrap_or((line.offset, line.offset, 0));
                of.unknown = Some((first.min(line.offset), last.max(line.offset), count.saturating_add(1)));
                return Ok(());
            }
            Some(InLog::Never) => Missing::BehindTheLog,
            Some(InLog::Gone) => Missing::GoneFromTheLog,
            Some(InLog::NoRecord | InLog::Damaged) => Missing::NotInTheLog,
        };
        keep(found.missing.entry((number, line.partition, missing)).or_default(), line.offset);
        Ok(())
    })?;
    for (partition, Told { refused, unknown, .. }) in told {
        let Some((first, last, count)) = unknown else { continue };
        let place = Place::default().in_file(&ledger.path.display().to_string()).of_partition(partition);
        let why = refused.unwrap_or_else(|| {
            "the log was not given, or is another, or a transaction is open there before them: verify with -f and the log \
             of then, or once bronze has come so far"
                .to_owned()
        });
        let why = format!("whether the log has {count} acknowledged ids above bronze's position is not known: {why}");
        findings.unable(Unable { place: place.offsets(first, last.saturating_add(1)), why });
    }
    Ok(())
}

/// Asks the log about each partition of which the ledger has more than bronze.
fn ask(bronze: &Table, ledger: &Ledger, log: &dyn LogView, request: &Request) -> BTreeMap<i32, Told> {
    let mut told = BTreeMap::new();
    for (partition, last) in &ledger.last {
        let (topic, incarnation) = (&ledger.header.topic, &ledger.header.incarnation);
        let (next, end) = (next_offset(bronze, incarnation, *partition), last.saturating_add(1));
        if next >= end || !request.scope.has_partition(*partition) {
            continue;
        }
        let (stretches, refused) = match log.stretches(topic, incarnation, *partition, next, end) {
            Ok(stretches) => (stretches, None),
            Err(unable) => (vec![(next, end, InLog::Unknown)], Some(unable.why)),
        };
        told.insert(*partition, Told { stretches, refused, unknown: None });
    }
    told
}
