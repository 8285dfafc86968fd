//! Ledgers against a little bronze: what they have below its beginning and above its position, and how far each of them
//! speaks.

use super::join::{AHEAD, Known, LINE, NAMED, Named, SILVER};
use super::lines::{self, Ledger, Sets};
use super::range::Beginnings;
use super::{Beside, Found, POSITIONS_KEPT_MAX, check};
use crate::books::copies::Copies;
use crate::books::{Cause, Declared};
use crate::compare::stream::Stream;
use crate::finding::{Code, Findings, Kept, Place, Unable};
use crate::lake::{Metadata, Origin, Table, TableName};
use crate::report::LedgerRange;
use crate::request::{InLog, LogView, NoLog};
use crate::rows::TableFacts;
use crate::rows::little_table::{LIFE, LittleTable, TOPIC, bronze_columns, request, rows};
use crate::spill::Buckets;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// Holds ledgers against this bronze, to which nobody commits meanwhile.
fn held(bronze: &LittleTable, ledgers: &[(i64, i64)], log: &dyn LogView) -> (Vec<Vec<LedgerRange>>, Kept) {
    held_beside(bronze, ledgers, log, &Copies::new(), &Ok(bronze.table.clone()))
}

/// Writes a ledger with lines of the offsets from one up to another.
fn ledger(folder: &Path, number: usize, (from, to): (i64, i64)) -> PathBuf {
    let header = serde_json::json!({"format": 1, "producer": "p", "topic": TOPIC, "incarnation": LIFE});
    let lines = (from..to).map(|offset| format!("{offset}\tid-{offset}\t0\t{offset}\n"));
    let path = folder.join(format!("acked-{number}"));
    std::fs::write(&path, format!("{header}\n{}", lines.collect::<String>())).expect("written");
    path
}

