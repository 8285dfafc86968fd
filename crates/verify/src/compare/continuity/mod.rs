//! From the first to the last committed offset of a partition, each has one row, or the books say why not.
//!
//! A bit for each committed offset is set by the rows that are there; what stays empty is a hole, what is set twice is
//! doubled. Memory is bounded: where all bits do not fit, files are gone through more than once, a stretch of offsets
//! at
//! a time. Holes that the books do not declare are held against the event log, which tells what became of them.

mod bits;
mod cover;
mod holes;
mod lookup;
mod scan;
#[cfg(test)]
mod tests;

use crate::books::copies::Copies;
use crate::finding::{Code, Findings, Place, Unable};
use crate::lake::Table;
use crate::report::Part;
use crate::request::{LogView, Request};
use crate::rows::TableFacts;
use cover::Cover;
pub(super) use cover::{merge, without};
use scan::{Met, Stretch};

/// Passes over the files at most: what needs more of them has ranges that no log of ours could have.
const PASSES_MAX: usize = 64;

/// Offsets `from..to`.
pub(super) type Range = (i64, i64);

/// Checks that the offsets that bronze's commits cover are there, each once. Without facts (`--quick`) only the ranges
/// themselves are looked at.
pub fn check(
    bronze: &Table,
    facts: Option<&TableFacts>,
    copies: &Copies,
    log: &dyn LogView,
    request: &Request,
    findings: &Findings,
) -> Part {
    let cover = Cover::of(bronze, copies, request);
    let mut holes = holes::Holes::new(&cover);
    if let Some(facts) = facts {
        let mut met = Met::default();
        for (number, pass) in passes(bronze, &cover, request, findings).into_iter().enumerate() {
            let whole = number == 0;
            // The bits of one pass at a time.
            let stretches: Vec<Stretch> = pass.into_iter().map(Stretch::of).collect();
            met.merge(scan::scan(bronze, facts, &cover, &stretches, whole, request, findings));
            for stretch in &stretches {
                holes.add_all(stretch.key, stretch.bits.holes(stretch.from, stretch.to));
            }
        }
        tell_unknown(bronze, facts, &cover, findings);
        tell_doubled(bronze, facts, &cover, &met, findings);
        tell_outside(bronze, &met, findings);
    }
    let unread = bronze.live.len() - facts.map_or(bronze.live.len(), |facts| facts.len().min(bronze.live.len()));
    holes.tell(bronze, facts, unread, log, findings);
    let looked_at = cover.offsets();
    Part { check: "offsets".to_owned(), of: bronze.name.to_string(), looked_at, unit: "offsets".to_owned() }
}

fn place(table: &Table) -> Place {
    Place::table(&table.name.to_string())
}

/// The committed ranges by number of their partition, cut into stretches whose bits fit in memory, by passes. There is
/// one pass at least: it finds the
/// rows outside all ranges too.
fn passes(table: &Table, cover: &Cover, request: &Request, findings: &Findings) -> Vec<Vec<(usize, i64, i64)>> {
    let budget = (request.memory_bytes_max / 4).clamp(1 << 20, 256 << 20) as u64 * 8;
    let mut passes: Vec<Vec<(usize, i64, i64)>> = vec![Vec::new()];
    let mut left = budget;
    for (key, (from, to)) in cover.judged() {
        let mut at = from;
        while at < to {
            if left == 0 {
                left = budget;
                passes.push(Vec::new());
            }
            if passes.len() > PASSES_MAX {
                let why = format!("the offsets from {at} on are more than could be looked at; see the books' ranges");
                let place = place(table).of_partition(cover.partition(key)).offsets(at, to);
                findings.unable(Unable { place, why });
                passes.pop();
                return passes;
            }
            let length = at.abs_diff(to).min(left);
            let end = at.saturating_add(i64::try_from(length).unwrap_or(i64::MAX)).min(to);
            if let Some(pass) = passes.last_mut() {
                pass.push((key, at, end));
            }
            left -= length;
            at = end;
        }
    }
    passes
}

/// Tells the offsets that stand in the table more than once, with the files that hold them.
fn tell_doubled(table: &Table, facts: &TableFacts, cover: &Cover, met: &Met, findings: &Findings) {
    let wanted: Vec<lookup::Wanted> = met
        .doubled
        .iter()
        .take(crate::finding::KEPT_PER_CODE)
        .map(|(key, from, _)| {
            let (incarnation, partition) = cover.key(*key);
            (incarnation.to_owned(), partition, *from)
        })
        .collect();
    let rows = lookup::rows(table, facts, &wanted, findings);
    for (key, from, to) in &met.doubled {
        let (incarnation, partition) = cover.key(*key);
        let mut place = place(table).of_partition(partition).offsets(*from, *to);
        let mut what = format!("{} offsets stand in the table more than once", from.abs_diff(*to));
        let wanted = (incarnation.to_owned(), partition, *from);
        if let Some(rows) = rows.get(&wanted).filter(|rows| rows.len() > 1) {
            let mut files: Vec<&str> = rows.iter().map(|row| row.file.as_str()).collect();
            files.sort_unstable();
            place.file = files.last().map(|file| (*file).to_owned());
            place.version = rows.iter().map(|row| row.version).max();
            files.truncate(5);
            what = format!("{what}; the first in {}", files.join(" and in "));
        }
        findings.add(Code::OffsetsDoubled, place, what);
    }
    if met.doubled_untold > 0 {
        let what = format!("{} more rows stand in the table more than once", met.doubled_untold);
        findings.add(Code::OffsetsDoubled, place(table), what);
    }
}

/// Tells of rows that nobody knows whether a commit covered them.
fn tell_unknown(table: &Table, facts: &TableFacts, cover: &Cover, findings: &Findings) {
    let Some(at) = cover.unknown_up_to else { return };
    let files = table.live.values().filter(|file| file.version <= at && facts.contains_key(&file.add.path)).count();
    if files > 0 {
        let why = format!(
            "whether commits up to version {at} cover the rows of {files} files is not known: the entries of these commits are \
             gone from the Delta log, and ops.commits has not the books of all of them: restore the entries"
        );
        findings.unable(Unable { place: place(table).at_version(at), why });
    }
}

fn tell_outside(table: &Table, met: &Met, findings: &Findings) {
    for (outside, rows) in &met.outside {
        let scan::Outside { file, incarnation, partition, range: (from, to) } = outside;
        let mut place = place(table).of_partition(*partition).offsets(*from, *to).in_file(file);
        place.version = table.live.get(file).map(|live| live.version);
        let what = format!("{rows} rows in {from}..{to} of incarnation {incarnation}, which no commit covers");
        findings.add(Code::OffsetsOutside, place, what);
    }
}
