//! What is expected, in memory: the plan, where each record lies, and which copies of an event there are.

use super::report::Check;
use crate::error::ProduceError;
use crate::generate::{Plan, Role};
use crate::ledger::{self, SourceHeader};
use crate::truth::{Fate, Truth, simulate};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A record's place: partition and offset.
pub(super) type Place = (i32, i64);

pub(super) struct Expected {
    pub(super) truth: Truth,
    pub(super) plan: Plan,
    /// Per partition, (offset, sequence), by offset.
    order: Vec<Vec<(i64, u64)>>,
    /// Place of each sequence number.
    places: Vec<Option<Place>>,
    /// The first copy of an event in each partition other than its original's.
    elsewhere: HashMap<u64, Vec<(i32, u64)>>,
    ledger: Option<Check>,
}

impl Expected {
    pub(super) fn load(folder: &Path, ledger: Option<&Path>) -> Result<Self, ProduceError> {
        let path = folder.join("truth.json");
        let failed = |error: &dyn std::fmt::Display| ProduceError::truth(&path, format!("cannot be read: {error}"));
        let file = File::open(&path).map_err(|error| failed(&error))?;
        let truth: Truth = serde_json::from_reader(BufReader::new(file)).map_err(|error| failed(&error))?;
        let SourceHeader::Generate(spec) = &truth.header.source else {
            return Err(failed(&"it is not that of generated events"));
        };
        let plan = Plan::new((**spec).clone())?;
        let mut order = vec![Vec::new(); truth.header.partitions as usize];
        let mut elsewhere: HashMap<u64, Vec<(i32, u64)>> = HashMap::new();
        simulate(&plan, &truth.header.start_offsets, truth.count, |seen| {
            order[seen.partition as usize].push((seen.offset, seen.sequence));
            if let Fate::Duplicate { of, elsewhere: true } = seen.fate {
                let copies = elsewhere.entry(of).or_default();
                if copies.iter().all(|(partition, _)| *partition != seen.partition) {
                    copies.push((seen.partition, seen.sequence));
                }
            }
        });
        let places = Vec::new();
        let mut expected = Self { truth, plan, order, places, elsewhere, ledger: None };
        if let Some(path) = ledger {
            expected.take_ledger(path)?;
        }
        expected.places = vec![None; expected.truth.count as usize];
        for (partition, records) in expected.order.iter().enumerate() {
            for &(offset, sequence) in records {
                if let Some(place) = expected.places.get_mut(sequence as usize) {
                    *place = Some((partition as i32, offset));
                }
            }
        }
        Ok(expected)
    }

    /// Takes the places from the ledger, and checks it against the plan on the way.
    fn take_ledger(&mut self, path: &Path) -> Result<(), ProduceError> {
        let mut check = Check::new("ledger", self.truth.count);
        let mut order = vec![Vec::new(); self.order.len()];
        let mut seen = vec![false; self.truth.count as usize];
        let mut id = Vec::new();
        let header = ledger::read(path, |line| {
            check.found += 1;
            let name = || format!("sequence {}", line.sequence);
            let Some(seen) = seen.get_mut(line.sequence as usize) else {
                return check.fault("lines beyond the truth", name);
            };
            if std::mem::replace(seen, true) {
                return check.fault("lines twice", name);
            }
            id.clear();
            self.plan.push_id(&mut id, event_of(&self.plan, line.sequence));
            if id != line.id.as_bytes() {
                check.fault("lines with another id", name);
            }
            match order.get_mut(line.partition as usize) {
                Some(records) if line.partition == self.plan.partition(line.sequence) => {
                    records.push((line.offset, line.sequence));
                }
                _ => check.fault("lines with another partition", name),
            }
        })?;
        if header != self.truth.header {
            check.fault("ledger of another run", || path.display().to_string());
        }
        for (sequence, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            check.fault("lines missing", || format!("sequence {sequence}"));
        }
        for (partition, records) in order.iter_mut().enumerate() {
            records.sort_unstable();
            for pair in records.windows(2).filter(|pair| pair[0].0 == pair[1].0 || pair[0].1 >= pair[1].1) {
                check.fault("lines out of order", || format!("{partition}/{}", pair[1].0));
            }
        }
        self.order = order;
        self.ledger = Some(check);
        Ok(())
    }

    pub(super) fn check_ledger(&self) -> Option<Check> {
        self.ledger.clone()
    }

    pub(super) fn has_ledger(&self) -> bool {
        self.ledger.is_some()
    }

    /// The sequence number of the record that must lie at this place.
    pub(super) fn at(&self, partition: i32, offset: i64) -> Option<u64> {
        let records = self.order.get(usize::try_from(partition).ok()?)?;
        let index = records.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(records[index].1)
    }

    pub(super) fn place(&self, sequence: u64) -> Option<Place> {
        self.places.get(sequence as usize).copied().flatten()
    }

    pub(super) fn records(&self) -> u64 {
        self.order.iter().map(|records| records.len() as u64).sum()
    }

    /// All sequence numbers with their places.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Place)> + '_ {
        self.places.iter().enumerate().filter_map(|(sequence, place)| Some((sequence as u64, (*place)?)))
    }

    /// Whether the record at this place may be the one that event `event` has won with.
    pub(super) fn may_win(&self, event: u64, partition: i32, offset: i64) -> bool {
        let Some(sequence) = self.at(partition, offset) else { return false };
        sequence == event || self.elsewhere.get(&event).is_some_and(|copies| copies.contains(&(partition, sequence)))
    }
}

/// The event that item `sequence` carries.
fn event_of(plan: &Plan, sequence: u64) -> u64 {
    match plan.role(sequence) {
        Role::Copy { of, .. } => of,
        Role::Original(_) | Role::Malformed(_) => sequence,
    }
}

/// Shows every line of a truth's file, parsed.
pub(super) fn each_line<T: serde::de::DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(T),
) -> Result<(), ProduceError> {
    let file = File::open(path).map_err(|error| ProduceError::truth(path, format!("cannot be read: {error}")))?;
    for (number, line) in BufReader::with_capacity(1 << 20, file).lines().enumerate() {
        let parsed = line
            .map_err(|error| error.to_string())
            .and_then(|line| serde_json::from_str(&line).map_err(|error| error.to_string()));
        each(parsed.map_err(|error| ProduceError::truth(path, format!("line {}: {error}", number + 1)))?);
    }
    Ok(())
}
