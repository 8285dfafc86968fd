//! Holes, doubled rows and rows from nowhere, planted in little tables.

use super::check;
use super::cover::without;
use crate::books::copies::Copies;
use crate::books::{Cause, Declared};
use crate::finding::{Code, Finding, Findings, Unable};
use crate::lake::Origin;
use crate::request::{InLog, LogView, NoLog, Request};
use crate::rows::little_table::{LittleTable, Row, codes, found, request, rows};

/// A log that says the same of every offset below 100.
struct Says(InLog);

impl LogView for Says {
    fn stretches(&self, _: &str, _: &str, _: i32, from: i64, to: i64) -> Result<Vec<(i64, i64, InLog)>, Unable> {
        let middle = 100_i64.clamp(from, to);
        let stretches = [(from, middle, self.0), (middle, to, InLog::Never)];
        Ok(stretches.into_iter().filter(|(from, to, _)| from < to).collect())
    }
}

fn checked_by(little: &LittleTable, log: &dyn LogView, request: &Request) -> Vec<Finding> {
    let findings = Findings::default();
    let facts = little.facts(&Findings::default());
    check(&little.table, Some(&facts), &Copies::new(), log, request, &findings);
    found(findings)
}

fn checked(little: &LittleTable) -> Vec<Finding> {
    checked_by(little, &NoLog, &request())
}

/// Commits books over `covered`, and a file of `kept`.
fn commit(little: &mut LittleTable, covered: &[Row], kept: &[Row]) -> String {
    let books = little.books(covered, &[]);
    let add = little.write_rows(kept);
    let path = add.path.clone();
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    path
}

#[test]
fn a_table_without_holes_gives_no_finding_and_counts_its_offsets() {
    let mut little = LittleTable::bronze();
    little.append(&[rows(0, 0..1_000), rows(1, 0..70)].concat());
    little.append(&rows(0, 1_000..1_500));
    assert_eq!(checked(&little), []);
    let findings = Findings::default();
    let facts = little.facts(&findings);
    let part = check(&little.table, Some(&facts), &Copies::new(), &NoLog, &request(), &findings);
    assert_eq!(part.looked_at, 1_570);
}

#[test]
fn a_hole_is_told_as_one_range_with_what_the_log_says() {
    let mut little = LittleTable::bronze();
    let kept: Vec<Row> = [rows(0, 0..60), rows(0, 130..200)].concat();
    commit(&mut little, &rows(0, 0..200), &kept);
    for (state, first) in [
        (InLog::Record, Code::OffsetsLost),
        (InLog::NoRecord, Code::OffsetsLost),
        (InLog::Gone, Code::OffsetsRetention),
    ] {
        let findings = checked_by(&little, &Says(state), &request());
        let mut places: Vec<_> = findings.iter().map(|finding| (finding.place.offsets, finding.code)).collect();
        places.sort();
        assert_eq!(places, [(Some((60, 100)), first), (Some((100, 130)), Code::OffsetsLost)]);
        assert!(findings.iter().all(|finding| finding.place.version == Some(1) && finding.place.partition == Some(0)));
    }
    let findings = checked_by(&little, &Says(InLog::Gone), &request());
    let retention = findings.iter().find(|finding| finding.code == Code::OffsetsRetention).expect("told");
    assert!(retention.what.contains("written between 2024-10-04T00:00:00.059059Z"), "{}", retention.what);
}

#[test]
fn a_file_that_is_gone_is_one_hole_however_many_commits_it_was_of() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..10));
    little.append(&rows(0, 10..20));
    little.append(&rows(0, 20..30));
    little.table.live.retain(|_, live| live.version == 3);
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::OffsetsLost]);
    assert_eq!(findings[0].place.offsets, Some((0, 20)));
}

#[test]
fn what_the_books_declare_is_a_note_and_only_that() {
    let mut little = LittleTable::bronze();
    let kept: Vec<Row> = [rows(0, 0..3), rows(0, 6..8)].concat();
    let gap = Declared { from: 3, to: 5, cause: Cause::NoRecord };
    let books = little.books(&kept, &[(0, gap)]);
    let add = little.write_rows(&kept);
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::OffsetsLost, Code::OffsetsDeclared]);
    assert_eq!((findings[0].place.offsets, findings[1].place.offsets), (Some((5, 6)), Some((3, 5))));
}

#[test]
fn an_offset_in_two_files_or_twice_in_one_is_told_with_its_files() {
    let mut little = LittleTable::bronze();
    let first = commit(&mut little, &rows(0, 0..10), &rows(0, 0..10));
    let second = commit(&mut little, &rows(0, 10..20), &[rows(0, 4..7), rows(0, 10..20)].concat());
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::OffsetsDoubled]);
    assert_eq!(findings[0].place.offsets, Some((4, 7)));
    assert!(findings[0].what.contains(&first) && findings[0].what.contains(&second), "{}", findings[0].what);

    let mut little = LittleTable::bronze();
    commit(&mut little, &rows(0, 0..3), &[rows(0, 0..2), rows(0, 1..3)].concat());
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::OffsetsDoubled]);
    assert_eq!(findings[0].place.offsets, Some((1, 2)));
}

