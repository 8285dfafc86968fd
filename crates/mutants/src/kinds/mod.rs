//! Every kind of fault, with its name, what it does, and the codes that are right for it.
//!
//! A planter looks for a place at random, alters the lake, and says where it did ([`Planted`]). A lake that has no
//! place for a kind (no checkpoint, no decimal column, no late row) is left as it is, and the kind does not apply.
//!
//! Planters play two adversaries: a clumsy one, who leaves the entry alone, and a careful one, who corrects the entry
//! (size, number of rows, statistics), and for some kinds the books and their copies too, so that only the fault itself
//! can be seen.

mod books;
mod bronze;
mod dead_letters;
mod files;
mod gold;
mod ledgers;
mod log;
mod silver;
mod tables;

use crate::expected::{Expected, Must, Place, Planted};
use crate::lake_edit::rows::{self, Cell};
use crate::lake_edit::{Lake, Live, Table};
use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What plants a kind; `None` where the lake has no place for it, and nothing was altered.
type Planter = fn(&mut Site<'_>) -> Result<Option<Planted>>;

/// A kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its stable name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub means: &'static str,
    /// Codes of which `verify` must give one.
    pub codes: &'static [&'static str],
    planter: Planter,
}

/// A table of kinds: name, codes, planter, sentence.
macro_rules! mutants {
    ($($name:literal, [$($code:literal),+], $planter:path, $means:literal;)+) => {
        &[$(crate::kinds::Mutant { name: $name, means: $means, codes: &[$($code),+], planter: $planter },)+]
    };
}
pub(crate) use mutants;

/// Every kind, in the order of the tables.
pub const MUTANTS: &[&[Mutant]] = &[
    bronze::MUTANTS,
    silver::MUTANTS,
    dead_letters::MUTANTS,
    gold::MUTANTS,
    log::MUTANTS,
    tables::MUTANTS,
    files::MUTANTS,
    books::MUTANTS,
    ledgers::MUTANTS,
];

/// Every kind, one after another.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().flat_map(|group| group.iter())
}

/// The kind of that name.
///
/// # Errors
/// When there is none.
pub fn named(name: &str) -> Result<&'static Mutant> {
    all().find(|mutant| mutant.name == name).with_context(|| format!("there is no kind '{name}'; `list` names them"))
}

/// Plants a fault in a lake, in place; `None` where the lake has no place for it, and nothing was altered.
///
/// # Errors
/// When the lake cannot be read or written, or is none of ours.
pub fn plant(mutant: &Mutant, lake: &Path, ledgers: &[PathBuf], rng: &mut StdRng) -> Result<Option<Planted>> {
    let lake = Lake { dir: lake.to_owned() };
    let stream = stream_of(&lake)?;
    let mut site = Site { lake, ledgers: ledgers.to_vec(), rng, mutant, stream };
    (mutant.planter)(&mut site).with_context(|| format!("planting {}", mutant.name))
}

fn stream_of(lake: &Lake) -> Result<String> {
    let names = lake.tables()?;
    let mut streams = names.iter().filter_map(|name| name.strip_prefix("silver."));
    let stream = streams.find(|stream| names.contains(&format!("bronze.{stream}")));
    stream.map(str::to_owned).context("the lake has no stream with bronze and silver")
}

/// Where a fault is planted.
struct Site<'a> {
    lake: Lake,
    ledgers: Vec<PathBuf>,
    rng: &'a mut StdRng,
    mutant: &'a Mutant,
    stream: String,
}

/// A row at its place.
struct Victim {
    live: Live,
    rows: RecordBatch,
    row: usize,
}

impl Victim {
    fn cell(&self, column: &str) -> Cell {
        rows::get(&self.rows, column, self.row)
    }

    fn position(&self) -> Result<(i32, i64)> {
        rows::position(&self.rows, self.row).context("the row has no position")
    }

    fn with(&self, column: &str, cell: &Cell) -> Result<RecordBatch> {
        rows::set(&self.rows, column, self.row, cell)
    }

    fn dropped(&self) -> Result<RecordBatch> {
        rows::without(&self.rows, self.row, self.row + 1)
    }

    fn doubled(&self) -> Result<RecordBatch> {
        rows::doubled(&self.rows, self.row)
    }

    /// The row alone.
    fn alone(&self) -> RecordBatch {
        self.rows.slice(self.row, 1)
    }
}

