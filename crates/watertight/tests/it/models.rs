//! Models of a pipeline as a whole: one that breaks stops alone; windows close without further events.

use super::notes::{self, PIPELINE};
use super::{fine, scratch, sql, watertight};

#[test]
fn a_model_that_fails_stops_alone_and_catches_up_once_it_is_fixed() {
    let dir = scratch();
    let dir = dir.path();
    let broken = PIPELINE.replace(
        "  per_minute:",
        "  broken: { from: notes, window: 1 min, sql: \"SELECT window_start, sum(cast(id AS bigint)) AS ids FROM notes GROUP BY window_start\" }\n  per_minute:",
    );
    notes::produced(dir);
    std::fs::write(dir.join("p.yaml"), broken).expect("written");
    let ran = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(ran.code, Some(1), "a failed model is not passed over in silence");
    assert!(ran.err.contains("model broken stopped"), "{}", ran.err);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml"]);
    assert!(status.contains("model broken") && status.contains("FAILED"), "{status}");
    let fixed = std::fs::read_to_string(dir.join("p.yaml")).expect("there").replace("cast(id AS bigint)", "n");
    std::fs::write(dir.join("p.yaml"), fixed).expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select ids from gold.broken"), "ids\n3\n");
}

#[test]
fn a_model_that_cannot_be_planned_stops_alone_and_keeps_no_command_from_its_work() {
    let dir = scratch();
    let dir = dir.path();
    let broken = "  broken: { from: notes, window: 1 min, sql: \"SELECT window_start, sum(nope) AS s FROM notes GROUP BY window_start\" }\n  per_minute:";
    notes::produced(dir);
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("  per_minute:", broken)).expect("written");
    assert_eq!(watertight(dir, &["validate", "p.yaml"]).code, Some(78));
    let ran = watertight(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("model broken stopped") && ran.err.contains("nope"), "{}", ran.err);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml"]);
    assert!(status.contains("model broken") && status.contains("FAILED"), "{status}");
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("  per_minute:", &broken.replace("nope", "n")))
        .expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select s from gold.broken"), "s\n3\n");
}

#[test]
fn windows_close_when_every_partition_has_fallen_idle() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("watermark: 1 min", "watermark: 1 min, idle_after: 300 ms"))
        .expect("written");
    fine(dir, &["run", "-f", "p.yaml", "--for", "2s"]);
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
}