#[test]
fn rows_that_no_commit_covers_are_told() {
    let mut little = LittleTable::bronze();
    let path = commit(&mut little, &rows(0, 0..10), &[rows(0, 0..12), rows(5, 3..4)].concat());
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::OffsetsOutside, Code::OffsetsOutside]);
    let places: Vec<_> = findings.iter().map(|finding| (finding.place.partition, finding.place.offsets)).collect();
    assert_eq!(places, [(Some(0), Some((10, 12))), (Some(5), Some((3, 4)))]);
    assert!(findings.iter().all(|finding| finding.place.file.as_deref() == Some(path.as_str())));
}

#[test]
fn a_hole_between_two_commits_is_told_also_without_reading_rows() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..10));
    little.append(&rows(0, 10..15));
    little.append(&rows(0, 15..20));
    little.table.commits.remove(2);
    little.table.live.retain(|_, live| live.version != 2);
    let findings = checked(&little);
    assert_eq!((codes(&findings), findings[0].place.offsets), (vec![Code::OffsetsLost], Some((10, 15))));
    let findings = Findings::default();
    check(&little.table, None, &Copies::new(), &NoLog, &request(), &findings);
    assert_eq!(codes(&found(findings)), [Code::OffsetsLost]);
}

#[test]
fn rewritten_files_in_any_order_hold_the_same_offsets() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..10));
    little.append(&[rows(0, 10..20), rows(1, 0..5)].concat());
    let removed: Vec<String> = little.table.live.keys().cloned().collect();
    let mut all: Vec<Row> = [rows(1, 0..5), rows(0, 0..20)].concat();
    all.reverse();
    little.rewrite(&all, &removed);
    assert_eq!(checked(&little), []);
    little.rewrite(&rows(0, 12..13), &[]);
    assert_eq!(codes(&checked(&little)), [Code::OffsetsDoubled]);
}

#[test]
fn a_range_that_no_log_could_have_is_not_looked_through_for_ever() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..10));
    little.alter(1, |books| books.entries[0].to = i64::MAX);
    let findings = Findings::default();
    let facts = little.facts(&Findings::default());
    check(&little.table, Some(&facts), &Copies::new(), &NoLog, &request(), &findings);
    assert_eq!(findings.into_kept().unable.len(), 1);
}

#[test]
fn what_lies_below_where_a_partition_begins_was_not_asked_for() {
    let mut little = LittleTable::bronze();
    little.begin(&[(0, 500), (1, 0)]);
    little.append(&rows(0, 500..510));
    assert_eq!(checked_by(&little, &Says(InLog::Record), &request()), []);
    let findings = Findings::default();
    let facts = little.facts(&findings);
    assert_eq!(check(&little.table, Some(&facts), &Copies::new(), &NoLog, &request(), &findings).looked_at, 10);
    // Behind its beginning, every offset was.
    little.append(&rows(1, 0..5));
    little.table.live.retain(|_, live| live.version != 3);
    assert_eq!(checked(&little)[0].place.offsets, Some((0, 5)));
}

#[test]
fn partitions_out_of_scope_are_not_judged() {
    let mut little = LittleTable::bronze();
    commit(&mut little, &[rows(0, 0..10), rows(1, 0..10)].concat(), &[rows(0, 0..9), rows(1, 0..9)].concat());
    let mut request = request();
    request.scope.partitions = vec![1];
    let findings = checked_by(&little, &NoLog, &request);
    assert_eq!((codes(&findings), findings[0].place.partition), (vec![Code::OffsetsLost], Some(1)));
}

#[test]
fn ranges_are_taken_out_of_ranges() {
    assert_eq!(without(&[(0, 10)], &[]), [(0, 10)]);
    assert_eq!(without(&[(0, 10), (20, 30)], &[(2, 4), (8, 22), (29, 40)]), [(0, 2), (4, 8), (22, 29)]);
    assert_eq!(without(&[(5, 6)], &[(0, 100)]), []);
}

#[test]
fn rows_of_commits_whose_entries_were_cleaned_up_are_held_against_the_copies_of_their_books() {
    let mut little = LittleTable::bronze();
    for from in [0, 10, 20] {
        little.append(&rows(0, from..from + 10));
    }
    commit(&mut little, &rows(0, 30..40), &[rows(0, 30..40), rows(5, 3..4)].concat());
    let mut copies = little.clean_up(2);
    let checked = |little: &LittleTable, copies: &Copies| {
        let (findings, facts) = (Findings::default(), little.facts(&Findings::default()));
        let part = check(&little.table, Some(&facts), copies, &NoLog, &request(), &findings);
        let kept = findings.into_kept();
        let told = kept.findings.iter().map(|found| (found.code, found.place.partition, found.place.offsets));
        (part.looked_at, told.collect::<Vec<_>>(), kept.unable.len())
    };
    let outside = (Code::OffsetsOutside, Some(5), Some((3, 4)));
    assert_eq!(checked(&little, &copies), (40, vec![outside], 0));
    // One that covers a part of them is not known.
    let lacking = copies.remove(&("bronze.orders".to_owned(), 1)).expect("copied");
    assert_eq!(checked(&little, &copies), (30, vec![outside], 1));
    copies.insert(("bronze.orders".to_owned(), 1), lacking);
    let first = little.table.live.keys().next().cloned().expect("a file");
    little.table.live.remove(&first);
    let lost = (Code::OffsetsLost, Some(0), Some((0, 10)));
    assert_eq!(checked(&little, &copies), (40, vec![lost, outside], 0));
}