/// Holds ledgers against this bronze, which by now is another.
fn held_beside(
    bronze: &LittleTable,
    ledgers: &[(i64, i64)],
    log: &dyn LogView,
    copies: &Copies,
    now: &Result<Table, Unable>,
) -> (Vec<Vec<LedgerRange>>, Kept) {
    let of = |schema: &str, name: &str| LittleTable::new(schema, name, bronze_columns(), "_event_date");
    let (silver, letters) = (of("silver", "orders"), of("bronze", "orders_dlq"));
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> =
        ledgers.iter().enumerate().map(|(number, lines)| ledger(folder.path(), number, *lines)).collect();
    let findings = Findings::default();
    let facts = [bronze, &silver, &letters].map(|table| table.facts(&findings));
    let [of_bronze, of_silver, of_letters] = &facts;
    let tables = ((&bronze.table, of_bronze), (&silver.table, of_silver), (&letters.table, of_letters));
    let stream = Stream::new("orders", tables.0, tables.1, tables.2);
    let now = |_: &TableName| now.clone();
    let beside = Beside { log, copies, now: &now };
    let (parts, reports) = check(&paths, &[stream], &beside, &request(), &findings);
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

/// Bronze that begins at 500 and has rows to 509, but for 505 and 506.
fn bronze_from_500() -> LittleTable {
    let mut bronze = LittleTable::bronze();
    bronze.begin(&[(0, 500)]);
    bronze.append(&rows(0, 500..505));
    bronze.append(&rows(0, 507..509));
    bronze
}

#[test]
fn where_bronze_begins_is_not_known_where_its_log_lost_its_beginning_and_nothing_below_is_missing() {
    for first in [1, 2, 3] {
        let mut bronze = bronze_from_500();
        let _copies = bronze.clean_up(first - 1);
        let (speaks, kept) = held(&bronze, &[(490, 509)], &NoLog);
        assert_eq!(told(&kept), [(Code::LedgerMissing, Some((505, 507)), Some("id-505"))], "from the oldest row on");
        assert_eq!(speaks, [[range(Some(509), 0, 0)]]);
        let Unable { place, why } = &kept.unable[0];
        assert_eq!((kept.unable.len(), place.partition, place.offsets), (1, Some(0), Some((490, 500))));
        assert!(why.contains("10 acknowledged ids is not known"), "{why}");
    }
    // Neither rows nor commits of the partition.
    let mut bronze = bronze_from_500();
    bronze.table.commits.clear();
    bronze.table.live.clear();
    let (_, kept) = held(&bronze, &[(490, 509)], &NoLog);
    assert_eq!((told(&kept), kept.unable.len()), (vec![], 1));
}

#[test]
fn copies_of_the_books_say_where_bronze_begins_where_its_log_lost_its_beginning() {
    let mut bronze = bronze_from_500();
    let mut copies = bronze.clean_up(2);
    let now = Ok(bronze.table.clone());
    let (speaks, kept) = held_beside(&bronze, &[(490, 509)], &NoLog, &copies, &now);
    assert_eq!(told(&kept), [(Code::LedgerMissing, Some((505, 507)), Some("id-505"))]);
    assert_eq!((kept.unable.len(), speaks), (0, vec![vec![LedgerRange { before: 10, ..range(Some(509), 0, 0) }]]));
    // The one with the beginning is lacking.
    copies.remove(&("bronze.orders".to_owned(), 1));
    let (_, kept) = held_beside(&bronze, &[(490, 509)], &NoLog, &copies, &now);
    assert_eq!((kept.unable.len(), kept.unable[0].place.offsets), (1, Some((490, 500))));
}

#[test]
fn what_bronze_has_read_and_retention_removed_meanwhile_is_not_gone_unread() {
    let mut bronze = LittleTable::bronze();
    bronze.append(&rows(0, 0..10));
    let then = bronze.table.clone();
    bronze.append(&rows(0, 10..14));
    let gap = Declared { from: 14, to: 16, cause: Cause::Retention };
    let books = bronze.books(&[], &[(0, gap)]);
    bronze.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
    let now = std::mem::replace(&mut bronze.table, then);
    let another = Table { metadata: Metadata { id: "another".to_owned(), ..now.metadata.clone() }, ..now.clone() };
    let nothing = Copies::new();
    let log = Has(17, 20);
    let (speaks, kept) = held_beside(&bronze, &[(0, 18)], &log, &nothing, &Ok(now));
    assert_eq!(told(&kept), [(Code::LedgerMissing, Some((14, 17)), Some("id-14"))], "declared lost, or not come to");
    assert!(kept.findings[0].what.contains("no longer in the log"), "{}", kept.findings[0].what);
    assert_eq!((speaks, kept.unable.len()), (vec![vec![range(Some(18), 0, 5)]], 0));
    let refused = Err(Unable { place: Place::default(), why: "the disk refused".to_owned() });
    for (now, why) in [(refused, "the disk refused"), (Ok(another), "another table by now")] {
        let (speaks, kept) = held_beside(&bronze, &[(0, 18)], &log, &nothing, &now);
        assert_eq!((told(&kept), kept.unable.len()), (vec![], 1), "neither fine nor lost");
        assert_eq!(kept.unable[0].place.offsets, Some((10, 17)));
        assert!(kept.unable[0].why.contains(why), "{}", kept.unable[0].why);
        assert_eq!(speaks, [[range(Some(18), 0, 1)]]);
    }
}

#[test]
fn a_file_that_was_read_before_and_cannot_be_opened_again_makes_nothing_missing() {
    let mut bronze = LittleTable::bronze();
    bronze.append(&rows(0, 0..10));
    let path = bronze.table.live.keys().next().cloned().expect("a file");
    let (facts, failed) = (bronze.facts(&Findings::default()), BTreeSet::from([path.clone()]));
    std::fs::remove_file(bronze.table.folder.join(&path)).expect("removed");
    let findings = Findings::default();
    let unseen = super::unseen((&bronze.table, &facts), &failed, &findings);
    assert_eq!((unseen.len(), findings.into_kept().unable.len()), (1, 1));
    let holds = |offset: i64| unseen[0].may_hold(LIFE, 0, offset);
    assert!(holds(0) && holds(9) && !holds(10));
    // One that was gone before is told with the log, and holds nothing.
    let facts = bronze.facts(&Findings::default());
    let findings = Findings::default();
    assert_eq!(super::unseen((&bronze.table, &facts), &failed, &findings), []);
    assert_eq!(findings.into_kept().unable, []);
}

#[test]
fn an_id_that_bronze_has_not_come_to_or_was_not_asked_for_is_one_that_a_ledger_has() {
    let mut bronze = LittleTable::bronze();
    bronze.begin(&[(0, 2)]);
    bronze.append(&rows(0, 2..4));
    let (copies, facts) = (Copies::new(), TableFacts::new());
    let beginnings = Beginnings::of((&bronze.table, &facts), &copies);
    let folder = tempfile::tempdir().expect("a folder");
    let path = ledger(folder.path(), 0, (0, 6));
    let header = super::header(&path).expect("a ledger");
    let (request, findings) = (request(), Findings::default());
    let (mut known, mut named) =
        (Buckets::<Known>::new(&request.scratch, 1 << 20), Buckets::<Named>::new(&request.scratch, 1 << 20));
    let mut sets = Sets { known: &mut known, named: &mut named };
    let read = lines::enter((&bronze.table, &beginnings), (0, path, header), &request, &mut sets, &findings);
    assert_eq!(read.expect("read").before, BTreeMap::from([(0, 2)]));
    let (mut judged, mut others) = (BTreeSet::new(), BTreeSet::new());
    let of_known = |known: &Known| (known.kind, known.offset);
    known
        .drain(&mut |records| {
            judged.extend(records.iter().map(of_known));
            Ok(())
        })
        .expect("drained");
    let of_named = |named: &Named| (named.kind, named.offset);
    named
        .drain(&mut |records| {
            others.extend(records.iter().map(of_named));
            Ok(())
        })
        .expect("drained");
    assert_eq!(judged, BTreeSet::from([(LINE, 2), (LINE, 3)]));
    assert_eq!(others, BTreeSet::from([(NAMED, 0), (NAMED, 1), (AHEAD, 4), (AHEAD, 5)]));
}

#[test]
fn a_line_that_came_since_the_ledger_was_read_does_not_make_its_own_record_one_that_stands_there_again() {
    let bronze = LittleTable::bronze();
    let facts = TableFacts::new();
    let table = (&bronze.table, &facts);
    let stream = Stream::new("orders", table, table, table);
    let folder = tempfile::tempdir().expect("a folder");
    let path = ledger(folder.path(), 0, (0, 5));
    let header = super::header(&path).expect("a ledger");
    let (last, none) = (BTreeMap::from([(0, 2)]), BTreeMap::new());
    let read = [Ledger { path, header, lines: 3, last, before: none.clone(), ahead: none }];
    let told_of = |sequence: u64, offset: i64| {
        let findings = Findings::default();
        super::doubt::again(&stream, &read, &BTreeMap::from([((0, sequence), (0, offset))]), &findings);
        told(&findings.into_kept()).len()
    };
    assert_eq!((told_of(4, 4), told_of(2, 7)), (0, 1));
}

#[test]
fn of_more_extra_ids_than_are_looked_up_those_above_the_end_of_a_ledger_are_not_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = ledger(folder.path(), 0, (0, 5));
    let header = super::header(&path).expect("a ledger");
    let (last, none) = (BTreeMap::from([(0, 4)]), BTreeMap::new());
    let read = [Ledger { path, header, lines: 5, last, before: none.clone(), ahead: none }];
    let mut found = Found::default();
    found.extra.extend((0..).take(POSITIONS_KEPT_MAX).map(|offset| (9, offset)));
    let mut named = Buckets::<Named>::new(&request().scratch, 1 << 20);
    for offset in 3..8_i64 {
        let id = u128::try_from(offset).expect("a number");
        named.push(Named { id, kind: SILVER, partition: 0, offset, ledger: 0 }).expect("kept");
    }
    super::by_id(named, &read, &mut found).expect("judged");
    assert_eq!((found.more_extra, found.more_above), (2, 3));
}
