//! Going through silver's commits: each record of bronze is judged, and what became of it is looked up.
//!
//! Contract: slices come in the order of commits; within a commit each partition's offsets ascend. For each record one of
//! the following holds, or a finding says what does not: a row of silver equal to it; a dead letter equal to it; a valid
//! record without a row, whose id must stand elsewhere (told by the ids). Rows and letters without a record are told.
//! What cannot be judged (no definition, a file that cannot be read) is told as that, and neither counted nor balanced.

use super::Ground;
use super::columns::{BronzeRows, LetterRows, SilverRows};
use super::commit::OpenCommit;
use super::files::Source;
use super::ids::IdRecord;
use super::judges::{JUDGE_ROWS, Judges, said};
use super::plan::{SilverCommit, Slice, Stretch};
use super::read::{Rows, Spot, Wanted, gather};
use super::record::{Cursor, Stretched};
use super::row::Layout;
use super::runs::Runs;
use crate::compare::ledgers::Known;
use crate::compare::stream::Blind;
use crate::expect::Judged;
use crate::expect::definition::{ColumnType, EventId, StreamDefinition};
use crate::finding::{Code, Place, Unable};
use crate::spill::Buckets;
use arrow::array::Array;
use std::collections::BTreeMap;

/// A table's files: those that can be read and those that cannot.
pub(super) type Files<'a> = (Vec<Source<'a>>, Vec<Blind>);

/// The rows of a slice.
pub(super) struct Held {
    pub(super) bronze: Rows<BronzeRows>,
    pub(super) silver: Rows<SilverRows>,
    pub(super) letters: Rows<LetterRows>,
}

/// What is needed to judge by one definition.
pub(super) struct Rules {
    judges: Judges,
    layout: Layout,
    /// Whether ids are derived: hashes, or numbers as texts, which a ledger does not have.
    hashed: bool,
}

