//! The documents name only what exists.
//!
//! Purpose: in every tracked Markdown file, a relative link, a path in backticks that begins with a folder of ours,
//! `make <target>`, `cargo xtask <command>` and the name of a test must lead somewhere. CHANGELOG.md is history and is left out.
//! Never: judges what a document says about the thing it names.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::verify::{STEPS, Tally};
use crate::workspace::Workspace;

/// Commands of xtask that are not steps of verify.
const COMMANDS: &[&str] = &["help", "steps", "verify", "soak", "lab", "bench", "unchecked"];
const HISTORY: &str = "CHANGELOG.md";

/// What documents may refer to.
struct Known {
    /// Every tracked file and every folder above one, relative to the root.
    paths: BTreeSet<String>,
    targets: BTreeSet<String>,
    commands: BTreeSet<String>,
    /// Names of functions in Rust sources, tests among them, and words in quotes there: codes, names of columns.
    functions: BTreeSet<String>,
}

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let known = Known::gather(workspace)?;
    let documents = workspace.tracked("*.md")?;
    let mut problems = Vec::new();
    for path in documents.iter().filter(|path| !path.ends_with(HISTORY)) {
        let full = workspace.root.join(path);
        let text = std::fs::read_to_string(&full).with_context(|| format!("{} cannot be read", full.display()))?;
        problems.extend(dangling(path, &text, &known));
    }
    println!("{} documents", documents.len());
    Ok(Tally::check(problems))
}

impl Known {
    fn gather(workspace: &Workspace) -> Result<Self> {
        let mut paths = BTreeSet::new();
        for path in workspace.tracked("*")? {
            paths.extend(path.ancestors().map(|above| above.display().to_string()).filter(|above| !above.is_empty()));
        }
        let makefile = std::fs::read_to_string(workspace.root.join("Makefile")).context("Makefile cannot be read")?;
        let commands = COMMANDS.iter().copied().chain(STEPS.iter().map(|step| step.name));
        let commands = commands.map(str::to_owned).collect();
        Ok(Self { paths, targets: targets(&makefile), commands, functions: functions(workspace)? })
    }

    /// Whether a path, with or without the wildcard of a family of files, exists below the root.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        match path.split_once(['*', '<', '{', '…']) {
            None => self.paths.contains(path),
            Some((before, _)) => self.paths.iter().any(|known| known.starts_with(before)),
        }
    }

    /// Whether a word in backticks claims to be a path of ours.
    fn claims(&self, word: &str) -> bool {
        let Some((top, _)) = word.split_once('/') else { return false };
        !top.is_empty() && self.paths.contains(top) && !word.contains("://")
    }
}

/// The names of all functions in tracked Rust files, and what looks like one in quotes.
fn functions(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for path in workspace.tracked("*.rs")? {
        let full = workspace.root.join(&path);
        let text = std::fs::read_to_string(&full).with_context(|| format!("{} cannot be read", full.display()))?;
        let behind = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        let quoted = text.split('"').filter(|word| is_a_fact(word));
        names.extend(behind.chain(quoted).filter(|name| name.len() < 200).map(str::to_owned));
    }
    Ok(names)
}

/// Whether a word in backticks is a sentence, as the names of our tests are and nothing else is.
fn is_a_fact(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(plain) && word.matches('_').count() >= 4
}

