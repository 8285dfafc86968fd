//! The direction of dependency between our crates, and what some of them must never pull in.
//!
//! Purpose: an edge between two of our crates that this table does not declare fails the build, as does a crate of
//! ours that the table does not know, or an outside dependency a crate is forbidden. docs/adr/0001 says why the
//! edges are these.
//! Never: judges code inside a crate; a module is not a layer here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::tree::{self, Reached};
use crate::verify::Tally;
use crate::workspace::Workspace;

/// One crate of ours and the crates of ours it may name in its manifest.
#[derive(Debug, Clone, Copy)]
struct Layer {
    package: &'static str,
    /// Allowed as normal and build dependencies.
    may_use: &'static [&'static str],
    /// Allowed in addition where only tests see them.
    tests_may_use: &'static [&'static str],
}

const CORE: &str = "watertight-core";
const ADAPTERS: &str = "watertight-adapters";
const LAB: &str = "watertight-lab";
const VERIFY: &str = "watertight-verify";

/// Every crate of the workspace, lowest first.
const LAYERS: &[Layer] = &[
    Layer { package: CORE, may_use: &[], tests_may_use: &[] },
    // Real servers for tests and examples: what tests stand on must not stand on what they test.
    Layer { package: LAB, may_use: &[], tests_may_use: &[] },
    Layer { package: "watertight-config", may_use: &[CORE], tests_may_use: &[] },
    Layer { package: "watertight-decode", may_use: &[CORE], tests_may_use: &[] },
    Layer { package: "watertight-state", may_use: &[CORE], tests_may_use: &[] },
    Layer { package: ADAPTERS, may_use: &[CORE], tests_may_use: &[LAB] },
    // The stages are tested on the memory adapters; the running stages see ports only.
    Layer {
        package: "watertight-pipeline",
        may_use: &[CORE, "watertight-decode", "watertight-state"],
        tests_may_use: &[ADAPTERS],
    },
    Layer { package: "watertight-query", may_use: &[CORE], tests_may_use: &[] },
    // The oracle of the tests: it may share names and records with the pipeline, never its logic.
    Layer { package: "watertight-produce", may_use: &[CORE], tests_may_use: &[ADAPTERS] },
    // The checker shares nothing with what it checks, tests included: a bug in one cannot hide in the other.
    Layer { package: VERIFY, may_use: &[], tests_may_use: &[] },
    Layer {
        package: "watertight",
        may_use: &[
            CORE,
            "watertight-config",
            "watertight-decode",
            "watertight-state",
            ADAPTERS,
            "watertight-pipeline",
            "watertight-query",
            "watertight-produce",
            VERIFY,
        ],
        tests_may_use: &[LAB],
    },
    // Plants faults for `verify` to find: it must share nothing with it, nor with the pipeline.
    Layer { package: "watertight-mutants", may_use: &[], tests_may_use: &[] },
    // The crash tests run the whole program with faults planted at its durable steps, on a broker that is killed too.
    Layer { package: "watertight-chaos", may_use: &[CORE, "watertight"], tests_may_use: &["watertight-mutants", LAB] },
    // The benchmark measures the built program from outside. For its lower bound it reads the log itself; live events are
    // the generator's; and the kernels whose instructions are counted are called one by one. Never the stages.
    Layer {
        package: "watertight-bench",
        may_use: &[
            CORE,
            "watertight-config",
            "watertight-decode",
            "watertight-state",
            ADAPTERS,
            "watertight-produce",
            LAB,
        ],
        tests_may_use: &[],
    },
    Layer { package: "xtask", may_use: &[LAB], tests_may_use: &[] },
];

/// How far a prohibition reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The manifest must not name it; what others bring along is not its doing.
    Named,
    /// It must not come in by any way.
    AnyWay,
}

/// An outside package, and all that begin with its name and a dash, that one crate of ours must not use.
#[derive(Debug, Clone, Copy)]
struct Prohibition {
    package: &'static str,
    outside: &'static str,
    reach: Reach,
    reason: &'static str,
}

const fn any_way(package: &'static str, outside: &'static str, reason: &'static str) -> Prohibition {
    Prohibition { package, outside, reach: Reach::AnyWay, reason }
}

const PURE: &str = "the core is pure: it decides from facts and does no input or output (docs/adr/0004)";
const CHECKER: &str = "the checker reads Delta's log by itself: it must not believe the library that wrote it";
const ORACLE: &str = "the oracle computes what must come out without the pipeline's machinery (docs/adr/0001)";

