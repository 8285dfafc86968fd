//! Where things are, and how other programs are run.
//!
//! Purpose: one place that knows the repository's root, the cache outside the clone and the target directory, and
//! that turns a finished process into a verdict. Children see `WATERTIGHT_CACHE` and `CARGO_TARGET_DIR`, set or
//! defaulted, so that a test finds the fetched data sets whichever way it was started.
//! Never: runs a shell; a command is a program and its arguments.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The places every step needs.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The repository's root, the folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// What is fetched or built for the tests and may be deleted at any time.
    pub(crate) cache: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the workspace, the cache, and the target directory, from the environment.
    ///
    /// The workspace is the one that Cargo runs this in; started without Cargo, the one it was built from. They differ
    /// where clones share a target directory: Cargo takes one's xtask for the other's where the sources are the same.
    pub(crate) fn locate() -> Result<Self> {
        let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let running = running.filter(|folder| folder.join("src/workspace.rs").exists());
        let manifest = running.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = manifest.parent().context("xtask's own folder has no parent")?.to_path_buf();
        let cache = match std::env::var_os("WATERTIGHT_CACHE") {
            Some(path) => PathBuf::from(path),
            None => {
                let home = std::env::var_os("HOME").context("neither WATERTIGHT_CACHE nor HOME is set; set one")?;
                PathBuf::from(home).join(".cache/watertight")
            }
        };
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = if target.is_absolute() { target } else { root.join(target) };
        Ok(Self { root, cache, target })
    }

    /// A command that runs in the root with the environment children expect.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_the_running_package) {
                command.env_remove(name);
            }
        }
        command.current_dir(&self.root).env("WATERTIGHT_CACHE", &self.cache).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Cargo: the one that started us, or the one on the path.
    pub(crate) fn cargo(&self) -> Command {
        self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// The files git tracks, relative to the root, in git's order; `pattern` is a git pathspec such as `*.rs`.
    ///
    /// Files that are tracked but deleted in the work tree are left out.
    pub(crate) fn tracked(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        // Files not yet added count too, or a check passes before a commit and fails after it.
        let listed = captured(self.command("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
            "--",
            pattern,
        ]))?;
        let paths = listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(paths.filter(|path| self.root.join(path).is_file()).collect())
    }

    /// `cargo metadata` for the machine's own platform: no network, nothing written.
    ///
    /// With `resolved` false, only the workspace's own manifests are in it.
    pub(crate) fn metadata(&self, resolved: bool) -> Result<Value> {
        let host = host_triple(self)?;
        let mut command = self.cargo();
        command.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host]);
        if !resolved {
            command.arg("--no-deps");
        }
        let text = captured(&mut command).context("run `cargo fetch --locked` once; the checks read it offline")?;
        serde_json::from_str(&text).context("cargo metadata did not print JSON")
    }
}

/// Whether `cargo run` set this variable to describe xtask itself.
///
/// Build scripts of dependencies (ring's) watch such variables: passed on, they would make Cargo rebuild what
/// stands on them whenever one changes between a plain `cargo build` and one started from here.
fn is_of_the_running_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// The triple of the machine's own platform, as rustc names it.
pub(crate) fn host_triple(workspace: &Workspace) -> Result<String> {
    let text = captured(workspace.command("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Runs to the end with the output on the terminal; a non-zero exit is an error that repeats the command.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("`{line}` could not be started"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs to the end and gives the standard output as text; a non-zero exit is an error with the last lines of stderr.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("`{line}` could not be started"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        let tail = lines[lines.len().saturating_sub(8)..].join("\n  ");
        bail!("`{line}` failed ({})\n  {tail}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something that is not UTF-8"))
}

/// Runs to the end, shows the standard output as it comes and keeps it.
///
/// Returns the text and whether the exit was zero. Bytes that are not UTF-8 are replaced.
pub(crate) fn teed(command: &mut Command) -> Result<(String, bool)> {
    let line = command_line(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("`{line}` could not be started"))?;
    let mut reader = BufReader::new(child.stdout.take().context("the child's standard output was not piped")?);
    let mut kept = String::new();
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        std::io::stdout().write_all(&bytes)?;
        kept.push_str(&String::from_utf8_lossy(&bytes));
        bytes.clear();
    }
    Ok((kept, child.wait()?.success()))
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_do_not_see_what_cargo_says_of_xtask_and_do_see_the_cache() {
        let workspace = Workspace::locate().unwrap();
        let environment = captured(&mut workspace.command("env")).unwrap();
        assert!(std::env::vars().any(|(name, _)| name == "CARGO_PKG_NAME"), "cargo test sets it");
        assert!(!environment.lines().any(|line| line.starts_with("CARGO_PKG_") || line.starts_with("CARGO_MANIFEST_")));
        assert!(environment.lines().any(|line| line.starts_with("WATERTIGHT_CACHE=/")));
    }

    #[test]
    fn a_failed_command_is_repeated_with_what_it_said() {
        let workspace = Workspace::locate().unwrap();
        let error = captured(workspace.command("ls").arg("/no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("`ls /no/such/folder` failed") && error.contains("/no/such/folder"), "{error}");
    }

    #[test]
    fn output_that_is_shown_is_also_kept_with_its_exit() {
        let workspace = Workspace::locate().unwrap();
        let (output, succeeded) = teed(workspace.command("printf").arg("1 passed, 0 failed\\n")).unwrap();
        assert_eq!((output.as_str(), succeeded), ("1 passed, 0 failed\n", true));
        assert!(!teed(&mut workspace.command("false")).unwrap().1);
    }
}
