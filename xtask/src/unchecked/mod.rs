//! `cargo xtask unchecked`: every check of bytes that are read back, switched off once, to see which test fails then.
//!
//! Contract: `xtask/checks.json` lists the checks, each with the text that skips it while its switch is off and the
//! tests that must fail then. All switches are built into one copy, at once; a check costs one run of its tests. With
//! every check on, the named tests have to pass there first. A check is caught if one of its tests fails, or if the
//! program that runs them dies; one that goes on for too long shows nothing, and counts as not caught. The exit is zero
//! only if every check was caught.
//! Not a step of verify: its answer changes only where a check or its test does.

mod list;
mod replica;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::tests_step::Totals;
use crate::workspace::Workspace;
use list::Check;
use replica::{Ran, Replica, TEST_TIME_MAX};

/// What was seen of a check that was off.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// By this test, or by what became of the program.
    Caught(String),
    /// Its tests passed without it.
    NotCaught,
    /// Its tests did not end.
    OutOfTime,
}

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
    let chosen: Vec<&Check> = checks.iter().filter(|check| part.contains(&check.number)).collect();
    if chosen.is_empty() {
        bail!("there is no such check; {} lists {}", list::LIST, checks.len());
    }
    let replica = Replica::of(workspace, &checks)?;
    let packages = packages(&chosen);
    println!("building the tests of {}; the first time with all they depend on", packages.join(", "));
    replica.build_shown(&packages).with_context(|| {
        format!(
            "the copy does not build; a number in a call of `unchecked` there is that of the check in {}",
            list::LIST
        )
    })?;
    let programs = replica.build(&packages)?;
    pass_with_every_check(&replica, &programs, &chosen)?;
    let mut caught = 0;
    for check in &chosen {
        let tests: Vec<&str> = check.tests.iter().map(String::as_str).collect();
        let program = program(&programs, &check.package)?;
        let verdict = judged(check, &replica.run(check.folder(), program, &tests, Some(check.number))?);
        println!("{}", row(check, &verdict));
        caught += usize::from(matches!(verdict, Verdict::Caught(_)));
    }
    println!("{} checks: {caught} caught, {} not", chosen.len(), chosen.len() - caught);
    Ok(if caught == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The packages of these checks, in the order of the list.
fn packages<'a>(checks: &[&'a Check]) -> Vec<&'a str> {
    let mut packages: Vec<&str> = Vec::new();
    for check in checks {
        if !packages.contains(&check.package.as_str()) {
            packages.push(&check.package);
        }
    }
    packages
}

/// An error where a named test is missing or fails with every check on: what it says then would prove nothing.
fn pass_with_every_check(replica: &Replica, programs: &BTreeMap<String, PathBuf>, checks: &[&Check]) -> Result<()> {
    for package in packages(checks) {
        let own: Vec<&Check> = checks.iter().copied().filter(|check| check.package == package).collect();
        let Some(first) = own.first() else { continue };
        let tests: BTreeSet<&str> = own.iter().flat_map(|check| &check.tests).map(String::as_str).collect();
        let tests: Vec<&str> = tests.into_iter().collect();
        let output = match replica.run(first.folder(), program(programs, package)?, &tests, None)? {
            Ran::Ended { output, .. } => output,
            Ran::Hung => bail!("the tests of {package} do not end within {} s", TEST_TIME_MAX.as_secs()),
        };
        let passed: BTreeSet<&str> = output.lines().filter_map(passed).collect();
        if let Some(test) = tests.iter().find(|test| !passed.contains(*test)) {
            bail!("the test {test} of {package} is missing or fails while every check is on");
        }
    }
    Ok(())
}

/// The name, without its module, of the test that this line says has passed.
fn passed(line: &str) -> Option<&str> {
    let path = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
    path.rsplit("::").next()
}

fn program<'a>(programs: &'a BTreeMap<String, PathBuf>, package: &str) -> Result<&'a PathBuf> {
    programs.get(&package.replace('-', "_")).with_context(|| format!("cargo built no unit tests of {package}"))
}

fn judged(check: &Check, ran: &Ran) -> Verdict {
    let (output, succeeded) = match ran {
        Ran::Hung => return Verdict::OutOfTime,
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
        Verdict::OutOfTime => format!("NOT CAUGHT: ran out of time, after {} s", TEST_TIME_MAX.as_secs()),
    };
    format!("{:>3}  {:<72} {seen}", check.number, check.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: usize, package: &str) -> Check {
        Check {
            number,
            what: "a length".to_owned(),
            file: format!("crates/{package}/src/a.rs"),
            old: "a".to_owned(),
            new: "OFF".to_owned(),
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
    fn a_check_is_caught_only_where_one_of_its_own_tests_fails_or_their_program_dies() {
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
        assert_eq!(judged(&check, &Ran::Hung), Verdict::OutOfTime);
        assert!(row(&check, &Verdict::OutOfTime).contains("NOT CAUGHT: ran out of time"));
    }

    #[test]
    fn only_a_test_that_ended_well_has_passed() {
        assert_eq!(passed("test a::b::it_holds ... ok"), Some("it_holds"));
        assert_eq!(passed("test a::b::it_holds ... FAILED"), None);
        assert_eq!(passed("test result: ok. 1 passed"), None);
    }

    #[test]
    fn each_package_with_a_check_is_built_once() {
        let checks = [check(1, "q"), check(2, "p"), check(3, "q")];
        assert_eq!(packages(&checks.iter().collect::<Vec<_>>()), ["q", "p"]);
    }
}
