//! Problems in SQL: found by others, placed here, and told together with those of the file.

use std::path::Path;
use watertight_config::{Definitions, Problem, Problems, load_and_check};

/// A misspelt key (line 9), a model of no stream (14) and a stream that cannot be built (10).
const WRONG: &str = "\
pipeline: market
log: { local: { path: data/log } }
lake: data/lake
streams:
  ticks:
    event_id: id
    event_time: { column: ts, watermark: 2 h }
    columns: { id: string, ts: timestamp }
    topik: x
  broken: { event_id: id, event_time: { column: ts, watermark: 2 h }, columns: { id: strin, ts: timestamp } }
  misnamed: { event_id: id, event_time: { column: ts, watermark: 2 h }, columns: { id: string, ts: timestamp, a-b: int } }
models:
  bars: { from: ticks, window: 1 min, sql: models/bars.sql }
  lost: { from: tick, window: 1 min, sql: models/bars.sql }
  inline: { from: ticks, window: 1 min, sql: SELECT 1 }
";

/// SQL that doesn't begin at the first character of its file.
const BARS: &str = "\u{feff}\n  SELECT window_start,\n  max(pric)\nFROM ticks";

fn answer(check: &dyn Fn(&Definitions) -> Vec<Problem>) -> Problems {
    let reader = |path: &Path| -> std::io::Result<String> {
        Ok(if path.ends_with("models/bars.sql") { BARS } else { WRONG }.to_owned())
    };
    load_and_check(Path::new("wrong.yaml"), &|_| None, &reader, check).expect_err("it is wrong")
}

#[test]
fn definitions_that_could_be_built_are_checked_in_a_file_that_is_wrong() {
    let problems = answer(&|found| {
        let names: Vec<&str> = found.streams.iter().map(|stream| stream.name.as_str()).collect();
        assert_eq!(names, ["ticks"], "without the stream of an unknown type and the one with a column of no name");
        let names: Vec<&str> = found.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["bars", "lost", "inline"]);
        vec![
            found.source.sql_problem("inline", None, "late", None),
            found.source.problem("streams.ticks.event_id", "early", None),
        ]
    });
    let places: Vec<(u32, &str)> = problems.0.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(places.len(), 6, "{problems}");
    assert_eq!(places[0], (6, "early"));
    assert_eq!(places[5], (15, "model 'inline': late"));
    assert_eq!(places.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [6, 9, 10, 11, 14, 15], "{problems}");
}

#[test]
fn a_problem_in_sql_names_the_file_and_the_place_in_it() {
    let problems = answer(&|found| {
        vec![
            found.source.sql_problem("bars", Some((1, 8)), "first line", None),
            found.source.sql_problem(
                "bars",
                Some((2, 7)),
                "unknown column 'pric'",
                Some("did you mean 'price'?".into()),
            ),
            found.source.sql_problem("bars", None, "somewhere", None),
            found.source.sql_problem("inline", Some((1, 8)), "in place", None),
        ]
    });
    let text = problems.to_string();
    for line in [
        "wrong.yaml:13:44: error: models/bars.sql:2:10: first line\n",
        "wrong.yaml:13:44: error: models/bars.sql:3:7: unknown column 'pric'; did you mean 'price'?\n",
        "wrong.yaml:13:44: error: models/bars.sql: somewhere\n",
        "wrong.yaml:15:46: error: model 'inline', line 1, column 8 of its SQL: in place",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
