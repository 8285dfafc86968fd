//! What Cargo would really build for one package: `cargo tree`, read.
//!
//! `cargo metadata` unites the features of all packages of the workspace, so it shows a crate as depending on what
//! only its neighbours switch on. `cargo tree -p` resolves features for one package alone, which is what a
//! prohibition must be held against.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, captured};

/// For every package reached, the way to it: names from the root package to it, both included.
pub(crate) type Reached = BTreeMap<String, Vec<String>>;

/// What `package` reaches by normal dependencies on this platform.
pub(crate) fn reached(workspace: &Workspace, package: &str) -> Result<Reached> {
    let text = captured(workspace.cargo().args([
        "tree",
        "--locked",
        "--offline",
        "-p",
        package,
        "-e",
        "normal",
        "--prefix",
        "depth",
        "--format",
        " {p}",
    ]))?;
    parse(&text)
}

/// Name and version of every package that any of our builds compiles on this platform, tests included.
pub(crate) fn built(workspace: &Workspace) -> Result<BTreeSet<(String, String)>> {
    let text = captured(workspace.cargo().args([
        "tree",
        "--locked",
        "--offline",
        "--workspace",
        "-e",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let packages = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    });
    Ok(packages.collect())
}

/// Reads lines of the form `<depth> <name> v<version> …`; the first way found to a package is kept.
fn parse(text: &str) -> Result<Reached> {
    let mut way: Vec<String> = Vec::new();
    let mut reached = Reached::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let depth: usize = words
            .next()
            .and_then(|depth| depth.parse().ok())
            .with_context(|| format!("cargo tree printed a line without a depth: `{line}`"))?;
        let name = words.next().with_context(|| format!("cargo tree printed a line without a name: `{line}`"))?;
        if depth > way.len() {
            bail!("cargo tree skipped a level at `{line}`");
        }
        way.truncate(depth);
        way.push(name.to_owned());
        reached.entry(name.to_owned()).or_insert_with(|| way.clone());
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_package_is_kept_from_the_root() {
        let reached = parse("0 a v1\n1 b v1\n2 c v1 (*)\n1 d v2 (/some/path)\n").unwrap();
        assert_eq!(reached["c"], ["a", "b", "c"]);
        assert_eq!(reached["d"], ["a", "d"]);
    }

    #[test]
    fn a_line_that_is_not_a_tree_is_an_error() {
        assert!(parse("a v1\n").is_err());
        assert!(parse("0 a v1\n2 c v1\n").is_err());
    }
}
