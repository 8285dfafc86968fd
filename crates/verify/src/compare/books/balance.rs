//! The arithmetic of one commit's books, by itself.

use super::place;
use crate::books::{Books, Cause, Counts, Entry};
use crate::finding::{Code, Findings};
use crate::lake::Table;
use crate::request::Request;
use crate::rows::{Layer, checksum};
use std::collections::BTreeSet;

/// Checks each entry's sums, and the commit's rows against its entries.
pub(super) fn check(table: &Table, layer: Layer, version: u64, books: &Books, request: &Request, findings: &Findings) {
    let unbalanced = |what: String| findings.add(Code::BooksUnbalanced, place(table, version), what);
    if books.kind != "append" {
        if books.rows != 0 || !books.entries.is_empty() {
            unbalanced(format!("a commit of kind '{}' says that it adds {} rows", books.kind, books.rows));
        }
        return;
    }
    let offsets = matches!(layer, Layer::Bronze | Layer::Silver | Layer::DeadLetters | Layer::Gaps);
    if !offsets && !books.entries.is_empty() {
        unbalanced(format!("it has {} entries for offsets, and its table covers none", books.entries.len()));
        return;
    }
    let mut seen = BTreeSet::new();
    for entry in &books.entries {
        if !seen.insert(entry.partition) {
            unbalanced(format!("it has two entries for partition {}", entry.partition));
        }
        if request.scope.has_partition(entry.partition) {
            for what in problems(layer, entry) {
                let place = place(table, version).of_partition(entry.partition).offsets(entry.from, entry.to);
                findings.add(Code::BooksUnbalanced, place, what);
            }
        }
    }
    let of =
        |count: fn(&Counts) -> u64| books.entries.iter().map(|entry| u128::from(count(&entry.outcome))).sum::<u128>();
    let (rows, what) = match layer {
        Layer::Bronze => (of(|counts| counts.records), "records"),
        Layer::Silver => (of(|counts| counts.silver), "rows of silver"),
        Layer::DeadLetters => (of(|counts| counts.dead_letters), "dead letters"),
        Layer::Gaps => (books.entries.iter().map(|entry| entry.gaps.len() as u128).sum(), "gaps"),
        Layer::Gold | Layer::Other => return,
    };
    if rows != u128::from(books.rows) {
        unbalanced(format!("it says that it adds {} rows, its entries have {rows} {what}", books.rows));
    }
}

/// What does not add up in an entry.
fn problems(layer: Layer, entry: &Entry) -> Vec<String> {
    let mut found = Vec::new();
    let Entry { from, to, .. } = *entry;
    if from < 0 || to < from {
        found.push(format!("its range {from}..{to} is none"));
        return found;
    }
    let covered = u128::from(to.abs_diff(from));
    let wide = u128::from;
    let Counts {
        records,
        no_record,
        lost,
        silver,
        duplicates,
        dead_letters,
        withheld,
        erased,
        late,
        future,
        unknown_fields,
    } = entry.outcome;
    if layer == Layer::DeadLetters {
        if wide(dead_letters) > covered {
            found.push(format!("{covered} offsets, but {dead_letters} dead letters"));
        }
    } else if layer != Layer::Gaps && covered != wide(records) + wide(no_record) + wide(lost) {
        found.push(format!("{covered} offsets, but {records} records + {no_record} without one + {lost} lost"));
    }
    let became = wide(silver) + wide(duplicates) + wide(dead_letters) + wide(withheld) + wide(erased);
    if layer == Layer::Silver && wide(records) != became {
        found.push(format!(
            "{records} records, but {silver} rows of silver + {duplicates} duplicates + {dead_letters} dead letters + \
             {withheld} withheld + {erased} erased"
        ));
    }
    for (name, count) in [("late", late), ("future", future), ("unknown_fields", unknown_fields)] {
        if count > silver {
            found.push(format!("{count} rows are counted as {name}, of {silver} rows of silver"));
        }
    }
    if checksum::parse(&entry.checksum).is_none() {
        found.push("its checksum is not 32 hex digits".to_owned());
    }
    match layer {
        Layer::Bronze | Layer::Gaps => found.extend(gap_problem(entry, entry.outcome.no_record)),
        // Older books of silver list none.
        Layer::Silver if !entry.gaps.is_empty() => found.extend(gap_problem(entry, 0)),
        _ => {}
    }
    found
}

/// The declared offsets lie in the range, one behind the other, and are as many as the counts say; `without` is how many
/// of them never held a record.
fn gap_problem(entry: &Entry, without: u64) -> Option<String> {
    let (mut at, mut no_record, mut lost) = (entry.from, 0_u128, 0_u128);
    for gap in &entry.gaps {
        if gap.from < at || gap.to < gap.from || gap.to > entry.to {
            return Some(format!("it declares {}..{} to hold no record, out of its range or order", gap.from, gap.to));
        }
        at = gap.to;
        let count = if gap.cause == Cause::NoRecord { &mut no_record } else { &mut lost };
        *count += u128::from(gap.to.abs_diff(gap.from));
    }
    let said = entry.outcome.lost;
    (no_record != u128::from(without) || lost != u128::from(said)).then(|| {
        format!("it counts {without} offsets without a record and {said} lost, and declares {no_record} and {lost}")
    })
}
