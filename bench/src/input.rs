//! The pipeline of the benchmark's events, and its input in a local log, made once by the program itself, with what must
//! come out of it beside it.
//!
//! Contract: the same count and seed give the same events, down to the byte, as long as [`FORMAT`] and the program's
//! generator stay as they are; raise the number when either changes.

use crate::amount;
use crate::bench::Bench;
use crate::log::LogPlace;
use crate::program::PIPELINE_FILE;
use anyhow::{Context as _, Result, anyhow};
use std::path::{Path, PathBuf};
use watertight_core::schema::StreamDef;

/// Number of the form of everything that is kept; part of its name.
pub(crate) const FORMAT: u32 = 1;
/// That of the input of `levels`: since 2 with its truth.
const LEVELS_FORMAT: u32 = 2;
/// Name of the stream, and of its topic in a local log.
pub(crate) const STREAM: &str = "bench";
/// Partitions of its topic.
pub(crate) const PARTITIONS: i32 = 8;
/// Name of its model.
pub(crate) const MODEL: &str = "activity_1m";
/// Event time of the first event: fixed, and past on any clock that is right.
pub(crate) const START: &str = "2026-01-05T00:00:00Z";

/// Eight partitions, lateness of ten minutes, every field of the generated events declared but the unknown ones.
const STREAM_YAML: &str = r#"streams:
  bench:
    topic: TOPIC
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
    /// The log.
    pub(crate) log: &'a LogPlace,
    /// The topic in it.
    pub(crate) topic: &'a str,
    /// Whether there is a model.
    pub(crate) model: bool,
    /// Lines for the end of the file, such as what bounds a commit.
    pub(crate) more: &'a str,
}

impl Pipeline<'_> {
    /// The file's text; the lake is beside it.
    pub(crate) fn text(&self) -> Result<String> {
        let (log, stream) = (self.log.yaml()?, STREAM_YAML.replace("TOPIC", self.topic));
        let (model, more) = (if self.model { MODEL_YAML } else { "" }, self.more);
        Ok(format!("pipeline: bench\nlog: {log}\nlake: lake\n{stream}{model}{more}"))
    }

    /// Writes the pipeline file into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(PIPELINE_FILE);
        std::fs::write(&path, self.text()?).with_context(|| format!("could not write {}", path.display()))
    }
}

/// The stream's definition, as the program reads it from the file.
pub(crate) fn definition() -> Result<StreamDef> {
    let text = Pipeline { log: &LogPlace::beside(), topic: STREAM, model: false, more: "" }.text()?;
    let read = |_: &Path| Ok(text.clone());
    let config = watertight_config::load(Path::new(PIPELINE_FILE), &|_| None, &read)
        .map_err(|problems| anyhow!("the benchmark's own pipeline file is not right; this is a defect:\n{problems}"))?;
    config.streams.into_iter().next().context("the benchmark's own pipeline file has no stream; this is a defect")
}

/// Input that was made.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// The local log with it, in topic [`STREAM`].
    pub(crate) log: PathBuf,
    /// The folder that says what must come out.
    pub(crate) truth: PathBuf,
}

/// Name under which an input of this many events is kept.
fn name_of(events: u64, seed: u64) -> String {
    format!("levels-v{LEVELS_FORMAT}-{}-seed{seed}", amount::short(events))
}

/// Whether the input has still to be made.
pub(crate) fn is_missing(bench: &Bench, events: u64, seed: u64) -> bool {
    !bench.cache.has(&name_of(events, seed))
}

/// The input of this many events, of which 5 % are duplicates, 3 % late and 0.5 % malformed.
pub(crate) fn made(bench: &mut Bench, events: u64, seed: u64) -> Result<Input> {
    bench.progress.show(&format!("making {} events, kept for later runs", amount::grouped(events)));
    let (count, seed_text) = (events.to_string(), seed.to_string());
    let (program, deadline) = (&bench.program, bench.deadline);
    let made = bench.cache.made(&name_of(events, seed), |folder| {
        Pipeline { log: &LogPlace::beside(), topic: STREAM, model: true, more: "" }.write(folder)?;
        let what = ["--generate", "bench", "--count", &count, "--seed", &seed_text, "--start-time", START];
        let shares = ["--duplicates", "5%", "--late", "3%", "--malformed", "0.5%"];
        let names = ["--producer", "bench", "--truth", "truth"];
        program.produce(folder, STREAM, &[&what[..], &shares[..], &names[..]].concat(), deadline, None)?;
        Ok(())
    });
    made.map(|folder| Input { log: folder.join("log"), truth: folder.join("truth") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(model: bool) -> String {
        let (log, more) = (LogPlace::Local(PathBuf::from("/x/log")), "commit: { max_rows: 50 }\n");
        Pipeline { log: &log, topic: "t-1", model, more }.text().expect("written")
    }

    #[test]
    fn a_file_has_a_model_only_where_one_is_asked_for() {
        let (without, with) = (text(false), text(true));
        assert!(!without.contains("models:") && without.ends_with("commit: { max_rows: 50 }\n"), "{without}");
        assert!(with.contains("window: 1 min") && with.contains(r#"path: "/x/log""#), "{with}");
    }

    #[test]
    fn the_file_says_what_the_constants_say() {
        let read = |_: &Path| Ok(text(true));
        let config = watertight_config::load(Path::new(PIPELINE_FILE), &|_| None, &read).expect("a pipeline file");
        assert_eq!(definition().expect("a definition").columns, config.streams[0].columns);
        let (stream, model) = (&config.streams[0], &config.models[0]);
        assert_eq!((stream.name.as_str(), stream.topic.as_str(), stream.partitions), (STREAM, "t-1", PARTITIONS));
        assert_eq!(model.name, MODEL);
    }
}
