//! What must be found: the codes that are right for a planted fault, and the place that must be named.
//!
//! A finding is the right one where its code is among the expected ones, every part of the place that both sides give
//! agrees, and the part that the fault demands ([`Must`]) is given by both. Offsets agree where the ranges meet.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where something is; the parts are those of the findings of `verify`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// `schema.table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Version of the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// File, relative to the table's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Partition of the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Offsets, `from..to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<(i64, i64)>,
    /// The event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Window and groups, such as `2026-11-25T02:55:00Z, AAPL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

impl Place {
    /// In a table.
    #[must_use]
    pub fn table(table: &str) -> Self {
        Self { table: Some(table.to_owned()), ..Self::default() }
    }

    /// At one offset of a partition.
    #[must_use]
    pub fn offset(self, (partition, offset): (i32, i64)) -> Self {
        self.offsets(partition, offset, offset.saturating_add(1))
    }

    /// At offsets of a partition.
    #[must_use]
    pub fn offsets(mut self, partition: i32, from: i64, to: i64) -> Self {
        self.partition = Some(partition);
        self.offsets = Some((from, to));
        self
    }

    /// In a file.
    #[must_use]
    pub fn file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// At a version.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// In a column.
    #[must_use]
    pub fn column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// Of an event.
    #[must_use]
    pub fn event(mut self, id: &str) -> Self {
        self.event_id = Some(id.to_owned());
        self
    }

    /// In a window.
    #[must_use]
    pub fn window(mut self, window: &str) -> Self {
        self.window = Some(window.to_owned());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.table.iter().cloned().collect();
        words.extend(self.version.map(|version| format!("version {version}")));
        words.extend(self.partition.map(|partition| format!("partition {partition}")));
        words.extend(self.offsets.map(|(from, to)| {
            if from.checked_add(1) == Some(to) { format!("offset {from}") } else { format!("offsets {from}..{to}") }
        }));
        words.extend(self.event_id.as_ref().map(|id| format!("event '{id}'")));
        words.extend(self.window.as_ref().map(|window| format!("window {window}")));
        words.extend(self.column.as_ref().map(|column| format!("column {column}")));
        words.extend(self.file.as_ref().map(|file| format!("file {file}")));
        f.write_str(&if words.is_empty() { "the lake".to_owned() } else { words.join(", ") })
    }
}

/// The part of the place that a finding has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    /// The table; nothing more exact can be asked for.
    Table,
    /// The file.
    File,
    /// The version.
    Version,
    /// The partition and a range with the offset in it.
    Offset,
    /// The event's id.
    Event,
    /// The window, and the group.
    Window,
}

/// One finding that would be the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// Codes that are right.
    pub codes: Vec<&'static str>,
    /// What it has to name.
    pub must: Must,
    /// Where.
    pub place: Place,
}

impl Expected {
    /// One of these codes, there.
    #[must_use]
    pub fn new(codes: &[&'static str], must: Must, place: Place) -> Self {
        Self { codes: codes.to_vec(), must, place }
    }

    /// Whether a finding with this code at this place is the right one.
    #[must_use]
    pub fn fits(&self, code: &str, found: &Place) -> bool {
        self.codes.contains(&code) && self.place_fits(found)
    }

    fn place_fits(&self, found: &Place) -> bool {
        let wanted = &self.place;
        let agrees = agree(wanted.table.as_ref(), found.table.as_ref())
            && agree(wanted.version.as_ref(), found.version.as_ref())
            && agree(wanted.file.as_ref(), found.file.as_ref())
            && agree(wanted.partition.as_ref(), found.partition.as_ref())
            && agree(wanted.event_id.as_ref(), found.event_id.as_ref())
            && agree(wanted.column.as_ref(), found.column.as_ref())
            && either_open_or(wanted.offsets, found.offsets, |a, b| a.0 < b.1 && b.0 < a.1)
            && either_open_or(wanted.window.as_deref(), found.window.as_deref(), same_window);
        agrees
            && match self.must {
                Must::Table => found.table.is_some(),
                Must::File => found.file.is_some(),
                Must::Version => found.version.is_some(),
                Must::Offset => found.partition.is_some() && found.offsets.is_some(),
                Must::Event => found.event_id.is_some(),
                Must::Window => found.window.is_some(),
            }
    }
}

fn agree<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    either_open_or(wanted, found, |wanted, found| wanted == found)
}

