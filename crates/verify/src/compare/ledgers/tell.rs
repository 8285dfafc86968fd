//! Telling what was found of ledgers: offsets joined to ranges, single ones with their id; and how far each speaks.

use super::lines::Ledger;
use super::{Found, doubt};
use crate::compare::conservation::ranges;
use crate::compare::stream::Stream;
use crate::finding::{Code, Findings, KEPT_PER_CODE, Place, Unable};
use crate::report::{LedgerRange, LedgerReport};
use crate::request::Request;
use std::collections::{BTreeMap, BTreeSet};

/// Where an id that was acknowledged is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missing {
    /// Above bronze's position, and the log ends below it.
    BehindTheLog,
    /// Above bronze's position, and the log has it no longer.
    GoneFromTheLog,
    /// Above bronze's position, and the log has no record there.
    NotInTheLog,
    /// In bronze.
    Bronze,
    /// In silver and among the dead letters.
    Silver,
}

impl Missing {
    fn in_words(self) -> &'static str {
        match self {
            Self::BehindTheLog => {
                "acknowledged, and in neither bronze nor the log, which ends below: the log has lost it, or is an older copy"
            }
            Self::GoneFromTheLog => {
                "acknowledged and not in bronze, and no longer in the log: removed before it was read"
            }
            Self::NotInTheLog => "acknowledged and not in bronze, and the log has no record there that can be read",
            Self::Bronze => "acknowledged and not in bronze",
            Self::Silver => "acknowledged and in bronze, its id is neither in silver nor a dead letter's",
        }
    }
}

/// How far a ledger speaks. `above` are the records of bronze behind that which no ledger names, by partition.
pub(super) fn report(ledger: &Ledger, above: &BTreeMap<i32, u64>, request: &Request) -> LedgerReport {
    let numbers: BTreeSet<i32> = ledger.last.keys().chain(above.keys()).copied().collect();
    let of = |counts: &BTreeMap<i32, u64>, partition: i32| counts.get(&partition).copied().unwrap_or(0);
    let range = |partition: i32| LedgerRange {
        partition,
        to: ledger.last.get(&partition).map(|last| last.saturating_add(1)),
        above: of(above, partition),
        before: of(&ledger.before, partition),
        ahead: of(&ledger.ahead, partition),
    };
    LedgerReport {
        file: ledger.path.display().to_string(),
        topic: ledger.header.topic.clone(),
        incarnation: ledger.header.incarnation.clone(),
        partitions: numbers.into_iter().filter(|number| request.scope.has_partition(*number)).map(range).collect(),
    }
}

/// Enters what was found, ranges joined; single ones with their id.
pub(super) fn tell(stream: &Stream<'_>, read: &[Ledger], found: Found, findings: &Findings) {
    let mut told = Vec::new();
    for ((ledger, partition, missing), mut offsets) in found.missing {
        let table = if missing == Missing::Silver { stream.silver.0 } else { stream.bronze.0 };
        let what = missing.in_words();
        for range in ranges(&mut offsets) {
            told.push((Code::LedgerMissing, table.name.to_string(), ledger, partition, range, what));
        }
    }
    for ((ledger, partition), mut offsets) in found.other_id {
        for range in ranges(&mut offsets) {
            let what = "the record in bronze has another id than its producer was told at this position";
            told.push((Code::LedgerPosition, stream.bronze.0.name.to_string(), ledger, partition, range, what));
        }
    }
    for (number, ledger) in (0_u16..).zip(read) {
        let own = || told.iter().filter(|(_, _, of, ..)| *of == number);
        let wanted: BTreeSet<(i32, i64)> =
            own().take(KEPT_PER_CODE * 2).map(|(_, _, _, partition, range, _)| (*partition, range.0)).collect();
        let ids = if wanted.is_empty() { BTreeMap::new() } else { doubt::ids_at(&ledger.path, &wanted) };
        for (code, table, _, partition, (first, last, count), what) in own() {
            let place = Place::table(table).in_file(&ledger.path.display().to_string()).of_partition(*partition);
            let place = place.offsets(*first, last.saturating_add(1));
            let place = match ids.get(&(*partition, *first)) {
                Some(id) => place.event(id),
                None => place,
            };
            let what = match count {
                1 => (*what).to_owned(),
                count => format!("{what}: {count} ids between these offsets"),
            };
            findings.add(*code, place, what);
        }
    }
    let mut by_partition: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    found.extra.iter().for_each(|(partition, offset)| by_partition.entry(*partition).or_default().push(*offset));
    let silver = stream.silver.0.name.to_string();
    for (partition, mut offsets) in by_partition {
        for (first, last, count) in ranges(&mut offsets) {
            let place = Place::table(&silver).of_partition(partition).offsets(first, last.saturating_add(1));
            let what = match count {
                1 => "silver has an id here that none of the ledgers given names as far as bronze has come".to_owned(),
                count => format!(
                    "silver has {count} ids between these offsets that none of the ledgers given names as far as bronze has come"
                ),
            };
            findings.add(Code::LedgerExtra, place, what);
        }
    }
    if found.more_above > 0 {
        let why = format!(
            "whether {} more ids of silver, above the end of a ledger and in none, were sent and never acknowledged is not \
             known: they are too many to look up; give the ledgers that have them",
            found.more_above
        );
        findings.unable(Unable { place: Place::table(&silver), why });
    }
    if found.more_extra > 0 {
        let what = format!("{} more ids of silver that none of the ledgers given names", found.more_extra);
        findings.add(Code::LedgerExtra, Place::table(&silver), what);
    }
}
