//! The list of checks: where each stands, how it is switched off, and the tests that fail then.
//!
//! Contract: a text that stands once in its file, exactly as the compiler sees it, is what is replaced, and no text
//! reaches into that of another check; a list that has fallen behind the sources is an error and never a check that is
//! passed over.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The list, an array of objects with the fields of [`Check`].
pub(super) const LIST: &str = "xtask/checks.json";
/// The word in [`Check::new`] that stands for "this check is off".
const OFF: &str = "OFF";

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// Its place in the list, from 1.
    pub(super) number: usize,
    /// What is checked, in a few words.
    pub(super) what: String,
    /// The file it stands in, relative to the root, below the `src` of its package.
    pub(super) file: String,
    /// The text that checks.
    pub(super) old: String,
    /// The same, but without the check where `OFF`, an expression in it, is true.
    pub(super) new: String,
    /// The package whose unit tests are run.
    pub(super) package: String,
    /// The tests' names without their modules; one of them at least fails without the check.
    pub(super) tests: Vec<String>,
}

impl Check {
    /// Where its text stands in that of its file.
    fn place_in(&self, text: &str) -> Result<Range<usize>> {
        let found: Vec<usize> = text.match_indices(self.old.as_str()).map(|(at, _)| at).collect();
        match found.as_slice() {
            [at] => Ok(*at..*at + self.old.len()),
            _ => bail!(
                "check {} ({}): its text stands {} times in {} and must stand there once; mend {LIST}",
                self.number,
                self.what,
                found.len(),
                self.file
            ),
        }
    }

    /// The folder of its package.
    pub(super) fn folder(&self) -> &str {
        self.file.split("/src/").next().unwrap_or_default()
    }
}

