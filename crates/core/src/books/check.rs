//! What must add up before a commit is made. A difference is a defect: the part stops, and nothing of it is committed.
//!
//! Pure: an entry against itself, and a commit's books against the files and positions that it is about to name. That a
//! position is the table's is decided at the commit itself ([`crate::commit::decide`]).

use super::{Books, Entry, Outcome};
use crate::port::DataFile;
use crate::position::PositionStep;
use std::collections::BTreeSet;
use std::fmt;

/// What a table's rows are; with that, which count of the books they must be as many as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Every record.
    Bronze,
    /// Records that are no valid rows.
    DeadLetters,
    /// Valid rows.
    Silver,
    /// Stretches of offsets declared lost.
    Gaps,
    /// Rows of closed windows.
    Gold,
    /// Definitions, and copies of books.
    Ops,
}

impl Layer {
    /// The count that the rows are, and its name; `None` where books count no records.
    fn counted(self, total: &Outcome) -> Option<(u64, &'static str)> {
        match self {
            Self::Bronze => Some((total.records, "records")),
            Self::DeadLetters => Some((total.dead_letters, "dead letters")),
            Self::Silver => Some((total.silver, "silver")),
            Self::Gaps | Self::Gold | Self::Ops => None,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bronze => "bronze",
            Self::DeadLetters => "dead letters",
            Self::Silver => "silver",
            Self::Gaps => "gaps",
            Self::Gold => "gold",
            Self::Ops => "ops",
        })
    }
}

/// A book that does not balance: a bug, and the reason to stop before the commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// The entry of one partition.
    #[error("the books of partition {partition} do not balance over {from}..{to}: {what}")]
    Entry {
        /// Partition number.
        partition: i32,
        /// First offset covered.
        from: i64,
        /// Offset after the last one covered.
        to: i64,
        /// Both sides in numbers.
        what: String,
    },
    /// A commit as a whole.
    #[error("the books of {layer} do not balance{over}: {what}")]
    Commit {
        /// Of which kind of table.
        layer: Layer,
        /// What it covers, as ` over 0..5 of partition 0`; empty where that is no offsets.
        over: String,
        /// Both sides in numbers.
        what: String,
    },
}

impl Entry {
    fn fail(&self, what: String) -> Imbalance {
        Imbalance::Entry { partition: self.partition, from: self.from, to: self.to, what }
    }

    /// Offsets covered = records + offsets without a record + declared lost.
    ///
    /// # Errors
    /// [`Imbalance`] with both sides.
    pub fn check_offsets(&self) -> Result<(), Imbalance> {
        let covered =
            u64::try_from(self.to - self.from).map_err(|_| self.fail("the range ends before it begins".to_owned()))?;
        let Outcome { records, no_record, lost, .. } = self.outcome;
        if covered == records + no_record + lost {
            return Ok(());
        }
        Err(self.fail(format!("{covered} offsets, but {records} records + {no_record} without + {lost} lost")))
    }

    /// Records = silver + duplicates + dead letters + withheld + erased.
    ///
    /// # Errors
    /// [`Imbalance`] with both sides.
    pub fn check_outcomes(&self) -> Result<(), Imbalance> {
        let Outcome { records, silver, duplicates, dead_letters, withheld, erased, .. } = self.outcome;
        if records == silver + duplicates + dead_letters + withheld + erased {
            return Ok(());
        }
        Err(self.fail(format!(
            "{records} records, but {silver} silver + {duplicates} duplicates + {dead_letters} dead letters + \
             {withheld} withheld + {erased} erased"
        )))
    }
}

