//! The list of checks: where each stands, how it is removed, and the tests that fail then.
//!
//! Contract: a text that stands once in its file, exactly as the compiler sees it, is what is replaced; a list that has
//! fallen behind the sources is an error and never a check that is passed over.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The list, an array of objects with the fields of [`Check`].
pub(super) const LIST: &str = "xtask/checks.json";

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
    /// The same without the check.
    pub(super) new: String,
    /// The package whose unit tests are run.
    pub(super) package: String,
    /// The tests' names without their modules; one of them at least fails without the check.
    pub(super) tests: Vec<String>,
}

impl Check {
    /// The file's text without this check.
    pub(super) fn removed_from(&self, text: &str) -> Result<String> {
        match text.matches(self.old.as_str()).count() {
            1 => Ok(text.replacen(self.old.as_str(), &self.new, 1)),
            found => bail!(
                "check {} ({}): its text stands {found} times in {} and must stand there once; mend {LIST}",
                self.number,
                self.what,
                self.file
            ),
        }
    }

    /// The folder of its package.
    pub(super) fn folder(&self) -> &str {
        self.file.split("/src/").next().unwrap_or_default()
    }
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
    Ok(Check { number, what, file, old: text("old")?, new: text("new")?, package, tests })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;
    use std::collections::BTreeMap;

    /// The document that says which test fails without which check, and the heading above its table.
    const DOCUMENT: &str = "docs/INVARIANTS.md";
    const HEADING: &str = "## Each check of bytes that are read back";

    fn one() -> Check {
        let text =
            r#"[{"what": "w", "file": "crates/a/src/b/c.rs", "old": "x", "new": "y", "package": "p", "tests": ["t"]}]"#;
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn a_text_is_replaced_where_it_stands_once_and_nowhere_else() {
        assert_eq!((one().removed_from("a x b").unwrap().as_str(), one().folder()), ("a y b", "crates/a"));
        for text in ["a b", "x x"] {
            let error = one().removed_from(text).unwrap_err().to_string();
            assert!(error.contains("must stand there once"), "{error}");
        }
    }

    #[test]
    fn a_check_without_a_test_or_a_text_is_refused() {
        for text in [
            "{}",
            r#"[{"what": "w", "file": "f", "old": "x", "new": "y", "package": "p", "tests": []}]"#,
            r#"[{"what": "w", "file": "f", "old": "", "new": "y", "package": "p", "tests": ["t"]}]"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_check_of_the_list_stands_in_its_file_and_its_tests_in_its_package() {
        let workspace = Workspace::locate().unwrap();
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        for check in read(&workspace.root).unwrap() {
            let text = std::fs::read_to_string(workspace.root.join(&check.file)).unwrap();
            assert_ne!(check.removed_from(&text).unwrap(), text, "check {}", check.number);
            let source = sources.entry(check.folder().to_owned()).or_insert_with(|| {
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
