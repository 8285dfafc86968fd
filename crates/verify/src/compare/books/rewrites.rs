//! Commits whose files were rewritten: their books and the files that hold their rows now, in sums.
//!
//! A rewrite (OPTIMIZE) puts rows of many commits into one file, so commits cannot be told apart there; but the rows
//! must
//! be the same ones. Rows, and in bronze and dead letters their checksums, are summed up by partition over all commits
//! whose files were removed, and over all files that no untouched commit accounts for. So are commits whose entries were
//! cleaned up, by their copied books: a checkpoint does not tell which of its files were whose.

use super::place;
use super::sequence::Step;
use super::sums::Sums;
use crate::books::Books;
use crate::finding::{Code, Findings};
use crate::lake::{Commit, Table};
use crate::request::Request;
use crate::rows::{Layer, TableFacts};
use std::collections::HashSet;

#[expect(clippy::too_many_arguments, reason = "the two sides and where to tell it")]
pub(super) fn check(
    table: &Table,
    layer: Layer,
    steps: &[Step<'_>],
    rewritten: &[&Books],
    accounted: &HashSet<&str>,
    facts: &TableFacts,
    request: &Request,
    findings: &Findings,
) {
    let rest: Vec<&str> = table.live.keys().map(String::as_str).filter(|path| !accounted.contains(path)).collect();
    if (rest.is_empty() && rewritten.is_empty()) || in_doubt(table, steps) {
        return;
    }
    let (mut said, mut held) = (Sums::default(), Sums::default());
    rewritten.iter().for_each(|books| said.add_books(layer, books));
    for path in rest {
        // One that could not be read was entered where it was tried.
        let Some(facts) = facts.get(path) else { return };
        held.add_file(layer, facts);
    }
    let rewriting: Vec<&Commit> = table.commits.iter().filter(|commit| touches_files(commit)).collect();
    let changing: Vec<&Commit> = rewriting.iter().copied().filter(|commit| says_change(commit)).collect();
    let blamed = if changing.is_empty() { &rewriting } else { &changing };
    let versions: Vec<String> = blamed.iter().map(|commit| commit.version.to_string()).collect();
    for difference in said.differences(&held) {
        if difference.partition.is_some_and(|partition| !request.scope.has_partition(partition)) {
            continue;
        }
        let mut place = place(table, blamed.last().map_or(table.version, |commit| commit.version));
        (place.partition, place.offsets) = (difference.partition, difference.range);
        let only_rewritten = changing.is_empty() && !rewriting.is_empty() && table.checkpoint.is_none();
        let code = if only_rewritten { Code::RewriteChanged } else { difference.code };
        let by = format!("whose files were rewritten by version {}", versions.join(", "));
        let which = match (table.checkpoint, versions.is_empty()) {
            (None, _) => by,
            (Some(at), true) => format!("whose entries the log no longer has, up to version {at}"),
            (Some(at), false) => format!("whose entries the log no longer has, up to version {at}, and those {by}"),
        };
        let what = format!("over all commits {which}: {}", difference.what);
        findings.add(code, place, what);
    }
}

/// Whether a commit that is no append of ours adds or removes files.
fn touches_files(commit: &Commit) -> bool {
    !(commit.is_append() || commit.adds.is_empty() && commit.removes.is_empty())
}

fn says_change(commit: &Commit) -> bool {
    commit.adds.iter().any(|add| add.data_change) || commit.removes.iter().any(|remove| remove.data_change)
}

/// Whether there is a commit of which nobody knows what it should have added.
fn in_doubt(table: &Table, steps: &[Step<'_>]) -> bool {
    let unread = |step: &Step<'_>| {
        let unreadable = |commit: &Commit| matches!(commit.origin, crate::lake::Origin::Unreadable(_));
        step.books.is_none() && step.commit.is_some_and(unreadable)
    };
    // What a checkpoint stands for is known where every version up to it was copied.
    let lacks_copies = |at: u64| {
        let behind = at.saturating_add(1);
        steps.last().is_none_or(|last| last.version < at) || steps.iter().any(|s| s.unknown && s.version <= behind)
    };
    steps.iter().any(unread)
        || steps.first().is_some_and(|step| step.unknown)
        || table.checkpoint.is_some_and(lacks_copies)
}
