//! Producers' ledgers: every id that a producer was told is durable is in the tables, where it was told, and no id is
//! there that nobody sent.
//!
//! First by position: each acknowledged (partition, offset) is a row of bronze, and its record has the line's id. Then by
//! id: each is in silver, unless its record is a dead letter or silver has not come so far; and each id of silver is in a
//! ledger. What a producer sent but was never answered is in doubt: a record behind all that its ledger acknowledges in
//! that partition, with the ledger's producer in its headers. It may be there or not, but each sequence once at most.
//!
//! Ids that are derived (hashes, numbers as texts) stand in no ledger; for those streams the position alone counts. Sets
//! are bounded in memory ([`crate::spill`]).
//!
//! Below where bronze begins nothing was asked for, and where that is not known nothing is said ([`lines`]). What is
//! acknowledged above bronze's position must be in the log ([`ahead`]): it comes to the tables later. A ledger speaks
//! up to its last line of each partition; what bronze has above that and no ledger names is counted and reported, since a
//! ledger that was cut at its end looks the same as a producer that was never answered.

mod ahead;
mod doubt;
mod enter;
mod file;
mod join;
mod lines;
mod range;
mod tell;
#[cfg(test)]
mod tests;

pub(in crate::compare) use join::Known;

use super::stream::{Blind, Observed, Stream, blind_files};
use crate::books::copies::Copies;
use crate::finding::{Findings, Place, Unable};
use crate::lake::{PositionKey, Table, TableName};
use crate::report::{LedgerReport, Part};
use crate::request::{LogView, Request};
use crate::rows::Held;
use crate::spill::Buckets;
use enter::{rows, silver_ids};
use file::Header;
use join::{AtPosition, BRONZE, DEAD, DUE, LINE, NAMED, Named, OfId, at_position, incarnation_key, of_id};
use lines::{Ledger, Sets};
use range::{Beginnings, next_offset};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tell::Missing;

/// Positions of one kind that are kept to be told as ranges; beyond, they are counted only.
const POSITIONS_KEPT_MAX: usize = 200_000;

/// What ledgers are held against beside the rows of the streams.
pub struct Beside<'a> {
    /// The event log.
    pub log: &'a dyn LogView,
    /// The copies of the books.
    pub copies: &'a Copies,
    /// Looks at a table as it is now: a pipeline may have committed to it since it was looked at.
    pub now: &'a dyn Fn(&TableName) -> Result<Table, Unable>,
}

/// What was found of one stream, as far as it is kept.
#[derive(Default)]
struct Found {
    /// By ledger and partition: offsets.
    missing: BTreeMap<(u16, i32, Missing), Vec<i64>>,
    /// By ledger and partition: offsets whose record has another id.
    other_id: BTreeMap<(u16, i32), Vec<i64>>,
    /// Rows of bronze that no ledger names.
    unledgered: BTreeSet<(i32, i64)>,
    /// How many of these lie above all that a ledger has of the partition, by ledger and partition.
    above: BTreeMap<u16, BTreeMap<i32, u64>>,
    /// Rows of silver whose id no ledger has.
    extra: BTreeSet<(i32, i64)>,
    /// Extra ones that are not kept.
    more_extra: u64,
    /// Those of them that lie above all that a ledger has of the partition: whether they are in doubt is not looked up.
    more_above: u64,
    /// Ids are derived, or it is not known whether they are: positions alone count.
    derived: bool,
    /// Lines whose record may be a dead letter in a file that could not be read.
    maybe_dead: u64,
}

