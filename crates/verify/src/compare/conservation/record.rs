//! What became of one record: its row, its dead letter, or neither.
//!
//! Contract: each record is counted as exactly one of silver row, duplicate, dead letter, as the books count them; the id
//! of each valid record and of each row is entered, so that "neither" is told apart into duplicate and lost.

use super::columns::SilverRows;
use super::commit::Seen;
use super::ids::{IdRecord, SILVER, TOLD, UNSEEN, VALID};
use super::plan::SilverCommit;
use super::read::Spot;
use super::row::{Layout, Pair, event_id};
use super::walk::{Held, Walk};
use super::{At, letter};
use crate::books::Watermarks;
use crate::compare::ledgers::Known;
use crate::compare::stream::Blind;
use crate::expect::{ExpectedRow, Judged, Outcome};
use crate::finding::{Code, Place, Unable};
use arrow::array::Array;

impl Walk<'_> {
    /// Looks up what became of one record.
    pub(super) fn record(
        &mut self,
        place: &Stretched<'_>,
        held: &Held,
        spot: &Spot,
        judged: Option<(Judged, (&Layout, bool))>,
        (rows, dead): (&[Spot], &[Spot]),
    ) -> Result<(), Unable> {
        let Some((bronze, row)) = held.bronze.at(spot) else { return Ok(()) };
        let books = place.commit.books;
        let by_topic = books.watermarks.as_ref().is_some_and(Watermarks::are_by_topic);
        let at = At {
            silver: &self.ground.silver_name,
            letters: &self.ground.letters_name,
            version: place.commit.version,
            definition: place.definition,
            topic: by_topic.then_some(books.topic.as_str()),
            partition: place.partition,
            offset: spot.offset,
            bronze,
            row,
        };
        self.twice(place, held, spot.offset, rows, dead);
        let Some((judged, (layout, hashed))) = judged else {
            self.unjudged();
            return self.ids_of(place, held, rows);
        };
        let times = (at.timestamp_us(), bronze.ingested_at.value(row));
        let seen = self.time.observe(place.partition, spot.offset, judged.event_time_us, times);
        match judged.outcome {
            Outcome::Row(expected) => {
                let id = (!hashed).then_some(expected.event_id.as_str());
                self.know(place, spot.offset, id, false)?;
                self.valid(place, held, &at, (&*expected, seen, layout), (rows, dead))
            }
            Outcome::Unjudged(why) => {
                let (count, ..) = self.unjudged_because.entry(why).or_insert((0, place.partition, spot.offset));
                *count = count.saturating_add(1);
                self.unjudged();
                self.ids_of(place, held, rows)
            }
            Outcome::DeadLetter(reasons) => {
                self.know(place, spot.offset, None, true)?;
                self.invalid(place, held, &at, &reasons, (rows, dead))
            }
        }
    }

    /// A valid record: its row, or an id for those that have none.
    fn valid(
        &mut self,
        place: &Stretched<'_>,
        held: &Held,
        at: &At<'_>,
        (expected, seen, layout): (&ExpectedRow, Option<Seen>, &Layout),
        (rows, dead): (&[Spot], &[Spot]),
    ) -> Result<(), Unable> {
        for _ in dead {
            let what = "the record is valid by the definition in force";
            let table = Place::table(&self.ground.letters_name);
            self.runs.add(Code::DeadLetterUnfounded, &table, at.partition, at.offset, what);
        }
        let id = |text: &str, flags| IdRecord::new(text.as_bytes(), place.number, at.partition, at.offset, flags);
        // Of rows whose incarnation is not known, only one that bears the record's id is its row, and where it names its
        // topic, one of the record's.
        let is_own = |(silver, row): &(&SilverRows, usize)| {
            let named = silver.topic.as_ref().filter(|topics| topics.is_valid(*row)).map(|topics| topics.value(*row));
            let may_be = named.is_none_or(|topic| at.topic == Some(topic));
            silver.settled || (may_be && event_id(silver, *row) == expected.event_id)
        };
        let mut own = rows.iter().filter_map(|spot| held.silver.at(spot)).filter(is_own);
        let Some((silver, row)) = own.next() else {
            let unseen = self.hidden(Side::Silver, place, at.offset);
            self.count(place.partition, |counts| counts.duplicates += 1);
            return self.ids.push(id(&expected.event_id, if unseen { VALID | UNSEEN } else { VALID }));
        };
        Pair { at, expected, seen, rows: silver, row }.compare(layout, self.ground.findings);
        self.count(place.partition, |counts| {
            counts.silver += 1;
            counts.late += u64::from(seen.is_some_and(|seen| seen.late));
            counts.future += u64::from(seen.is_some_and(|seen| seen.future));
            counts.unknown_fields += u64::from(expected.extra.is_some());
        });
        let bears = event_id(silver, row);
        if bears == expected.event_id {
            self.ids.push(id(bears, VALID | SILVER))?;
        } else {
            self.ids.push(id(bears, SILVER))?;
            self.ids.push(id(&expected.event_id, VALID | TOLD))?;
        }
        own.try_for_each(|(silver, row)| self.ids.push(id(event_id(silver, row), SILVER)))
    }

    /// A record that must be a dead letter.
    fn invalid(
        &mut self,
        place: &Stretched<'_>,
        held: &Held,
        at: &At<'_>,
        reasons: &[String],
        (rows, dead): (&[Spot], &[Spot]),
    ) -> Result<(), Unable> {
        self.count(place.partition, |counts| counts.dead_letters += 1);
        for (silver, row) in rows.iter().filter_map(|spot| held.silver.at(spot)).filter(|(rows, _)| rows.settled) {
            let what = format!("its record is not valid: {}", letter::listed(reasons.iter().map(String::as_str)));
            let place = at.place(at.silver, &silver.file).event(event_id(silver, row));
            self.ground.findings.add(Code::RowInvalid, place, what);
        }
        match dead.first().and_then(|spot| held.letters.at(spot)) {
            Some((letters, row)) => letter::compare(at, reasons, letters, row, self.ground.findings),
            None if self.hidden(Side::Letters, place, at.offset) => {}
            None => {
                let table = Place::table(&self.ground.letters_name);
                let what = "bronze has a record that is not valid, and there is no dead letter of it";
                self.runs.add(Code::DeadLetterLost, &table, at.partition, at.offset, what);
            }
        }
        self.ids_of(place, held, rows)
    }

    /// Rows and letters at offsets that bronze has no record of.
    pub(super) fn unfounded(
        &mut self,
        place: &Stretched<'_>,
        held: &Held,
        rows: &[Spot],
        letters: &[Spot],
    ) -> Result<(), Unable> {
        for spot in rows {
            let settled = held.silver.at(spot).is_some_and(|(rows, _)| rows.settled);
            if settled && !self.hidden(Side::Bronze, place, spot.offset) {
                let table = Place::table(&self.ground.silver_name).at_version(place.commit.version);
                let what = "silver has a row, bronze has no record there";
                self.runs.add(Code::RowUnfounded, &table, place.partition, spot.offset, what);
            }
        }
        for spot in letters {
            if !self.hidden(Side::Bronze, place, spot.offset) {
                let table = Place::table(&self.ground.letters_name);
                let what = "there is a dead letter, bronze has no record there";
                self.runs.add(Code::DeadLetterUnfounded, &table, place.partition, spot.offset, what);
            }
        }
        if !rows.is_empty() || !letters.is_empty() {
            self.unjudged();
        }
        self.ids_of(place, held, rows)
    }

    /// Enters the ids that rows bear.
    pub(super) fn ids_of(&mut self, place: &Stretched<'_>, held: &Held, rows: &[Spot]) -> Result<(), Unable> {
        for (spot, (silver, row)) in rows.iter().filter_map(|spot| Some((spot, held.silver.at(spot)?))) {
            if silver.settled {
                let id = event_id(silver, row).as_bytes();
                self.ids.push(IdRecord::new(id, place.number, place.partition, spot.offset, SILVER))?;
            }
        }
        Ok(())
    }

    /// A position that holds more than one row, or letter.
    fn twice(&self, place: &Stretched<'_>, held: &Held, offset: i64, rows: &[Spot], dead: &[Spot]) {
        if rows.len() < 2 && dead.len() < 2 {
            return;
        }
        let settled = rows.iter().filter_map(|spot| held.silver.at(spot)).filter(|(rows, _)| rows.settled);
        let mut files: Vec<&str> = settled.map(|(rows, _)| &*rows.file).collect();
        let tell = |table: &str, files: &mut Vec<&str>| {
            if let Some(first) = files.first().filter(|_| files.len() > 1) {
                let table = Place::table(table).in_file(first).of_partition(place.partition);
                let last = files.last().unwrap_or(first);
                let what = format!("{} rows stand at this offset, the last of them in {last}", files.len());
                self.ground.findings.add(Code::OffsetsDoubled, table.offsets(offset, offset.saturating_add(1)), what);
            }
            files.clear();
        };
        tell(&self.ground.silver_name, &mut files);
        files.extend(dead.iter().filter_map(|spot| held.letters.at(spot)).map(|(letters, _)| &*letters.file));
        tell(&self.ground.letters_name, &mut files);
    }

    /// Whether a file that cannot be read may hold what is looked for at a position. If it is there and damaged, that is
    /// noted; of one that is gone, what it held is lost, and said to be.
    fn hidden(&mut self, side: Side, place: &Stretched<'_>, offset: i64) -> bool {
        let blind = match side {
            Side::Bronze => &self.bronze.1,
            Side::Silver => &self.silver.1,
            Side::Letters => &self.letters.1,
        };
        let may = |blind: &&Blind| {
            // Rows without their record cannot be judged; that the record is gone is told by the offsets.
            (side == Side::Bronze || !blind.missing) && blind.may_hold(place.incarnation, place.partition, offset)
        };
        let Some(blind) = blind.iter().find(may) else { return false };
        match self.unseen.get_mut(&blind.path) {
            Some((count, ..)) => *count = count.saturating_add(1),
            None => {
                self.unseen.insert(blind.path.clone(), (1, place.partition, offset));
            }
        }
        if let Some(open) = self.open.as_mut() {
            open.whole = false;
        }
        true
    }

    /// Something was not as it should be, or could not be judged: the commit's sums, and its times from here on, say
    /// nothing.
    pub(super) fn unjudged(&mut self) {
        self.time.doubt();
        if let Some(open) = self.open.as_mut() {
            open.whole = false;
        }
    }

    fn count(&mut self, partition: i32, change: impl FnOnce(&mut crate::books::Counts)) {
        if let Some(open) = self.open.as_mut() {
            change(open.counts.entry(partition).or_default());
        }
    }

    fn know(&mut self, place: &Stretched<'_>, offset: i64, id: Option<&str>, dead: bool) -> Result<(), Unable> {
        match &mut self.known {
            Some(known) => known.push(Known::new(place.incarnation, place.partition, offset, id, dead)),
            None => Ok(()),
        }
    }
}