impl Books {
    fn fail(&self, layer: Layer, what: String) -> Imbalance {
        let ranges: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| entry.from < entry.to) // One that covers nothing only says where reading begins.
            .map(|entry| format!("{}..{} of partition {}", entry.from, entry.to, entry.partition))
            .collect();
        let over = if ranges.is_empty() { String::new() } else { format!(" over {}", ranges.join(", ")) };
        Imbalance::Commit { layer, over, what }
    }

    /// The files hold as many rows and bytes as the books say, no file is there twice, and the rows are what the entries
    /// count: records in bronze, silver rows in silver, dead letters in their table.
    ///
    /// # Errors
    /// [`Imbalance`] with both sides.
    pub fn check_files(&self, layer: Layer, files: &[DataFile]) -> Result<(), Imbalance> {
        if let Some((count, name)) = layer.counted(&self.total())
            && count != self.rows
        {
            return Err(self.fail(layer, format!("its entries count {count} {name}, but it adds {} rows", self.rows)));
        }
        let mut paths = BTreeSet::new();
        if let Some(twice) = files.iter().find(|file| !paths.insert(file.path.as_str())) {
            return Err(self.fail(layer, format!("it adds the file {} twice", twice.path)));
        }
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        if rows != self.rows {
            return Err(self.fail(layer, format!("it adds {} rows, but its files hold {rows}", self.rows)));
        }
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        match self.bytes {
            Some(said) if said != bytes => {
                Err(self.fail(layer, format!("it adds {said} bytes, but its files have {bytes}")))
            }
            _ => Ok(()),
        }
    }

    /// Each entry begins where the position that moves with it stands, and ends where that goes.
    ///
    /// # Errors
    /// [`Imbalance`] with both sides.
    pub fn check_steps(&self, steps: &[PositionStep]) -> Result<(), Imbalance> {
        for entry in &self.entries {
            let is_its = |step: &&PositionStep| {
                let PositionStep { key, .. } = step;
                (&key.topic, &key.incarnation, key.partition) == (&self.topic, &self.incarnation, entry.partition)
            };
            let Some(step) = steps.iter().find(is_its) else {
                return Err(entry.fail("no position moves with it".to_owned()));
            };
            if step.from.is_some_and(|from| from != entry.from) || step.to != entry.to {
                let from = step.from.map_or_else(|| "none".to_owned(), |from| from.to_string());
                return Err(entry.fail(format!("the position that moves with it goes from {from} to {}", step.to)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Checksum;
    use crate::position::PositionKey;

    fn entry() -> Entry {
        let outcome =
            Outcome { records: 9, no_record: 1, silver: 6, duplicates: 2, dead_letters: 1, ..Outcome::default() };
        Entry { partition: 2, from: 10, to: 20, outcome, checksum: Checksum::default(), gaps: Vec::new() }
    }

    fn file(path: &str, rows: u64) -> DataFile {
        DataFile { path: path.into(), partition_days: 0, size: rows * 10, rows, stats: String::new() }
    }

    /// Books of silver over [`entry`], with their files.
    fn silver() -> (Books, Vec<DataFile>) {
        let mut books = Books::append("p", "1".into());
        (books.topic, books.incarnation) = ("t".into(), "i".into());
        (books.entries, books.rows, books.bytes) = (vec![entry()], 6, Some(60));
        (books, vec![file("a", 4), file("b", 2)])
    }

    fn step(partition: i32, from: Option<i64>, to: i64) -> PositionStep {
        let key = PositionKey { pipeline: "p".into(), topic: "t".into(), incarnation: "i".into(), partition };
        PositionStep { key, from, to }
    }

    #[test]
    fn a_balanced_entry_passes_both_checks() {
        assert_eq!(entry().check_offsets(), Ok(()));
        assert_eq!(entry().check_outcomes(), Ok(()));
    }

    #[test]
    fn one_record_too_few_or_too_many_is_an_imbalance_that_names_the_range() {
        for delta in [-1_i64, 1] {
            let mut planted = entry();
            planted.outcome.records = planted.outcome.records.checked_add_signed(delta).expect("small");
            let found = planted.check_offsets().expect_err("planted");
            assert!(matches!(found, Imbalance::Entry { partition: 2, from: 10, to: 20, .. }), "{found}");
            assert!(planted.check_outcomes().is_err());
        }
    }

    #[test]
    fn books_that_are_true_of_their_files_pass() {
        let (mut books, files) = silver();
        assert_eq!(books.check_files(Layer::Silver, &files), Ok(()));
        books.bytes = None;
        for (layer, rows) in [(Layer::Bronze, 9), (Layer::Silver, 6), (Layer::DeadLetters, 1), (Layer::Gold, 5)] {
            books.rows = rows;
            assert_eq!(books.check_files(layer, &[file("a", rows)]), Ok(()), "{layer}");
        }
        books.rows = 0;
        assert_eq!(books.check_files(Layer::Ops, &[]), Ok(()), "a commit of nothing but its books");
    }

    #[test]
    fn a_row_or_byte_too_few_or_too_many_in_the_books_or_a_file_is_an_imbalance() {
        let changes: [fn(&mut Books, &mut Vec<DataFile>); 7] = [
            |books, _| books.rows += 1,
            |books, _| books.entries[0].outcome.silver -= 1,
            |books, _| books.bytes = Some(59),
            |_, files| files[1].rows -= 1,
            |_, files| files[1].size += 1,
            |_, files| drop(files.pop()),
            |_, files| files[1].path = "a".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut books, mut files) = silver();
            change(&mut books, &mut files);
            let found = books.check_files(Layer::Silver, &files).expect_err("planted").to_string();
            let begins = "the books of silver do not balance over 10..20 of partition 2: it";
            assert!(found.starts_with(begins), "{number}: {found}");
        }
    }

    #[test]
    fn an_entry_moves_exactly_the_position_it_begins_at() {
        let (books, _) = silver();
        for fits in [step(2, Some(10), 20), step(2, None, 20)] {
            assert_eq!(books.check_steps(&[step(1, Some(3), 4), fits]), Ok(()));
        }
        let another_life = |mut step: PositionStep| {
            step.key.incarnation = "another".into();
            step
        };
        for planted in [
            step(2, Some(9), 20),
            step(2, Some(11), 20),
            step(2, Some(10), 19),
            step(1, Some(10), 20),
            another_life(step(2, Some(10), 20)),
        ] {
            let found = books.check_steps(&[planted]).expect_err("planted");
            assert!(matches!(found, Imbalance::Entry { partition: 2, from: 10, to: 20, .. }), "{found}");
        }
        assert!(books.check_steps(&[]).is_err());
    }
}