/// The text of a file with each of its checks behind a switch: a call of `crate::unchecked` with the check's number.
pub(super) fn switched(text: &str, checks: &[&Check]) -> Result<String> {
    let mut places = Vec::new();
    for check in checks {
        places.push((check.place_in(text)?, *check));
    }
    places.sort_by_key(|(place, _)| place.start);
    let (mut out, mut end) = (String::with_capacity(text.len()), 0);
    let mut before: Option<&Check> = None;
    for (place, check) in places {
        if let Some(before) = before.filter(|_| place.start < end) {
            bail!(
                "check {} ({}) and check {} ({}) replace the same part of {}; mend {LIST}",
                before.number,
                before.what,
                check.number,
                check.what,
                check.file
            );
        }
        out.push_str(&text[end..place.start]);
        out.push_str(&with_off(&check.new, &format!("crate::unchecked({})", check.number)));
        (end, before) = (place.end, Some(check));
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// The text with `expression` in the place of each word `OFF`; names that only hold these letters stay.
fn with_off(text: &str, expression: &str) -> String {
    let is_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(OFF) {
        out.push_str(before);
        let within_a_name = out.ends_with(is_of_a_name) || after.starts_with(is_of_a_name);
        out.push_str(if within_a_name { OFF } else { expression });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Reads the list of the repository at `root`.
pub(super) fn read(root: &Path) -> Result<Vec<Check>> {
    let path = root.join(LIST);
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&text).with_context(|| format!("{LIST} is no list of checks"))
}

fn parse(text: &str) -> Result<Vec<Check>> {
    let list: Value = serde_json::from_str(text)?;
    let items = list.as_array().context("it is not an array")?;
    let numbered = items.iter().zip(1..);
    numbered.map(|(item, number)| check(number, item).with_context(|| format!("check {number}"))).collect()
}

fn check(number: usize, item: &Value) -> Result<Check> {
    let text = |field: &str| -> Result<String> {
        let text = item[field].as_str().filter(|text| !text.is_empty());
        Ok(text.with_context(|| format!("`{field}` holds no text"))?.to_owned())
    };
    let tests = item["tests"].as_array().context("`tests` is not an array")?;
    let tests: Vec<String> = tests.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if tests.is_empty() {
        bail!("it names no test");
    }
    let (what, file, package) = (text("what")?, text("file")?, text("package")?);
    let (old, new) = (text("old")?, text("new")?);
    if with_off(&new, "") == new {
        bail!("`new` does not say where the check is skipped; write `{OFF}` there, which is true while it is off");
    }
    Ok(Check { number, what, file, old, new, package, tests })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// The document that says which test fails without which check, and the heading above its table.
    const DOCUMENT: &str = "docs/INVARIANTS.md";
    const HEADING: &str = "## Each check of bytes that are read back";

    /// Checks of one file, numbered from 1, each with the text it replaces and what stands there then.
    fn of_one_file(texts: &[(&str, &str)]) -> Vec<Check> {
        let (file, tests) = ("crates/a/src/b/c.rs", ["t"]);
        let check = |(old, new): &(&str, &str)| -> Value {
            json!({ "what": "w", "file": file, "old": old, "new": new, "package": "p", "tests": tests })
        };
        parse(&Value::from_iter(texts.iter().map(check)).to_string()).unwrap()
    }

    fn switched_in(text: &str, texts: &[(&str, &str)]) -> Result<String> {
        switched(text, &of_one_file(texts).iter().collect::<Vec<_>>())
    }

    #[test]
    fn each_text_is_replaced_where_it_stands_once_whatever_their_order() {
        let texts = [("y", "(y && !OFF)"), ("x", "(x || OFF)")];
        let there = "(x || crate::unchecked(2)) == (y && !crate::unchecked(1)) == z";
        assert_eq!(switched_in("x == y == z", &texts).unwrap(), there);
        assert_eq!(of_one_file(&texts)[0].folder(), "crates/a");
        for text in ["y", "x x y"] {
            let error = switched_in(text, &texts).unwrap_err().to_string();
            assert!(error.contains("check 2") && error.contains("must stand there once"), "{error}");
        }
    }

    #[test]
    fn texts_may_touch_and_where_they_overlap_both_checks_are_named() {
        let touching = [("a ||", "(a && !OFF) ||"), (" b", " (b && !OFF)")];
        let there = "(a && !crate::unchecked(1)) || (b && !crate::unchecked(2)) || c";
        assert_eq!(switched_in("a || b || c", &touching).unwrap(), there);
        for texts in [[("b || c", "OFF"), ("a || b", "OFF")], [("b", "OFF"), ("a || b || c", "OFF")]] {
            let error = switched_in("a || b || c", &texts).unwrap_err().to_string();
            assert!(error.contains("check 1 (w)") && error.contains("check 2 (w)"), "{error}");
        }
    }

    #[test]
    fn only_the_whole_word_stands_for_a_check_that_is_off() {
        assert_eq!(with_off("OFFSET + OFFOFF + _OFF < x && !OFF", "o()"), "OFFSET + OFFOFF + _OFF < x && !o()");
        assert_eq!(with_off("OFF||OFF", "o()"), "o()||o()");
    }

    #[test]
    fn a_check_without_a_test_a_text_or_a_switch_is_refused() {
        for text in [
            "{}",
            r#"[{"what": "w", "file": "f", "old": "x", "new": "OFF", "package": "p", "tests": []}]"#,
            r#"[{"what": "w", "file": "f", "old": "", "new": "OFF", "package": "p", "tests": ["t"]}]"#,
            r#"[{"what": "w", "file": "f", "old": "x", "new": "OFFSET", "package": "p", "tests": ["t"]}]"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_check_of_the_list_stands_in_its_file_and_its_tests_in_its_package() {
        let workspace = Workspace::locate().unwrap();
        let checks = read(&workspace.root).unwrap();
        let mut by_file: BTreeMap<&str, Vec<&Check>> = BTreeMap::new();
        checks.iter().for_each(|check| by_file.entry(&check.file).or_default().push(check));
        for (file, own) in by_file {
            let text = std::fs::read_to_string(workspace.root.join(file)).unwrap();
            let switched = switched(&text, &own).unwrap();
            own.iter().for_each(|check| assert!(switched.contains(&format!("unchecked({})", check.number))));
        }
        let mut sources: BTreeMap<&str, String> = BTreeMap::new();
        for check in &checks {
            let source = sources.entry(check.folder()).or_insert_with(|| {
                let paths = workspace.tracked(&format!("{}/src/*.rs", check.folder())).unwrap();
                paths.iter().map(|path| std::fs::read_to_string(workspace.root.join(path)).unwrap()).collect()
            });
            for test in &check.tests {
                assert!(source.contains(&format!("fn {test}(")), "{} has no test {test}", check.package);
            }
        }
    }

    #[test]
    fn the_table_of_the_invariants_is_the_list() {
        let workspace = Workspace::locate().unwrap();
        let document = std::fs::read_to_string(workspace.root.join(DOCUMENT)).unwrap();
        let (_, section) = document.split_once(HEADING).expect(HEADING);
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        let wanted = read(&workspace.root).unwrap();
        let wanted: Vec<String> = wanted
            .iter()
            .map(|check| format!("| {} | `{}` | `{}` |", check.what, check.file, check.tests.join("`, `")))
            .collect();
        assert_eq!(rows, wanted);
    }
}
