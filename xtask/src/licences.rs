//! Every dependency's licence is one we may ship under, and every dependency comes from a registry.
//!
//! Purpose: read what Cargo resolved for this platform, evaluate each licence expression against `licences.toml`,
//! and fail for one that is not allowed, for an exception that has run out or that nothing needs any more, and for a
//! package of ours that is not Apache-2.0.
//! Never: asks the network, and never guesses: a licence that cannot be read as an expression is not allowed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::tree;
use crate::verify::Tally;
use crate::workspace::{Workspace, captured};

/// The licence of everything we write.
const OURS: &str = "Apache-2.0";

/// One resolved package.
#[derive(Debug, Clone)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// Cargo's source; none for a package of the workspace.
    source: Option<String>,
}

/// A package allowed under a licence that is not on the list, until a date.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    package: String,
    licence: String,
    /// `YYYY-MM-DD`, the last day on which it holds.
    until: String,
}

/// `licences.toml`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    allowed: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let path = workspace.root.join("licences.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let policy = Policy::parse(&text).context("licences.toml is not a policy")?;
    let today = captured(workspace.command("date").args(["-u", "+%F"]))?;
    let packages = resolved(workspace)?;
    println!("{} packages, {} licences allowed", packages.len(), policy.allowed.len());
    Ok(Tally::check(violations(&packages, &policy, today.trim())))
}

fn resolved(workspace: &Workspace) -> Result<Vec<Package>> {
    let metadata = workspace.metadata(true)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    // The metadata also lists what only a feature nobody switches on would bring in.
    let built = tree::built(workspace)?;
    let listed: Result<Vec<Package>> = packages
        .iter()
        .map(|package| {
            Ok(Package {
                name: text(&package["name"]).context("a package without a name")?,
                version: text(&package["version"]).context("a package without a version")?,
                licence: text(&package["license"]),
                source: text(&package["source"]),
            })
        })
        .collect();
    let mut listed = listed?;
    listed.retain(|package| built.contains(&(package.name.clone(), package.version.clone())));
    if listed.len() != built.len() {
        bail!("cargo tree names {} packages, but cargo metadata describes {} of them", built.len(), listed.len());
    }
    Ok(listed)
}

impl Policy {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        if let Some(key) = table.keys().find(|key| !["allowed", "exception"].contains(&key.as_str())) {
            bail!("unknown key `{key}`; known are `allowed` and `exception`");
        }
        let allowed = table.get("allowed").and_then(Value::as_array).context("`allowed` must be a list of licences")?;
        let allowed = allowed.iter().map(|id| id.as_str().map(str::to_owned).context("`allowed` holds texts only"));
        let exceptions = match table.get("exception") {
            None => Vec::new(),
            Some(value) => {
                let listed = value.as_array().context("`exception` must be written as [[exception]]")?;
                listed.iter().map(Exception::parse).collect::<Result<_>>()?
            }
        };
        Ok(Self { allowed: allowed.collect::<Result<_>>()?, exceptions })
    }
}

impl Exception {
    fn parse(value: &Value) -> Result<Self> {
        let field = |key: &str| {
            let text = value.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
            text.map(str::to_owned).with_context(|| format!("an exception needs `{key}`"))
        };
        field("reason")?;
        let until = field("until")?;
        let digits = until.bytes().filter(u8::is_ascii_digit).count();
        if until.len() != 10 || digits != 8 {
            bail!("`until` must be a date as text, \"YYYY-MM-DD\", not `{until}`");
        }
        Ok(Self { package: field("package")?, licence: field("licence")?, until })
    }
}

fn violations(packages: &[Package], policy: &Policy, today: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for package in packages {
        let label = format!("{} {}", package.name, package.version);
        let Some(source) = &package.source else {
            if package.licence.as_deref() != Some(OURS) {
                problems.push(format!("{label} is ours and must say `license = \"{OURS}\"`"));
            }
            continue;
        };
        if !source.starts_with("registry+") {
            problems.push(format!("{label} comes from `{source}`; only released packages of a registry may be used"));
        }
        let Some(licence) = &package.licence else {
            problems.push(format!("{label} states no licence"));
            continue;
        };
        if allows(licence, &|id| policy.allowed.contains(id)) == Some(true) {
            continue;
        }
        let excepted = policy.exceptions.iter().find(|e| e.package == package.name && e.licence == *licence);
        match excepted {
            None => problems.push(format!("{label} is under `{licence}`, which licences.toml does not allow")),
            Some(exception) => {
                needed.insert(&exception.package);
                if exception.until.as_str() < today {
                    problems
                        .push(format!("the exception for {label} ran out on {}; renew or replace it", exception.until));
                }
            }
        }
    }
    for exception in policy.exceptions.iter().filter(|exception| !needed.contains(exception.package.as_str())) {
        problems.push(format!("nothing needs the exception for {} any more; remove it", exception.package));
    }
    problems
}