/// Which table is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Bronze,
    Silver,
    Letters,
}

/// A stretch with what is known of its commit.
pub(super) struct Stretched<'p> {
    pub(super) commit: &'p SilverCommit<'p>,
    pub(super) number: u32,
    pub(super) definition: i32,
    pub(super) incarnation: &'p str,
    pub(super) partition: i32,
}

impl Stretched<'_> {
    pub(super) fn place(&self, table: &str) -> Place {
        Place::table(table).at_version(self.commit.version).of_partition(self.partition)
    }
}

/// Rows that are gone through beside bronze.
pub(super) struct Cursor<'r> {
    pub(super) spots: &'r [Spot],
}

impl<'r> Cursor<'r> {
    /// Those below an offset.
    pub(super) fn before(&mut self, offset: i64) -> &'r [Spot] {
        self.take(|spot| spot.offset < offset)
    }

    /// Those at an offset.
    pub(super) fn at(&mut self, offset: i64) -> &'r [Spot] {
        self.take(|spot| spot.offset == offset)
    }

    fn take(&mut self, is_in: impl Fn(&Spot) -> bool) -> &'r [Spot] {
        let count = self.spots.iter().take_while(|spot| is_in(spot)).count();
        let (taken, rest) = self.spots.split_at(count);
        self.spots = rest;
        taken
    }
}
