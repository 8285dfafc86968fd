//! The program that is measured: where it is, and its commands as children.
//!
//! Contract: a run takes place in a folder of its own, whose `pipeline.yaml` says what it does.

use crate::child::{self, Feed, Finished};
use crate::live::Running;
use crate::progress::Deadline;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of the pipeline file in a run's folder.
pub(crate) const PIPELINE_FILE: &str = "pipeline.yaml";

/// A program's file.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its absolute path.
    pub(crate) path: PathBuf,
}

impl Program {
    /// The one that is named, or else the `watertight` beside this binary.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))?,
            None => Self::this()?.path.with_file_name("watertight"),
        };
        if !path.is_file() {
            bail!(
                "there is no program {}; build it with `cargo build --release -p watertight`, or give --program",
                path.display()
            );
        }
        Ok(Self { path })
    }

    /// This binary.
    pub(crate) fn this() -> Result<Self> {
        let path = std::env::current_exe().context("the path of this program cannot be told; give --program")?;
        Ok(Self { path })
    }

    /// Its build profile as the folder that it lies in says it: `release`, `debug`, or whatever else.
    pub(crate) fn profile(&self) -> String {
        let folder = self.path.parent().and_then(Path::file_name);
        folder.map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// A command of it, to be run in `place`.
    pub(crate) fn command(&self, place: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).current_dir(place).env("WATERTIGHT_LOG", "warn");
        command
    }

    /// `produce` into `stream` of the pipeline file in `place`.
    pub(crate) fn produce(
        &self,
        place: &Path,
        stream: &str,
        args: &[&str],
        deadline: Deadline,
        feed: Option<Feed>,
    ) -> Result<Finished> {
        let mut command = self.command(place, &["produce", "-f", PIPELINE_FILE, "--stream", stream]);
        command.args(args);
        child::run(command, place, deadline, feed).context("input could not be made")
    }

    /// `run` of the pipeline file in `place`, without an end of its own.
    pub(crate) fn start(&self, place: &Path, args: &[&str]) -> Result<Running> {
        let mut command = self.command(place, &["run", "-f", PIPELINE_FILE]);
        command.args(args);
        Running::start(command, place)
    }

    /// `run --until-caught-up` of the pipeline file in `place`.
    pub(crate) fn run(&self, place: &Path, args: &[&str], deadline: Deadline) -> Result<Finished> {
        let mut command = self.command(place, &["run", "-f", PIPELINE_FILE, "--until-caught-up"]);
        command.args(args);
        child::run(command, place, deadline, None)
    }
}