/// State of a walk.
pub(super) struct Walk<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) commits: &'a [SilverCommit<'a>],
    pub(super) bronze: Files<'a>,
    pub(super) silver: Files<'a>,
    pub(super) letters: Files<'a>,
    pub(super) runs: Runs<'a>,
    pub(super) ids: Buckets<IdRecord>,
    pub(super) known: Option<Buckets<Known>>,
    pub(super) open: Option<OpenCommit<'a>>,
    pub(super) time: super::commit::Clock,
    /// The next commit to be begun.
    pub(super) next: usize,
    /// Records of bronze looked at.
    pub(super) looked_at: u64,
    pub(super) rules: BTreeMap<i32, Option<Rules>>,
    /// Positions that could not be judged because of a file: its path → how many, and the first.
    pub(super) unseen: BTreeMap<String, (u64, i32, i64)>,
    /// Why records could not be judged → how many, and the first.
    pub(super) unjudged_because: BTreeMap<String, (u64, i32, i64)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        ground: &'a Ground<'a>,
        commits: &'a [SilverCommit<'a>],
        [bronze, silver, letters]: [Files<'a>; 3],
    ) -> Self {
        let request = ground.request;
        let known = (!request.ledgers.is_empty()).then(|| Buckets::new(&request.scratch, request.memory_bytes_max / 4));
        Self {
            ground,
            commits,
            bronze,
            silver,
            letters,
            runs: Runs::new(ground.findings),
            ids: Buckets::new(&request.scratch, request.memory_bytes_max / 2),
            known,
            open: None,
            time: super::commit::Clock::default(),
            next: 0,
            looked_at: 0,
            rules: BTreeMap::new(),
            unseen: BTreeMap::new(),
            unjudged_because: BTreeMap::new(),
        }
    }

    /// Goes through a slice.
    ///
    /// # Errors
    /// When the scratch folder fails.
    pub(super) fn slice(&mut self, slice: &Slice) -> Result<(), Unable> {
        let commits = self.commits;
        let mut lives: BTreeMap<&str, Held> = BTreeMap::new();
        for (incarnation, ranges) in slice.wanted(commits) {
            let held = self.read(&Wanted { incarnation: incarnation.to_owned(), ranges });
            for (path, why) in [&held.bronze.failed, &held.silver.failed, &held.letters.failed].into_iter().flatten() {
                let place = Place::table(&self.ground.silver_name).in_file(path);
                let why = format!("a file of the stream could not be read a second time: {why}");
                self.ground.findings.unable(Unable { place, why });
            }
            lives.insert(incarnation, held);
        }
        for stretch in &slice.stretches {
            self.advance_to(stretch.commit);
            if let Some(commit) = commits.get(stretch.commit)
                && let Some(held) = lives.get(commit.books.incarnation.as_str())
            {
                self.stretch(stretch, &commit.books.incarnation, held)?;
            }
            self.runs.flush();
        }
        Ok(())
    }

    /// Reads the three tables, bronze beside the others where there is a thread for it.
    fn read(&mut self, wanted: &Wanted) -> Held {
        let stream = self.ground.stream;
        let (bronze, silver, letters) = (&self.bronze.0, &self.silver.0, &self.letters.0);
        let others = || {
            let silver = gather::<SilverRows>(stream.silver.0, silver, wanted);
            (silver, gather::<LetterRows>(stream.dead_letters.0, letters, wanted))
        };
        let held = if self.ground.request.threads > 1 {
            std::thread::scope(|scope| {
                let beside = scope.spawn(others);
                let bronze = gather::<BronzeRows>(stream.bronze.0, bronze, wanted);
                let (silver, letters) = beside.join().unwrap_or_else(|panic| (failed(&*panic), failed(&*panic)));
                Held { bronze, silver, letters }
            })
        } else {
            let bronze = gather::<BronzeRows>(stream.bronze.0, bronze, wanted);
            let (silver, letters) = others();
            Held { bronze, silver, letters }
        };
        // What failed now is blind from here on: where it may hold a row, none is missed.
        blind(&mut self.bronze.1, &held.bronze.failed);
        blind(&mut self.silver.1, &held.silver.failed);
        blind(&mut self.letters.1, &held.letters.failed);
        held
    }

    fn stretch(&mut self, stretch: &Stretch, incarnation: &str, held: &Held) -> Result<(), Unable> {
        let Some(commit) = self.commits.get(stretch.commit) else { return Ok(()) };
        let Stretch { partition, from, to, .. } = *stretch;
        let definition = self.definition(commit, stretch, incarnation);
        let mut rules = self.take_rules(definition);
        let mut records: Vec<Spot> = held.bronze.between(partition, from, to).to_vec();
        // An offset that stands in bronze twice is a matter of its own; here its first row counts.
        records.dedup_by_key(|spot| spot.offset);
        if rules.is_none() || !is_complete(commit, stretch, records.len()) {
            self.unjudged();
        }
        let mut silver = Cursor { spots: held.silver.between(partition, from, to) };
        let mut letters = Cursor { spots: held.letters.between(partition, from, to) };
        let place = Stretched { commit, number: number(stretch.commit), definition, incarnation, partition };
        for part in records.chunks(JUDGE_ROWS) {
            let mut judged = self.judge(part, held, rules.as_mut(), &place);
            let layout = rules.as_ref().map(|rules| (&rules.layout, rules.hashed));
            for (index, spot) in part.iter().enumerate() {
                self.unfounded(&place, held, silver.before(spot.offset), letters.before(spot.offset))?;
                let (rows, dead) = (silver.at(spot.offset), letters.at(spot.offset));
                let one = judged.as_mut().and_then(|judged| judged.get_mut(index)).and_then(Option::take);
                self.record(&place, held, spot, one.zip(layout), (rows, dead))?;
            }
            self.looked_at = self.looked_at.saturating_add(part.len() as u64);
        }
        self.unfounded(&place, held, silver.spots, letters.spots)?;
        if let Some(rules) = rules {
            self.rules.insert(definition, Some(rules));
        }
        Ok(())
    }

    /// The version of the definition in force, by `ops.definitions`, or else by the books.
    fn definition(&self, commit: &SilverCommit<'_>, stretch: &Stretch, incarnation: &str) -> i32 {
        let (name, books) = (&self.ground.stream.name, commit.books.definition);
        let at = |offset| self.ground.definitions.stream_in_force(name, incarnation, stretch.partition, offset);
        let (first, last) = (at(stretch.from), at(stretch.to.saturating_sub(1)));
        let other = [first, last].into_iter().flatten().find(|version| *version != books);
        if let Some(other) = other {
            let place = Place::table(&self.ground.silver_name).at_version(commit.version);
            let place = place.of_partition(stretch.partition).offsets(stretch.from, stretch.to);
            let what = format!("the books name definition {books}, by ops.definitions version {other} was in force");
            self.ground.findings.add(Code::DefinitionMissing, place, what);
        }
        first.unwrap_or(books)
    }

    /// The rules of a definition; a definition that is missing, or cannot be worked with, is told once.
    fn take_rules(&mut self, version: i32) -> Option<Rules> {
        if let Some(known) = self.rules.get_mut(&version) {
            return known.take();
        }
        self.rules.insert(version, None);
        let (ground, place) = (self.ground, Place::table(&self.ground.silver_name));
        let Some(definition) = ground.definitions.stream(&ground.stream.name, version) else {
            let what = format!("commits were made under definition {version}, which ops.definitions does not have");
            ground.findings.add(Code::DefinitionMissing, place, what);
            return None;
        };
        match self.make_rules(definition) {
            Ok(rules) => Some(rules),
            Err(why) => {
                let why = format!("records cannot be judged by definition {version}: {why}");
                ground.findings.unable(Unable { place, why });
                None
            }
        }
    }

    fn make_rules(&self, definition: &StreamDefinition) -> Result<Rules, String> {
        let judges = Judges::new(definition, self.ground.request.threads)?;
        let layout = Layout::new(definition, &self.ground.stream.silver.0.metadata.columns);
        // A ledger has an id as it stood in the payload: only of texts is that the text in silver.
        let is_text = |name: &String| {
            let column = definition.column_index(name).and_then(|index| definition.columns.get(index));
            column.is_some_and(|column| column.kind == ColumnType::String)
        };
        let hashed = !matches!(&definition.event_id, EventId::Column(name) if is_text(name));
        Ok(Rules { judges, layout, hashed })
    }

    /// What must become of each of some records; `None` where that cannot be told, and it is said why.
    fn judge(
        &mut self,
        spots: &[Spot],
        held: &Held,
        rules: Option<&mut Rules>,
        place: &Stretched<'_>,
    ) -> Option<Vec<Option<Judged>>> {
        let rules = rules?;
        let payload = |spot: &Spot| {
            let (rows, row) = held.bronze.at(spot)?;
            rows.value.is_valid(row).then(|| rows.value.value(row))
        };
        let payloads: Vec<Option<&[u8]>> = spots.iter().map(payload).collect();
        match rules.judges.judge(&payloads) {
            Ok(judged) => Some(judged.into_iter().map(Some).collect()),
            Err(why) => {
                let (first, last) = (spots.first()?.offset, spots.last()?.offset);
                let place = place.place(&self.ground.silver_name).offsets(first, last.saturating_add(1));
                self.ground.findings.unable(Unable { place, why: format!("records could not be judged: {why}") });
                None
            }
        }
    }

    /// Says which files kept how much from being judged.
    pub(super) fn tell_unseen(&self) {
        for (path, (count, partition, offset)) in &self.unseen {
            let place = Place::default().in_file(path).of_partition(*partition);
            let place = place.offsets(*offset, offset.saturating_add(1));
            let why = format!(
                "{count} records or rows of stream {}, from here on, could not be compared, as the file cannot be read; \
                 restore it, and verify again",
                self.ground.stream.name
            );
            self.ground.findings.unable(Unable { place, why });
        }
        for (why, (count, partition, offset)) in &self.unjudged_because {
            let place = Place::table(&self.ground.stream.bronze.0.name.to_string()).of_partition(*partition);
            let place = place.offsets(*offset, offset.saturating_add(1));
            let why = format!("{count} records, from here on, could not be judged: {why}");
            self.ground.findings.unable(Unable { place, why });
        }
    }
}

/// Whether bronze has all records of a stretch, as far as the books tell. Of a part of a range with offsets that hold no
/// record that is not known, and taken to be so.
fn is_complete(commit: &SilverCommit<'_>, stretch: &Stretch, records: usize) -> bool {
    let mut entries = commit.books.entries.iter();
    let Some(entry) = entries.find(|entry| entry.partition == stretch.partition) else { return true };
    let without = entry.outcome.no_record.saturating_add(entry.outcome.lost);
    match (entry.from, entry.to) == (stretch.from, stretch.to) {
        true => entry.outcome.records == records as u64,
        false => without > 0 || stretch.to.saturating_sub(stretch.from) == records as i64,
    }
}

fn number(commit: usize) -> u32 {
    u32::try_from(commit).unwrap_or(super::ids::NO_COMMIT - 1)
}

fn failed<C>(panic: &(dyn std::any::Any + Send)) -> Rows<C> {
    Rows::none(said(panic))
}

fn blind(blind: &mut Vec<Blind>, failed: &[(String, String)]) {
    blind.extend(failed.iter().map(|(path, _)| Blind { path: path.clone(), missing: false, ranges: None }));
}
