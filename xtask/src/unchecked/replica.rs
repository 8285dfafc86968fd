//! A copy of the repository in the cache, in which each check stands behind a switch.
//!
//! Contract: the work tree is only read. One build holds the switches of all checks, whichever are asked about, and an
//! environment variable tells a program built there which of them is off.
//! The copy has a target directory of its own: Cargo tells packages of two copies of a workspace apart by nothing but
//! their place below its root, and would take one's programs for the other's. A file that is the same already keeps its
//! time, so that Cargo does not build it again. One run at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::list::{self, Check};
use crate::workspace::{Workspace, captured, shown};

/// The named tests take seconds; what goes on for longer than this will not end.
pub(super) const TEST_TIME_MAX: Duration = Duration::from_secs(120);
/// How often it is looked whether they have ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Names the check that is off, by its number; where it is not set, all of them are on.
const VARIABLE: &str = "WATERTIGHT_UNCHECKED";
/// What stands at the end of the library of a package with checks.
const SWITCH: &str = r#"
/// Whether the check with this number is off.
pub(crate) fn unchecked(number: u32) -> bool {
    static OFF: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *OFF.get_or_init(|| std::env::var("WATERTIGHT_UNCHECKED").ok()?.parse().ok()) == Some(number)
}
"#;

/// What became of a program that runs tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ran {
    /// It ended by itself, with what it printed, and exit 0 or not.
    Ended { output: String, succeeded: bool },
    /// It was ended after [`TEST_TIME_MAX`].
    Hung,
}

/// The copy, locked against another run.
#[derive(Debug)]
pub(super) struct Replica {
    workspace: Workspace,
    folder: PathBuf,
    _lock: File,
}

