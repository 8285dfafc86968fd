//! What becomes of events that are produced: rows, duplicates, dead letters, definitions, commits.

use super::notes::{self, PIPELINE};
use super::{fine, produce_notes, scratch, sql};

#[test]
fn five_lines_of_ones_own_become_rows_duplicates_and_dead_letters() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(
        sql(dir, "p.yaml", "select event_id, n, _extra from silver.notes order by 1"),
        "event_id,n,_extra\na,1,\nb,2,\"{\"\"more\"\":{\"\"x\"\":1}}\"\n"
    );
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from bronze.notes"), "c\n5\n");
    let letters = sql(dir, "p.yaml", "select _quality_flags[1] as why from bronze.notes_dlq order by 1");
    assert_eq!(letters, "why\ncheck:small\ninvalid_json\n");
    assert_eq!(sql(dir, "p.yaml", "select notes from gold.per_minute"), "notes\n2\n");
    let status = fine(dir, &["status", "-f", "p.yaml", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("status is JSON");
    let outcome = &status["streams"][0]["outcome"];
    assert_eq!((outcome["silver"].as_u64(), outcome["duplicates"].as_u64()), (Some(2), Some(1)), "{status}");
    assert_eq!(status["streams"][0]["lag"].as_i64(), Some(0));
}

#[test]
fn a_changed_definition_is_numbered_and_holds_from_the_next_record() {
    let dir = scratch();
    let dir = dir.path();
    notes::produced(dir);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    std::fs::write(
        dir.join("p.yaml"),
        PIPELINE.replace("n < 100", "n < 1000").replace("n: { type: long }", "n: { type: long }\n      m: string"),
    )
    .expect("written");
    let more = r#"{"id":"d","at":"2026-03-01T10:06:00Z","n":500,"m":"x"}"#;
    produce_notes(dir, &[], more);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up"]);
    assert_eq!(
        sql(dir, "p.yaml", "select event_id, m, _schema_version as v from silver.notes order by 1"),
        "event_id,m,v\na,,1\nb,,1\nd,x,2\n"
    );
    let versions = sql(dir, "p.yaml", "select version from ops.definitions where kind = 'stream' order by 1");
    assert_eq!(versions, "version\n1\n2\n");
}

#[test]
fn a_commit_touches_64_event_dates_at_most_and_the_books_of_each_are_copied_once() {
    let dir = scratch();
    let dir = dir.path();
    std::fs::write(dir.join("p.yaml"), PIPELINE.replace("event_id: id", "event_id: id\n    partitions: 1"))
        .expect("written");
    let line = |day: i64| {
        let date = jiff::civil::date(2025, 1, 1) + jiff::Span::new().days(day);
        format!("{{\"id\":\"e{day}\",\"at\":\"{date}T00:00:00Z\"}}\n")
    };
    let lines: String = (0..200).map(line).collect();
    produce_notes(dir, &[], &lines);
    fine(dir, &["run", "-f", "p.yaml", "--until-caught-up", "--close-windows"]);
    assert_eq!(sql(dir, "p.yaml", "select count(*) as c from silver.notes"), "c\n200\n");
    assert_eq!(sql(dir, "p.yaml", "select sum(notes) as c from gold.per_minute"), "c\n200\n");
    let commits = "from ops.commits where table_name = 'silver.notes' and kind = 'append' and to_offset is not null";
    assert_eq!(sql(dir, "p.yaml", &format!("select count(*) as c, max(silver) as most {commits}")), "c,most\n4,64\n");
    let copies = "select table_name, version, count(*) from ops.commits group by 1, 2 having count(*) > 1";
    assert_eq!(sql(dir, "p.yaml", copies).lines().count(), 1, "one partition: one row a commit");
}
