//! What a start finishes before its stream goes on: what earlier lives of its topic left between bronze and silver, and
//! what was begun under a definition that has changed since.
//!
//! A crash leaves silver behind bronze. What is of the present life of the topic the worker catches up, by the present
//! definition. A life that is over (the topic was deleted and made anew, or the stream reads another topic now) has
//! positions of its own in every table, and is finished here, before anything of the present one: by the newest
//! definition that was in force in it, because a topic is often made anew together with what its payloads look like.
//! Several such lives go in the order in which bronze has what silver lacks. Time goes on from life to life, partition
//! by partition: windows may be closed up to there.
//!
//! Models are opened behind all this, and find its rows in silver like any other.

use super::commit::{CommitFailure, Committer};
use super::identity::StreamIdentity;
use super::start::{Starter, Upto};
use crate::bronze::{chunks_between, commits_between};
use crate::ops::{DefinitionKind, definition_text};
use crate::silver::{Judge, SilverCommit, SilverStage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use watertight_core::books::{Books, CommitKind, Entry};
use watertight_core::port::{ErrorKind, LakeCommit, LakeTable, PortError};
use watertight_core::schema::StreamDef;
use watertight_state::IdHasher;

/// What is said where a version of a definition is needed and cannot be had.
const WITHOUT_VERSION: &str = "ops.definitions does not hold that version in a form that can be read; bring \
                               ops.definitions back, or run once the version of watertight that wrote it";

/// A life of the topic that is over, of which bronze holds what silver lacks.
struct OldLife {
    identity: StreamIdentity,
    /// Bronze's next offset by partition.
    ends: BTreeMap<i32, i64>,
    /// Bronze's commits that hold what silver lacks, oldest first.
    commits: Vec<LakeCommit>,
}

impl OldLife {
    /// `None` where silver has all of it.
    fn of(identity: StreamIdentity, bronze: &dyn LakeTable, silver: &dyn LakeTable) -> Result<Option<Self>, PortError> {
        let (ends, at) = (identity.positions(bronze.state()), identity.positions(silver.state()));
        if ahead(&ends, &at).is_empty() {
            return Ok(None);
        }
        let mut commits = commits_between(bronze, &identity.incarnation, &at, &ends)?;
        let is_lacking = |entry: &Entry| at.get(&entry.partition).is_none_or(|next| *next < entry.to);
        commits.retain(|commit| commit.books.as_ref().is_some_and(|books| books.entries.iter().any(is_lacking)));
        Ok(Some(Self { identity, ends, commits }))
    }
}

impl Starter<'_> {
    /// Brings silver up to where earlier lives of its topics ended in bronze, and to where dead letters of the present
    /// ones were written under another definition than that of the file. `present` is who goes on afterwards.
    pub(super) fn finish_what_was_left(
        &self,
        bronze: &dyn LakeTable,
        silver: &mut SilverStage,
        present: &[StreamIdentity],
        hasher: &IdHasher,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        // A run that ends at bronze leaves this to a later one that goes further, as all that lies behind bronze.
        if self.setup.upto != Upto::Bronze {
            for life in old_lives(present, bronze, silver.table())? {
                self.finish_old_life(life, bronze, silver, hasher, committer)?;
            }
        }
        for identity in present {
            let Some((version, def)) = self.unfinished(identity, silver)? else { continue };
            silver.go_on_as(identity.under(version), Judge::new(&def, hasher.clone())?, &def.event_time);
            let ends = ahead(&silver.dead_letter_positions(), &silver.positions());
            let (stream, topic) = (&self.def.name, &identity.topic);
            tracing::info!(%stream, %topic, ?ends, "finishing under the old definition what was begun under it");
            let commits = commits_between(bronze, &identity.incarnation, &silver.positions(), &ends)?;
            self.bring_up(bronze, silver, (&commits, &ends), committer)?;
        }
        Ok(())
    }

    fn finish_old_life(
        &self,
        OldLife { identity, ends, commits }: OldLife,
        bronze: &dyn LakeTable,
        silver: &mut SilverStage,
        hasher: &IdHasher,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        let (version, def) = self.definition_in(&identity, &commits)?;
        tracing::info!(
            stream = self.def.name,
            topic = identity.topic,
            incarnation = %identity.incarnation,
            version,
            ?ends,
            "bringing to silver what bronze has of an earlier life of the topic"
        );
        silver.go_on_as(identity.under(version), Judge::new(&def, hasher.clone())?, &def.event_time);
        // Also those that the topic has no more: a partition that time does not know holds nothing back, and its rows
        // would miss windows that are closed before they are read.
        silver.know_partitions(ends.keys().next_back().map_or(0, |last| last + 1));
        self.bring_up(bronze, silver, (&commits, &ends), committer)
    }

    /// Takes these commits of bronze, as far as they lie before the ends and silver lacks them, to silver. A stop ends
    /// it: the next start goes on from what silver has by then.
    fn bring_up(
        &self,
        bronze: &dyn LakeTable,
        silver: &mut SilverStage,
        (commits, ends): (&[LakeCommit], &BTreeMap<i32, i64>),
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        // Models are opened behind this, and read it from the table.
        let mut on_commit = |_: SilverCommit| -> Result<(), CommitFailure> { Ok(()) };
        for commit in commits {
            if self.stop.requested() {
                return Err(CommitFailure::Stopped);
            }
            let chunks = chunks_between(bronze, commit, &silver.positions(), Some(ends))?;
            silver.process(&chunks, committer, &mut on_commit)?;
        }
        Ok(())
    }

    /// The newest definition that was in force in a life that is over: the newest that was entered in it, or, where none
    /// was, the one that its last commits to bronze name. Dead letters that are ahead of silver bear the same: a start
    /// finishes those before it enters another one.
    fn definition_in(&self, identity: &StreamIdentity, commits: &[LakeCommit]) -> Result<(i32, StreamDef), PortError> {
        let name = &self.def.name;
        let named = commits.iter().rev().find_map(|commit| commit.books.as_ref()).map(|books| books.definition);
        let definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let entered = definitions.newest_under(DefinitionKind::Stream, name, &identity.incarnation);
        let version = entered.max(named).unwrap_or_default();
        let text = definitions.text(DefinitionKind::Stream, name, version);
        let def = text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
            let message = format!(
                "bronze has records of an earlier life of topic {} that silver of stream {name} does not have yet; \
                 version {version} of the definition was in force then, and {WITHOUT_VERSION}",
                identity.topic
            );
            PortError::new(ErrorKind::Stop, message)
        })?;
        Ok((version, def))
    }

    /// The definition that is to finish what a crash between the commits of dead letters and silver left: which records
    /// are dead letters is settled there, by the definition that those were judged by. `None` where nothing is left, or
    /// that definition is the one that goes on.
    fn unfinished(
        &self,
        identity: &StreamIdentity,
        silver: &SilverStage,
    ) -> Result<Option<(i32, StreamDef)>, PortError> {
        let dead = silver.dead_letters();
        if ahead(&identity.positions(dead.state()), &identity.positions(silver.table().state())).is_empty() {
            return Ok(None);
        }
        let Some(version) = newest_append(dead, &identity.incarnation)?.map(|books| books.definition) else {
            return Ok(None);
        };
        let name = &self.def.name;
        let definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let text = definitions.text(DefinitionKind::Stream, name, version);
        if text == Some(definition_text(self.def)?.as_str()) {
            return Ok(None);
        }
        let before = text.and_then(|text| serde_json::from_str(text).ok());
        let before = before.ok_or_else(|| {
            let message = format!(
                "dead letters of stream {name} were written under version {version} of its definition, silver does not \
                 have the records beside them yet, and {WITHOUT_VERSION}"
            );
            PortError::new(ErrorKind::Stop, message)
        })?;
        Ok(Some((version, before)))
    }
}

