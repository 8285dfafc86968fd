//! Reading a table's log from its first entry to its newest.
//!
//! Contract: every entry that is there is read once, in order; every checkpoint is held against the state when its
//! version is reached. Where entries are missing or damaged the state is no longer known: a checkpoint that comes later
//! is then taken as it is, and not compared. Where the first entries are gone, the oldest readable checkpoint that the
//! entries join on to is the beginning (else the newest below them): as much as can be is then replayed and compared.
//! What an earlier look kept ([`Kept`]) stands for the reading of entries, and of checkpoints that agreed.

mod checkpoints;

use super::entry::{ENTRY_BYTES_MAX, Entry, Unread, load};
use super::listing::{Checkpoint, Listing, entry_name};
use super::logs::{Kept, Seen, Stamp};
use super::path::Paths;
use super::schema::SchemaProblem;
use super::state::{State, accepted, exceeds, protocol_text, with_columns};
use super::tables::LOG_FOLDER;
use super::text::clean;
use super::{Commit, Origin, Remove, Table, TableName};
use crate::finding::{Code, Findings, Place, Unable};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Missing versions of one gap that are named one by one; beyond it the gap is one finding.
const GAP_NAMED_MAX: u64 = 100;

/// Reads a table's log, as far as it is not kept; see [`Table::observe`]. Gives what was read in any case.
pub(super) fn observe(lake: &Path, name: &TableName, kept: Kept, findings: &Findings) -> (Result<Table, Unable>, Seen) {
    let mut replay = match Replay::open(lake, name, kept, findings) {
        Ok(replay) => replay,
        Err(unable) => return (Err(unable), Seen::default()),
    };
    let replayed = replay.begin().and_then(|next| replay.run(next));
    let seen = std::mem::take(&mut replay.seen);
    let table = replayed.and_then(|()| {
        replay.check_hint();
        replay.into_table()
    });
    (table, seen)
}

struct Replay<'a> {
    findings: &'a Findings,
    name: &'a TableName,
    folder: PathBuf,
    log: PathBuf,
    paths: Paths,
    listing: Listing,
    state: State,
    /// Whether the state is known: nothing below was missing or damaged since it was last taken from a checkpoint.
    whole: bool,
    commits: Vec<Commit>,
    checkpoint: Option<u64>,
    version: Option<u64>,
    /// Checkpoints that turned out damaged.
    damaged: BTreeSet<String>,
    /// What an earlier look kept.
    kept: Kept,
    /// What the next look may keep.
    seen: Seen,
    /// Whether something that checkpoints are compared with is not what it was in the earlier look.
    changed: bool,
}

impl<'a> Replay<'a> {
    fn open(lake: &Path, name: &'a TableName, kept: Kept, findings: &'a Findings) -> Result<Self, Unable> {
        let folder = lake.join(&name.schema).join(&name.name);
        let log = folder.join(LOG_FOLDER);
        let place = || Place::table(&name.to_string());
        let refused = |error: io::Error| Unable { place: place(), why: refusal("its Delta log", &error) };
        let paths = Paths::new(&folder).map_err(refused)?;
        let listing = Listing::of(&log).map_err(refused)?;
        if listing.is_empty() {
            findings.add(Code::VersionMissing, place().at_version(0), "the Delta log holds no version at all");
            let why = "its Delta log holds no version, so nothing of it can be checked: restore its entries";
            return Err(Unable { place: place(), why: why.to_owned() });
        }
        Ok(Self {
            findings,
            name,
            folder,
            log,
            paths,
            listing,
            state: State::default(),
            whole: true,
            commits: Vec::new(),
            checkpoint: None,
            version: None,
            damaged: BTreeSet::new(),
            kept,
            seen: Seen::default(),
            changed: false,
        })
    }

    fn place(&self) -> Place {
        Place::table(&self.name.to_string())
    }

    fn at(&self, version: u64) -> Place {
        self.place().at_version(version)
    }