const PROHIBITIONS: &[Prohibition] = &[
    any_way(CORE, "tokio", PURE),
    any_way(CORE, "parquet", PURE),
    any_way(CORE, "datafusion", PURE),
    any_way(CORE, "object_store", PURE),
    any_way(CORE, "rusqlite", PURE),
    any_way(CORE, "rdkafka", PURE),
    any_way("watertight-decode", "tokio", "decoding is a pure function of bytes and a schema"),
    any_way("watertight-decode", "datafusion", "decoding is a pure function of bytes and a schema"),
    Prohibition {
        package: "watertight-decode",
        outside: "serde_json",
        reach: Reach::Named,
        reason: "JSON goes straight into Arrow builders; a tree of values on the hot path costs several times as much",
    },
    any_way(VERIFY, "buoyant_kernel", CHECKER),
    any_way(VERIFY, "buoyant_kernel_engine", CHECKER),
    any_way("watertight-produce", "arrow-json", ORACLE),
    any_way("watertight-produce", "datafusion", ORACLE),
    any_way("watertight-produce", "parquet", ORACLE),
];

/// Who else sees a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Everyone who builds the crate.
    Everyone,
    /// Only the crate's own tests.
    Tests,
}

/// What the manifests and Cargo's resolution say: the facts the rules are held against.
#[derive(Debug, Default)]
struct Facts {
    /// Each crate of ours with the packages its manifest names.
    named: BTreeMap<String, Vec<(String, Audience)>>,
    /// Each crate with prohibitions and what it reaches.
    reached: BTreeMap<String, Reached>,
}

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let facts = gather(workspace)?;
    println!("{} crates, {} prohibitions", facts.named.len(), PROHIBITIONS.len());
    let mut problems = misplaced_edges(&facts, LAYERS);
    problems.extend(broken_prohibitions(&facts, PROHIBITIONS));
    Ok(Tally::check(problems))
}

fn gather(workspace: &Workspace) -> Result<Facts> {
    let metadata = workspace.metadata(false)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut facts = Facts::default();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let dependencies = package["dependencies"].as_array().context("a package without dependencies")?;
        let named = facts.named.entry(name.to_owned()).or_default();
        for dependency in dependencies {
            let other = dependency["name"].as_str().context("a dependency without a name")?;
            let audience = match dependency["kind"].as_str() {
                Some("dev") => Audience::Tests,
                _ => Audience::Everyone,
            };
            named.push((other.to_owned(), audience));
        }
    }
    let restricted: BTreeSet<&str> = PROHIBITIONS.iter().map(|prohibition| prohibition.package).collect();
    for package in restricted {
        facts.reached.insert(package.to_owned(), tree::reached(workspace, package)?);
    }
    Ok(facts)
}

fn misplaced_edges(facts: &Facts, layers: &[Layer]) -> Vec<String> {
    let mut problems = Vec::new();
    for (package, named) in &facts.named {
        let Some(layer) = layers.iter().find(|layer| layer.package == package) else {
            problems.push(format!("`{package}` has no place in the table of layers; add it to xtask/src/layers.rs"));
            continue;
        };
        for (other, audience) in named.iter().filter(|(other, _)| facts.named.contains_key(other)) {
            let allowed = layer.may_use.contains(&other.as_str())
                || *audience == Audience::Tests && layer.tests_may_use.contains(&other.as_str());
            if !allowed {
                problems
                    .push(format!("`{package}` must not depend on `{other}`: the table of layers has no such edge"));
            }
        }
    }
    for layer in layers.iter().filter(|layer| !facts.named.contains_key(layer.package)) {
        problems.push(format!("the table of layers knows `{}`, but the workspace has no such crate", layer.package));
    }
    problems
}

fn broken_prohibitions(facts: &Facts, prohibitions: &[Prohibition]) -> Vec<String> {
    let mut problems = Vec::new();
    for Prohibition { package, outside, reach, reason } in prohibitions {
        let found = match reach {
            Reach::Named => named_way(facts, package, outside),
            Reach::AnyWay => any_way_to(facts, package, outside),
        };
        if let Some(way) = found {
            problems.push(format!("`{package}` must not use `{outside}`: {reason}; it comes in by {way}"));
        }
    }
    problems
}