fn either_open_or<T>(wanted: Option<T>, found: Option<T>, same: impl Fn(T, T) -> bool) -> bool {
    match (wanted, found) {
        (Some(wanted), Some(found)) => same(wanted, found),
        _ => true,
    }
}

/// The same start to the second, and every group named.
fn same_window(wanted: &str, found: &str) -> bool {
    let seconds = "2026-11-25T02:55:00".len();
    wanted.get(..seconds) == found.get(..seconds) && wanted.split(", ").skip(1).all(|group| found.contains(group))
}

/// A fault that was planted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// Name of the kind.
    pub kind: &'static str,
    /// What was done, in words.
    pub what: String,
    /// Findings of which at least one must be there.
    pub expected: Vec<Expected>,
    /// Tables that were touched: a finding about another one is a consequence, or collateral.
    pub touched: Vec<String>,
}

impl Planted {
    /// Adds another finding that would be right.
    #[must_use]
    pub fn or(mut self, codes: &[&'static str], must: Must, place: Place) -> Self {
        self.expected.push(Expected::new(codes, must, place));
        self
    }

    /// Names another table that was touched.
    #[must_use]
    pub fn touching(mut self, table: &str) -> Self {
        self.touched.push(table.to_owned());
        self
    }

    /// Every code that would be right.
    #[must_use]
    pub fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<&'static str> = self.expected.iter().flat_map(|expected| expected.codes.clone()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_at(offset: i64) -> Expected {
        Expected::new(&["offsets.lost"], Must::Offset, Place::table("bronze.x").offset((1, offset)))
    }

    #[test]
    fn a_range_that_holds_the_offset_fits_and_one_beside_it_does_not() {
        let found = |from, to| Place::table("bronze.x").offsets(1, from, to);
        assert!(lost_at(7).fits("offsets.lost", &found(7, 8)));
        assert!(lost_at(7).fits("offsets.lost", &found(5, 9).version(3)));
        assert!(!lost_at(7).fits("offsets.lost", &found(5, 7)));
        assert!(!lost_at(7).fits("offsets.lost", &found(8, 9)));
        assert!(!lost_at(7).fits("offsets.doubled", &found(7, 8)));
    }

    #[test]
    fn a_place_without_the_part_that_is_demanded_does_not_fit() {
        assert!(!lost_at(7).fits("offsets.lost", &Place::table("bronze.x")));
        assert!(!lost_at(7).fits("offsets.lost", &Place::table("bronze.y").offset((1, 7))));
        assert!(!lost_at(7).fits("offsets.lost", &Place::table("bronze.x").offset((0, 7))));
    }

    #[test]
    fn a_place_is_told_in_words() {
        let place = Place::table("bronze.x").version(3).offset((1, 7)).column("price");
        assert_eq!(place.to_string(), "bronze.x, version 3, partition 1, offset 7, column price");
        assert_eq!(Place::default().offsets(0, 5, 9).event("a").to_string(), "partition 0, offsets 5..9, event 'a'");
        assert_eq!(Place::default().to_string(), "the lake");
    }

    #[test]
    fn a_window_fits_by_its_start_and_its_groups() {
        let wanted = Place::table("gold.m").window("2026-11-25T02:55:00Z, AAPL");
        let wanted = Expected::new(&["gold.missing"], Must::Window, wanted);
        let found = |window: &str| Place::table("gold.m").window(window);
        assert!(wanted.fits("gold.missing", &found("2026-11-25T02:55:00.000Z, AAPL")));
        assert!(!wanted.fits("gold.missing", &found("2026-11-25T02:55:00Z, XOM")));
        assert!(!wanted.fits("gold.missing", &found("2026-11-25T02:56:00Z, AAPL")));
    }
}
