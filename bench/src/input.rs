//! The pipeline of the benchmark's events, and its input in a local log, made once by the program itself.
//!
//! Contract: the same count gives the same events, down to the byte, as long as [`FORMAT`] and the program's generator
//! stay as they are; raise the number when either changes.

use crate::amount;
use crate::bench::Bench;
use crate::program::PIPELINE_FILE;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Number of the form of everything that is kept; part of its name.
pub(crate) const FORMAT: u32 = 1;
/// Name of the stream, and of its topic.
pub(crate) const STREAM: &str = "bench";
/// Event time of the first event: fixed, and past on any clock that is right.
pub(crate) const START: &str = "2026-01-05T00:00:00Z";

/// Eight partitions, lateness of ten minutes, every field of the generated events declared but the unknown ones.
const STREAM_YAML: &str = r#"streams:
  bench:
    topic: bench
    partitions: 8
    event_id: event_id
    event_time: { column: ts, watermark: 10 min }
    columns:
      event_id:   { type: string, required: true }
      type:       { type: string, required: true }
      user_id:    { type: string, required: true }
      session_id: { type: string, required: true }
      ts:         { type: timestamp, required: true }
      country:    string
      device:     string
      currency:   string
      amount:     { type: "decimal(18,2)", required: true }
      product:    string
      props:      { type: "struct<campaign: string, referrer: string, variant: string, page: string, slot: string, coupon: string, theme: string, query: string>" }
"#;

/// The model whose rows `produce --truth` can compute for these events.
const MODEL_YAML: &str = "\
models:
  activity_1m:
    from: bench
    window: 1 min
    sql: SELECT window_start, window_end, type, count(*) AS events, sum(amount) AS amount FROM bench GROUP BY window_start, window_end, type
";

/// What a pipeline file says beside its stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipeline<'a> {
    /// Folder of the log; relative ones begin at the file's folder.
    pub(crate) log: &'a Path,
    /// Whether there is a model.
    pub(crate) model: bool,
    /// Lines for the end of the file, such as what bounds a commit.
    pub(crate) more: &'a str,
}

impl Pipeline<'_> {
    /// Writes the pipeline file into `folder`; the lake is beside it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let (log, model) = (yaml_text(self.log)?, if self.model { MODEL_YAML } else { "" });
        let more = self.more;
        let text =
            format!("pipeline: bench\nlog: {{ local: {{ path: {log} }} }}\nlake: lake\n{STREAM_YAML}{model}{more}");
        let path = folder.join(PIPELINE_FILE);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    }
}

/// A path as a text in YAML: between quotes, its escapes those of JSON, and no `$` that would begin a variable.
pub(crate) fn yaml_text(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8; use another folder", path.display()))?;
    Ok(serde_json::to_string(&text.replace('$', "$$"))?)
}

/// Name under which an input of this many events is kept.
fn name_of(events: u64) -> String {
    format!("levels-v{FORMAT}-{}", amount::short(events))
}

/// Whether the input has still to be made.
pub(crate) fn is_missing(bench: &Bench, events: u64) -> bool {
    !bench.cache.has(&name_of(events))
}

/// The log with this many events, of which 5 % are duplicates, 3 % late and 0.5 % malformed.
pub(crate) fn log_of(bench: &mut Bench, events: u64) -> Result<PathBuf> {
    bench.progress.show(&format!("making {} events, kept for later runs", amount::grouped(events)));
    let count = events.to_string();
    let (program, deadline) = (&bench.program, bench.deadline);
    let made = bench.cache.made(&name_of(events), |folder| {
        Pipeline { log: Path::new("log"), model: false, more: "" }.write(folder)?;
        let shares = ["--duplicates", "5%", "--late", "3%", "--malformed", "0.5%"];
        let plan =
            ["--generate", "bench", "--count", &count, "--seed", "1", "--start-time", START, "--producer", "bench"];
        program.produce(folder, STREAM, &[&plan[..], &shares[..]].concat(), deadline, None)?;
        Ok(())
    });
    made.map(|folder| folder.join("log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_text_and_never_a_variable() {
        let yaml = |path: &str| yaml_text(Path::new(path)).expect("UTF-8");
        assert_eq!(yaml("/a b/log"), r#""/a b/log""#);
        assert_eq!(yaml(r#"/a"b/${HOME}"#), r#""/a\"b/$${HOME}""#);
    }

    #[test]
    fn a_file_has_a_model_only_where_one_is_asked_for() {
        let dir = tempfile::tempdir().expect("scratch");
        let text = |model| {
            let pipeline = Pipeline { log: Path::new("/x/log"), model, more: "commit: { max_rows: 50 }\n" };
            pipeline.write(dir.path()).expect("written");
            std::fs::read_to_string(dir.path().join(PIPELINE_FILE)).expect("there")
        };
        let (without, with) = (text(false), text(true));
        assert!(!without.contains("models:") && without.ends_with("commit: { max_rows: 50 }\n"), "{without}");
        assert!(with.contains("window: 1 min") && with.contains(r#"path: "/x/log""#), "{with}");
    }
}
