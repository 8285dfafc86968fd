//! Starting one stream: its tables opened, its definitions numbered, its state loaded or rebuilt.

use super::commit::{CommitFailure, Committer};
use super::health::{Health, Part};
use super::identity::StreamIdentity;
use super::models::{Models, Source};
use super::signal::Stop;
use super::stream::{CommitBounds, RunUntil};
use crate::bronze::{BronzeStage, chunks_between, commits_between};
use crate::ops::{DefinitionKind, Definitions, InForceFrom, definition_text};
use crate::silver::{Judge, KnownIds, SilverCommit, SilverStage, StreamTime};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use watertight_core::port::{Clock, ErrorKind, EventLog, Ids, Lake, LakeTable, PortError, TableSpec, TopicInfo};
use watertight_core::schema::{
    BRONZE_PARTITION, DLQ_PARTITION, ModelDef, StreamDef, bronze_schema, dlq_schema, silver_schema,
};
use watertight_core::steps::Steps;
use watertight_state::StateFolder;

/// The outside, as given to a run.
#[derive(Clone)]
pub struct Parts {
    /// Where events come from.
    pub log: Arc<dyn EventLog>,
    /// Where tables are.
    pub lake: Arc<dyn Lake>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn Ids>,
    /// The way to take durable steps in the state folder.
    pub steps: Steps,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The pipeline's uuid.
    pub pipeline: String,
    /// Streams.
    pub streams: Vec<StreamDef>,
    /// Models.
    pub models: Vec<ModelDef>,
    /// When to commit.
    pub bounds: CommitBounds,
    /// When to end.
    pub until: RunUntil,
    /// Folder for checkpoints of state.
    pub state_dir: PathBuf,
    /// How far events are carried.
    pub upto: Upto,
}

/// The last stage of a run. What lies behind it is caught up by a later run that goes further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upto {
    /// Records are kept as they came, nothing is judged.
    Bronze,
    /// Rows and dead letters; models stand still.
    Silver,
    /// Everything.
    #[default]
    Gold,
}

/// A stream ready to run.
pub(super) struct Started {
    pub topic: TopicInfo,
    pub bronze: BronzeStage,
    pub silver: SilverStage,
    pub models: Models,
    pub identity: StreamIdentity,
}

/// Opens everything one stream needs.
pub(super) struct Starter<'a> {
    pub setup: &'a Setup,
    pub parts: &'a Parts,
    pub def: &'a StreamDef,
    pub definitions: &'a Mutex<Definitions>,
    pub health: &'a Health,
    pub stop: &'a Stop,
}