impl Site<'_> {
    fn bronze(&self) -> Result<Table> {
        self.lake.table(&format!("bronze.{}", self.stream))
    }

    fn silver(&self) -> Result<Table> {
        self.lake.table(&format!("silver.{}", self.stream))
    }

    fn dead_letters(&self) -> Result<Table> {
        self.lake.table(&format!("bronze.{}_dlq", self.stream))
    }

    fn gold(&self) -> Result<Option<Table>> {
        let names = self.lake.tables()?;
        names.iter().find(|name| name.starts_with("gold.")).map(|name| self.lake.table(name)).transpose()
    }

    /// One of the stream's tables.
    fn any_table(&mut self) -> Result<Table> {
        let mut tables = vec![self.bronze()?, self.silver()?, self.dead_letters()?];
        tables.extend(self.gold()?);
        let at = self.rng.random_range(0..tables.len());
        Ok(tables.swap_remove(at))
    }

    /// One of bronze and silver, which have rows in every story.
    fn large_table(&mut self) -> Result<Table> {
        if self.rng.random_bool(0.5) { self.bronze() } else { self.silver() }
    }

    fn pick<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        if items.is_empty() { None } else { items.get(self.rng.random_range(0..items.len())) }
    }

    /// The table's files in a random order.
    fn shuffled(&mut self, table: &Table) -> Vec<Live> {
        let mut live = table.live();
        live.shuffle(self.rng);
        live
    }

    /// A file of at least that many rows.
    fn file(&mut self, table: &Table, rows_min: usize) -> Result<Option<(Live, RecordBatch)>> {
        for live in self.shuffled(table) {
            let rows = table.rows(&live)?;
            if rows.num_rows() >= rows_min {
                return Ok(Some((live, rows)));
            }
        }
        Ok(None)
    }

    /// A row that fits, in a file of at least that many rows.
    fn row(
        &mut self,
        table: &Table,
        rows_min: usize,
        fits: impl Fn(&RecordBatch, usize) -> bool,
    ) -> Result<Option<Victim>> {
        for live in self.shuffled(table) {
            let rows = table.rows(&live)?;
            if rows.num_rows() < rows_min {
                continue;
            }
            let fitting: Vec<usize> = (0..rows.num_rows()).filter(|row| fits(&rows, *row)).collect();
            if let Some(row) = self.pick(&fitting).copied() {
                return Ok(Some(Victim { live, rows, row }));
            }
        }
        Ok(None)
    }

    /// Says what was planted; a finding with one of the kind's codes at this place is the right one.
    fn planted(&self, table: &Table, must: Must, place: Place, what: impl Into<String>) -> Option<Planted> {
        Some(Planted {
            kind: self.mutant.name,
            what: what.into(),
            expected: vec![Expected::new(self.mutant.codes, must, place)],
            touched: vec![table.name.clone()],
        })
    }
}

/// Where a table's row stands.
fn at(table: &Table, position: (i32, i64)) -> Place {
    Place::table(&table.name).offset(position)
}

/// A position in words.
fn told((partition, offset): (i32, i64)) -> String {
    format!("offset {offset} of partition {partition}")
}

/// Every position that a table has.
fn positions(table: &Table) -> Result<BTreeSet<(i32, i64)>> {
    let mut all = BTreeSet::new();
    for live in table.live() {
        let rows = table.rows(&live)?;
        all.extend((0..rows.num_rows()).filter_map(|row| rows::position(&rows, row)));
    }
    Ok(all)
}

/// The row at a position.
fn find(table: &Table, position: (i32, i64)) -> Result<Option<Victim>> {
    for live in table.live() {
        let rows = table.rows(&live)?;
        if let Some(row) = (0..rows.num_rows()).find(|row| rows::position(&rows, *row) == Some(position)) {
            return Ok(Some(Victim { live, rows, row }));
        }
    }
    Ok(None)
}

/// Another digit in the place of an ASCII digit: one bit flipped, and a digit still.
fn other_digit(digit: u8) -> u8 {
    match digit {
        b'8' | b'9' => digit ^ 1,
        _ => digit ^ 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_kinds_and_each_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = all().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), all().count(), "a name comes twice");
        assert!(names.len() >= 45, "{}", names.len());
        for mutant in all() {
            assert!(mutant.name.chars().all(|c| c == '-' || c.is_ascii_lowercase()), "{}", mutant.name);
            assert!(!mutant.means.is_empty() && !mutant.means.ends_with('.'), "{}", mutant.name);
        }
    }

    /// The document of invariants: what stands before the section about `verify`, and that section.
    fn invariants() -> (&'static str, &'static str) {
        let document = include_str!("../../../../docs/INVARIANTS.md");
        document.split_once("\n## Seen in finished tables").expect("the document has the section")
    }

    /// The cells of every row of every table.
    fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
        let rows = text.lines().filter(|line| line.starts_with("| ")).map(|line| line.trim_matches('|'));
        rows.map(|row| row.split('|').map(str::trim).collect())
    }

    #[test]
    fn every_kind_stands_in_the_document_of_invariants_beside_a_code_of_its_own() {
        let quoted = |cell: &'static str| -> BTreeSet<&str> { cell.split('`').skip(1).step_by(2).collect() };
        let mut shown = BTreeSet::new();
        for row in rows(invariants().1) {
            let [_, _, codes, kinds] = row[..] else { continue };
            let codes = quoted(codes);
            for kind in quoted(kinds) {
                let mutant = named(kind).unwrap_or_else(|error| panic!("{error}"));
                assert!(
                    mutant.codes.iter().any(|code| codes.contains(code)),
                    "{kind} stands beside no code of its own"
                );
                shown.insert(kind);
            }
        }
        assert_eq!(shown, all().map(|mutant| mutant.name).collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_invariant_has_its_faults_or_a_reason_why_not() {
        let numbers = |text: &'static str| -> BTreeSet<&str> {
            let cells = rows(text).filter_map(|row| row.first().copied()).flat_map(|cell| cell.split(", "));
            cells.filter(|number| number.starts_with(|c: char| c.is_ascii_digit())).collect()
        };
        let (before, section) = invariants();
        assert!(numbers(before).len() > 60, "the tables are read");
        assert_eq!(numbers(section), numbers(before));
    }

    #[test]
    fn another_digit_is_one_bit_away() {
        for digit in b'0'..=b'9' {
            let other = other_digit(digit);
            assert!(other.is_ascii_digit() && (other ^ digit).count_ones() == 1, "{digit}");
        }
    }
}
