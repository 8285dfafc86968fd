//! Books altered with the rows left alone, rows altered with the books left alone, and what must not be told.

use super::{check, check_pair};
use crate::books::copies::Copies;
use crate::books::{Books, Cause, Counts, Declared, Entry};
use crate::finding::{Code, Finding, Findings};
use crate::lake::{LiveFile, Origin};
use crate::rows::little_table::{LittleTable, Row, bronze_columns, codes, found, request, rows, utc};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Three appends over two partitions.
fn three() -> LittleTable {
    let mut little = LittleTable::bronze();
    for step in 0..3 {
        let from = step * 10;
        little.append(&[rows(0, from..from + 10), rows(1, from..from + 10)].concat());
    }
    little
}

fn checked(little: &LittleTable) -> Vec<Finding> {
    let findings = Findings::default();
    let facts = little.facts(&Findings::default());
    let part = check(&little.table, Some(&facts), &Copies::new(), &request(), &findings);
    assert_eq!(part.unit, "versions");
    found(findings)
}

fn path_of(little: &LittleTable, version: usize) -> String {
    little.table.commits[version].adds[0].path.clone()
}

#[test]
fn books_that_are_true_give_no_finding() {
    let little = three();
    assert_eq!(checked(&little), []);
    let findings = Findings::default();
    let part = check(&little.table, None, &Copies::new(), &request(), &findings);
    assert_eq!((part.looked_at, found(findings)), (4, vec![]));
}

#[test]
fn a_count_that_was_altered_unbalances_the_entry() {
    let mut little = three();
    little.alter(2, |books| books.entries[1].outcome.records += 1);
    let findings = checked(&little);
    assert!(codes(&findings).contains(&Code::BooksUnbalanced));
    let first =
        findings.iter().find(|finding| finding.code == Code::BooksUnbalanced && finding.place.partition.is_some());
    let place = &first.expect("of the entry").place;
    assert_eq!((place.version, place.partition, place.offsets), (Some(2), Some(1), Some((10, 20))));
}

#[test]
fn a_checksum_that_was_altered_is_told_where_it_stands() {
    let mut little = three();
    little.alter(3, |books| books.entries[0].checksum = format!("{:032x}", 1));
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::BooksChecksum]);
    assert_eq!((findings[0].place.version, findings[0].place.partition), (Some(3), Some(0)));
    little.alter(3, |books| books.entries[0].checksum = "none".to_owned());
    assert_eq!(codes(&checked(&little)), [Code::BooksUnbalanced]);
}

#[test]
fn a_payload_that_was_altered_is_a_wrong_checksum() {
    let mut little = LittleTable::bronze();
    let books = little.books(&[(0, 0, "as it was"), (1, 0, "as it was")], &[]);
    let add = little.write_rows(&[(0, 0, "as it was"), (1, 0, "as it is ")]);
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::BooksChecksum]);
    assert_eq!((findings[0].place.partition, findings[0].place.offsets), (Some(1), Some((0, 1))));
}

#[test]
fn a_range_that_does_not_begin_where_the_one_before_ended_breaks_the_chain() {
    let mut little = three();
    little.alter(2, |books| books.entries[0].to = 19);
    assert!(codes(&checked(&little)).contains(&Code::BooksChain));
    let mut little = three();
    little.alter(2, |books| books.totals.records += 1);
    // At the commit itself, and where the next one carries on.
    assert_eq!(codes(&checked(&little)), [Code::BooksChain, Code::BooksChain]);
    let changes: [fn(&mut Books); 3] = [
        |books| books.follows = Some("another".to_owned()),
        |books| books.follows = None,
        |books| books.ingested_at_us = -1,
    ];
    for change in changes {
        let mut little = three();
        little.alter(3, change);
        let findings = checked(&little);
        assert_eq!(codes(&findings), [Code::BooksChain], "{findings:?}");
        assert_eq!(findings[0].place.version, Some(3));
    }
}

