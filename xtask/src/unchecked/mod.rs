//! `cargo xtask unchecked`: every check of bytes that are read back, removed once, to see which test fails without it.
//!
//! Contract: `xtask/checks.json` lists the checks, each with the text that removes it and the tests that must fail
//! then. The named tests have to pass in an unchanged copy first. A check is caught if one of its tests fails, or if
//! the program that runs them dies or does not end. The exit is zero only if every check was caught; one whose removal
//! does not build shows nothing, and counts as not caught.
//! Packages that do not depend on one another are changed at the same time: one build serves a check of each.
//! Not a step of verify: it takes a build for nearly each check, and its answer changes only where a check or its test
//! does.

mod list;
mod replica;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tests_step::Totals;
use crate::workspace::Workspace;
use list::Check;
use replica::{Ran, Replica, TEST_TIME_MAX};

/// What was seen of a check that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// By this test, or by what became of the program.
    Caught(String),
    /// Its tests passed without it.
    NotCaught,
    /// What is left is no program.
    DoesNotBuild(String),
}

/// For each of our packages, those of them that it depends on, also through others, its tests included.
type Reach = BTreeMap<String, BTreeSet<String>>;

/// Reads `--only N..M`, both included, or `--only N`; all of them without.
pub(crate) fn part(arguments: &[String]) -> Result<RangeInclusive<usize>> {
    let value = match arguments {
        [] => return Ok(1..=usize::MAX),
        [flag, value] if flag == "--only" => value.as_str(),
        _ => bail!("unchecked takes `--only N..M` or `--only N`, and nothing else"),
    };
    let number = |text: &str| text.parse::<usize>().with_context(|| format!("`{text}` is no number of a check"));
    let (from, to) = value.split_once("..").unwrap_or((value, value));
    let (from, to) = (number(from)?, number(to)?);
    if from == 0 || from > to {
        bail!("`--only {value}` names no check; they are numbered from 1");
    }
    Ok(from..=to)
}

pub(crate) fn run(workspace: &Workspace, part: &RangeInclusive<usize>) -> Result<ExitCode> {
    let checks = list::read(&workspace.root)?;
    if checks.iter().all(|check| !part.contains(&check.number)) {
        bail!("there is no such check; {} lists {}", list::LIST, checks.len());
    }
    let reach = reach(&workspace.metadata(false)?);
    let replica = Replica::of(workspace)?;
    let mut verdicts: Vec<(&Check, Verdict)> = Vec::new();
    for packages in independent(checks.iter().map(|check| check.package.as_str()), &reach) {
        let wanted = |check: &&Check| packages.contains(&check.package.as_str()) && part.contains(&check.number);
        let chosen: Vec<&Check> = checks.iter().filter(wanted).collect();
        if chosen.is_empty() {
            continue;
        }
        pass_unchanged(&replica, &packages, &chosen)?;
        for round in rounds(&chosen) {
            let seen = removed(&replica, &packages, &round)?;
            seen.iter().for_each(|(check, verdict)| println!("{}", row(check, verdict)));
            verdicts.extend(seen);
        }
    }
    verdicts.sort_by_key(|(check, _)| check.number);
    println!();
    verdicts.iter().for_each(|(check, verdict)| println!("{}", row(check, verdict)));
    let caught = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Caught(_))).count();
    println!("{caught} caught, {} not caught", verdicts.len() - caught);
    Ok(if caught == verdicts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An error where a named test is missing or fails with nothing removed: what it says then would prove nothing.
fn pass_unchanged(replica: &Replica, packages: &[&str], checks: &[&Check]) -> Result<()> {
    println!("building the tests of {}; the first time with all they depend on", packages.join(", "));
    replica.build_shown(packages)?;
    let programs = replica.build(packages)?;
    for package in packages {
        let own: Vec<&Check> = checks.iter().copied().filter(|check| check.package == *package).collect();
        let Some(first) = own.first() else { continue };
        let tests: BTreeSet<&str> = own.iter().flat_map(|check| &check.tests).map(String::as_str).collect();
        let tests: Vec<&str> = tests.into_iter().collect();
        let output = match replica.run(first.folder(), program(&programs, package)?, &tests)? {
            Ran::Ended { output, .. } => output,
            Ran::Hung => bail!("the tests of {package} do not end within {} s", TEST_TIME_MAX.as_secs()),
        };
        let passed: BTreeSet<&str> = output.lines().filter_map(passed).collect();
        if let Some(test) = tests.iter().find(|test| !passed.contains(*test)) {
            bail!("the test {test} of {package} is missing or fails while nothing is removed");
        }
    }
    Ok(())
}

/// The name, without its module, of the test that this line says has passed.
fn passed(line: &str) -> Option<&str> {
    let path = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
    path.rsplit("::").next()
}

/// Removes the checks of a round together; one by one where what is left does not build.
fn removed<'a>(replica: &Replica, packages: &[&str], round: &[&'a Check]) -> Result<Vec<(&'a Check, Verdict)>> {
    let seen = replica.without(round, || {
        let programs = match replica.build(packages) {
            Ok(programs) => programs,
            Err(error) if round.len() == 1 => return Ok(Some(vec![Verdict::DoesNotBuild(format!("{error:#}"))])),
            Err(_) => return Ok(None),
        };
        let tried = round.iter().map(|check| -> Result<Verdict> {
            let tests: Vec<&str> = check.tests.iter().map(String::as_str).collect();
            let ran = replica.run(check.folder(), program(&programs, &check.package)?, &tests)?;
            Ok(judged(check, &ran))
        });
        tried.collect::<Result<Vec<_>>>().map(Some)
    })?;
    if let Some(verdicts) = seen {
        return Ok(round.iter().copied().zip(verdicts).collect());
    }
    let mut all = Vec::new();
    for check in round {
        all.extend(removed(replica, packages, &[*check])?);
    }
    Ok(all)
}

