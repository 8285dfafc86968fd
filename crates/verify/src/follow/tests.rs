//! What follows from the reports of rounds.

use super::*;
use crate::compare::verify_again;
use crate::lake::Logs;
use crate::lake::little_log::{LittleLog, append};
use crate::report::{About, Counted, FORMAT, Part, ScopeReport, TableReport};
use crate::request::{Bound, NoLog, Silent};
use crate::rows::little_table::request;

/// A report of these tables at these versions, with nothing wrong.
fn report(tables: &[(&str, u64)]) -> Report {
    let table = |(name, version): &(&str, u64)| TableReport {
        table: (*name).to_owned(),
        first_version: 0,
        last_version: *version,
        files: 0,
        rows: None,
        counted: Counted::Rows,
        ranges: Vec::new(),
        closed_until_us: None,
    };
    Report {
        format: FORMAT,
        tool: String::new(),
        pipeline_name: None,
        pipeline: None,
        pipeline_file_sha256: None,
        lake: String::new(),
        at: String::new(),
        at_us: 1_000_000,
        seconds: 0.5,
        memory_bytes_peak: None,
        scope: ScopeReport::default(),
        certificate: None,
        verdict: Verdict::Balanced,
        findings: Vec::new(),
        counts: BTreeMap::new(),
        unable: Vec::new(),
        parts: vec![
            Part { check: "conservation".to_owned(), of: "silver.t".to_owned(), looked_at: 7, unit: "rows".to_owned() },
            Part { check: "gold".to_owned(), of: "gold.m".to_owned(), looked_at: 3, unit: "windows".to_owned() },
        ],
        ledgers: Vec::new(),
        streams: Vec::new(),
        tables: tables.iter().map(table).collect(),
    }
}

fn with(mut report: Report, code: Code, place: Place) -> Report {
    *report.counts.entry(code).or_default() += 1;
    report.findings.push(Finding { code, place, what: "it differs".to_owned() }.into());
    report
}

fn unable(mut report: Report, table: &str) -> Report {
    report.unable.push(Unable { place: Place::table(table), why: "the disk refused".to_owned() });
    report
}

fn from(follow: &Follow, ids: Ids) -> Vec<(String, u64)> {
    follow.scope(&Scope::default(), ids).from_versions.into_iter().collect()
}

#[test]
fn a_round_begins_behind_the_one_before_and_silver_behind_the_last_round_that_held_all_ids() {
    let mut follow = Follow::default();
    assert!(from(&follow, Ids::All).is_empty());
    let first = follow.take(&report(&[("bronze.t", 4), ("silver.t", 3)]), Ids::All);
    assert_eq!((first.round, first.new_versions, first.records, first.windows, first.ids), (1, 9, 7, 3, "all"));
    assert!(!follow.ids_are_behind());
    let second = follow.take(&report(&[("bronze.t", 6), ("silver.t", 5), ("gold.m", 0)]), Ids::New);
    assert_eq!((second.round, second.new_versions, second.ids), (2, 5, "new"));
    let at = |table: &str, version| (table.to_owned(), version);
    assert_eq!(from(&follow, Ids::New), [at("bronze.t", 7), at("gold.m", 1), at("silver.t", 6)]);
    assert!(follow.ids_are_behind());
    assert_eq!(from(&follow, Ids::All), [at("bronze.t", 7), at("gold.m", 1), at("silver.t", 4)]);
    assert_eq!(follow.scope(&Scope::default(), Ids::New).ids, Ids::New);
    let asked = Scope { since: Some(Bound::Version(2)), partitions: vec![1], ..Scope::default() };
    let scope = follow.scope(&asked, Ids::All);
    assert_eq!((scope.since, scope.partitions, scope.ids), (asked.since, vec![1], Ids::All));
    follow.take(&report(&[("bronze.t", 6), ("silver.t", 5), ("gold.m", 0)]), Ids::All);
    assert!(!follow.ids_are_behind());
    assert_eq!(follow.verdict(), Verdict::Balanced);
}

