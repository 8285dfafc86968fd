//! What is wrong with ids, told: with the id's text, read again from silver for as many as are kept, and with lost records
//! that follow one another as ranges.

use super::Ground;
use super::columns::{id_texts, positions};
use super::files::Source;
use super::ids::{Fault, IdRecord, NO_COMMIT, Position, judge_all};
use super::plan::SilverCommit;
use super::read::open;
use super::runs::ranges;
use crate::finding::{Code, KEPT_PER_CODE, Place, Unable};
use crate::request::Ids;
use crate::spill::Buckets;
use arrow::array::Array;
use std::collections::BTreeMap;

/// Positions of lost records that are kept to be joined to ranges: 16 MB. Beyond, they are told one by one.
const LOST_KEPT_MAX: usize = 1_000_000;

/// What was found, as far as it is kept.
#[derive(Default)]
struct Found {
    named: Vec<Fault>,
    /// By commit and partition.
    lost: BTreeMap<(u32, i32), Vec<i64>>,
    lost_kept: usize,
    unseen: u64,
}

/// Judges all ids and tells what is wrong; returns how many there were.
///
/// # Errors
/// When the scratch folder fails.
pub(super) fn tell(
    ground: &Ground<'_>,
    commits: &[SilverCommit<'_>],
    sources: &[Source<'_>],
    records: Buckets<IdRecord>,
) -> Result<u64, Unable> {
    let mut found = Found::default();
    let (mut ids, mut faults) = (0_u64, Vec::new());
    let mut kept = [0_usize; 3];
    // Of a record whose id is in no new row, only the older rows tell whether it is a duplicate.
    let tells_lost = ground.request.scope.ids == Ids::All;
    records.drain(&mut |records| {
        ids = ids.saturating_add(judge_all(records, &mut faults));
        for fault in faults.drain(..) {
            let [doubled, not_first, lost] = &mut kept;
            match fault {
                Fault::Lost(_) | Fault::Unseen(_) if !tells_lost => {}
                fault @ Fault::Doubled(..) => keep(ground, commits, &mut found, fault, doubled),
                fault @ Fault::NotFirst { .. } => keep(ground, commits, &mut found, fault, not_first),
                Fault::Lost(at) if found.lost_kept < LOST_KEPT_MAX => {
                    found.lost_kept += 1;
                    found.lost.entry((at.commit, at.partition)).or_default().push(at.offset);
                }
                fault @ Fault::Lost(_) => keep(ground, commits, &mut found, fault, lost),
                Fault::Unseen(_) => found.unseen = found.unseen.saturating_add(1),
            }
        }
        Ok(())
    })?;
    let texts = texts(ground, sources, &found.named);
    for fault in std::mem::take(&mut found.named) {
        enter(ground, commits, &fault, &texts);
    }
    for ((commit, partition), mut offsets) in found.lost {
        for (first, last, count) in ranges(&mut offsets) {
            let position = Position { commit, partition, offset: first };
            let place = place(ground, commits, position).offsets(first, last.saturating_add(1));
            let what = match count {
                1 => "bronze has a valid record, its id is in no row of silver".to_owned(),
                count => format!("bronze has {count} valid records here whose ids are in no row of silver"),
            };
            ground.findings.add(Code::RowLost, place, what);
        }
    }
    if found.unseen > 0 {
        let why = format!(
            "{} ids of valid records are in no row of silver that can be read; restore the damaged files",
            found.unseen
        );
        ground.findings.unable(Unable { place: Place::table(&ground.silver_name), why });
    }
    Ok(ids)
}

/// Keeps what will be told with the id's text; the rest is told without, and so counted.
fn keep(ground: &Ground<'_>, commits: &[SilverCommit<'_>], found: &mut Found, fault: Fault, kept: &mut usize) {
    if *kept < KEPT_PER_CODE {
        *kept += 1;
        found.named.push(fault);
    } else {
        enter(ground, commits, &fault, &BTreeMap::new());
    }
}

fn place(ground: &Ground<'_>, commits: &[SilverCommit<'_>], at: Position) -> Place {
    let place = Place::table(&ground.silver_name).of_partition(at.partition);
    let place = place.offsets(at.offset, at.offset.saturating_add(1));
    match commits.get(at.commit as usize) {
        Some(commit) if at.commit != NO_COMMIT => place.at_version(commit.version),
        _ => place,
    }
}

/// A position for people.
fn text(at: &Position) -> String {
    format!("partition {} offset {}", at.partition, at.offset)
}

fn enter(ground: &Ground<'_>, commits: &[SilverCommit<'_>], fault: &Fault, texts: &BTreeMap<(i32, i64), String>) {
    let place = |at: Position| {
        let place = place(ground, commits, at);
        match texts.get(&(at.partition, at.offset)) {
            Some(id) => place.event(id),
            None => place,
        }
    };
    match fault {
        Fault::Doubled(positions, count) => {
            let Some(first) = positions.first() else { return };
            let named = positions.iter().map(text).collect::<Vec<_>>().join("; ");
            let more = if *count > positions.len() { "; …" } else { "" };
            let what = format!("{count} rows of silver have this id: {named}{more}");
            ground.findings.add(Code::IdDoubled, place(*first), what);
        }
        Fault::NotFirst { kept, first } => {
            let what = format!("the row is of {}, {} was first", text(kept), text(first));
            ground.findings.add(Code::IdNotFirst, place(*kept), what);
        }
        Fault::Lost(at) => {
            let what = "bronze has a valid record, its id is in no row of silver";
            ground.findings.add(Code::RowLost, place(*at), what);
        }
        Fault::Unseen(_) => {}
    }
}

/// The ids at the positions of faults, read again from silver; without those that cannot be read.
fn texts(ground: &Ground<'_>, sources: &[Source<'_>], faults: &[Fault]) -> BTreeMap<(i32, i64), String> {
    let mut wanted: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for fault in faults {
        let at = match fault {
            Fault::Doubled(positions, _) => positions.first(),
            Fault::NotFirst { kept, .. } => Some(kept),
            Fault::Lost(_) | Fault::Unseen(_) => None,
        };
        if let Some(at) = at {
            wanted.entry(at.partition).or_default().push((at.offset, at.offset.saturating_add(1)));
        }
    }
    wanted.values_mut().for_each(|offsets| offsets.sort_unstable());
    let mut texts = BTreeMap::new();
    if wanted.is_empty() {
        return texts;
    }
    for source in sources {
        if !source.may_hold(source.incarnation.as_deref().unwrap_or_default(), &wanted) {
            continue;
        }
        let columns = ["event_id", "_kafka_partition", "_kafka_offset"];
        let Ok(batches) = open(ground.stream.silver.0, source, &columns) else { continue };
        for batch in batches.map_while(Result::ok) {
            let (Ok(ids), Ok((partitions, offsets))) = (id_texts(&batch), positions(&batch)) else { break };
            for row in 0..batch.num_rows() {
                let (partition, offset) = (partitions.value(row), offsets.value(row));
                let of_partition = wanted.get(&partition);
                let is_wanted =
                    of_partition.is_some_and(|of| of.binary_search(&(offset, offset.saturating_add(1))).is_ok());
                if is_wanted && ids.is_valid(row) {
                    texts.insert((partition, offset), ids.value(row).to_owned());
                }
            }
        }
    }
    texts
}
