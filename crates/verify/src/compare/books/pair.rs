//! Silver's books against bronze's: over the same offsets, the same records.
//!
//! Both sum up the checksums of the records that a range covers. Where a commit of silver ends at an offset at which a
//! commit of bronze ends too, which is so but within an epoch that was cut, both sums since the offset before must
//! agree.

use super::place;
use super::sequence::{self, Step};
use crate::books::Entry;
use crate::books::copies::Copies;
use crate::finding::{Code, Findings};
use crate::lake::Table;
use crate::request::Request;
use crate::rows::checksum;
use std::collections::BTreeMap;

/// Incarnation and partition.
type Key = (String, i32);

/// Sums since the first commit of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Running {
    records: u64,
    no_record: u64,
    lost: u64,
    checksum: u128,
}

impl Running {
    fn add(&mut self, entry: &Entry) -> Option<()> {
        let counts = &entry.outcome;
        self.records = self.records.checked_add(counts.records)?;
        self.no_record = self.no_record.checked_add(counts.no_record)?;
        self.lost = self.lost.checked_add(counts.lost)?;
        self.checksum = self.checksum.wrapping_add(checksum::parse(&entry.checksum)?);
        Some(())
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            records: self.records.saturating_sub(before.records),
            no_record: self.no_record.saturating_sub(before.no_record),
            lost: self.lost.saturating_sub(before.lost),
            checksum: self.checksum.wrapping_sub(before.checksum),
        }
    }
}

/// Compares the books of a stream's silver with those of its bronze. What differs is entered at silver's commit:
/// either of
/// the two may have been altered.
pub fn check_pair(bronze: &Table, silver: &Table, copies: &Copies, request: &Request, findings: &Findings) {
    let bronze_steps = sequence::steps(bronze, copies);
    let silver_steps = sequence::steps(silver, copies);
    // Where the beginning is not known, sums since then are not either.
    if [&bronze_steps, &silver_steps].iter().any(|steps| steps.first().is_none_or(|step| step.unknown)) {
        return;
    }
    let ends = ends(&bronze_steps);
    // By partition: where both last ended, and their sums there.
    let mut at: BTreeMap<Key, (i64, Running, Running)> = BTreeMap::new();
    let mut running: BTreeMap<Key, Running> = BTreeMap::new();
    for step in &silver_steps {
        let Some(books) = step.append() else { continue };
        for entry in &books.entries {
            let key = (books.incarnation.clone(), entry.partition);
            let Some(ends) = ends.get(&key) else { continue };
            let silver_sum = running.entry(key.clone()).or_default();
            if silver_sum.add(entry).is_none() {
                continue;
            }
            let Some(bronze_sum) = ends.get(&entry.to) else { continue };
            let before = at.insert(key, (entry.to, *bronze_sum, *silver_sum));
            let (from, bronze_before, silver_before) =
                before.unwrap_or((entry.from, Running::default(), Running::default()));
            let (of_bronze, of_silver) = (bronze_sum.since(&bronze_before), silver_sum.since(&silver_before));
            let judged = request.scope.has_version(&silver.name, step.version, step.timestamp_us)
                && request.scope.has_partition(entry.partition);
            if judged && of_bronze != of_silver {
                let place = place(silver, step.version).of_partition(entry.partition).offsets(from, entry.to);
                let (code, what) = told(&of_bronze, &of_silver);
                findings.add(code, place, what);
            }
        }
    }
}

/// Bronze's sums at each offset at which a commit ended.
fn ends(steps: &[Step<'_>]) -> BTreeMap<Key, BTreeMap<i64, Running>> {
    let mut found: BTreeMap<Key, BTreeMap<i64, Running>> = BTreeMap::new();
    let mut running: BTreeMap<Key, Running> = BTreeMap::new();
    for step in steps {
        let Some(books) = step.append() else { continue };
        for entry in &books.entries {
            let key = (books.incarnation.clone(), entry.partition);
            let sum = running.entry(key.clone()).or_default();
            if sum.add(entry).is_some() {
                found.entry(key).or_default().insert(entry.to, *sum);
            }
        }
    }
    found
}

fn told(bronze: &Running, silver: &Running) -> (Code, String) {
    let counts = |sums: &Running| {
        let Running { records, no_record, lost, .. } = sums;
        format!("{records} records, {no_record} offsets without one, {lost} lost")
    };
    if counts(bronze) != counts(silver) {
        return (Code::BooksCount, format!("silver's books say {}, bronze's {}", counts(silver), counts(bronze)));
    }
    let (silver, bronze) = (silver.checksum, bronze.checksum);
    (Code::BooksChecksum, format!("silver's books say checksum {silver:032x} of the records, bronze's {bronze:032x}"))
}
