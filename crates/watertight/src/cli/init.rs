//! `watertight init`: writes a commented example that runs, and says what to do with it.
//!
//! What it never does: overwrite. When one of the files is there, nothing is written.

use super::{Exit, output, quantity};
use anyhow::{Context as _, bail};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The log of an example in Kafka: `BROKERS` are the brokers.
const IN_KAFKA: &str = "\
# The event log: Apache Kafka, from version 2.8 on. A topic that isn't there is made.
log:
  kafka:
    bootstrap: \"BROKERS\"

    # Where brokers want to know who asks: properties of librdkafka by its names, and where each secret is.
    # properties: { security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, sasl.username: watertight }
    # secrets: { sasl.password_file: kafka.password }    # or sasl.password_env: KAFKA_PASSWORD

    # Copies of each partition of a topic that is made; the cluster's own number unless given.
    # replication_factor: 3
";

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The example.
    #[arg(value_enum)]
    example: Example,
    /// Folder to write it into; a folder named like the example unless given. It is made if it isn't there.
    dir: Option<PathBuf>,
    /// Keep events in Kafka, at these brokers; more of them with commas between. Nothing is asked of them now.
    #[arg(long, value_name = "HOST:PORT", value_parser = quantity::brokers)]
    kafka: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Example {
    /// Stock ticks into candles of one minute, with a generator.
    Stocks,
    /// Requests to a metered API into usage per customer and hour, with a generator.
    ApiUsage,
    /// A week of real earthquakes (nested JSON) into a count per day.
    Earthquakes,
}

/// The name of every example's pipeline file.
const PIPELINE: &str = "pipeline.yaml";

/// An example as it is in the repository.
struct Content {
    name: &'static str,
    files: [(&'static str, &'static str); 2],
    /// What to do next; `FILE` is the pipeline file.
    next: &'static [&'static str],
}

impl Example {
    fn content(self) -> Content {
        match self {
            Self::Stocks => Content {
                name: "stocks",
                files: [
                    (PIPELINE, include_str!("../../../../examples/stocks/pipeline.yaml")),
                    ("models/candles_1m.sql", include_str!("../../../../examples/stocks/models/candles_1m.sql")),
                ],
                next: &[
                    "watertight produce -f FILE --stream stock_ticks --generate stocks --count 10_000",
                    "watertight run -f FILE --until-caught-up --close-windows",
                    "watertight sql -f FILE \"select * from gold.candles_1m order by window_start, symbol limit 10\"",
                ],
            },
            Self::ApiUsage => Content {
                name: "api-usage",
                files: [
                    (PIPELINE, include_str!("../../../../examples/api-usage/pipeline.yaml")),
                    ("models/usage_hourly.sql", include_str!("../../../../examples/api-usage/models/usage_hourly.sql")),
                ],
                next: &[
                    "watertight produce -f FILE --stream api_usage_events --generate api-usage --count 10_000",
                    "watertight run -f FILE --until-caught-up --close-windows",
                    "watertight sql -f FILE \"select * from gold.usage_hourly order by requests desc limit 10\"",
                ],
            },
            Self::Earthquakes => Content {
                name: "earthquakes",
                files: [
                    (PIPELINE, include_str!("../../../../examples/earthquakes/pipeline.yaml")),
                    (
                        "models/quakes_daily.sql",
                        include_str!("../../../../examples/earthquakes/models/quakes_daily.sql"),
                    ),
                ],
                next: &[
                    "npm pack vega-datasets && tar xzf vega-datasets-*.tgz package/data/earthquakes.json",
                    "watertight produce -f FILE --stream earthquakes --input package/data/earthquakes.json",
                    "watertight run -f FILE --until-caught-up --close-windows",
                    "watertight sql -f FILE \"select * from gold.quakes_daily order by window_start\"",
                ],
            },
        }
    }
}

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let content = args.example.content();
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(content.name));
    let there: Vec<String> = content
        .files
        .iter()
        .map(|(file, _)| dir.join(file))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() {
        bail!(
            "{} already there, and nothing is overwritten; name another folder: watertight init {} DIR",
            there.join(" and "),
            content.name
        );
    }
    let mut text = String::new();
    for (file, data) in content.files {
        let path = dir.join(file);
        match &args.kafka {
            Some(brokers) if file == PIPELINE => write_new(&path, &in_kafka(data, brokers))?,
            _ => write_new(&path, data)?,
        }
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let file = shell_word(&dir.join(PIPELINE));
    text.push_str("\nnext:\n");
    for line in content.next {
        text.push_str(&format!("  {}\n", line.replace("FILE", &file)));
    }
    output::print(&text)?;
    Ok(Exit::Fine)
}

/// A pipeline file with its log in Kafka, and the rest as it is.
fn in_kafka(pipeline: &str, brokers: &str) -> String {
    let mut text = String::new();
    for line in pipeline.lines() {
        if line.starts_with("log: ") {
            text.push_str(&IN_KAFKA.replace("BROKERS", brokers));
        } else if !line.starts_with("# The event log: ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Writes a file that isn't there yet, with its folder.
fn write_new(path: &Path, data: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(data.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