fn program<'a>(programs: &'a BTreeMap<String, PathBuf>, package: &str) -> Result<&'a PathBuf> {
    programs.get(&package.replace('-', "_")).with_context(|| format!("cargo built no unit tests of {package}"))
}

fn judged(check: &Check, ran: &Ran) -> Verdict {
    let (output, succeeded) = match ran {
        Ran::Hung => return Verdict::Caught(format!("no end within {} s", TEST_TIME_MAX.as_secs())),
        Ran::Ended { output, succeeded } => (output, *succeeded),
    };
    let totals = Totals::of_cargo(output);
    let mut failures = totals.failures.iter().filter_map(|path| path.rsplit("::").next());
    let named = failures.find(|failed| check.tests.iter().any(|test| test == failed));
    match named {
        Some(test) => Verdict::Caught(test.to_owned()),
        // It ended within a test: with a result it would have been counted.
        None if !succeeded && totals.passed + totals.failed == 0 => Verdict::Caught("the program died".to_owned()),
        None => Verdict::NotCaught,
    }
}

fn row(check: &Check, verdict: &Verdict) -> String {
    let seen = match verdict {
        Verdict::Caught(by) => format!("caught by {by}"),
        Verdict::NotCaught => format!("NOT CAUGHT by {}", check.tests.join(", ")),
        Verdict::DoesNotBuild(error) => format!("NOT CAUGHT: what is left does not build: {error}"),
    };
    format!("{:>3}  {:<72} {seen}", check.number, check.what)
}

/// Which of our packages each depends on, from what `cargo metadata` says of the workspace's manifests.
fn reach(metadata: &Value) -> Reach {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().map(str::to_owned);
    let direct = |package: &Value| -> BTreeSet<String> {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.filter(|dependency| dependency["path"].is_string()).filter_map(name).collect()
    };
    let mut reach: Reach = packages.iter().filter_map(|package| Some((name(package)?, direct(package)))).collect();
    loop {
        let before = reach.clone();
        for reached in reach.values_mut() {
            let further = reached.iter().filter_map(|package| before.get(package)).flatten();
            let further: Vec<String> = further.cloned().collect();
            reached.extend(further);
        }
        if reach == before {
            return reach;
        }
    }
}

/// The packages in groups, within which none depends on another.
fn independent<'a>(packages: impl Iterator<Item = &'a str>, reach: &Reach) -> Vec<Vec<&'a str>> {
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|reached| reached.contains(to));
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for package in packages {
        if groups.iter().flatten().any(|known| *known == package) {
            continue;
        }
        let fits = |group: &&mut Vec<&str>| {
            group.iter().copied().all(|other: &str| !reaches(package, other) && !reaches(other, package))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(package),
            None => groups.push(vec![package]),
        }
    }
    groups
}