impl Found {
    /// Counts a record that no ledger names, where it lies above all that a ledger has.
    fn note_above(&mut self, read: &[Ledger], incarnation: &str, (partition, offset): (i32, i64)) {
        for (number, ledger) in (0_u16..).zip(read) {
            if ledger.header.incarnation == incarnation && ledger.ends_before(partition, offset) {
                let count = self.above.entry(number).or_default().entry(partition).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
}

/// Checks ledgers: a part "ledgers" for each file, and how far each speaks.
///
/// Findings and what could not be checked go to `findings`. It uses what [`super::conservation::check`] left in the
/// streams; without it, ids of records that are not in silver are not compared.
#[must_use]
pub fn check(
    ledgers: &[PathBuf],
    streams: &[Stream<'_>],
    beside: &Beside<'_>,
    request: &Request,
    findings: &Findings,
) -> (Vec<Part>, Vec<LedgerReport>) {
    let (mut parts, mut reports) = (Vec::new(), Vec::new());
    let mut by_stream: BTreeMap<usize, Vec<(PathBuf, Header)>> = BTreeMap::new();
    for path in ledgers {
        match header(path).and_then(|header| Ok((stream_of(path, &header, streams)?, header))) {
            Ok((stream, header)) => by_stream.entry(stream).or_default().push((path.clone(), header)),
            Err(unable) => findings.unable(unable),
        }
    }
    for (index, files) in by_stream {
        let Some(stream) = streams.get(index) else { continue };
        let mut read = Vec::new();
        match check_stream(stream, files, beside, request, &mut read, findings) {
            Ok(told) => reports.extend(told),
            Err(unable) => findings.unable(unable),
        }
        parts.extend(read.iter().map(|ledger| Part {
            check: "ledgers".to_owned(),
            of: ledger.path.display().to_string(),
            looked_at: ledger.lines,
            unit: "ids".to_owned(),
        }));
    }
    (parts, reports)
}

/// A ledger's header, without its lines.
fn header(path: &Path) -> Result<Header, Unable> {
    // The whole file is read: damage anywhere makes it unusable, and is better known before anything is said.
    file::read(path, &mut |_| Ok(()))
}

/// The stream that reads a ledger's topic.
fn stream_of(path: &Path, header: &Header, streams: &[Stream<'_>]) -> Result<usize, Unable> {
    let reads = |stream: &Stream<'_>| {
        let mut keys = stream.bronze.0.txns.keys().filter_map(|key| PositionKey::parse(key));
        keys.any(|key| key.topic == header.topic && key.incarnation == header.incarnation)
    };
    streams.iter().position(reads).ok_or_else(|| Unable {
        place: Place::default().in_file(&path.display().to_string()),
        why: format!(
            "the ledger is of topic {} (incarnation {}), which no stream that was looked at has read",
            header.topic, header.incarnation
        ),
    })
}

fn check_stream(
    stream: &Stream<'_>,
    files: Vec<(PathBuf, Header)>,
    beside: &Beside<'_>,
    request: &Request,
    read: &mut Vec<Ledger>,
    findings: &Findings,
) -> Result<Vec<LedgerReport>, Unable> {
    let memory = request.memory_bytes_max / 2;
    let judged = stream.take_known().filter(|known| !known.is_empty());
    let mut found = Found { derived: judged.is_none(), ..Found::default() };
    let mut known = judged.unwrap_or_else(|| Buckets::new(&request.scratch, memory));
    let mut named: Buckets<Named> = Buckets::new(&request.scratch, memory);
    let beginnings = Beginnings::of(stream.bronze, beside.copies);
    for (path, header) in files {
        let number = u16::try_from(read.len()).map_err(|_| Unable {
            place: Place::default(),
            why: "more than 65536 ledgers of one stream were given".to_owned(),
        })?;
        let (bronze, mut sets) = (stream.bronze.0, Sets { known: &mut known, named: &mut named });
        let mut ledger = lines::enter((bronze, &beginnings), (number, path, header), request, &mut sets, findings)?;
        ahead::check(bronze, (number, &mut ledger), beside, request, &mut found, findings)?;
        read.push(ledger);
    }
    let incarnations: BTreeMap<u64, &str> = read
        .iter()
        .map(|ledger| (incarnation_key(&ledger.header.incarnation), ledger.header.incarnation.as_str()))
        .collect();
    let failed = rows(stream.bronze.0, BRONZE, &incarnations, request, &mut known)?;
    let blind = unseen(stream.bronze, &failed, findings);
    let failed = rows(stream.dead_letters.0, DEAD, &incarnations, request, &mut known)?;
    let letters = unseen(stream.dead_letters, &failed, findings);
    let (read, incarnations) = (&*read, &incarnations);
    let ground = Ground { stream, read, incarnations, blind: &blind, letters: &letters };
    by_position(&ground, known, &mut named, &mut found)?;
    if let Some(letters) = letters.first().filter(|_| found.maybe_dead > 0) {
        let place = Place::table(&stream.dead_letters.0.name.to_string()).in_file(&letters.path);
        let why = format!(
            "whether {} acknowledged ids are dead letters could not be told from a file that cannot be read; restore it",
            found.maybe_dead
        );
        findings.unable(Unable { place, why });
    }
    if found.derived {
        found.extra = found.unledgered.clone();
    } else {
        let failed = silver_ids(stream.silver.0, &mut named)?;
        by_id(named, read, &mut found)?;
        if let Some(damaged) = unseen(stream.silver, &failed, findings).first() {
            // What is not in the files that can be read may be in this one.
            found.missing.retain(|(_, _, missing), _| *missing != Missing::Silver);
            let place = Place::table(&stream.silver.0.name.to_string()).in_file(&damaged.path);
            let why = "acknowledged ids could not be looked for in a file of silver that cannot be read; restore it";
            findings.unable(Unable { place, why: why.to_owned() });
        }
    }
    found.extra.retain(|(partition, _)| request.scope.has_partition(*partition));
    doubt::settle(stream, read, &mut found, findings);
    let (above, nothing) = (std::mem::take(&mut found.above), BTreeMap::new());
    let above = |number: u16| above.get(&number).unwrap_or(&nothing);
    let reports =
        (0_u16..).zip(read.iter()).map(|(number, ledger)| tell::report(ledger, above(number), request)).collect();
    tell::tell(stream, read, found, findings);
    Ok(reports)
}

/// Of the files that could not be opened, those that may hold what is looked for: damaged ones, and those that could be
/// read before. What a file held that was gone already is gone.
fn unseen(observed: Observed<'_>, failed: &BTreeSet<String>, findings: &Findings) -> Vec<Blind> {
    let (table, facts) = observed;
    let mut unseen = blind_files(observed);
    unseen.retain(|blind| !blind.missing && failed.contains(&blind.path));
    for path in failed {
        let Some(before) = facts.get(path) else { continue };
        let why = "the file was read before, and could not be opened again: verify once more";
        let place = Place::table(&table.name.to_string()).in_file(path);
        findings.unable(Unable { place, why: why.to_owned() });
        let range = |((incarnation, partition), held): (&(String, i32), &Held)| {
            (incarnation.clone(), *partition, held.first, held.last.saturating_add(1))
        };
        let ranges = Some(before.held.iter().map(range).collect());
        unseen.push(Blind { path: path.clone(), missing: false, ranges });
    }
    unseen
}

/// What positions are judged with.
struct Ground<'a> {
    stream: &'a Stream<'a>,
    read: &'a [Ledger],
    incarnations: &'a BTreeMap<u64, &'a str>,
    /// Files of bronze that could not be read.
    blind: &'a [Blind],
    /// And of dead letters.
    letters: &'a [Blind],
}

/// Judges positions, and hands on the ids of lines.
fn by_position(
    Ground { stream, read, incarnations, blind, letters }: &Ground<'_>,
    known: Buckets<Known>,
    named: &mut Buckets<Named>,
    found: &mut Found,
) -> Result<(), Unable> {
    let mut reached: BTreeMap<(u64, i32), i64> = BTreeMap::new();
    known.drain(&mut |records| {
        records.sort_unstable();
        for group in records.chunk_by(|one, other| one.position() == other.position()) {
            let Some(first) = group.first() else { continue };
            let (key, partition, offset) = first.position();
            let incarnation = incarnations.get(&key).copied().unwrap_or_default();
            let silver = *reached
                .entry((key, partition))
                .or_insert_with(|| next_offset(stream.silver.0, incarnation, partition));
            match at_position(group) {
                AtPosition::Missing(ledger) => {
                    if !blind.iter().any(|blind| blind.may_hold(incarnation, partition, offset)) {
                        keep(found.missing.entry((ledger, partition, Missing::Bronze)).or_default(), offset);
                    }
                    // A ledger has its id, whatever became of the record: a row of silver with it is not extra.
                    for line in group.iter().filter(|known| known.kind == LINE) {
                        named.push(Named { id: line.id, kind: NAMED, partition, offset, ledger: line.ledger })?;
                    }
                }
                AtPosition::Kept { dead, judged, hashed, other_id } => {
                    found.derived |= hashed;
                    if let Some(ledger) = other_id {
                        keep(found.other_id.entry((ledger, partition)).or_default(), offset);
                    }
                    let may_be_dead = |letters: &Blind| letters.may_hold(incarnation, partition, offset);
                    let maybe_dead = !judged && offset < silver && letters.iter().any(may_be_dead);
                    found.maybe_dead = found.maybe_dead.saturating_add(u64::from(maybe_dead));
                    for line in group.iter().filter(|known| known.kind == LINE && !hashed) {
                        let kind = if dead || maybe_dead || offset >= silver { NAMED } else { DUE };
                        named.push(Named { id: line.id, kind, partition, offset, ledger: line.ledger })?;
                    }
                }
                AtPosition::Unledgered if !incarnation.is_empty() => {
                    found.note_above(read, incarnation, (partition, offset));
                    if found.unledgered.len() < POSITIONS_KEPT_MAX {
                        found.unledgered.insert((partition, offset));
                    }
                }
                AtPosition::Unledgered | AtPosition::Nothing => {}
            }
        }
        Ok(())
    })
}

fn by_id(named: Buckets<Named>, read: &[Ledger], found: &mut Found) -> Result<(), Unable> {
    named.drain(&mut |records| {
        records.sort_unstable();
        for group in records.chunk_by(|one, other| one.id == other.id) {
            match of_id(group) {
                OfId::Missing(line) => {
                    let key = (line.ledger, line.partition, Missing::Silver);
                    keep(found.missing.entry(key).or_default(), line.offset);
                }
                OfId::Extra(row) if found.extra.len() < POSITIONS_KEPT_MAX => {
                    found.extra.insert((row.partition, row.offset));
                }
                OfId::Extra(row) if read.iter().any(|ledger| ledger.ends_before(row.partition, row.offset)) => {
                    found.more_above = found.more_above.saturating_add(1);
                }
                OfId::Extra(_) => found.more_extra = found.more_extra.saturating_add(1),
                OfId::Fine => {}
            }
        }
        Ok(())
    })
}

fn keep(offsets: &mut Vec<i64>, offset: i64) {
    if offsets.len() < POSITIONS_KEPT_MAX {
        offsets.push(offset);
    }
}