#[test]
fn a_fault_is_told_once_and_stays_and_a_note_is_none() {
    let mut follow = Follow::default();
    let at = |version| Place::table("silver.t").at_version(version);
    let first = follow.take(&with(report(&[("silver.t", 1)]), Code::RowLost, at(1)), Ids::All);
    assert_eq!((first.findings.len(), first.faults, first.verdict), (1, 1, Verdict::Findings));
    let noted = with(report(&[("silver.t", 2)]), Code::Orphan, at(2));
    let second = follow.take(&with(noted, Code::RowLost, at(1)), Ids::New);
    assert_eq!((second.findings.len(), second.faults, second.verdict), (0, 1, Verdict::Findings));
    let third = follow.take(&with(report(&[("silver.t", 3)]), Code::RowLost, at(3)), Ids::New);
    assert_eq!((third.findings.len(), third.faults), (1, 2));
    let mut many = report(&[("silver.t", 4)]);
    many.counts.insert(Code::RowValue, 250);
    assert_eq!(follow.take(&many, Ids::New).faults, 252);
    assert_eq!(follow.nothing_new(0).verdict, Verdict::Findings);
}

#[test]
fn what_was_passed_over_unchecked_stays_so_and_a_table_that_was_not_read_is_tried_again() {
    let mut follow = Follow::default();
    let unread = follow.take(&unable(report(&[("bronze.t", 1)]), "silver.t"), Ids::All);
    assert_eq!((unread.verdict, unread.unable.len()), (Verdict::Unable, 1));
    let read = follow.take(&report(&[("bronze.t", 1), ("silver.t", 1)]), Ids::All);
    assert_eq!(read.verdict, Verdict::Balanced);
    let no_lake = Unable { place: Place::default(), why: "there is no lake".to_owned() };
    assert_eq!(follow.failed(0, no_lake).verdict, Verdict::Unable);
    assert_eq!(follow.nothing_new(0).verdict, Verdict::Balanced);
    let tables = [("bronze.t", 2), ("silver.t", 2)];
    assert_eq!(follow.take(&report(&tables), Ids::All).verdict, Verdict::Balanced);
    let passed_over = follow.take(&unable(report(&tables), "silver.t"), Ids::New);
    assert_eq!((passed_over.verdict, passed_over.unable.len()), (Verdict::Unable, 0), "told before");
    assert_eq!(follow.take(&report(&tables), Ids::New).verdict, Verdict::Unable);
    assert_eq!(follow.not_checked(), 1);
}

#[test]
fn a_log_that_lost_its_end_is_a_fault_and_is_verified_from_its_beginning() {
    let mut follow = Follow::default();
    follow.take(&report(&[("bronze.t", 5), ("silver.t", 5)]), Ids::All);
    let shorter = follow.take(&report(&[("bronze.t", 3)]), Ids::New);
    let told: Vec<_> = shorter.findings.iter().map(|found| (found.code, found.place.version)).collect();
    assert_eq!(told, [(Code::VersionMissing, Some(4)), (Code::TableMissing, None)]);
    assert!(from(&follow, Ids::All).is_empty());
    let unread = unable(report(&[]), "bronze.t");
    follow.take(&report(&[("bronze.t", 3)]), Ids::New);
    assert!(follow.take(&unread, Ids::New).findings.is_empty(), "whether it is gone is not known");
}

#[test]
fn a_table_that_is_made_anew_meanwhile_is_a_fault_and_verified_from_its_beginning_and_one_from_before_is_none() {
    let mut follow = Follow::default();
    let note = |table: &str, version| with(report(&[("gold.m", version)]), Code::TableAnew, Place::table(table));
    assert_eq!(follow.take(&note("gold.m", 1), Ids::All).faults, 0);
    assert_eq!(from(&follow, Ids::All), [("gold.m".to_owned(), 2)]);
    assert_eq!(follow.take(&note("gold.m", 2), Ids::New).faults, 0, "the same note again");
    let mut anew = note("gold.m", 3);
    anew.findings[0].what = "of yet another".to_owned();
    let told = follow.take(&anew, Ids::New);
    assert_eq!(told.findings.iter().map(|found| found.code).collect::<Vec<_>>(), [Code::TableMissing]);
    assert!(from(&follow, Ids::All).is_empty());
    let again = follow.take(&anew, Ids::New);
    assert_eq!((again.findings.len(), again.faults, from(&follow, Ids::All).len()), (0, 1, 1));
}

