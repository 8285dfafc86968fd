//! A commit's books against the rows of the files that it added, as long as those are live as it added them.

use super::place;
use super::rewrites;
use super::sequence::Step;
use super::sums::Sums;
use crate::books::Books;
use crate::finding::{Code, Findings};
use crate::lake::Table;
use crate::request::Request;
use crate::rows::{FileFacts, Layer, TableFacts};
use std::collections::{BTreeMap, HashSet};

/// What became of the files of an append.
enum Files<'a> {
    /// All live and read.
    Live(Vec<&'a FileFacts>),
    /// Some were removed by another commit.
    Rewritten,
    /// Some could not be read, or are gone without a trace: entered where that was found.
    Unread,
}

/// Checks the commits whose files are as they were added, then the rest in sums: also those whose entries were cleaned up,
/// as `ops.commits` has their books.
pub(super) fn check(
    table: &Table,
    layer: Layer,
    steps: &[Step<'_>],
    facts: &TableFacts,
    request: &Request,
    findings: &Findings,
) {
    let removed: HashSet<&str> =
        table.commits.iter().flat_map(|commit| &commit.removes).map(|remove| remove.path.as_str()).collect();
    let (mut taken, mut accounted) = (HashSet::new(), HashSet::new());
    let mut rewritten: Vec<&Books> = Vec::new();
    for step in steps {
        let Some(books) = step.append() else { continue };
        let Some(commit) = step.commit else {
            // Which files were whose only the entries told that a checkpoint stands for: they are held against each other
            // in sums. Of one that is lost behind it, the files are not live.
            if table.checkpoint.is_some_and(|at| step.version <= at) {
                rewritten.push(books);
            }
            continue;
        };
        // A file that two entries add counts for the first.
        let paths: Vec<&str> =
            commit.adds.iter().map(|add| add.path.as_str()).filter(|path| taken.insert(*path)).collect();
        match files_of(table, &paths, &removed, facts) {
            Files::Rewritten => rewritten.push(books),
            Files::Unread => accounted.extend(paths),
            Files::Live(files) => {
                accounted.extend(paths);
                if request.scope.has_version(&table.name, step.version, step.timestamp_us) {
                    check_commit(table, layer, step.version, books, &files, request, findings);
                }
            }
        }
    }
    rewrites::check(table, layer, steps, &rewritten, &accounted, facts, request, findings);
}

fn files_of<'a>(table: &Table, paths: &[&str], removed: &HashSet<&str>, facts: &'a TableFacts) -> Files<'a> {
    let gone: Vec<&str> = paths.iter().copied().filter(|path| !table.live.contains_key(*path)).collect();
    if !gone.is_empty() {
        let explained = gone.iter().all(|path| removed.contains(path));
        return if explained { Files::Rewritten } else { Files::Unread };
    }
    let read: Option<Vec<&FileFacts>> = paths.iter().map(|path| facts.get(*path)).collect();
    read.map_or(Files::Unread, Files::Live)
}

fn check_commit(
    table: &Table,
    layer: Layer,
    version: u64,
    books: &Books,
    files: &[&FileFacts],
    request: &Request,
    findings: &Findings,
) {
    let (mut said, mut held) = (Sums::default(), Sums::default());
    said.add_books(layer, books);
    files.iter().for_each(|facts| held.add_file(layer, facts));
    let in_scope = |partition: Option<i32>| partition.is_none_or(|partition| request.scope.has_partition(partition));
    for difference in said.differences(&held).into_iter().filter(|difference| in_scope(difference.partition)) {
        let mut place = place(table, version);
        (place.partition, place.offsets) = (difference.partition, difference.range);
        findings.add(difference.code, place, difference.what);
    }
    for (key, seen) in &held.by_key {
        let partition = key.1;
        let Some(entry) = said.by_key.get(key).filter(|_| in_scope(Some(partition))) else { continue };
        let ((from, to), (first, end)) = (entry.range, seen.range);
        if first < from || end > to {
            let place = place(table, version).of_partition(partition).offsets(first, end);
            let what = format!("the books cover {from}..{to}, the files hold rows in {first}..{end}");
            findings.add(Code::BooksRange, place, what);
        }
    }
}

/// Without reading rows: what the statistics of the added files say, against the books.
pub(super) fn check_statistics(table: &Table, steps: &[Step<'_>], request: &Request, findings: &Findings) {
    for step in steps {
        let (Some(books), Some(commit)) = (step.append(), step.commit) else { continue };
        if !request.scope.has_version(&table.name, step.version, step.timestamp_us) {
            continue;
        }
        let counts: Option<Vec<u64>> = commit.adds.iter().map(|add| rows_said(add.stats.as_deref())).collect();
        let Some(counts) = counts else { continue };
        let rows = counts.into_iter().fold(0, u64::saturating_add);
        if rows != books.rows {
            let what = format!("the books say {} rows, the added files' statistics {rows}", books.rows);
            findings.add(Code::BooksCount, place(table, step.version), what);
        }
    }
}

fn rows_said(stats: Option<&str>) -> Option<u64> {
    let stats: BTreeMap<String, serde_json::Value> = serde_json::from_str(stats?).ok()?;
    stats.get("numRecords")?.as_u64()
}