/// The lives that are over and not finished, in the order in which bronze has what silver lacks.
fn old_lives(
    present: &[StreamIdentity],
    bronze: &dyn LakeTable,
    silver: &dyn LakeTable,
) -> Result<Vec<OldLife>, PortError> {
    let Some(one) = present.first() else { return Ok(Vec::new()) };
    let is_over = |(topic, incarnation): &(&str, &str)| {
        !present.iter().any(|life| *topic == life.topic.as_str() && *incarnation == &*life.incarnation)
    };
    let keys = bronze.state().positions.keys().filter(|key| key.pipeline == one.pipeline);
    let over: BTreeSet<(&str, &str)> =
        keys.map(|key| (key.topic.as_str(), key.incarnation.as_str())).filter(is_over).collect();
    let mut lives = Vec::new();
    for (topic, incarnation) in over {
        let (topic, incarnation) = (topic.to_owned(), incarnation.into());
        lives.extend(OldLife::of(StreamIdentity { topic, incarnation, ..one.clone() }, bronze, silver)?);
    }
    lives.sort_by_key(|life| life.commits.first().map(|commit| commit.version));
    Ok(lives)
}

/// The books of a table's newest append in one life of the topic: those of its newest append at all, but where an
/// earlier life was finished behind it.
fn newest_append(table: &dyn LakeTable, incarnation: &str) -> Result<Option<Books>, PortError> {
    let of_it = |books: &Books| books.kind == CommitKind::Append && books.incarnation == incarnation;
    if let Some(books) = table.state().last_append.as_ref().filter(|books| of_it(books)) {
        return Ok(Some(books.clone()));
    }
    let commits = table.commits_after(None)?;
    Ok(commits.into_iter().rev().filter_map(|commit| commit.books).find(of_it))
}

/// Those of `positions` that are ahead of `others`.
fn ahead(positions: &BTreeMap<i32, i64>, others: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let is_ahead = |&(partition, next): &(&i32, &i64)| others.get(partition).is_none_or(|other| other < next);
    positions.iter().filter(is_ahead).map(|(partition, next)| (*partition, *next)).collect()
}
