//! No tracked file names the host of a package registry.
//!
//! Purpose: machines fetch through whatever mirror their own configuration names; a host written into a file of ours
//! would break that, silently, for someone. `Cargo.lock` is the one exception: Cargo writes the index's name into it
//! as an identifier and resolves it through the machine's configuration.

use anyhow::{Context, Result};

use crate::verify::Tally;
use crate::workspace::Workspace;

/// Host names in two parts, so that this file does not name them.
const HOSTS: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("yarnpkg", ".com"),
    ("maven", ".org"),
    ("maven", ".apache.org"),
    ("deb.", "debian.org"),
    ("security.", "debian.org"),
    ("archive.", "ubuntu.com"),
    ("proxy.", "golang.org"),
    ("docker", ".io"),
    ("ghcr", ".io"),
    ("quay", ".io"),
    ("extensions.", "duckdb.org"),
];

/// How Cargo names a package's source in its lock file.
const LOCKED_SOURCE: &str = "source = \"registry+";

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let hosts: Vec<String> = HOSTS.iter().map(|(name, rest)| format!("{name}{rest}")).collect();
    let mut problems = Vec::new();
    let tracked = workspace.tracked("*")?;
    for path in &tracked {
        let full = workspace.root.join(path);
        let bytes = std::fs::read(&full).with_context(|| format!("{} cannot be read", full.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        problems.extend(named_hosts(&path.to_string_lossy(), &text, &hosts));
    }
    println!("{} files, {} host names", tracked.len(), hosts.len());
    Ok(Tally::check(problems))
}

fn named_hosts(path: &str, text: &str, hosts: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if path == "Cargo.lock" && line.starts_with(LOCKED_SOURCE) {
            continue;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(host) = hosts.iter().find(|host| lower.contains(host.as_str())) {
            problems.push(format!("{path}:{} names the registry host `{host}`; leave it to the machine", index + 1));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        vec!["packages.example".to_owned()]
    }

    #[test]
    fn a_planted_host_is_named_with_its_line() {
        let problems = named_hosts("setup/install.sh", "set -e\ncurl https://Packages.Example/x\n", &hosts());
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("setup/install.sh:2 "));
    }

    #[test]
    fn the_lock_file_may_name_sources_and_nothing_else() {
        let source = "source = \"registry+https://packages.example/index\"";
        assert!(named_hosts("Cargo.lock", source, &hosts()).is_empty());
        assert_eq!(named_hosts("other/Cargo.lock", source, &hosts()).len(), 1);
        assert_eq!(named_hosts("Cargo.lock", "name = \"packages.example\"", &hosts()).len(), 1);
    }
}
