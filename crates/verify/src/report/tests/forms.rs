//! What a report looks like as text and as HTML.

use super::super::text::WIDTH;
use super::super::{Balance, Report, Verdict};
use super::{HOSTILE, balance, finding, full, judged};
use crate::finding::{Code, Place};
use std::collections::BTreeMap;

/// The text without the escapes of a terminal.
fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn a_finding_is_shown_with_code_place_meaning_advice_and_runbook() {
    let text = full().to_text(false);
    let meaning = Code::OffsetsLost.meaning();
    for part in [
        "FAULT offsets.lost",
        "where    bronze.ticks, version 3, partition 2, offsets 10..12",
        "what     the books say 7, the files hold 6",
        &format!("do       {}", meaning.advice),
        "runbook  docs/runbooks/lost.md",
        "stream ticks: 60,000 bronze = 19,997 silver (428 late) + 39,695 duplicates + 308 dead letters",
        "gold.candles: the disk refused",
        "FINDINGS: 2 faults of 2 kinds; not everything could be checked",
    ] {
        assert!(text.contains(part), "'{part}' is not in\n{text}");
    }
    assert!(text.find("offsets.lost") < text.find("checked "), "findings come first");
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "looked at only: bronze.ticks, partition 2, since version 1, until version 9",
        "ledger led1.jsonl speaks of partition 2 below offset 97; bronze has 3 records above that and in no ledger",
    ] {
        assert!(said.contains(part), "'{part}' is not in\n{text}");
    }
}

#[test]
fn the_table_says_of_each_check_what_it_found() {
    let text = full().to_text(false);
    let line = |check: &str| {
        let found = text.lines().find(|line| line.starts_with(check)).unwrap_or_else(|| panic!("{check}\n{text}"));
        found.rsplit("  ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(line("Delta log"), "fine");
    assert_eq!(line("offsets "), "1 fault");
    assert_eq!(line("conservation"), "1 fault");
    assert_eq!(line("gold "), "not all checked");
}

#[test]
fn no_line_is_wider_than_the_page_and_no_control_character_is_left() {
    let mut report = full();
    let long = "x".repeat(300);
    report.findings.push(finding(Code::FileMissing, Place::table(&long).in_file(&long).event(HOSTILE)));
    report.lake = format!("/{long}");
    let text = report.to_text(false);
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn colours_change_nothing_but_colours() {
    let report = full();
    let coloured = report.to_text(true);
    assert!(coloured.contains("\u{1b}[1;31m"));
    assert_eq!(without_colour(&coloured), report.to_text(false));
}

#[test]
fn at_most_20_findings_are_shown_in_full_and_the_rest_is_counted() {
    let mut report = judged(&[Code::RowLost; 150], 0);
    report.counts.insert(Code::Orphan, 3);
    let text = report.to_text(false);
    assert_eq!(text.matches("FAULT rows.lost").count(), 20);
    assert!(text.contains("and 133 more. By code:"), "{text}");
    assert!(text.contains("150  rows.lost"), "{text}");
}

#[test]
fn of_notes_one_of_each_code_is_shown_in_full_and_all_are_counted() {
    let notes = [Code::WindowLate, Code::Orphan, Code::WindowLate, Code::WindowLate, Code::RowLost, Code::RowLost];
    let text = judged(&notes, 0).to_text(false);
    assert_eq!(text.matches("note  gold.late").count(), 1, "{text}");
    assert_eq!(text.matches("note  log.orphan").count(), 1, "{text}");
    assert_eq!(text.matches("FAULT rows.lost").count(), 2, "{text}");
    assert!(text.contains("and 2 more. By code:") && text.contains("3  gold.late"), "{text}");
}

#[test]
fn the_three_verdicts_are_told_apart() {
    let last = |report: &Report| report.to_text(false).lines().last().unwrap_or_default().to_owned();
    assert!(last(&judged(&[], 0)).starts_with("balanced: "));
    assert!(last(&judged(&[], 1)).starts_with("NOT ABLE TO CHECK: "));
    assert!(last(&judged(&[Code::RowLost], 1)).starts_with("FINDINGS: 1 fault of 1 kind"));
}

#[test]
fn html_holds_no_markup_that_is_not_ours() {
    let mut report = full();
    for text in [&mut report.lake, &mut report.at, &mut report.tool] {
        HOSTILE.clone_into(text);
    }
    report.pipeline_name = Some(HOSTILE.to_owned());
    HOSTILE.clone_into(&mut report.streams[0].stream);
    HOSTILE.clone_into(&mut report.unable[0].why);
    HOSTILE.clone_into(&mut report.parts[0].of);
    report.tables[0].table = format!("bronze.{HOSTILE}");
    let html = report.to_html();
    assert!(!html.contains("<script"), "{html}");
    assert!(!html.contains("alert('1')"));
    assert!(html.matches("&lt;script&gt;alert(&#39;1&#39;)").count() >= 8);
    assert!(!html.contains('\u{1b}'));
}

#[test]
fn html_needs_nothing_from_outside() {
    let html = full().to_html();
    for outside in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "javascript"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("name=\"viewport\""));
}

#[test]
fn html_shows_the_flow_the_holes_and_the_findings() {
    let html = full().to_html();
    for part in [
        ">60,000</text>",
        ">39,695</text>",
        "class=\"missing\" x=\"100\"",
        "class=\"declared\" x=\"400\"",
        "<code>offsets.lost</code>",
        "docs/runbooks/lost.md",
        "Findings: 2 faults",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn every_element_of_the_page_is_closed() {
    let html = full().to_html();
    let mut opened: BTreeMap<&str, i64> = BTreeMap::new();
    for tag in html.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('!') || tag.ends_with('/') || name == "meta" {
            continue;
        }
        *opened.entry(name).or_default() += if tag.starts_with('/') { -1 } else { 1 };
    }
    assert!(opened.values().all(|open| *open == 0), "{opened:?}");
}

#[test]
fn a_balanced_report_says_so_in_every_form() {
    let report = judged(&[], 0);
    assert_eq!(report.verdict, Verdict::Balanced);
    assert!(report.to_html().contains("Balanced: nothing is lost, doubled or altered"));
    assert!(report.to_json().expect("JSON").contains("\"verdict\": \"balanced\""));
}

#[test]
fn a_balanced_part_is_not_called_more_than_that() {
    let mut part = judged(&[], 0);
    part.scope = full().scope;
    let mut quick = judged(&[], 0);
    quick.scope.quick = true;
    for (report, said) in
        [(part, "as far as it was looked at, and no further: bronze.ticks"), (quick, "no row was read")]
    {
        let text = report.to_text(false).split_whitespace().collect::<Vec<_>>().join(" ");
        let html = report.to_html();
        assert!(text.contains(said) && text.contains("looked at only: "), "{text}");
        assert!(html.contains(said) && html.contains("Looked at only: "), "{html}");
        assert!(!text.contains("nothing is lost") && !html.contains("nothing is lost"), "{text}");
    }
}

#[test]
fn offsets_that_are_declared_lost_stand_beside_balanced_in_every_form() {
    let mut report = judged(&[], 0);
    report.streams = vec![Balance { lost: 7, ..balance() }];
    let text = report.to_text(false);
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("; 7 offsets declared lost"), "{text}");
    assert!(
        said.ends_with("balanced, with 7 offsets declared lost; nothing else is lost, doubled or altered"),
        "{text}"
    );
    assert!(report.to_html().contains("Balanced, with 7 offsets declared lost; nothing else is"));
    assert_eq!(report.exit_code(), 0, "a note, no fault");
}
