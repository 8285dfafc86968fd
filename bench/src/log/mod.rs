//! The event log under a measurement: Kafka, or the built-in one.
//!
//! Contract: input is made once, in a local log; what is measured on Kafka is a copy of it, record by record at the same
//! positions, so that both give the same checksum. A topic of a measurement is its own, under a name that nothing else has.

mod broker;
mod copy;
mod sender;

pub(crate) use broker::Broker;
pub(crate) use copy::into_kafka;
pub(crate) use sender::KafkaSender;

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogKind {
    /// Apache Kafka.
    Kafka,
    /// The built-in log.
    Local,
}

/// Arguments of every measurement that runs on either log.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogArgs {
    /// The event log: Kafka, or the built-in one.
    #[arg(long, value_enum, default_value = "kafka")]
    pub(crate) log: LogKind,
    /// A Kafka cluster of yours instead of one broker started for this measurement; topics made there are deleted again.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(crate) bootstrap: Option<String>,
}

impl LogArgs {
    /// What people read.
    pub(crate) fn name(&self) -> &'static str {
        match (self.log, &self.bootstrap) {
            (LogKind::Local, _) => "the built-in log",
            (LogKind::Kafka, None) => "Kafka, one broker on this machine",
            (LogKind::Kafka, Some(_)) => "Kafka, a cluster that was named",
        }
    }
}

/// Where a pipeline file finds the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogPlace {
    /// A folder; relative ones begin at the file's folder.
    Local(PathBuf),
    /// Brokers, `host:port` with commas between them.
    Kafka(String),
}

impl LogPlace {
    /// The folder beside the pipeline file.
    pub(crate) fn beside() -> Self {
        Self::Local(PathBuf::from("log"))
    }

    /// The value of `log:` in a pipeline file.
    pub(crate) fn yaml(&self) -> Result<String> {
        Ok(match self {
            Self::Local(path) => format!("{{ local: {{ path: {} }} }}", yaml_path(path)?),
            Self::Kafka(bootstrap) => format!("{{ kafka: {{ bootstrap: {} }} }}", yaml_text(bootstrap)?),
        })
    }
}

fn yaml_path(path: &Path) -> Result<String> {
    yaml_text(path.to_str().with_context(|| format!("{} is not UTF-8; use another folder", path.display()))?)
}

/// A text in YAML: between quotes, its escapes those of JSON, and no `$` that would begin a variable.
fn yaml_text(text: &str) -> Result<String> {
    Ok(serde_json::to_string(&text.replace('$', "$$"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_text_and_never_a_variable() {
        let yaml = |path: &str| LogPlace::Local(PathBuf::from(path)).yaml().expect("UTF-8");
        assert_eq!(yaml("/a b/log"), r#"{ local: { path: "/a b/log" } }"#);
        assert_eq!(yaml(r#"/a"b/${HOME}"#), r#"{ local: { path: "/a\"b/$${HOME}" } }"#);
    }

    #[test]
    fn brokers_are_a_text_too() {
        let yaml = LogPlace::Kafka("127.0.0.1:9092,[::1]:9093".to_owned()).yaml().expect("written");
        assert_eq!(yaml, r#"{ kafka: { bootstrap: "127.0.0.1:9092,[::1]:9093" } }"#);
    }
}
