//! What books say that files hold, and what they were seen to hold, in the same shape.

use crate::books::{Books, Entry};
use crate::finding::Code;
use crate::rows::{FileFacts, Layer, checksum};
use std::collections::BTreeMap;

/// Of one incarnation and partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    /// Sum of the records' checksums; `None` where the books' covers other records than the rows.
    pub(super) checksum: Option<u128>,
    /// Rows flagged late, with a time in the future, with unknown fields.
    pub(super) flags: [u64; 3],
    /// `from..to`, or the offsets of the first row and of the one behind the last.
    pub(super) range: (i64, i64),
}

/// Of one commit, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) rows: u64,
    /// By incarnation ("" in silver, which does not have it) and partition.
    pub(super) by_key: BTreeMap<(String, i32), Sum>,
    /// Whether unknown fields were counted: older books don't.
    pub(super) unknown_counted: bool,
}

/// A difference between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// [`Code::BooksCount`] or [`Code::BooksChecksum`].
    pub(super) code: Code,
    pub(super) partition: Option<i32>,
    pub(super) range: Option<(i64, i64)>,
    pub(super) what: String,
}

impl Sums {
    /// Adds what a commit's books say.
    pub(super) fn add_books(&mut self, layer: Layer, books: &Books) {
        self.rows = self.rows.saturating_add(books.rows);
        self.unknown_counted |= books.totals.unknown_fields > 0;
        for entry in &books.entries {
            let Some(sum) = of_entry(layer, entry) else { continue };
            let incarnation = if layer == Layer::Silver { String::new() } else { books.incarnation.clone() };
            self.add((incarnation, entry.partition), sum);
        }
    }

    /// Adds what a file was seen to hold.
    pub(super) fn add_file(&mut self, layer: Layer, facts: &FileFacts) {
        self.rows = self.rows.saturating_add(facts.rows);
        for ((incarnation, partition), held) in &facts.held {
            let checksum = (layer != Layer::Silver).then_some(held.checksum);
            let range = (held.first, held.last.saturating_add(1));
            let sum = Sum { rows: held.rows, checksum, flags: [0; 3], range };
            self.add((incarnation.clone(), *partition), sum);
        }
        if layer == Layer::Silver {
            for (partition, flags) in &facts.flags {
                if let Some(sum) = self.by_key.get_mut(&(String::new(), *partition)) {
                    sum.flags = added(sum.flags, *flags);
                }
            }
        }
    }

    fn add(&mut self, key: (String, i32), more: Sum) {
        self.by_key
            .entry(key)
            .and_modify(|sum| {
                sum.rows = sum.rows.saturating_add(more.rows);
                sum.checksum = sum.checksum.zip(more.checksum).map(|(one, other)| one.wrapping_add(other));
                sum.flags = added(sum.flags, more.flags);
                sum.range = (sum.range.0.min(more.range.0), sum.range.1.max(more.range.1));
            })
            .or_insert(more);
    }

    /// Compares what books say (`self`) with what files hold.
    pub(super) fn differences(&self, held: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut add = |code, partition, range, what| found.push(Difference { code, partition, range, what });
        let mut explained = false;
        let nothing = Sum { rows: 0, checksum: None, flags: [0; 3], range: (0, 0) };
        for (key, said) in &self.by_key {
            let (incarnation, partition) = key;
            let seen = held.by_key.get(key).copied().unwrap_or(nothing);
            let (partition, range) = (Some(*partition), Some(said.range));
            if said.rows != seen.rows {
                explained = true;
                let what = format!("the books say {} rows, the files hold {}{}", said.rows, seen.rows, of(incarnation));
                add(Code::BooksCount, partition, range, what);
                continue;
            }
            if let (Some(said), Some(seen)) = (said.checksum, seen.checksum)
                && said != seen
            {
                let what = format!("the books say checksum {said:032x}, the rows give {seen:032x}{}", of(incarnation));
                add(Code::BooksChecksum, partition, range, what);
            }
            for (name, said, seen) in self.flags(said, &seen) {
                let what = format!("the books say {said} rows {name}, the files hold {seen}");
                add(Code::BooksCount, partition, range, what);
            }
        }
        for (key, seen) in &held.by_key {
            let (incarnation, partition) = key;
            if !self.by_key.contains_key(key) {
                explained = true;
                let what =
                    format!("the files hold {} rows, of which the books say nothing{}", seen.rows, of(incarnation));
                add(Code::BooksCount, Some(*partition), Some(seen.range), what);
            }
        }
        if self.rows != held.rows && !explained {
            let what = format!("the books say {} rows, the files hold {}", self.rows, held.rows);
            add(Code::BooksCount, None, None, what);
        }
        found
    }

    /// The flags that are counted differently.
    fn flags(&self, said: &Sum, seen: &Sum) -> Vec<(&'static str, u64, u64)> {
        let names = ["late", "with a time in the future", "with unknown fields"];
        let counted = [true, true, self.unknown_counted];
        let sides = said.flags.into_iter().zip(seen.flags);
        let all = names.into_iter().zip(counted).zip(sides);
        all.filter(|((_, counted), (said, seen))| *counted && said != seen)
            .map(|((name, _), (said, seen))| (name, said, seen))
            .collect()
    }
}

fn of(incarnation: &str) -> String {
    if incarnation.is_empty() { String::new() } else { format!(" (incarnation {incarnation})") }
}

fn added(one: [u64; 3], other: [u64; 3]) -> [u64; 3] {
    let [a, b, c] = one;
    let [d, e, f] = other;
    [a.saturating_add(d), b.saturating_add(e), c.saturating_add(f)]
}

/// What an entry says that its table holds; `None` where it says nothing of rows.
fn of_entry(layer: Layer, entry: &Entry) -> Option<Sum> {
    let counts = &entry.outcome;
    let (rows, flags) = match layer {
        Layer::Bronze => (counts.records, [0; 3]),
        Layer::DeadLetters => (counts.dead_letters, [0; 3]),
        Layer::Silver => (counts.silver, [counts.late, counts.future, counts.unknown_fields]),
        Layer::Gaps | Layer::Gold | Layer::Other => return None,
    };
    let checksum = if layer == Layer::Silver { None } else { checksum::parse(&entry.checksum) };
    Some(Sum { rows, checksum, flags, range: (entry.from, entry.to) })
}
