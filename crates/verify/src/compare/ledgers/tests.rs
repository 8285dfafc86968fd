//! Ledgers against a little bronze: what they have above its position, and how far each of them speaks.

use super::check;
use crate::compare::stream::Stream;
use crate::finding::{Code, Findings, Kept, Place, Unable};
use crate::report::LedgerRange;
use crate::request::{InLog, LogView, NoLog};
use crate::rows::little_table::{LIFE, LittleTable, TOPIC, bronze_columns, request, rows};
use std::path::PathBuf;

/// A log that has the records from the first offset up to, and without, the second.
struct Has(i64, i64);

impl LogView for Has {
    fn stretches(&self, _: &str, _: &str, _: i32, from: i64, to: i64) -> Result<Vec<(i64, i64, InLog)>, Unable> {
        let Self(earliest, next) = *self;
        let parts = [
            (from, to.min(earliest), InLog::Gone),
            (from.max(earliest), to.min(next), InLog::Record),
            (from.max(next), to, InLog::Never),
        ];
        Ok(parts.into_iter().filter(|(from, to, _)| from < to).collect())
    }
}

/// A log that cannot be read.
struct Refuses;

impl LogView for Refuses {
    fn stretches(&self, _: &str, _: &str, _: i32, _: i64, _: i64) -> Result<Vec<(i64, i64, InLog)>, Unable> {
        Err(Unable { place: Place::default(), why: "the disk refused".to_owned() })
    }
}

/// Holds ledgers with lines of the offsets from one up to another against offsets 0 to 9 of partition 0 in bronze; silver is empty. Gives how
/// far each ledger speaks of which partition.
fn checked(ledgers: &[(i64, i64)], log: &dyn LogView) -> (Vec<Vec<LedgerRange>>, Kept) {
    let mut bronze = LittleTable::bronze();
    bronze.append(&rows(0, 0..10));
    held(&bronze, ledgers, log)
}

/// Holds ledgers against this bronze.
fn held(bronze: &LittleTable, ledgers: &[(i64, i64)], log: &dyn LogView) -> (Vec<Vec<LedgerRange>>, Kept) {
    let of = |schema: &str, name: &str| LittleTable::new(schema, name, bronze_columns(), "_event_date");
    let (silver, letters) = (of("silver", "orders"), of("bronze", "orders_dlq"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths: Vec<PathBuf> = Vec::new();
    for (number, (from, to)) in ledgers.iter().enumerate() {
        let header = serde_json::json!({"format": 1, "producer": "p", "topic": TOPIC, "incarnation": LIFE});
        let lines = (*from..*to).map(|offset| format!("{offset}\tid-{offset}\t0\t{offset}\n"));
        let path = folder.path().join(format!("acked-{number}"));
        std::fs::write(&path, format!("{header}\n{}", lines.collect::<String>())).expect("written");
        paths.push(path);
    }
    let findings = Findings::default();
    let facts = [bronze, &silver, &letters].map(|table| table.facts(&findings));
    let [of_bronze, of_silver, of_letters] = &facts;
    let tables = ((&bronze.table, of_bronze), (&silver.table, of_silver), (&letters.table, of_letters));
    let stream = Stream::new("orders", tables.0, tables.1, tables.2);
    let (parts, reports) = check(&paths, &[stream], log, &request(), &findings);
    assert_eq!(parts.len(), ledgers.len());
    (reports.into_iter().map(|report| report.partitions).collect(), findings.into_kept())
}

fn range(to: Option<i64>, above: u64, ahead: u64) -> LedgerRange {
    LedgerRange { partition: 0, to, above, before: 0, ahead }
}

/// Code, offsets and event of each finding.
fn told(kept: &Kept) -> Vec<(Code, Option<(i64, i64)>, Option<&str>)> {
    let one = kept.findings.iter();
    one.map(|found| (found.code, found.place.offsets, found.place.event_id.as_deref())).collect()
}

#[test]
fn what_the_log_has_above_bronze_is_ahead_and_what_it_has_not_is_missing() {
    let (speaks, kept) = checked(&[(0, 12)], &Has(0, 11));
    assert_eq!(told(&kept), [(Code::LedgerMissing, Some((11, 12)), Some("id-11"))]);
    assert!(kept.findings[0].what.contains("the log has lost it"), "{}", kept.findings[0].what);
    assert_eq!((speaks, kept.unable.len()), (vec![vec![range(Some(12), 0, 1)]], 0));
    let (_, kept) = checked(&[(0, 12)], &Has(0, 12));
    assert_eq!((told(&kept), kept.unable.len()), (vec![], 0));
    let (_, kept) = checked(&[(0, 12)], &Has(15, 20));
    assert_eq!(told(&kept), [(Code::LedgerMissing, Some((10, 12)), Some("id-10"))]);
    let what = &kept.findings[0].what;
    assert!(what.contains("no longer in the log") && what.contains("2 ids"), "{what}");
}

#[test]
fn what_lies_above_bronze_is_neither_fine_nor_lost_where_the_log_does_not_tell() {
    let logs: [(&dyn LogView, &str); 2] = [(&NoLog, "the log was not given"), (&Refuses, "the disk refused")];
    for (log, why) in logs {
        let (speaks, kept) = checked(&[(0, 12)], log);
        assert_eq!((told(&kept), kept.unable.len()), (vec![], 1));
        let Unable { place, why: said } = &kept.unable[0];
        assert!(said.contains("2 acknowledged ids above bronze's position") && said.contains(why), "{said}");
        assert_eq!((place.partition, place.offsets), (Some(0), Some((10, 12))));
        assert_eq!(speaks, [[range(Some(12), 0, 0)]]);
        let (_, kept) = checked(&[(0, 10)], log);
        assert_eq!((told(&kept), kept.unable.len()), (vec![], 0), "nothing has to be asked");
    }
}

#[test]
fn a_ledger_speaks_up_to_its_last_line_and_what_bronze_has_above_that_is_counted() {
    let (speaks, _) = checked(&[(0, 10)], &NoLog);
    assert_eq!(speaks, [[range(Some(10), 0, 0)]]);
    let (speaks, kept) = checked(&[(0, 7)], &NoLog);
    assert_eq!(speaks, [[range(Some(7), 3, 0)]]);
    // Headers that name no producer: nothing of it is in doubt.
    assert_eq!(told(&kept), [(Code::LedgerExtra, Some((7, 10)), None)]);
    let (speaks, _) = checked(&[(0, 0)], &NoLog);
    assert_eq!(speaks, [[range(None, 10, 0)]]);
    let (speaks, kept) = checked(&[(0, 7), (7, 10)], &NoLog);
    assert_eq!(speaks, [[range(Some(7), 0, 0)], [range(Some(10), 0, 0)]]);
    assert_eq!(told(&kept), []);
}

#[test]
fn what_lies_below_where_bronze_begins_was_not_asked_for() {
    let mut bronze = LittleTable::bronze();
    bronze.begin(&[(0, 500)]);
    bronze.append(&rows(0, 500..505));
    let (speaks, kept) = held(&bronze, &[(490, 505)], &NoLog);
    assert_eq!((told(&kept), kept.unable.len()), (vec![], 0));
    assert_eq!(speaks, [[LedgerRange { before: 10, ..range(Some(505), 0, 0) }]]);
    bronze.append(&rows(0, 507..509));
    let (_, kept) = held(&bronze, &[(490, 509)], &NoLog);
    assert_eq!(told(&kept), [(Code::LedgerMissing, Some((505, 507)), Some("id-505"))]);
}
