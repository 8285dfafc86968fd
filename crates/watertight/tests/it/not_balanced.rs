//! What `watertight verify` must not call balanced: tables that are gone, ids that the log lost, a scope with nothing in it.

use super::verify::{LEDGER, bring, codes, lake, produce, verify};
use super::{fine, scratch, watertight};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The sum of a number over the partitions of the first ledger.
fn sum(report: &Value, of: &str) -> u64 {
    let partitions = report["ledgers"][0]["partitions"].as_array().into_iter().flatten();
    partitions.filter_map(|partition| partition[of].as_u64()).sum()
}

/// Text on one line.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_acknowledged_id_that_neither_bronze_nor_the_log_has_is_missing_and_one_that_the_log_has_is_ahead() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    produce(dir, "{\"id\":\"ahead\",\"at\":\"2026-03-01T11:00:00Z\"}\n");
    let (code, report) = verify(dir, &["--ledger", LEDGER]);
    assert_eq!((code, sum(&report, "ahead"), sum(&report, "above")), (Some(0), 1, 0), "{report}");
    // Without the log nobody can tell.
    let alone = watertight(dir, &["verify", "--lake", "data/lake", "--ledger", LEDGER]);
    assert_eq!(alone.code, Some(2), "{}{}", alone.out, alone.err);
    assert!(unwrapped(&alone.out).contains("1 acknowledged ids above bronze's position"), "{}", alone.out);
    let ledger = fs::read_to_string(dir.join(LEDGER)).expect("read");
    fs::write(dir.join("more.ledger"), ledger + "900\tlost\t0\t999\n").expect("written");
    let (code, report) = verify(dir, &["--ledger", "more.ledger"]);
    assert_eq!((code, codes(&report)), (Some(1), vec!["ledger.missing"]), "{report}");
    let place = &report["findings"][0]["place"];
    assert_eq!((place["event_id"].as_str(), place["offsets"][0].as_i64()), (Some("lost"), Some(999)), "{report}");
}

#[test]
fn a_ledger_that_lost_its_end_is_told_with_what_lies_above_it() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let ledger = fs::read_to_string(dir.join(LEDGER)).expect("read");
    let lines: Vec<&str> = ledger.lines().collect();
    fs::write(dir.join("cut.ledger"), lines[..lines.len() - 3].join("\n") + "\n").expect("written");
    let (code, report) = verify(dir, &["--ledger", "cut.ledger"]);
    assert_eq!((code, sum(&report, "above")), (Some(0), 3), "it looks as if nothing was answered: {report}");
    let text = watertight(dir, &["verify", "-f", "p.yaml", "--ledger", "cut.ledger"]).out;
    assert!(unwrapped(&text).contains("bronze has 3 records above that and in no ledger"), "{text}");
}

/// Moves folders of the lake away, or back.
fn rename(dir: &Path, folders: &[&str], back: bool) {
    for folder in folders {
        let (in_lake, away) =
            (dir.join("data/lake").join(folder), dir.join(format!("away-{}", folder.replace('/', "-"))));
        let (from, to) = if back { (away, in_lake) } else { (in_lake, away) };
        fs::rename(from, to).expect("moved");
    }
}

#[test]
fn a_table_that_ops_names_and_that_is_gone_is_a_fault_also_where_no_row_is_read() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let cases: [&[&str]; 5] =
        [&["gold/per_minute"], &["silver"], &["ops/commits"], &["ops/definitions"], &["bronze", "silver", "gold"]];
    for folders in cases {
        rename(dir, folders, false);
        let both: [&[&str]; 2] = [&[], &["--quick"]];
        for more in both {
            let (code, report) = verify(dir, more);
            assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("findings")), "{folders:?} {report}");
            assert!(codes(&report).contains(&"log.table_missing"), "{folders:?} {report}");
        }
        rename(dir, folders, true);
    }
    assert_eq!(verify(dir, &[]).0, Some(0));
}

#[test]
fn a_scope_in_which_there_is_nothing_is_refused_and_a_part_is_not_called_the_whole() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let said = |arguments: &[&str]| watertight(dir, &[&["verify", "-f", "p.yaml"], arguments].concat());
    let nothing: [(&[&str], &str); 4] = [
        (&["--partition", "9"], "partition 9"),
        (&["--since", "2999-01-01"], "no version lies within"),
        (&["--since", "5", "--until", "4"], "exchange them"),
        (&["--quick", "--ledger", LEDGER], "--quick reads none"),
    ];
    for (arguments, why) in nothing {
        let answer = said(arguments);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{arguments:?} {}", answer.err);
        assert!(answer.err.contains(why), "{arguments:?} {}", answer.err);
    }
    let parts: [(&[&str], &str); 3] = [
        (&["--quick"], "no row was read"),
        (&["--table", "silver.notes", "--partition", "0"], "looked at only: silver.notes, partition 0"),
        (&["--since", "1"], "looked at only: since version 1"),
    ];
    for (arguments, scope) in parts {
        let answer = said(arguments);
        assert_eq!(answer.code, Some(0), "{arguments:?} {}{}", answer.out, answer.err);
        let text = unwrapped(&answer.out);
        assert!(text.contains(scope) && !text.contains("nothing is lost"), "{arguments:?} {}", answer.out);
    }
}

#[test]
fn gold_that_was_moved_away_is_made_again_from_silver_and_certified() {
    let dir = scratch();
    let dir = dir.path();
    lake(dir);
    let rows = || fine(dir, &["sql", "-f", "p.yaml", "--format", "csv", "select * from gold.per_minute order by 1"]);
    let before = rows();
    assert!(before.lines().count() > 3, "{before}");
    for times in 1..=2 {
        fs::rename(dir.join("data/lake/gold/per_minute"), dir.join(format!("away-{times}"))).expect("moved");
        assert_eq!(verify(dir, &[]).0, Some(1), "not before it is made again");
        fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
        assert_eq!(rows(), before);
        let certificate = format!("c{times}.json");
        let (code, report) = verify(dir, &["--certificate", &certificate]);
        assert_eq!((code, codes(&report)), (Some(0), vec!["log.table_anew"; times]), "{report}");
        assert!(dir.join(certificate).exists());
    }
    bring(dir, "goes on");
    assert_eq!(verify(dir, &["--ledger", LEDGER]).0, Some(0));
    assert_eq!(verify(dir, &["--against", "c2.json"]).0, Some(0));
    let tables = "select count(distinct table_id) as c from ops.commits where table_name = 'gold.per_minute'";
    assert_eq!(fine(dir, &["sql", "-f", "p.yaml", "--format", "csv", tables]), "c\n3\n");
}
