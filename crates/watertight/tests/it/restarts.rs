//! A run that follows another, is asked to stop, or finds its state gone or damaged: the same rows.

use super::notes::{self, FIVE};
use super::running::{Running, until};
use super::stocks::{self, FILE};
use super::{fine, produce_notes, scratch, sql, watertight};

const GOLD: &str =
    "select window_start, symbol, open, high, low, close, volume, trades from gold.candles_1m order by 1, 2";

#[test]
fn a_second_run_finds_nothing_to_do_and_changes_nothing() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    let count = "select count(*) as c, count(distinct event_id) as d from silver.notes";
    let before = sql(dir, "p.yaml", count);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(sql(dir, "p.yaml", count), before);
}

#[test]
fn an_event_that_comes_again_after_the_state_folder_was_deleted_is_still_a_duplicate() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    std::fs::remove_dir_all(dir.join("data/lake/_watertight/state")).expect("there is one");
    produce_notes(dir, &[], FIVE);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n2\n");
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from bronze.notes"), "c\n10\n");
}

#[test]
fn one_pipeline_runs_once_and_the_second_is_told_who_holds_it() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    let mut first = Running::start(dir, &["run", "-f", "p.yaml"]);
    let lock = dir.join("data/lake/_watertight/lock");
    until(dir, "the first run takes its lock", || {
        std::fs::read_to_string(&lock).is_ok_and(|holder| !holder.is_empty()).then_some(())
    });
    let second = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    first.kill();
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains(&format!("process {}", first.id())), "{}", second.err);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
}

#[test]
fn a_run_that_is_asked_to_stop_commits_what_it_read_and_ends_with_0() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    let runner = Running::start(dir, &["run", "-f", "p.yaml"]);
    let silver = dir.join("data/lake/silver/notes/_delta_log/00000000000000000001.json");
    until(dir, "the first commit comes", || silver.exists().then_some(()));
    assert_eq!(runner.stop(), Some(0));
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n2\n");
}

/// The same events, other batch sizes and restarts: the same rows.
#[test]
fn batch_sizes_and_restarts_leave_no_trace_in_the_rows() {
    const SILVER: &str = "select event_id, price, _is_late_arriving, _event_time from silver.stock_ticks order by 1";
    let mut tables: Vec<(String, String)> = Vec::new();
    for rows_max in ["500_000", "997", "61"] {
        let dir = scratch();
        let dir = dir.path();
        stocks::init(dir);
        let file = dir.join(FILE);
        let text = std::fs::read_to_string(&file).expect("the example");
        assert!(text.contains("interval: 1 s"), "the example says when it commits");
        std::fs::write(&file, text.replace("interval: 1 s", &format!("interval: 1 s, max_rows: {rows_max}")))
            .expect("written");
        for count in ["2000", "6000"] {
            let planted = ["--late", "5%", "--malformed", "1%"];
            let kept = ["--start-time", "2026-03-01T12:00:00Z", "--ledger", "l"];
            stocks::produce(dir, &[&["--count", count][..], &planted, &kept].concat());
            fine(dir, &["run", "-f", FILE, "--until-caught-up"]);
        }
        fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
        tables.push((sql(dir, FILE, SILVER), sql(dir, FILE, GOLD)));
    }
    assert!(tables[0].0.lines().count() > 5_000, "there are rows to compare");
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Open windows come from the checkpoint, or are rebuilt where it is gone or damaged: the rows are the same.
#[test]
fn open_windows_survive_restarts_with_their_checkpoint_without_it_and_with_a_damaged_one() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Checkpoint {
        Kept,
        Deleted,
        Damaged,
    }
    let mut tables = Vec::new();
    for checkpoint in [Checkpoint::Kept, Checkpoint::Deleted, Checkpoint::Damaged] {
        let dir = scratch();
        let dir = dir.path();
        stocks::init(dir);
        let windows = dir.join("x/data/lake/_watertight/state/gold.candles_1m.windows/blob-windows");
        for count in ["1500", "3000", "4500"] {
            let timed = ["--rate", "1000000/s", "--start-time", "2026-03-01T12:00:00Z"];
            stocks::produce(dir, &[&["--count", count, "--ledger", "l"][..], &timed].concat());
            let ran = watertight(dir, &["run", "-f", FILE, "--until-caught-up"]);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            let told = ran.err.contains("rebuilding the open windows");
            assert_eq!(told, checkpoint == Checkpoint::Damaged && count != "1500", "{}", ran.err);
            let mut bytes = std::fs::read(&windows).expect("open windows were saved");
            match checkpoint {
                Checkpoint::Kept => {}
                Checkpoint::Deleted => std::fs::remove_file(&windows).expect("removed"),
                Checkpoint::Damaged => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(&windows, bytes).expect("written");
                }
            }
        }
        fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
        tables.push(sql(dir, FILE, GOLD));
    }
    assert!(tables[0].lines().count() > 10, "{}", tables[0]);
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
}
