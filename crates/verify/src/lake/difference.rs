//! A checkpoint held against the state that the entries give.
//!
//! The checkpoint's rows are looked up one by one and not kept: one state is in memory, not two. Differences are
//! counted by kind, with a few examples.

use super::checkpoint::Row;
use super::entry::{RawAdd, RawMetadata};
use super::path;
use super::state::State;
use super::text::{clean, same_json};
use std::collections::{BTreeMap, BTreeSet};

/// Examples that are named of a kind of difference.
const EXAMPLES: usize = 3;

#[derive(Debug, Default)]
struct Tally {
    count: u64,
    examples: Vec<String>,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    state: &'a State,
    files: BTreeSet<&'a str>,
    txns: BTreeSet<&'a str>,
    removed: BTreeSet<&'a str>,
    metadata: u64,
    protocols: u64,
    tallies: BTreeMap<&'static str, Tally>,
    /// Paths that lead out of the table's folder, with the reason.
    pub(super) escapes: Vec<(String, &'static str)>,
}

impl<'a> Comparison<'a> {
    pub(super) fn with(state: &'a State) -> Self {
        Self {
            state,
            files: BTreeSet::new(),
            txns: BTreeSet::new(),
            removed: BTreeSet::new(),
            metadata: 0,
            protocols: 0,
            tallies: BTreeMap::new(),
            escapes: Vec::new(),
        }
    }

    fn differ(&mut self, kind: &'static str, example: impl Into<String>) {
        let tally = self.tallies.entry(kind).or_default();
        tally.count += 1;
        if tally.examples.len() < EXAMPLES {
            tally.examples.push(example.into());
        }
    }

    /// Compares the next row.
    pub(super) fn take(&mut self, row: Row) {
        match row {
            Row::Add(add) => self.add(&add),
            Row::Remove(text) => {
                if let Ok(path) = path::resolve(&text)
                    && let Some((path, _)) = self.state.live.get_key_value(&path)
                {
                    self.removed.insert(path);
                }
            }
            Row::Txn(id, version) => self.txn(&id, version),
            Row::Metadata(metadata) => self.definition(&metadata),
            Row::Protocol(reader, writer) => {
                self.protocols += 1;
                if let Some((had_reader, had_writer)) = self.state.protocol
                    && (had_reader, had_writer) != (reader, writer)
                {
                    self.differ(
                        "asks for another protocol",
                        format!("reader {reader}, writer {writer}; the entries {had_reader} and {had_writer}"),
                    );
                }
            }
        }
    }

    fn add(&mut self, add: &RawAdd) {
        if self.state.refused.contains(&add.path) {
            return;
        }
        let path = match path::resolve(&add.path) {
            Ok(path) => path,
            Err(why) => {
                if self.escapes.len() < EXAMPLES {
                    self.escapes.push((add.path.clone(), why));
                }
                return;
            }
        };
        let Some((path, file)) = self.state.live.get_key_value(&path) else {
            return self.differ("holds files that the entries do not", clean(&path));
        };
        if !self.files.insert(path) {
            self.differ("holds files twice", clean(path));
        }
        let had = &file.add;
        if had.size != add.size {
            let example = format!("{}: {} bytes, the entry says {}", clean(path), add.size, had.size);
            self.differ("gives files another size", example);
        }
        if values(&had.partition_values) != values(&add.partition_values) {
            self.differ("puts files into another partition", clean(path));
        }
        if add.deletion_vector.is_some() {
            self.differ("says that rows of files are deleted", clean(path));
        }
        // Statistics that a checkpoint leaves out mislead nobody.
        if let Some(stats) = &add.stats
            && !had.stats.as_ref().is_some_and(|had| same_json(had, stats))
        {
            self.differ("gives files other statistics", clean(path));
        }
    }

    fn txn(&mut self, id: &str, version: i64) {
        let Some((id, had)) = self.state.txns.get_key_value(id) else {
            return self.differ("holds positions that the entries do not", clean(id));
        };
        if !self.txns.insert(id) {
            self.differ("holds positions twice", clean(id));
        }
        if *had != version {
            self.differ("gives positions another offset", format!("{}: {version}, the entries say {had}", clean(id)));
        }
    }

    fn definition(&mut self, found: &RawMetadata) {
        self.metadata += 1;
        let Some(had) = &self.state.metadata else { return };
        if had.id != found.id {
            self.differ("gives the table another id", clean(&found.id));
        }
        if had.schema_string != found.schema_string && !same_json(&had.schema_string, &found.schema_string) {
            self.differ("gives the table another schema", "schemaString");
        }
        if had.partition_columns != found.partition_columns {
            self.differ("partitions the table otherwise", clean(&found.partition_columns.join(", ")));
        }
        let there: BTreeMap<&str, &str> =
            found.configuration.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?))).collect();
        let here: BTreeMap<&str, &str> =
            had.configuration.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let keys: BTreeSet<&str> = here.keys().chain(there.keys()).copied().collect();
        for key in keys {
            if here.get(key) != there.get(key) {
                self.differ("gives the table other settings", clean(key));
            }
        }
    }

    /// The differences, one sentence each.
    pub(super) fn finish(mut self) -> Vec<String> {
        let state = self.state;
        for path in state.live.keys() {
            if !self.files.contains(path.as_str()) {
                self.differ("lacks live files", clean(path));
            }
        }
        for id in state.txns.keys() {
            if !self.txns.contains(id.as_str()) {
                self.differ("lacks positions", clean(id));
            }
        }
        for path in std::mem::take(&mut self.removed) {
            self.differ("says of live files that they were removed", clean(path));
        }
        for (rows, kind) in [(self.metadata, "metaData"), (self.protocols, "protocol")] {
            match rows {
                0 => self.differ("lacks the table's definition", kind),
                1 => {}
                _ => self.differ("defines the table twice", kind),
            }
        }
        let sentence = |(kind, tally): (&&'static str, &Tally)| {
            let more = if tally.count > tally.examples.len() as u64 { ", ..." } else { "" };
            format!("the checkpoint {kind} ({}): {}{more}", tally.count, tally.examples.join("; "))
        };
        self.tallies.iter().map(sentence).collect()
    }
}

/// Partition values as readers take them: empty text is null.
fn values(of: &BTreeMap<String, Option<String>>) -> BTreeMap<&str, &str> {
    let filled = of.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)));
    filled.filter(|(_, value)| !value.is_empty()).collect()
}
