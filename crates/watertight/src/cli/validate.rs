//! `watertight validate`: every problem of a pipeline file, or what the pipeline would do.
//!
//! It reads the file, the SQL files it names and the environment, and touches nothing else.

use super::{Exit, output, pipeline_file};
use crate::wiring;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use watertight_config::{PipelineConfig, Problems, show_duration};
use watertight_core::schema::{StreamDef, Topics};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["file", "option"]))]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The pipeline file, as other commands take it.
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "option")]
    option: Option<PathBuf>,
    /// How the answer is written to standard output. Problems as text go to standard error.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object: {"file", "valid", "problems": […], "pipeline": {…} or null}.
    Json,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let path = args.file.as_deref().or(args.option.as_deref()).unwrap_or(Path::new(""));
    let answer = pipeline_file::examine(path);
    match (args.format, &answer) {
        (Format::Json, _) => output::print(&format!("{:#}\n", object(path, &answer)))?,
        (Format::Text, Ok(config)) => output::print(&summary(path, config))?,
        (Format::Text, Err(problems)) => {
            let count = problems.0.len();
            eprintln!("{problems}\n{count} {} in {}", if count == 1 { "problem" } else { "problems" }, path.display());
        }
    }
    Ok(if answer.is_ok() { Exit::Fine } else { Exit::Config })
}

/// The tables that a pipeline writes.
fn tables(config: &PipelineConfig) -> Vec<String> {
    let streams = config.streams.iter().flat_map(|stream| stream_tables(&stream.name));
    let models = config.models.iter().map(|model| format!("gold.{}", model.name));
    streams.chain(models).chain(["ops.commits".to_owned(), "ops.definitions".to_owned()]).collect()
}

fn stream_tables(name: &str) -> [String; 3] {
    [format!("bronze.{name}"), format!("bronze.{name}_dlq"), format!("silver.{name}")]
}

fn summary(path: &Path, config: &PipelineConfig) -> String {
    let mut text = format!("{} is right\n\n", path.display());
    let _ = writeln!(text, "pipeline {}", config.name);
    let _ = writeln!(
        text,
        "  log    {}\n  lake   {}\n  state  {}",
        wiring::place_of_log(config),
        config.lake.display(),
        config.state.display()
    );
    for stream in &config.streams {
        let _ = writeln!(text, "stream {}", stream.name);
        let _ = writeln!(
            text,
            "  {} {}, {}, {}, {}, watermark {}",
            if stream.topics.is_some() { "topics" } else { "topic" },
            stream.topics_shown(),
            counted(stream.partitions as usize, "partition"),
            counted(stream.columns.len(), "column"),
            counted(stream.checks.len(), "check"),
            show_duration(stream.event_time.watermark_delay_us),
        );
    }
    for model in &config.models {
        let _ =
            writeln!(text, "model {}\n  from {}, window {}", model.name, model.from, show_duration(model.window_us));
    }
    let _ = writeln!(text, "tables\n  {}", tables(config).join("\n  "));
    text
}

/// The topics of a stream that may read several, as the pipeline file has them; null of any other.
fn topics(stream: &StreamDef) -> Value {
    match &stream.topics {
        None => Value::Null,
        Some(Topics::List(names)) => json!(names),
        Some(Topics::Pattern(pattern)) => json!({"pattern": pattern.text()}),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn object(path: &Path, answer: &Result<PipelineConfig, Problems>) -> Value {
    let problems: Vec<Value> = answer
        .as_ref()
        .err()
        .map_or(&[][..], |problems| &problems.0)
        .iter()
        .map(|problem| {
            json!({
                "line": problem.line,
                "column": problem.column,
                "path": problem.path,
                "message": problem.message,
                "suggestion": problem.suggestion,
            })
        })
        .collect();
    let pipeline = answer.as_ref().ok().map(|config| {
        json!({
            "name": config.name,
            "streams": config.streams.iter().map(|stream| json!({
                "name": stream.name,
                "topic": stream.topics.is_none().then_some(&stream.topic),
                "topics": topics(stream),
                "partitions": stream.partitions,
                "columns": stream.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
                "checks": stream.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(),
                "tables": stream_tables(&stream.name),
            })).collect::<Vec<_>>(),
            "models": config.models.iter().map(|model| json!({
                "name": model.name,
                "from": model.from,
                "window_us": model.window_us,
                "tables": [format!("gold.{}", model.name)],
            })).collect::<Vec<_>>(),
            "tables": tables(config),
        })
    });
    json!({"file": path.display().to_string(), "valid": answer.is_ok(), "problems": problems, "pipeline": pipeline})
}