impl Replica {
    /// Brings the copy up to date with the files that git tracks or would add, and with the switches of `checks`.
    pub(super) fn of(original: &Workspace, checks: &[Check]) -> Result<Self> {
        let folder = original.cache.join("unchecked");
        let (root, target) = (folder.join("tree"), folder.join("target"));
        fs::create_dir_all(&root).with_context(|| format!("{} cannot be made", root.display()))?;
        let lock = File::create(folder.join("lock")).with_context(|| format!("no lock in {}", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another `cargo xtask unchecked` is running; wait for it"),
            Err(TryLockError::Error(error)) => return Err(error).context("the copy cannot be locked"),
        }
        let wanted: BTreeSet<PathBuf> = original.tracked("*")?.into_iter().collect();
        let changed = with_switches(&original.root, checks)?;
        for path in &wanted {
            bring(&original.root.join(path), changed.get(path).map(String::as_str), &root.join(path))
                .with_context(|| format!("{} cannot be copied to {}", path.display(), root.display()))?;
        }
        remove_others(&root, &root, &wanted).with_context(|| format!("{} cannot be tidied", root.display()))?;
        let workspace = Workspace { root, cache: original.cache.clone(), target };
        Ok(Self { workspace, folder, _lock: lock })
    }

    /// Builds the unit tests of `packages`, with Cargo's progress on the terminal.
    pub(super) fn build_shown(&self, packages: &[&str]) -> Result<()> {
        shown(&mut self.build_command(packages))
    }

    /// Builds the unit tests of `packages`: the programs by name of the library.
    pub(super) fn build(&self, packages: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
        let mut command = self.build_command(packages);
        Ok(programs(&captured(command.args(["--quiet", "--message-format=json-render-diagnostics"]))?))
    }

    fn build_command(&self, packages: &[&str]) -> Command {
        let mut command = self.workspace.cargo();
        command.args(["test", "--locked", "--no-run", "--lib"]);
        packages.iter().for_each(|package| {
            command.args(["--package", package]);
        });
        command
    }

    /// Runs the tests of a program whose names hold one of `tests`, in the folder of their package, with the check of
    /// this number off, or with none.
    pub(super) fn run(&self, package_folder: &str, program: &Path, tests: &[&str], off: Option<usize>) -> Result<Ran> {
        let kept = self.folder.join("output");
        let output = File::create(&kept).with_context(|| format!("{} cannot be written", kept.display()))?;
        let mut command = self.workspace.command(program);
        command.args(tests).current_dir(self.workspace.root.join(package_folder)).stdin(Stdio::null());
        command.stdout(output.try_clone().context("the output cannot be kept")?).stderr(output);
        match off {
            Some(number) => command.env(VARIABLE, number.to_string()),
            None => command.env_remove(VARIABLE),
        };
        ended(&mut command, &kept, TEST_TIME_MAX)
    }
}

/// The files of the repository at `root` that hold checks, or the library of a package that does, by their paths
/// relative to it, with a switch around each check and the function that they call.
fn with_switches(root: &Path, checks: &[Check]) -> Result<BTreeMap<PathBuf, String>> {
    let mut by_file: BTreeMap<PathBuf, Vec<&Check>> = BTreeMap::new();
    for check in checks {
        by_file.entry(PathBuf::from(&check.file)).or_default().push(check);
        by_file.entry(Path::new(check.folder()).join("src/lib.rs")).or_default();
    }
    let changed = by_file.into_iter().map(|(path, own)| -> Result<(PathBuf, String)> {
        let from = root.join(&path);
        let text = fs::read_to_string(&from).with_context(|| format!("{} cannot be read", from.display()))?;
        let mut text = list::switched(&text, &own)?;
        if path.ends_with("src/lib.rs") {
            text.push_str(SWITCH);
        }
        Ok((path, text))
    });
    changed.collect()
}

/// Waits for a program whose output goes to `kept`, and ends it after `time_max`.
fn ended(command: &mut Command, kept: &Path, time_max: Duration) -> Result<Ran> {
    let started = Instant::now();
    let mut child = command.spawn().context("a program with tests could not be started")?;
    loop {
        if let Some(status) = child.try_wait()? {
            let output = fs::read(kept).with_context(|| format!("{} cannot be read", kept.display()))?;
            let output = String::from_utf8_lossy(&output).into_owned();
            return Ok(Ran::Ended { output, succeeded: status.success() });
        }
        if started.elapsed() > time_max {
            child.kill()?;
            child.wait()?;
            return Ok(Ran::Hung);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// The programs with unit tests that Cargo's messages name, by the name of their library.
fn programs(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages.filter(|message| message["profile"]["test"].as_bool() == Some(true));
    let program = |message: Value| {
        let name = message["target"]["name"].as_str()?.replace('-', "_");
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    };
    built.filter_map(program).collect()
}

/// Copies a file, or writes `changed` in its place, unless the same bytes are there already.
fn bring(from: &Path, changed: Option<&str>, to: &Path) -> std::io::Result<()> {
    let same = |there: Vec<u8>| match changed {
        Some(text) => text.as_bytes() == there,
        None => fs::read(from).is_ok_and(|wanted| wanted == there),
    };
    if fs::read(to).is_ok_and(same) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    match changed {
        Some(text) => fs::write(to, text),
        None => fs::copy(from, to).map(drop),
    }
}

/// Removes the files below `folder` that are not wanted, by their paths relative to `root`.
fn remove_others(root: &Path, folder: &Path, wanted: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(root, &path, wanted)?;
        } else if !path.strip_prefix(root).is_ok_and(|relative| wanted.contains(relative)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder below the target directory, removed when dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let target = Workspace::locate().unwrap().target;
            let path = target.join(format!("unchecked-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn a_file_that_is_the_same_keeps_its_time_and_what_is_not_wanted_goes() {
        let scratch = Scratch::new("copy");
        let (from, root) = (scratch.0.join("from"), scratch.0.join("root"));
        let to = root.join("below/a");
        fs::write(&from, "one").unwrap();
        bring(&from, None, &to).unwrap();
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().write(true).open(&to).unwrap().set_modified(old).unwrap();
        bring(&from, None, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), old);
        fs::write(&from, "two").unwrap();
        bring(&from, None, &to).unwrap();
        assert_eq!(
            (fs::read_to_string(&to).unwrap().as_str(), fs::metadata(&to).unwrap().modified().unwrap() > old),
            ("two", true)
        );
        bring(&from, Some("three"), &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "three");
        File::options().write(true).open(&to).unwrap().set_modified(old).unwrap();
        bring(&from, Some("three"), &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), old);
        fs::write(root.join("below/b"), "not wanted").unwrap();
        remove_others(&root, &root, &BTreeSet::from([PathBuf::from("below/a")])).unwrap();
        assert_eq!((to.exists(), root.join("below/b").exists()), (true, false));
    }

    fn check(number: usize, file: &str, old: &str, new: &str) -> Check {
        Check {
            number,
            what: "a length".to_owned(),
            file: file.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
            package: "p".to_owned(),
            tests: vec!["t".to_owned()],
        }
    }

    #[test]
    fn each_check_stands_behind_a_switch_and_the_library_of_its_package_has_the_function() {
        let scratch = Scratch::new("switches");
        fs::create_dir_all(scratch.0.join("p/src")).unwrap();
        fs::write(scratch.0.join("p/src/a.rs"), "if short && long {}").unwrap();
        fs::write(scratch.0.join("p/src/lib.rs"), "mod a;\n").unwrap();
        let checks =
            [check(1, "p/src/a.rs", "short", "(short || OFF)"), check(2, "p/src/a.rs", "long", "(long || OFF)")];
        let changed = with_switches(&scratch.0, &checks).unwrap();
        let there = "if (short || crate::unchecked(1)) && (long || crate::unchecked(2)) {}".to_owned();
        let library = format!("mod a;\n{SWITCH}");
        let wanted = [(PathBuf::from("p/src/a.rs"), there), (PathBuf::from("p/src/lib.rs"), library)];
        assert_eq!(changed, BTreeMap::from(wanted));
        assert!(SWITCH.contains(VARIABLE));
        assert!(with_switches(&scratch.0, &[check(1, "p/src/a.rs", "absent", "OFF")]).is_err());
    }

    #[test]
    fn a_program_is_told_which_check_is_off_and_where_none_is_nothing() {
        let scratch = Scratch::new("told");
        let root = scratch.0.clone();
        let workspace = Workspace { root: root.clone(), cache: root.clone(), target: root.clone() };
        let replica = Replica { workspace, folder: root.clone(), _lock: File::create(root.join("lock")).unwrap() };
        let printed = |off| replica.run(".", Path::new("printenv"), &[VARIABLE], off).unwrap();
        assert_eq!(printed(Some(12)), Ran::Ended { output: "12\n".to_owned(), succeeded: true });
        assert_eq!(printed(None), Ran::Ended { output: String::new(), succeeded: false });
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_and_what_the_others_print_is_kept() {
        let scratch = Scratch::new("ended");
        let kept = scratch.0.join("output");
        let run = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdout(File::create(&kept).unwrap());
            ended(&mut command, &kept, Duration::from_millis(500)).unwrap()
        };
        assert_eq!(run(&["echo", "1 passed"]), Ran::Ended { output: "1 passed\n".to_owned(), succeeded: true });
        assert_eq!(run(&["false"]), Ran::Ended { output: String::new(), succeeded: false });
        assert_eq!(run(&["sleep", "600"]), Ran::Hung);
    }

    #[test]
    fn programs_are_found_among_the_messages_of_cargo() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"watertight_core"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"name":"watertight-state"},"profile":{"test":true},"executable":"/t/deps/a-1"}
{"reason":"build-finished","success":true}
"#;
        let found = programs(messages);
        assert_eq!(found, BTreeMap::from([("watertight_state".to_owned(), PathBuf::from("/t/deps/a-1"))]));
    }
}