fn named_way(facts: &Facts, package: &str, outside: &str) -> Option<String> {
    let named = facts.named.get(package)?;
    let found = named.iter().find(|(other, audience)| *audience == Audience::Everyone && belongs_to(other, outside));
    found.map(|(other, _)| format!("{package} → {other}"))
}

fn any_way_to(facts: &Facts, package: &str, outside: &str) -> Option<String> {
    let reached = facts.reached.get(package)?;
    let found = reached.iter().find(|(other, _)| belongs_to(other, outside));
    found.map(|(_, way)| way.join(" → "))
}

/// `datafusion-common` belongs to `datafusion`.
fn belongs_to(package: &str, family: &str) -> bool {
    package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &[Layer] = &[
        Layer { package: "base", may_use: &[], tests_may_use: &[] },
        Layer { package: "memory", may_use: &["base"], tests_may_use: &[] },
        Layer { package: "stages", may_use: &["base"], tests_may_use: &["memory"] },
    ];

    fn facts(edges: &[(&str, &str, Audience)]) -> Facts {
        let mut facts = Facts::default();
        for package in ["base", "memory", "stages"] {
            facts.named.insert(package.to_owned(), Vec::new());
        }
        for (from, to, audience) in edges {
            facts.named.entry((*from).to_owned()).or_default().push(((*to).to_owned(), *audience));
        }
        facts
    }

    fn with_way(way: &[&str]) -> Facts {
        let mut facts = facts(&[]);
        let way: Vec<String> = way.iter().map(|name| (*name).to_owned()).collect();
        let last = way.last().unwrap().clone();
        facts.reached.insert(way[0].clone(), Reached::from([(last, way)]));
        facts
    }

    #[test]
    fn declared_edges_and_outside_dependencies_pass() {
        let facts = facts(&[
            ("memory", "base", Audience::Everyone),
            ("stages", "base", Audience::Everyone),
            ("stages", "memory", Audience::Tests),
            ("stages", "anyhow", Audience::Everyone),
        ]);
        assert_eq!(misplaced_edges(&facts, SOUND), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_is_caught() {
        let facts = facts(&[("base", "stages", Audience::Everyone)]);
        let problems = misplaced_edges(&facts, SOUND);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("`base` must not depend on `stages`"));
    }

    #[test]
    fn an_edge_allowed_to_tests_is_caught_outside_them() {
        let facts = facts(&[("stages", "memory", Audience::Everyone)]);
        assert_eq!(misplaced_edges(&facts, SOUND).len(), 1);
    }

    #[test]
    fn a_test_only_edge_that_is_not_declared_is_caught() {
        let facts = facts(&[("base", "memory", Audience::Tests)]);
        assert_eq!(misplaced_edges(&facts, SOUND).len(), 1);
    }

    #[test]
    fn a_crate_the_table_does_not_know_is_caught_and_so_is_one_that_is_gone() {
        let mut facts = facts(&[]);
        facts.named.insert("newcomer".to_owned(), Vec::new());
        facts.named.remove("memory");
        let problems = misplaced_edges(&facts, SOUND);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("`newcomer`"));
        assert!(problems[1].contains("`memory`"));
    }

    #[test]
    fn a_prohibited_package_is_caught_however_far_away_and_the_way_is_named() {
        let rule = [any_way("base", "tokio", "pure")];
        let problems = broken_prohibitions(&with_way(&["base", "bytes", "tokio-util"]), &rule);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("base → bytes → tokio-util"));
        assert!(broken_prohibitions(&with_way(&["base", "tokioish"]), &rule).is_empty());
    }

    #[test]
    fn a_prohibition_on_naming_leaves_alone_what_others_bring_along() {
        let rule = [Prohibition { package: "stages", outside: "serde_json", reach: Reach::Named, reason: "slow" }];
        assert!(broken_prohibitions(&with_way(&["stages", "base", "serde_json"]), &rule).is_empty());
        assert_eq!(broken_prohibitions(&facts(&[("stages", "serde_json", Audience::Everyone)]), &rule).len(), 1);
        assert!(broken_prohibitions(&facts(&[("stages", "serde_json", Audience::Tests)]), &rule).is_empty());
    }

    #[test]
    fn the_table_itself_has_no_cycle_because_each_crate_uses_only_those_before_it() {
        for (index, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use.iter().chain(layer.tests_may_use) {
                let position = LAYERS.iter().position(|other| other.package == *used);
                assert!(position.is_some_and(|position| position < index), "{} uses {used}", layer.package);
            }
        }
    }
}