impl Starter<'_> {
    pub(super) fn committer(&self, part: Part) -> Committer<'_> {
        let Parts { clock, ids, .. } = self.parts;
        Committer { part, health: self.health, stop: self.stop, clock: clock.as_ref(), ids: ids.as_ref() }
    }

    pub(super) fn state_folder(&self) -> StateFolder {
        StateFolder { path: self.setup.state_dir.clone(), steps: self.parts.steps.clone() }
    }

    pub(super) fn start(&self) -> Result<Started, CommitFailure> {
        let committer = self.committer(Part::Stream(self.def.name.clone()));
        let topic = committer.retry("open the topic", || match self.parts.log.topic(&self.def.topic)? {
            Some(topic) if topic.partitions >= self.def.partitions => Ok(self.tell_of_more_partitions(topic)),
            _ => self.parts.log.create_topic(&self.def.topic, self.def.partitions),
        })?;
        let name = &self.def.name;
        let bronze = self.open(&committer, "bronze", name, Arc::new(bronze_schema()), BRONZE_PARTITION)?;
        let dead = self.open(&committer, "bronze", &format!("{name}_dlq"), Arc::new(dlq_schema()), DLQ_PARTITION)?;
        let silver = self.open(&committer, "silver", name, Arc::new(silver_schema(self.def)), BRONZE_PARTITION)?;
        let mut identity = StreamIdentity {
            pipeline: self.setup.pipeline.clone(),
            topic: self.def.topic.clone(),
            incarnation: topic.incarnation.as_str().into(),
            definition: 0,
        };
        self.tell_of_another_incarnation(&identity, bronze.as_ref());
        let folder = self.state_folder();
        let known = committer.retry("load the known ids", || {
            let told = |done, of| committer.note_rebuilding(done, of);
            KnownIds::open(&folder, &self.setup.pipeline, name, silver.as_ref(), &told)
        })?;
        let hasher = known.hasher();
        let judge = Judge::new(self.def, hasher.clone())?;
        let unfinished = self.unfinished(&identity, silver.as_ref(), dead.as_ref())?;
        let (version, first) = unfinished.as_ref().map_or((0, self.def), |(version, before)| (*version, before));
        identity.definition = version;
        let books = silver.state().last_append.as_ref();
        let time = StreamTime::resume(&first.event_time, books.and_then(|books| books.watermarks.as_ref()))
            .with_largest(books.and_then(|books| books.largest_event_time_us));
        let mut silver = SilverStage::new(silver, dead, identity.clone(), Judge::new(first, hasher)?, time, known);
        silver.know_partitions(topic.partitions);
        if unfinished.is_some() {
            self.finish_under_old_definition(bronze.as_ref(), &mut silver, &committer)?;
        }
        let at = silver.positions();
        let from = InForceFrom { incarnation: &topic.incarnation, positions: &at, closed_until_us: None };
        identity.definition = self.version(DefinitionKind::Stream, name, self.def, from, &committer)?;
        silver.redefine(identity.definition, judge, &self.def.event_time);
        let bronze = BronzeStage::new(bronze, identity.clone());
        let models = Models::open(Source { starter: self, identity: &identity, silver: &silver });
        Ok(Started { topic, bronze, silver, models, identity })
    }

    /// The definition that is to finish what a crash between the commits of dead letters and silver left: which records
    /// are dead letters is settled there, by the definition that those were judged by. `None` where nothing is left, or
    /// that definition is the one that goes on.
    fn unfinished(
        &self,
        identity: &StreamIdentity,
        silver: &dyn LakeTable,
        dead: &dyn LakeTable,
    ) -> Result<Option<(i32, StreamDef)>, PortError> {
        if ahead(&identity.positions(dead.state()), &identity.positions(silver.state())).is_empty() {
            return Ok(None);
        }
        let Some(version) = dead.state().last_append.as_ref().map(|books| books.definition) else { return Ok(None) };
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
                 have the records beside them yet, and ops.definitions does not hold that version in a form that can be \
                 read; bring ops.definitions back, or run once the version of watertight that wrote it"
            );
            PortError::new(ErrorKind::Stop, message)
        })?;
        Ok(Some((version, before)))
    }

    /// Brings silver up to where the dead letters are.
    fn finish_under_old_definition(
        &self,
        bronze: &dyn LakeTable,
        silver: &mut SilverStage,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        let ends = ahead(&silver.dead_letter_positions(), &silver.positions());
        tracing::info!(stream = self.def.name, ?ends, "finishing under the old definition what was begun under it");
        // Models are opened behind this, and read it from the table.
        let mut on_commit = |_: SilverCommit| -> Result<(), CommitFailure> { Ok(()) };
        for commit in commits_between(bronze, silver.incarnation(), &silver.positions(), &ends)? {
            let chunks = chunks_between(bronze, &commit, &silver.positions(), Some(&ends))?;
            silver.process(&chunks, committer, &mut on_commit)?;
        }
        Ok(())
    }

    /// A topic can't lose partitions: what the file says too little of is read all the same.
    fn tell_of_more_partitions(&self, topic: TopicInfo) -> TopicInfo {
        if topic.partitions > self.def.partitions {
            tracing::warn!(
                topic = topic.name,
                partitions = topic.partitions,
                declared = self.def.partitions,
                "the topic has more partitions than the pipeline file declares; all of them are read, and a topic's \
                 partitions cannot be made fewer: correct the file"
            );
        }
        topic
    }

    /// A topic that was deleted and made anew is read from its beginning; what was not read of the old one is gone.
    fn tell_of_another_incarnation(&self, identity: &StreamIdentity, bronze: &dyn LakeTable) {
        let keys = bronze.state().positions.keys().filter(|key| key.topic == identity.topic);
        let (ours, others): (Vec<_>, Vec<_>) = keys.partition(|key| *key.incarnation == *identity.incarnation);
        if ours.is_empty() && !others.is_empty() {
            tracing::warn!(
                topic = identity.topic,
                "the topic is not the one that was read before: it was deleted and \
                made anew, or the log is another; it is read from its beginning, and what was not read of the old one is lost"
            );
        }
    }

    pub(super) fn open(
        &self,
        committer: &Committer<'_>,
        schema_name: &str,
        table: &str,
        columns: SchemaRef,
        partition_column: &str,
    ) -> Result<Box<dyn LakeTable>, CommitFailure> {
        let spec = TableSpec {
            schema_name: schema_name.to_owned(),
            table: table.to_owned(),
            columns,
            partition_column: partition_column.to_owned(),
            pipeline: self.setup.pipeline.clone(),
        };
        committer.retry("open a table", || self.parts.lake.open(&spec))
    }

    pub(super) fn version(
        &self,
        kind: DefinitionKind,
        name: &str,
        definition: &impl serde::Serialize,
        from: InForceFrom<'_>,
        committer: &Committer<'_>,
    ) -> Result<i32, CommitFailure> {
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        definitions.in_force(kind, name, definition, from, committer)
    }
}

/// Those of `positions` that are ahead of `others`.
fn ahead(positions: &BTreeMap<i32, i64>, others: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    let is_ahead = |&(partition, next): &(&i32, &i64)| others.get(partition).is_none_or(|other| other < next);
    positions.iter().filter(is_ahead).map(|(partition, next)| (*partition, *next)).collect()
}
