//! A small pipeline of one's own, `p.yaml`: one stream with a check, one model.

use super::produce_notes;
use std::path::Path;

pub(super) const PIPELINE: &str = "
pipeline: notes
log: { local: { path: data/log } }
lake: data/lake
streams:
  notes:
    event_id: id
    event_time: { column: at, watermark: 1 min }
    columns:
      id: { type: string, required: true }
      at: { type: timestamp, required: true }
      n: { type: long }
    checks: { small: \"n < 100\" }
models:
  per_minute: { from: notes, window: 1 min, sql: \"SELECT window_start, count(*) AS notes FROM notes GROUP BY window_start\" }
";

/// Two rows, one of them twice, and two dead letters.
pub(super) const FIVE: &str = r#"{"id":"a","at":"2026-03-01T10:00:00Z","n":1}
{"id":"b","at":"2026-03-01T10:00:30Z","n":2,"more":{"x":1}}
{"id":"a","at":"2026-03-01T10:00:00Z","n":1}
{"id":"c","at":"2026-03-01T10:05:00Z","n":500}
not json
"#;

/// The pipeline file, and [`FIVE`] in its log.
pub(super) fn produced(dir: &Path) {
    std::fs::write(dir.join("p.yaml"), PIPELINE).expect("written");
    produce_notes(dir, &[], FIVE);
}
