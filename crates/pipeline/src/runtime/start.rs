//! Starting one stream: its tables opened, its definitions numbered, its state loaded or rebuilt.

use super::commit::{CommitFailure, Committer};
use super::health::{Condition, Health, Part};
use super::identity::StreamIdentity;
use super::signal::Stop;
use super::stream::{CommitBounds, RunUntil};
use crate::bronze::BronzeStage;
use crate::feed::utc_day;
use crate::gold::engine::ModelPlan;
use crate::gold::{Covers, GoldStage, model_table_schema};
use crate::ops::{DefinitionKind, Definitions};
use crate::silver::{Judge, KnownIds, SilverStage, StreamTime};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use watertight_core::books::CommitKind;
use watertight_core::port::{
    Clock, DataFile, ErrorKind, EventLog, Ids, Lake, LakeTable, PortError, TableSpec, TopicInfo,
};
use watertight_core::schema::{
    BRONZE_PARTITION, DLQ_PARTITION, GOLD_PARTITION, ModelDef, StreamDef, bronze_schema, dlq_schema, silver_schema,
};

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
}

/// A model at work, or stopped by its own failure.
pub(super) enum Model {
    /// At work.
    Running(Box<GoldStage>),
    /// Stopped.
    Failed,
}

/// A stream ready to run.
pub(super) struct Started {
    pub topic: TopicInfo,
    pub bronze: BronzeStage,
    pub silver: SilverStage,
    pub models: Vec<(Part, Model)>,
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