    /// Finds where to begin: gives the first version to be replayed.
    fn begin(&mut self) -> Result<u64, Unable> {
        let first = self.listing.entries.first().copied();
        if first == Some(0) {
            return Ok(0);
        }
        let joins = |at: &Checkpoint| first.is_some_and(|first| at.version >= first.saturating_sub(1));
        let all = self.listing.checkpoints.values().flatten().cloned();
        let (mut candidates, mut below): (Vec<Checkpoint>, Vec<Checkpoint>) = all.partition(joins);
        below.reverse();
        candidates.extend(below.iter().cloned());
        for checkpoint in candidates {
            if !self.adopt(&checkpoint)? {
                continue;
            }
            let version = checkpoint.version;
            (self.checkpoint, self.version) = (Some(version), Some(version));
            if let Some(asks) = self.state.protocol.filter(|asks| exceeds(*asks)) {
                self.findings.add(Code::SchemaChange, self.at(version), protocol_text(asks));
            }
            // Nothing is left to compare older ones with; that they can be read is all that is asked.
            for older in below.iter().filter(|older| older.version < version) {
                if !self.damaged.contains(&older.file()) {
                    self.read_checkpoint(older, &mut |_| {})?;
                }
            }
            return Ok(version.saturating_add(1));
        }
        let first = first.unwrap_or(0);
        self.missing(0, first);
        Ok(first)
    }

    /// Replays everything from `next` on.
    fn run(&mut self, next: u64) -> Result<(), Unable> {
        let stops = self.listing.entries.range(next..).chain(self.listing.checkpoints.range(next..).map(|at| at.0));
        let stops: BTreeSet<u64> = stops.copied().collect();
        let mut expected = next;
        for version in stops {
            self.gap(expected, version)?;
            if self.listing.entries.contains(&version) {
                self.entry(version)?;
            } else {
                self.gap(version, version.saturating_add(1))?;
            }
            self.version = Some(version);
            for checkpoint in self.listing.checkpoints.get(&version).cloned().unwrap_or_default() {
                if self.damaged.contains(&checkpoint.file()) {
                    continue;
                }
                if self.whole {
                    self.compare_unless_kept(&checkpoint)?;
                } else {
                    self.adopt(&checkpoint)?;
                }
            }
            expected = version.saturating_add(1);
        }
        Ok(())
    }

    /// Versions that the listing lacks. A listing taken while entries are added may lack one that is there.
    fn gap(&mut self, from: u64, to: u64) -> Result<(), Unable> {
        if to.saturating_sub(from) > GAP_NAMED_MAX {
            self.missing(from, to);
            return Ok(());
        }
        for version in from..to {
            if self.log.join(entry_name(version)).symlink_metadata().is_ok() {
                self.entry(version)?;
            } else {
                self.missing(version, version.saturating_add(1));
            }
        }
        Ok(())
    }

    fn missing(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        self.whole = false;
        if to - from > GAP_NAMED_MAX {
            let what = format!("versions {from} to {} of the Delta log are missing", to - 1);
            self.findings.add(Code::VersionMissing, self.at(from), what);
            return;
        }
        for version in from..to {
            let what = format!("there is no {}, and the log goes on behind it", entry_name(version));
            self.findings.add(Code::VersionMissing, self.at(version), what);
        }
    }

    /// Folds one entry.
    fn entry(&mut self, version: u64) -> Result<(), Unable> {
        let stamp = Stamp::of(&self.log.join(entry_name(version)));
        let kept = self.kept.take(version, stamp).filter(|commit| self.paths.hold(commit));
        let found_before = self.findings.total();
        let commit = match kept {
            Some(commit) => commit,
            None => match self.read_entry(version)? {
                Some(commit) => commit,
                None => return Ok(()),
            },
        };
        if let Some(stamp) = stamp.filter(|_| self.findings.total() == found_before) {
            self.seen.entries.insert(version, stamp);
        }
        for again in self.state.apply(&commit) {
            let what = if again.before == version {
                "this version adds the file twice".to_owned()
            } else {
                format!("version {} added the file before, and nothing removed it since", again.before)
            };
            self.findings.add(Code::AddedTwice, self.at(version).in_file(&again.path), what);
        }
        self.commits.push(commit);
        Ok(())
    }

