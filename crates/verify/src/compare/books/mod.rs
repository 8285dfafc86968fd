//! Each commit's books: balanced in themselves, carried on from the commit before, true of the files, the same in
//! `ops.commits`.
//!
//! Where the log has lost a commit that `ops.commits` still has, the copy stands in for it, so that what comes after
//! can
//! be judged. Commits of others are passed over here: what they may have changed shows in the sums over all files.
//! With `--quick` (no facts) rows are those that the statistics of the added files tell.

mod balance;
mod chain;
mod files;
mod pair;
mod positions;
mod rewrites;
mod sequence;
mod sums;
#[cfg(test)]
mod tests;

pub use pair::check_pair;

use crate::books::Books;
use crate::books::copies::Copies;
use crate::finding::{Code, Findings, Place};
use crate::lake::Table;
use crate::report::Part;
use crate::request::Request;
use crate::rows::{Layer, TableFacts};
use sequence::Step;

/// Checks the books of a table's commits: in themselves, against each other, against `ops.commits`, and against what
/// its
/// files hold.
pub fn check(
    table: &Table,
    facts: Option<&TableFacts>,
    copies: &Copies,
    request: &Request,
    findings: &Findings,
) -> Part {
    let layer = Layer::of(table);
    let steps = sequence::steps(table, copies);
    let mut looked_at = 0;
    let mut chain = chain::Chain::begin(table, layer);
    let mut positions = positions::Followed::begin(table, layer);
    for step in &steps {
        let judged = request.scope.has_version(&table.name, step.version, step.timestamp_us);
        let told = judged.then_some(findings);
        if let (Some(findings), Some(books)) = (told, step.books) {
            looked_at += 1;
            check_copy(table, step, books, copies, findings);
            balance::check(table, layer, step.version, books, request, findings);
            check_bytes(table, step, books, findings);
        }
        chain.follow(step, told);
        positions.follow(step, told);
    }
    positions.end(findings);
    check_end(table, copies, findings);
    match facts {
        Some(facts) => files::check(table, layer, &steps, facts, request, findings),
        None => files::check_statistics(table, &steps, request, findings),
    }
    Part { check: "books".to_owned(), of: table.name.to_string(), looked_at, unit: "versions".to_owned() }
}

/// Where a version is.
fn place(table: &Table, version: u64) -> Place {
    Place::table(&table.name.to_string()).at_version(version)
}

/// The bytes that an append's books say are the sizes of the files that its entry adds.
fn check_bytes(table: &Table, step: &Step<'_>, books: &Books, findings: &Findings) {
    let (Some(commit), Some(said), true) = (step.commit, books.bytes, books.kind == "append") else { return };
    let added: u128 = commit.adds.iter().map(|add| u128::from(add.size)).sum();
    if added != u128::from(said) {
        let what = format!("it says that it adds {said} bytes, the files that it adds have {added}");
        findings.add(Code::BooksUnbalanced, place(table, step.version), what);
    }
}

/// Compares a commit's books in the log with their copy.
fn check_copy(table: &Table, step: &Step<'_>, books: &Books, copies: &Copies, findings: &Findings) {
    if step.commit.is_none() {
        return;
    }
    let Some(copied) = copies.get(&(table.name.to_string(), step.version)) else { return };
    let Some(copy) = &copied.books else {
        let what = format!(
            "ops.commits has no books of it, its kind there is '{}'; the log's are '{}'",
            copied.kind, books.kind
        );
        findings.add(Code::BooksCopy, place(table, step.version), what);
        return;
    };
    let differences = differences(books, copy);
    if !differences.is_empty() {
        let what = format!("the log and ops.commits say different things: {}", differences.join(", "));
        let mut place = place(table, step.version);
        place.partition = first_different_entry(books, copy);
        findings.add(Code::BooksCopy, place, what);
    }
}

fn first_different_entry(log: &Books, copy: &Books) -> Option<i32> {
    let differs = |entry: &&crate::books::Entry| !copy.entries.contains(entry);
    log.entries.iter().find(differs).map(|entry| entry.partition)
}

/// Names of what differs, with both sides where they are numbers.
fn differences(log: &Books, copy: &Books) -> Vec<String> {
    let mut found = Vec::new();
    let mut number = |name: &str, log: i128, copy: i128| {
        if log != copy {
            found.push(format!("{name} {log} and {copy}"));
        }
    };
    number("rows", log.rows.into(), copy.rows.into());
    number("rows_total", log.rows_total.into(), copy.rows_total.into());
    number("definition", log.definition.into(), copy.definition.into());
    number("committed_at_us", log.committed_at_us.into(), copy.committed_at_us.into());
    number("ingested_at_us", log.ingested_at_us.into(), copy.ingested_at_us.into());
    let mut other = |name: &str, same: bool| {
        if !same {
            found.push(name.to_owned());
        }
    };
    other("bytes", log.bytes == copy.bytes);
    other("took", log.took == copy.took);
    other("kind", log.kind == copy.kind);
    other("commit_id", log.commit_id == copy.commit_id);
    other("follows", log.follows == copy.follows);
    other("pipeline", log.pipeline == copy.pipeline);
    other("topic", log.topic == copy.topic);
    other("incarnation", log.incarnation == copy.incarnation);
    other("entries", log.entries == copy.entries);
    other("totals", log.totals == copy.totals);
    other("leader_epochs", log.leader_epochs == copy.leader_epochs);
    other("leader_epochs_of_others", log.leader_epochs_of_others == copy.leader_epochs_of_others);
    other("watermarks", log.watermarks == copy.watermarks);
    other("largest_event_time_us", log.largest_event_time_us == copy.largest_event_time_us);
    other("decisions", log.decisions == copy.decisions);
    other("closed_until_us", log.closed_until_us == copy.closed_until_us);
    found
}

/// A copy of a version above the newest: the log lost its end, which nothing in the log shows. (Unless the entry is there
/// by now: a pipeline that runs goes on while it is verified.)
fn check_end(table: &Table, copies: &Copies, findings: &Findings) {
    let name = table.name.to_string();
    let Some(first) = table.version.checked_add(1) else { return };
    for (_, version) in copies.range((name.clone(), first)..=(name, u64::MAX)).map(|(key, _)| key) {
        let newest = table.version;
        if table.folder.join("_delta_log").join(format!("{version:020}.json")).exists() {
            continue;
        }
        let what = format!("ops.commits has books of version {version}, the log ends with version {newest}");
        findings.add(Code::VersionMissing, place(table, *version), what);
    }
}