    pub(super) fn start(&self) -> Result<Started, CommitFailure> {
        let committer = self.committer(Part::Stream(self.def.name.clone()));
        let topic = committer.retry("open the topic", || match self.parts.log.topic(&self.def.topic)? {
            Some(topic) if topic.partitions >= self.def.partitions => Ok(topic),
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
        let at = identity.positions(silver.state());
        self.tell_of_another_incarnation(&identity, bronze.as_ref());
        identity.definition = self.version(DefinitionKind::Stream, name, self.def, (&identity, &at), &committer)?;
        let known = KnownIds::open(&self.setup.state_dir, &self.setup.pipeline, name, silver.as_ref())?;
        let judge = Judge::new(self.def, known.hasher())?;
        let recorded = silver.state().last_append.as_ref().and_then(|books| books.watermarks.clone());
        let time = StreamTime::resume(&self.def.event_time, recorded.as_ref());
        let bronze = BronzeStage::new(bronze, identity.clone());
        let mut silver = SilverStage::new(silver, dead, identity.clone(), judge, time, known);
        silver.know_partitions(topic.partitions);
        let mut models = Vec::new();
        for def in self.setup.models.iter().filter(|model| model.from == *name) {
            models.push(self.model(def, &identity, &silver)?);
        }
        Ok(Started { topic, bronze, silver, models })
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

    fn open(
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

    fn version(
        &self,
        kind: DefinitionKind,
        name: &str,
        definition: &impl serde::Serialize,
        (identity, at): (&StreamIdentity, &BTreeMap<i32, i64>),
        committer: &Committer<'_>,
    ) -> Result<i32, CommitFailure> {
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        definitions.in_force(kind, name, definition, (&identity.incarnation, at), committer)
    }

    /// Opens a model; its own failure is noted and leaves the others alone.
    fn model(
        &self,
        def: &ModelDef,
        identity: &StreamIdentity,
        silver: &SilverStage,
    ) -> Result<(Part, Model), CommitFailure> {
        let part = Part::Model(def.name.clone());
        let committer = self.committer(part.clone());
        match self.open_model(def, identity, silver, &committer) {
            Ok(stage) => {
                self.health.set(&part, Condition::Running);
                Ok((part, Model::Running(Box::new(stage))))
            }
            Err(CommitFailure::Stopped) => Err(CommitFailure::Stopped),
            Err(error) => {
                fail_model(self.health, &part, &error);
                Ok((part, Model::Failed))
            }
        }
    }

    fn open_model(
        &self,
        def: &ModelDef,
        identity: &StreamIdentity,
        silver: &SilverStage,
        committer: &Committer<'_>,
    ) -> Result<GoldStage, CommitFailure> {
        let plan = ModelPlan::new(def, &silver.table().columns())
            .map_err(|e| PortError::caused(ErrorKind::Stop, format!("model {}: {e}", def.name), e))?;
        let table = self.open(committer, "gold", &def.name, model_table_schema(&plan), GOLD_PARTITION)?;
        let at = identity.positions(table.state());
        let mut identity = identity.clone();
        identity.definition = self.version(DefinitionKind::Model, &def.name, def, (&identity, &at), committer)?;
        let version = silver.table().state().version;
        let (mut stage, covers) = GoldStage::open(table, identity, &plan, &self.setup.state_dir, version)?;
        match covers {
            Covers::Version(upto) => continue_windows(&mut stage, def, silver, upto, committer)?,
            Covers::Nothing => rebuild_windows(&mut stage, def, silver, committer)?,
        }
        Ok(stage)
    }
}

/// Notes a model's failure, loudly; bronze, silver and the other models go on.
pub(super) fn fail_model(health: &Health, part: &Part, error: &CommitFailure) {
    let error = match error {
        CommitFailure::Port(error) => error.chain(),
        other => other.to_string(),
    };
    tracing::error!(%part, error, "the model stopped; it catches up from silver once it is fixed and the pipeline restarted");
    health.set(part, Condition::Failed { error });
}

/// Folds what silver got after the checkpoint was made.
fn continue_windows(
    stage: &mut GoldStage,
    def: &ModelDef,
    silver: &SilverStage,
    upto: u64,
    committer: &Committer<'_>,
) -> Result<(), CommitFailure> {
    let table = silver.table();
    if upto < table.state().version {
        for commit in table.commits_after(Some(upto))? {
            let append = commit.books.as_ref().is_some_and(|books| books.kind == CommitKind::Append);
            for file in commit.files.iter().filter(|_| append) {
                let batches = table.read(file, &[])?.collect::<Result<Vec<_>, _>>()?;
                stage.refold(&batches, def.window_us)?;
            }
        }
    }
    stage.settle()?;
    match silver.time().stream_us() {
        Some(watermark_us) => stage.close(watermark_us, &silver.positions(), committer),
        None => Ok(()),
    }
}

/// Folds the rows of silver whose windows are not closed, day by day, closing what can be closed on the way.
fn rebuild_windows(
    stage: &mut GoldStage,
    def: &ModelDef,
    silver: &SilverStage,
    committer: &Committer<'_>,
) -> Result<(), CommitFailure> {
    let table = silver.table();
    let first_day = stage.closed_until_us().map(|closed| utc_day(closed.saturating_sub(def.window_us)));
    let mut days: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
    for file in table.live_files()? {
        if first_day.is_none_or(|first| file.partition_days >= first) {
            days.entry(file.partition_days).or_default().push(file);
        }
    }
    let watermark_us = silver.time().stream_us();
    let (mut staged, mut rows) = (Vec::new(), 0);
    for (day, files) in days {
        for file in files {
            let batches = table.read(&file, &[])?.collect::<Result<Vec<_>, _>>()?;
            stage.refold(&batches, def.window_us)?;
        }
        let day_end_us = (i64::from(day) + 1).saturating_mul(86_400_000_000);
        if let Some(watermark_us) = watermark_us {
            let (files, count) = stage.close_staged(watermark_us.min(day_end_us), committer)?;
            staged.extend(files);
            rows += count;
        }
    }
    match watermark_us {
        Some(watermark_us) if !staged.is_empty() => {
            stage.commit(staged, rows, watermark_us, &silver.positions(), committer)
        }
        _ => Ok(()),
    }
}