    /// Reads one entry; none where it is not there.
    fn read_entry(&mut self, version: u64) -> Result<Option<Commit>, Unable> {
        self.changed = true;
        self.seen.files_read += 1;
        let file = format!("{LOG_FOLDER}/{}", entry_name(version));
        let entry = match load(&self.log.join(entry_name(version)), ENTRY_BYTES_MAX) {
            Ok(bytes) => Entry::parse(&bytes),
            Err(Unread::Missing) => {
                self.missing(version, version.saturating_add(1));
                return Ok(None);
            }
            Err(Unread::Damaged(what)) => Entry::lost(what),
            Err(Unread::Refused(error)) => {
                return Err(Unable { place: self.at(version).in_file(&file), why: refusal("an entry", &error) });
            }
        };
        if let Some(what) = &entry.damage {
            let more = if entry.damaged > 1 { format!(", and {} more", entry.damaged - 1) } else { String::new() };
            let what = format!("the entry {what}{more}");
            self.findings.add(Code::EntryUnreadable, self.at(version).in_file(&file), what);
            self.whole = false;
        }
        if let Some(written) = entry.lines_written().filter(|written| *written != entry.lines) {
            let what = format!("the entry was written with {written} actions, and holds {}", entry.lines);
            self.findings.add(Code::EntryIncomplete, self.at(version).in_file(&file), what);
            self.whole = false;
        }
        let commit = self.commit(version, entry);
        if let Origin::Unreadable(why) = &commit.origin {
            self.findings.add(Code::BooksUnreadable, self.at(version), format!("the books of this commit: {why}"));
        }
        Ok(Some(commit))
    }

    /// The entry as a commit: paths accepted, the schema read.
    fn commit(&mut self, version: u64, entry: Entry) -> Commit {
        let mut commit = Commit {
            version,
            timestamp_us: entry.timestamp_us(),
            origin: entry.origin(),
            adds: Vec::with_capacity(entry.adds.len()),
            removes: Vec::with_capacity(entry.removes.len()),
            txns: entry.txns,
            metadata: None,
            protocol: entry.protocol,
        };
        for raw in entry.adds {
            let Some(path) = self.path(version, &raw.path) else { continue };
            if raw.deletion_vector.is_some() {
                let what = "says that rows of the file are deleted, which tables of this protocol can't say";
                self.findings.add(Code::SchemaChange, self.at(version).in_file(&path), what);
            }
            commit.adds.push(accepted(raw, path));
        }
        for raw in entry.removes {
            let Some(path) = self.path(version, &raw.path) else { continue };
            commit.removes.push(Remove { path, data_change: raw.data_change });
        }
        if let Some(raw) = entry.metadata {
            match with_columns(raw) {
                Ok(metadata) => commit.metadata = Some(metadata),
                Err(problem) => self.bad_schema(problem, self.at(version)),
            }
        }
        commit
    }

    fn bad_schema(&mut self, problem: SchemaProblem, place: Place) {
        self.whole = false;
        match problem {
            SchemaProblem::Damaged(what) => self.findings.add(Code::EntryUnreadable, place, format!("its {what}")),
            SchemaProblem::Unknown { column, kind } => {
                let what = format!("the column is of type {kind}, which nothing of ours writes");
                self.findings.add(Code::SchemaChange, place.in_column(&column), what);
            }
        }
    }

    /// A path of an action, accepted; or refused with a finding.
    fn path(&mut self, version: u64, text: &str) -> Option<String> {
        match self.paths.accept(text) {
            Ok(path) => Some(path),
            Err(why) => {
                let what = format!("the path {why}; the file is not opened");
                self.findings.add(Code::PathEscapes, self.at(version).in_file(&clean(text)), what);
                self.state.refused.insert(text.to_owned());
                None
            }
        }
    }

    fn into_table(self) -> Result<Table, Unable> {
        let place = self.place();
        let (Some(metadata), Some(version)) = (self.state.metadata, self.version) else {
            let why = "no entry or checkpoint of its Delta log that can be read tells its columns, so that its files \
                       can't be checked: restore the entry that created it (version 0)";
            return Err(Unable { place, why: why.to_owned() });
        };
        Ok(Table {
            name: self.name.clone(),
            folder: self.folder,
            commits: self.commits,
            checkpoint: self.checkpoint,
            live: self.state.live,
            txns: self.state.txns,
            metadata,
            version,
        })
    }
}

fn refusal(what: &str, error: &io::Error) -> String {
    format!("{what} can't be read ({error}): run verify as a user who may, and look at the disk")
}