/// Evaluates an SPDX expression; none if it is not one. A bare `/` between licences is the old spelling of `OR`.
fn allows(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let verdict = any_of(&mut words, allowed)?;
    words.is_empty().then_some(verdict)
}

fn any_of(words: &mut Vec<&str>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut verdict = all_of(words, allowed)?;
    while words.pop_if(|word| *word == "OR").is_some() {
        verdict |= all_of(words, allowed)?;
    }
    Some(verdict)
}

fn all_of(words: &mut Vec<&str>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut verdict = one(words, allowed)?;
    while words.pop_if(|word| *word == "AND").is_some() {
        verdict &= one(words, allowed)?;
    }
    Some(verdict)
}

fn one(words: &mut Vec<&str>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.pop()? {
        "(" => {
            let verdict = any_of(words, allowed)?;
            words.pop_if(|word| *word == ")").map(|_| verdict)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        id => match words.pop_if(|word| *word == "WITH") {
            Some(_) => Some(allowed(&format!("{id} WITH {}", words.pop()?))),
            None => Some(allowed(id)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
allowed = ["MIT", "Apache-2.0"]
[[exception]]
package = "odd"
licence = "Odd-1.0"
until = "2027-01-31"
reason = "the only parser of its format"
"#;

    fn package(name: &str, licence: &str, source: Option<&str>) -> Package {
        let text = |text: &str| text.to_owned();
        Package { name: text(name), version: text("1.0.0"), licence: Some(text(licence)), source: source.map(text) }
    }

    fn problems_of(packages: &[Package], today: &str) -> Vec<String> {
        violations(packages, &Policy::parse(POLICY).unwrap(), today)
    }

    const SOURCE: Option<&str> = Some("registry+somewhere");

    #[test]
    fn expressions_are_evaluated_with_their_precedence() {
        let mit = |id: &str| id == "MIT" || id == "Apache-2.0 WITH LLVM-exception";
        for allowed in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(X OR MIT) AND MIT", "X AND Y OR MIT"] {
            assert_eq!(allows(allowed, &mit), Some(true), "{allowed}");
        }
        assert_eq!(allows("Apache-2.0 WITH LLVM-exception", &mit), Some(true));
        for refused in ["Apache-2.0", "MIT AND GPL-3.0", "(MIT OR X) AND Y"] {
            assert_eq!(allows(refused, &mit), Some(false), "{refused}");
        }
        for nonsense in ["", "MIT OR", "(MIT", "MIT MIT", "OR MIT"] {
            assert_eq!(allows(nonsense, &mit), None, "{nonsense}");
        }
    }

    #[test]
    fn a_licence_off_the_list_and_an_unreadable_one_are_named() {
        let packages =
            [package("odd", "Odd-1.0", SOURCE), package("viral", "GPL-3.0", SOURCE), package("x", "MIT (", SOURCE)];
        let problems = problems_of(&packages, "2026-11-21");
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("viral 1.0.0 is under `GPL-3.0`"));
        assert!(problems[1].starts_with("x 1.0.0"));
    }

    #[test]
    fn an_exception_holds_on_its_last_day_and_not_on_the_next() {
        let packages = [package("odd", "Odd-1.0", SOURCE)];
        assert_eq!(problems_of(&packages, "2027-01-31"), Vec::<String>::new());
        assert!(problems_of(&packages, "2027-02-01")[0].contains("ran out on 2027-01-31"));
    }

    #[test]
    fn an_exception_nothing_needs_is_a_problem() {
        assert!(problems_of(&[package("a", "MIT", SOURCE)], "2026-11-21")[0].contains("nothing needs"));
    }

    #[test]
    fn a_package_from_git_and_one_of_ours_under_another_licence_are_caught() {
        let packages = [
            package("odd", "Odd-1.0", SOURCE),
            package("forked", "MIT", Some("git+somewhere")),
            package("watertight-core", "MIT", None),
        ];
        let problems = problems_of(&packages, "2026-11-21");
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("only released packages"));
        assert!(problems[1].contains("is ours"));
    }

    #[test]
    fn an_exception_without_a_reason_or_a_date_is_refused() {
        let without = |line: &str| POLICY.lines().filter(|l| !l.starts_with(line)).collect::<Vec<_>>().join("\n");
        for key in ["reason", "until", "package", "licence"] {
            assert!(Policy::parse(&without(key)).is_err(), "{key}");
        }
        assert!(Policy::parse(&POLICY.replace("2027-01-31", "next year")).is_err());
    }
}