/// The checks in rounds: at most one of each package in a round, in the order of the list.
fn rounds<'a>(checks: &[&'a Check]) -> Vec<Vec<&'a Check>> {
    let mut rounds: Vec<Vec<&Check>> = Vec::new();
    for check in checks.iter().copied() {
        match rounds.iter_mut().find(|round| round.iter().all(|other| other.package != check.package)) {
            Some(round) => round.push(check),
            None => rounds.push(vec![check]),
        }
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(number: usize, package: &str) -> Check {
        Check {
            number,
            what: "a length".to_owned(),
            file: format!("crates/{package}/src/a.rs"),
            old: "a".to_owned(),
            new: "b".to_owned(),
            package: package.to_owned(),
            tests: vec!["a_short_one_is_refused".to_owned(), "a_long_one_is_refused".to_owned()],
        }
    }

    fn ended(output: &str, succeeded: bool) -> Ran {
        Ran::Ended { output: output.to_owned(), succeeded }
    }

    #[test]
    fn a_part_of_the_list_is_named_by_its_numbers() {
        let parsed = |words: &[&str]| part(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(parsed(&["--only", "3..12"]).unwrap(), 3..=12);
        assert_eq!(parsed(&["--only", "7"]).unwrap(), 7..=7);
        assert!(parsed(&[]).unwrap().contains(&1));
        for wrong in [&["--only"][..], &["--only", "0..3"], &["--only", "4..3"], &["--only", "x"], &["--skip", "1"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_check_is_caught_only_where_one_of_its_own_tests_fails_or_nothing_ends_well() {
        let check = check(1, "p");
        let result = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out";
        let named =
            format!("test x::a_short_one_is_refused ... ok\ntest x::a_long_one_is_refused ... FAILED\n{result}\n");
        assert_eq!(judged(&check, &ended(&named, false)), Verdict::Caught("a_long_one_is_refused".to_owned()));
        let other = format!("test x::something_a_long_one_is_refused ... FAILED\n{result}\n");
        assert_eq!(judged(&check, &ended(&other, false)), Verdict::NotCaught);
        let well = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out\n";
        assert_eq!(judged(&check, &ended(well, true)), Verdict::NotCaught);
        assert!(matches!(judged(&check, &ended("running 2 tests\n", false)), Verdict::Caught(_)));
        assert!(matches!(judged(&check, &Ran::Hung), Verdict::Caught(_)));
    }

    #[test]
    fn only_a_test_that_ended_well_has_passed() {
        assert_eq!(passed("test a::b::it_holds ... ok"), Some("it_holds"));
        assert_eq!(passed("test a::b::it_holds ... FAILED"), None);
        assert_eq!(passed("test result: ok. 1 passed"), None);
    }

    #[test]
    fn packages_are_changed_together_only_where_none_depends_on_another() {
        let package = |name: &str, on: &[&str]| {
            let dependencies: Vec<Value> = on.iter().map(|on| json!({ "name": on, "path": "/x" })).collect();
            json!({ "name": name, "dependencies": dependencies })
        };
        let outside = json!({ "name": "b", "dependencies": [{ "name": "c", "path": null }] });
        let packages = [package("a", &[]), outside, package("c", &["a"]), package("d", &["c"])];
        let reach = reach(&json!({ "packages": packages }));
        assert!(reach["d"].contains("a"), "through c");
        let groups = independent(["a", "b", "a", "d", "c"].into_iter(), &reach);
        assert_eq!(groups, [vec!["a", "b"], vec!["d"], vec!["c"]]);
    }

    #[test]
    fn a_round_has_one_check_of_a_package_and_every_check_has_a_round() {
        let checks = [check(1, "p"), check(2, "p"), check(3, "q"), check(4, "p"), check(5, "q")];
        let rounds = rounds(&checks.iter().collect::<Vec<_>>());
        let numbers: Vec<Vec<usize>> = rounds.iter().map(|round| round.iter().map(|c| c.number).collect()).collect();
        assert_eq!(numbers, [vec![1, 3], vec![2, 5], vec![4]]);
    }
}
