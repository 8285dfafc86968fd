//! The demo's build and the tests' build share every dependency.
//!
//! `make demo` builds `-p watertight`, `make test` builds `--workspace` with dev-dependencies. If one of those
//! switches a feature on, Cargo compiles that crate, and all that stands on it, twice: minutes on two cores. This
//! check compares the two resolutions and names what would be built a second time.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::verify::Tally;
use crate::workspace::{Workspace, captured};

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let demo = resolution(workspace, &["-p", "watertight", "-e", "normal,build"])?;
    let tests = resolution(workspace, &["--workspace", "-e", "normal,build,dev"])?;
    println!("{} dependencies in the demo's build, {} in the tests' build", demo.len(), tests.len());
    Ok(Tally::check(built_twice(&demo, &tests)))
}

fn resolution(workspace: &Workspace, selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = workspace.cargo();
    command.args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} [{f}]"]).args(selection);
    let text = captured(&mut command)?;
    Ok(text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect())
}

fn built_twice(demo: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    let missing = demo.difference(tests);
    missing
        .map(|package| format!("the tests' build needs other features than the demo's `{package}`: it is built twice"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_feature_only_a_dev_dependency_switches_on_is_named() {
        let demo = set(&["arrow v59 [ipc]", "serde v1 [derive]"]);
        let tests = set(&["arrow v59 [ipc,test_utils]", "serde v1 [derive]", "proptest v1 [std]"]);
        let problems = built_twice(&demo, &tests);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("arrow v59 [ipc]"));
    }

    #[test]
    fn dependencies_only_the_tests_have_are_fine() {
        assert_eq!(built_twice(&set(&["a v1 []"]), &set(&["a v1 []", "proptest v1 []"])), Vec::<String>::new());
    }
}
