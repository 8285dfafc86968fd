//! What a replay does with checkpoints: reads them, compares them with the state, or takes the state from one.

use super::{Replay, refusal};
use crate::finding::{Code, Unable};
use crate::lake::LiveFile;
use crate::lake::checkpoint::{self, Damage, Row};
use crate::lake::difference::Comparison;
use crate::lake::listing::{Checkpoint, HINT};
use crate::lake::logs::Stamp;
use crate::lake::state::{State, accepted, with_columns};
use crate::lake::tables::LOG_FOLDER;
use crate::lake::text::clean;

impl Replay<'_> {
    /// Reads a checkpoint; whether it could be. A damaged one is a finding.
    pub(super) fn read_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        take: &mut dyn FnMut(Row),
    ) -> Result<bool, Unable> {
        let place = self.at(checkpoint.version).in_file(&checkpoint.file());
        self.seen.files_read += checkpoint.names.len() as u64;
        match checkpoint::read(checkpoint, &self.log, take) {
            Ok(()) => Ok(true),
            Err(Damage::Damaged(what)) => {
                self.findings.add(Code::CheckpointUnreadable, place, format!("the checkpoint {what}"));
                self.damaged.insert(checkpoint.file());
                Ok(false)
            }
            Err(Damage::Refused(error)) => Err(Unable { place, why: refusal("a checkpoint", &error) }),
        }
    }

    /// Compares a checkpoint, unless an earlier look did and nothing below is another.
    pub(super) fn compare_unless_kept(&mut self, checkpoint: &Checkpoint) -> Result<(), Unable> {
        let (file, stamps) = (checkpoint.file(), Stamp::of_checkpoint(checkpoint, &self.log));
        let found_before = self.findings.total();
        if self.changed || !self.kept.agreed(&file, stamps.as_deref()) {
            self.compare(checkpoint)?;
        }
        if let Some(stamps) = stamps.filter(|_| self.findings.total() == found_before) {
            self.seen.checkpoints.insert(file, stamps);
        }
        Ok(())
    }

    fn compare(&mut self, checkpoint: &Checkpoint) -> Result<(), Unable> {
        let state = std::mem::take(&mut self.state);
        let read = self.differences(checkpoint, &state);
        self.state = state;
        read
    }

    fn differences(&mut self, checkpoint: &Checkpoint, state: &State) -> Result<(), Unable> {
        let mut comparison = Comparison::with(state);
        if !self.read_checkpoint(checkpoint, &mut |row| comparison.take(row))? {
            return Ok(());
        }
        let place = self.at(checkpoint.version).in_file(&checkpoint.file());
        for (path, why) in std::mem::take(&mut comparison.escapes) {
            let what = format!("the checkpoint names a file '{}' that {why}", clean(&path));
            self.findings.add(Code::PathEscapes, place.clone(), what);
        }
        for what in comparison.finish() {
            self.findings.add(Code::CheckpointDiffers, place.clone(), what);
        }
        Ok(())
    }

    /// Takes the state from a checkpoint; whether that could be done. Else the state stays as it is.
    pub(super) fn adopt(&mut self, checkpoint: &Checkpoint) -> Result<bool, Unable> {
        let version = checkpoint.version;
        let mut raw = Vec::new();
        let (mut state, mut metadata) = (State::default(), None);
        let read = self.read_checkpoint(checkpoint, &mut |row| match row {
            Row::Add(add) => raw.push(add),
            Row::Remove(_) => {}
            Row::Txn(id, offset) => {
                state.txns.insert(id, offset);
            }
            Row::Metadata(found) => metadata = Some(found),
            Row::Protocol(reader, writer) => state.protocol = Some((reader, writer)),
        })?;
        if !read {
            return Ok(false);
        }
        let file = checkpoint.file();
        let (Some(metadata), Some(_)) = (metadata, state.protocol) else {
            let what = "the checkpoint lacks the table's definition";
            self.findings.add(Code::CheckpointUnreadable, self.at(version).in_file(&file), what);
            self.damaged.insert(file);
            return Ok(false);
        };
        match with_columns(metadata) {
            Ok(metadata) => state.metadata = Some(metadata),
            Err(problem) => {
                self.bad_schema(problem, self.at(version).in_file(&file));
                self.damaged.insert(file);
                return Ok(false);
            }
        }
        for add in raw {
            let Some(path) = self.path(version, &add.path) else { continue };
            let before = self.state.live.get(&path).map(|file| file.version);
            let add = accepted(add, path.clone());
            state.live.insert(path, LiveFile { add, version: before.unwrap_or(version) });
        }
        state.refused = std::mem::take(&mut self.state.refused);
        self.state = state;
        self.whole = true;
        self.changed = true;
        Ok(true)
    }

    /// The hint may be old or missing; a checkpoint that it names must be there, or readers fail.
    pub(super) fn check_hint(&self) {
        let Some(version) = self.listing.hint else { return };
        if !self.listing.checkpoints.contains_key(&version) && !self.listing.others.contains(&version) {
            let what = format!("it names a checkpoint at version {version}, and there is none");
            self.findings.add(Code::CheckpointDiffers, self.place().in_file(&format!("{LOG_FOLDER}/{HINT}")), what);
        }
    }
}