/// The names before a colon at the start of a line, variables and special targets left out.
fn targets(makefile: &str) -> BTreeSet<String> {
    let rules = makefile.lines().filter(|line| !line.starts_with([' ', '\t', '#', '.'])).filter_map(|line| {
        let (names, rest) = line.split_once(':')?;
        (!rest.starts_with('=') && !names.contains('=')).then_some(names)
    });
    rules.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn dangling(document: &Path, text: &str, known: &Known) -> Vec<String> {
    let mut problems = Vec::new();
    let mut in_listing = false;
    for (index, line) in text.lines().enumerate() {
        let mut report = |what: String| problems.push(format!("{}:{} {what}", document.display(), index + 1));
        if line.trim_start().starts_with("```") {
            in_listing = !in_listing;
            continue;
        }
        let spans: Vec<&str> = if in_listing { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for span in spans {
            let words: Vec<&str> = span.split_whitespace().collect();
            for pair in words.windows(2).filter(|pair| pair[0] == "make") {
                if pair[1].bytes().all(|byte| byte.is_ascii_lowercase()) && !known.targets.contains(pair[1]) {
                    report(format!("names `make {}`, which the Makefile does not have", pair[1]));
                }
            }
            for triple in words.windows(3).filter(|triple| triple[..2] == ["cargo", "xtask"]) {
                if triple[2].starts_with(|c: char| c.is_ascii_lowercase()) && !known.commands.contains(triple[2]) {
                    report(format!("names `cargo xtask {}`, which does not exist", triple[2]));
                }
            }
            if let ([word], false) = (words.as_slice(), in_listing)
                && is_a_fact(word)
                && !known.functions.contains(*word)
            {
                report(format!("names the test `{word}`, which does not exist"));
            }
            if let ([word], false) = (words.as_slice(), in_listing)
                && known.claims(word)
                && !known.has(word.split([':', '#']).next().unwrap_or(word))
            {
                report(format!("names `{word}`, which does not exist"));
            }
        }
        if !in_listing {
            links(line).filter(|link| !resolves(document, link, known)).for_each(|link| {
                report(format!("links to `{link}`, which does not exist"));
            });
        }
    }
    problems
}

/// The targets of the inline links of a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

fn resolves(document: &Path, link: &str, known: &Known) -> bool {
    let path = link.split('#').next().unwrap_or(link);
    if path.is_empty() || link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let mut parts: Vec<&str> = document.parent().and_then(Path::to_str).unwrap_or("").split('/').collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.is_empty() || known.has(&parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Known {
            paths: set(&["docs", "docs/adr", "docs/adr/0001-a.md", "crates", "crates/core", "README.md"]),
            targets: set(&["demo", "test"]),
            commands: set(&["verify"]),
            functions: set(&["a_test_that_is_there_and_runs"]),
        }
    }

    fn problems(text: &str) -> Vec<String> {
        dangling(Path::new("docs/GUIDE.md"), text, &known())
    }

    #[test]
    fn a_test_that_is_named_must_be_there() {
        let text = "see `a_test_that_is_there_and_runs`, `a_test_that_was_renamed_since`, `_arrival_delay_of_all_rows`";
        let found = dangling(Path::new("docs/A.md"), text, &known());
        assert_eq!(found, ["docs/A.md:1 names the test `a_test_that_was_renamed_since`, which does not exist"]);
    }

    #[test]
    fn links_are_followed_from_the_document_that_holds_them() {
        assert!(
            problems("[a](adr/0001-a.md#context) [b](../README.md) [c](#here) [d](https://example.com/x)").is_empty()
        );
        assert_eq!(problems("see [a](../adr/0001-a.md)").len(), 1);
    }

    #[test]
    fn paths_in_backticks_must_exist_when_they_begin_with_a_folder_of_ours() {
        assert!(problems("`crates/core/` and `a/b` and `docs/adr/NNNN`".replace("NNNN", "0001-*").as_str()).is_empty());
        assert_eq!(problems("`crates/kernel`"), ["docs/GUIDE.md:1 names `crates/kernel`, which does not exist"]);
    }

    #[test]
    fn commands_must_exist_in_text_and_in_listings() {
        assert!(problems("`make demo`\n```\ncargo xtask verify --only x\nmake test\n```\nmake sure").is_empty());
        assert_eq!(problems("`make money`\n```\ncargo xtask dance\n```").len(), 2);
    }

    #[test]
    fn targets_are_read_from_rules_and_not_from_variables() {
        let makefile = "CACHE := x\nA ?= b:c\n.PHONY: all\ndemo test: install\n\techo a: b\n";
        assert_eq!(targets(makefile).into_iter().collect::<Vec<_>>(), ["demo", "test"]);
    }
}