#[test]
fn bytes_that_are_not_those_of_the_added_files_are_told_and_old_books_say_none() {
    let mut little = three();
    let size = little.table.commits[2].adds[0].size;
    little.alter(2, |books| books.bytes = Some(size));
    assert_eq!(checked(&little), []);
    little.alter(2, |books| books.bytes = Some(size - 1));
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::BooksUnbalanced]);
    assert_eq!(findings[0].place.version, Some(2));
}

#[test]
fn a_position_that_was_moved_or_taken_away_is_told() {
    for moved in [18, 25] {
        let mut little = three();
        little.table.commits[2].txns[0].1 = moved;
        let findings = checked(&little);
        assert_eq!(codes(&findings), [Code::BooksPosition], "{moved}");
        assert_eq!((findings[0].place.version, findings[0].place.partition), (Some(2), Some(0)));
    }
    let mut little = three();
    little.table.commits[2].txns.remove(1);
    assert_eq!(codes(&checked(&little)), [Code::BooksPosition]);
    let mut little = three();
    little.table.txns.values_mut().for_each(|position| *position -= 1);
    assert_eq!(codes(&checked(&little)), [Code::BooksPosition, Code::BooksPosition]);
}

#[test]
fn rows_that_are_gone_or_beyond_the_range_are_told() {
    let with = |kept: &[Row]| {
        let mut little = LittleTable::bronze();
        let books = little.books(&rows(0, 0..10), &[]);
        let add = little.write_rows(kept);
        little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
        codes(&checked(&little))
    };
    assert_eq!(with(&rows(0, 0..9)), [Code::BooksCount]);
    assert_eq!(with(&[rows(0, 0..9), rows(0, 10..11)].concat()), [Code::BooksRange, Code::BooksChecksum]);
    assert_eq!(with(&[rows(0, 0..10), rows(7, 0..1)].concat()), [Code::BooksCount]);
}

#[test]
fn a_rewrite_that_keeps_every_row_is_passed_and_one_that_does_not_is_told() {
    let all = |little: &LittleTable| vec![path_of(little, 1), path_of(little, 2)];
    let whole: Vec<Row> = [rows(1, 0..20), rows(0, 0..20)].concat();
    let mut little = three();
    let removed = all(&little);
    little.rewrite(&whole, &removed);
    assert_eq!(checked(&little), []);

    let mut little = three();
    let removed = all(&little);
    let version = little.rewrite(&whole[1..], &removed);
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::RewriteChanged]);
    assert_eq!((findings[0].place.version, findings[0].place.partition), (Some(version), Some(1)));

    let mut altered = whole.clone();
    altered[3].2 = "another";
    let mut little = three();
    let removed = all(&little);
    little.rewrite(&altered, &removed);
    assert_eq!(codes(&checked(&little)), [Code::RewriteChanged]);

    let mut little = three();
    little.rewrite(&rows(0, 0..1), &[]);
    assert_eq!(codes(&checked(&little)), [Code::RewriteChanged]);
}

#[test]
fn declared_gaps_must_lie_in_the_range_and_add_up() {
    let mut little = LittleTable::bronze();
    let gap = Declared { from: 3, to: 5, cause: Cause::NoRecord };
    let kept: Vec<Row> = [rows(0, 0..3), rows(0, 5..8)].concat();
    let books = little.books(&kept, &[(0, gap)]);
    let add = little.write_rows(&kept);
    little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
    assert_eq!(checked(&little), []);
    little.alter(1, |books| books.entries[0].gaps[0].to = 4);
    assert_eq!(codes(&checked(&little)), [Code::BooksUnbalanced]);
    little.alter(1, |books| books.entries[0].gaps[0].to = 40);
    assert_eq!(codes(&checked(&little)), [Code::BooksUnbalanced]);
}