#[test]
fn why_the_lake_cannot_be_looked_at_is_told_once_until_something_else_is_the_matter() {
    let mut follow = Follow::default();
    let gone = || Unable { place: Place::default(), why: "there is no lake".to_owned() };
    let refused = Unable { place: Place::default(), why: "the disk refused".to_owned() };
    let mut told = Vec::new();
    for why in [gone(), gone(), refused, gone()] {
        let round = follow.failed(0, why);
        assert_eq!((round.verdict, round.failed), (Verdict::Unable, true));
        told.push(round.unable.len());
    }
    follow.nothing_new(0);
    told.push(follow.failed(0, gone()).unable.len());
    assert_eq!(told, [1, 0, 1, 1, 1]);
    let again = follow.failed(0, gone());
    let wanted = "1970-01-01T00:00:00.000000Z round 7: the lake could not be looked at: NOT ABLE TO CHECK everything so \
                  far\n";
    assert_eq!(again.to_text(), wanted);
    assert!(!again.to_json().expect("JSON").contains("failed"));
}

#[test]
fn a_log_that_cannot_be_asked_is_told_when_it_begins_and_forgotten_when_it_answers() {
    let mut follow = Follow::default();
    let silent = || vec![Unable { place: Place::table("bronze.t"), why: "the log has no topic t".to_owned() }];
    let mut round = |silent: Vec<Unable>| {
        let round = follow.take(&report(&[("bronze.t", 1)]), Ids::New);
        let round = follow.with_log(round, silent);
        (round.verdict, round.unable.len(), follow.not_checked())
    };
    assert_eq!(round(silent()), (Verdict::Unable, 1, 1));
    assert_eq!(round(silent()), (Verdict::Unable, 0, 1));
    assert_eq!(round(Vec::new()), (Verdict::Balanced, 0, 0));
    assert_eq!(round(silent()), (Verdict::Unable, 1, 1));
}

#[test]
fn a_later_round_reads_of_the_logs_the_new_entries_only() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    let mut request = request();
    request.lake = little.lake().to_owned();
    request.scope.quick = true;
    let mut read = || {
        let before = logs.files_read();
        let report = verify_again(&request, &NoLog, &Silent, About::default(), &mut logs).expect("a report");
        (report.tables[0].last_version, logs.files_read() - before)
    };
    assert_eq!((read(), read()), ((3, 4), (3, 0)));
    little.entry(4, &append(4, &[]));
    assert_eq!((read(), read()), ((4, 1), (4, 0)));
}

#[test]
fn a_quick_round_holds_no_ids() {
    let mut follow = Follow::default();
    let mut quick = report(&[("silver.t", 1)]);
    quick.scope.quick = true;
    assert_eq!(follow.take(&quick, Ids::All).ids, "none");
    assert!(follow.ids_are_behind());
}

#[test]
fn a_round_is_a_line_with_what_is_new_below_it() {
    let mut follow = Follow::default();
    assert_eq!(follow.nothing_new(0).to_text(), "1970-01-01T00:00:00.000000Z round 1: nothing new: balanced\n");
    let lost = Place::table("silver.t").at_version(1).of_partition(0).offsets(7, 8);
    let round = follow.take(&unable(with(report(&[("silver.t", 1)]), Code::RowLost, lost), "gold.m"), Ids::All);
    let wanted = "1970-01-01T00:00:01.000000Z round 2: 2 new versions, 7 records, 3 windows, all ids: FINDINGS: 1 fault so \
                  far\n  FAULT rows.lost, silver.t, version 1, partition 0, offset 7: it differs\n  not checked: gold.m: \
                  the disk refused\n";
    assert_eq!(round.to_text(), wanted);
    let json = round.to_json().expect("JSON");
    assert_eq!(json.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((value["verdict"].as_str(), value["tables"]["silver.t"].as_u64()), (Some("findings"), Some(1)));
}