#[test]
fn where_a_partition_begins_is_where_its_first_commit_does() {
    let begun = || {
        let mut little = LittleTable::bronze();
        little.begin(&[(0, 500), (1, 0)]);
        little.append(&rows(0, 500..510));
        little
    };
    assert_eq!(checked(&begun()), []);
    let mut little = begun();
    little.alter(1, |books| (books.entries[0].from, books.entries[0].to) = (490, 490));
    let findings = checked(&little);
    assert_eq!(codes(&findings), [Code::BooksChain, Code::BooksPosition]);
    assert_eq!(findings[0].place.offsets, Some((490, 500)));
}

#[test]
fn silver_names_what_is_lost_as_often_as_it_counts_it_and_older_books_name_nothing() {
    let gap = Declared { from: 3, to: 5, cause: Cause::Damaged };
    let with = |gaps: Vec<Declared>, lost: u64| {
        let columns = silver_columns();
        let mut little = LittleTable::new("silver", "orders", columns, "_event_date");
        let mut books = little.books(&[], &[]);
        let outcome = Counts { lost, no_record: 8 - lost, ..Counts::default() };
        let checksum = format!("{:032x}", 0);
        books.entries = vec![Entry { partition: 0, from: 0, to: 8, outcome, checksum, gaps }];
        books.totals = outcome;
        little.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
        codes(&checked(&little))
    };
    assert_eq!(with(vec![gap], 2), []);
    assert_eq!(with(Vec::new(), 2), []);
    assert_eq!(with(vec![gap], 3), [Code::BooksUnbalanced]);
}

/// What tells a table of silver.
fn silver_columns() -> SchemaRef {
    let columns = vec![
        Field::new("_event_time", utc(), false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
        Field::new("_event_date", DataType::Date32, false),
    ];
    Arc::new(Schema::new(columns))
}

#[test]
fn silver_whose_checksum_is_not_that_of_bronze_is_told() {
    let bronze = three();
    let mut silver = LittleTable::new("silver", "orders", bronze_columns(), "_event_date");
    for commit in bronze.table.commits.iter().skip(1) {
        let books = commit.books().expect("ours").clone();
        silver.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
    }
    let pair = |silver: &LittleTable| {
        let findings = Findings::default();
        check_pair(&bronze.table, &silver.table, &Copies::new(), &request(), &findings);
        found(findings)
    };
    assert_eq!(pair(&silver), []);
    silver.alter(2, |books| books.entries[1].checksum = format!("{:032x}", 7));
    let findings = pair(&silver);
    assert_eq!(codes(&findings), [Code::BooksChecksum]);
    assert_eq!((findings[0].place.version, findings[0].place.offsets), (Some(2), Some((10, 20))));
}

#[test]
fn commits_whose_entries_were_cleaned_up_are_held_against_the_files_of_the_checkpoint_in_sums() {
    let checked = |little: &LittleTable, copies: &Copies| {
        let (findings, facts) = (Findings::default(), little.facts(&Findings::default()));
        check(&little.table, Some(&facts), copies, &request(), &findings);
        codes(&found(findings))
    };
    let cleaned_up = || {
        let mut little = three();
        let copies = little.clean_up(2);
        (little, copies)
    };
    let (mut little, copies) = cleaned_up();
    assert_eq!(checked(&little, &copies), []);
    assert_eq!(checked(&little, &Copies::new()), [], "nobody knows what they added");
    let first = little.table.live.keys().next().cloned().expect("a file");
    little.table.live.remove(&first);
    assert_eq!(checked(&little, &copies), [Code::BooksCount, Code::BooksCount]);
    let (little, mut copies) = cleaned_up();
    copies.remove(&("bronze.orders".to_owned(), 1));
    assert_eq!(checked(&little, &copies), []);
    let (mut little, copies) = cleaned_up();
    let add = little.write_rows(&[rows(0, 0..10), rows(1, 0..9)].concat());
    let first = little.table.live.keys().next().cloned().expect("a file");
    let live = little.table.live.remove(&first).expect("live");
    little.table.live.insert(add.path.clone(), LiveFile { add, ..live });
    assert_eq!(checked(&little, &copies), [Code::BooksCount]);
}
