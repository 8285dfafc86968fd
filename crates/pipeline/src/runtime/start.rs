//! Starting one stream: its tables opened, its definitions numbered, its state loaded or rebuilt.

use super::commit::{CommitFailure, Committer};
use super::health::{Health, Part};
use super::identity::StreamIdentity;
use super::models::{Models, Source};
use super::partitions::MISSED_FOR;
use super::signal::Stop;
use super::stream::{CommitBounds, RunUntil};
use super::topics::Reading;
use crate::bronze::BronzeStage;
use crate::ops::{DefinitionKind, Definitions, InForceFrom};
use crate::silver::{GapsTable, Judge, KnownIds, SilverStage, StreamTime};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use watertight_core::port::{Clock, ErrorKind, EventLog, Ids, Lake, LakeTable, PortError, TableSpec, TopicInfo};
use watertight_core::schema::{
    BRONZE_PARTITION, DLQ_PARTITION, ModelDef, StreamDef, TopicPattern, Topics, bronze_schema, dlq_schema,
    silver_schema,
};
use watertight_core::steps::Steps;
use watertight_state::StateFolder;

/// How often topics are looked for while one is missed.
const MISSED_ASKED_EVERY: Duration = Duration::from_millis(100);

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
    /// At least one; the first is at hand.
    pub topics: Vec<Reading>,
    pub bronze: BronzeStage,
    pub silver: SilverStage,
    pub models: Models,
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
        let topics = self.topics(&committer)?;
        let name = &self.def.name;
        let bronze = self.open(&committer, "bronze", name, Arc::new(bronze_schema()), BRONZE_PARTITION)?;
        let dead = self.open(&committer, "bronze", &format!("{name}_dlq"), Arc::new(dlq_schema()), DLQ_PARTITION)?;
        let silver = self.open(&committer, "silver", name, Arc::new(silver_schema(self.def)), BRONZE_PARTITION)?;
        let mut present: Vec<StreamIdentity> = topics.iter().map(|topic| self.identity(topic, 0)).collect();
        for identity in &present {
            self.tell_of_another_incarnation(identity, bronze.as_ref());
        }
        let folder = self.state_folder();
        let known = committer.retry("load the known ids", || {
            let told = |done, of| committer.note_rebuilding(done, of);
            KnownIds::open(&folder, &self.setup.pipeline, name, silver.as_ref(), &told)
        })?;
        let hasher = known.hasher();
        let judge = Judge::new(self.def, hasher.clone())?;
        let time = self.time(silver.as_ref(), &present[0]);
        let gaps = GapsTable::new(self.parts.lake.clone(), &self.setup.pipeline, name);
        let mut silver = SilverStage::new(silver, dead, gaps, present[0].clone(), judge, time, known);
        for (topic, identity) in topics.iter().zip(&present) {
            silver.enter(identity);
            silver.know_partitions(topic.partitions);
        }
        self.finish_what_was_left(bronze.as_ref(), &mut silver, &present, &hasher, &committer)?;
        let version = self.definition(&present, silver.table(), &committer)?;
        for identity in &mut present {
            identity.definition = version;
        }
        silver.go_on_as(present[0].clone(), Judge::new(self.def, hasher)?, &self.def.event_time);
        if self.setup.upto != Upto::Bronze {
            for (topic, identity) in topics.iter().zip(&present) {
                silver.enter(identity);
                silver.let_go_partitions(topic.partitions);
            }
            let read: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
            silver.let_go_topics(&read);
            silver.enter(&present[0]);
        }
        let bronze = BronzeStage::new(bronze, present[0].clone(), present[1..].iter());
        let models = Models::open(Source { starter: self, identity: &present[0], silver: &silver });
        let readings = topics.into_iter().zip(present);
        let readings = readings.map(|(topic, identity)| Reading::new(topic, identity, self.def.start.clone()));
        Ok(Started { topics: readings.collect(), bronze, silver, models })
    }

    /// The topics to read, at least one: those that are named are made where they are not there, or have too few
    /// partitions.
    fn topics(&self, committer: &Committer<'_>) -> Result<Vec<TopicInfo>, CommitFailure> {
        let (log, def) = (self.parts.log.as_ref(), self.def);
        let pattern = match &def.topics {
            Some(Topics::Pattern(pattern)) => pattern,
            None | Some(Topics::List(_)) => {
                let named = def.topics_named();
                let open = |name: &String| {
                    committer.retry("open the topic", || match log.topic(name)? {
                        Some(topic) if topic.partitions >= def.partitions => Ok(self.tell_of_more_partitions(topic)),
                        _ => log.create_topic(name, def.partitions),
                    })
                };
                return named.iter().map(open).collect();
            }
        };
        let names = self.matching(pattern, committer)?;
        let mut topics = Vec::new();
        for name in &names {
            // Whoever lists topics may be told of one that was deleted since.
            topics.extend(committer.retry("open the topic", || log.topic(name))?);
        }
        if !topics.is_empty() {
            return Ok(topics);
        }
        let message = format!("no topic of the log matches /{}/ of stream {}", pattern.text(), def.name);
        let kind = if self.setup.until.caught_up { ErrorKind::Stop } else { ErrorKind::Retry };
        Err(PortError::new(kind, format!("{message}: make one, or correct the pattern")).into())
    }

    /// The topics that match now. That one which holds time is gone is believed once it stays gone: a broker that has
    /// just begun may not know of it yet, and time would pass it by.
    fn matching(&self, pattern: &TopicPattern, committer: &Committer<'_>) -> Result<Vec<String>, CommitFailure> {
        let (log, lake, def) = (self.parts.log.as_ref(), self.parts.lake.as_ref(), self.def);
        let silver = committer.retry("look at the table", || lake.look("silver", &def.name))?;
        let books = silver.as_ref().and_then(|silver| silver.state().last_append.as_ref());
        let times = books.and_then(|books| books.watermarks.as_ref()).into_iter().flat_map(|marks| &marks.topics);
        let holding = times.filter(|(topic, of)| pattern.matches(topic) && of.values().any(|time| !time.idle));
        let holding: Vec<&String> = holding.map(|(topic, _)| topic).collect();
        let began = Instant::now();
        loop {
            let names = committer.retry("look for topics", || def.topics_now(log))?;
            if holding.iter().all(|topic| names.contains(topic)) || began.elapsed() >= MISSED_FOR {
                return Ok(names);
            }
            if self.stop.wait(MISSED_ASKED_EVERY) {
                return Err(CommitFailure::Stopped);
            }
        }
    }

    /// Who commits what is of this topic.
    pub(super) fn identity(&self, topic: &TopicInfo, definition: i32) -> StreamIdentity {
        StreamIdentity {
            pipeline: self.setup.pipeline.clone(),
            topic: topic.name.clone(),
            incarnation: topic.incarnation.as_str().into(),
            definition,
        }
    }

    /// The stream's time as silver's books left it. What is known by partition alone, once several topics are read, is of
    /// the topic that was read last.
    fn time(&self, silver: &dyn LakeTable, first: &StreamIdentity) -> StreamTime {
        let books = silver.state().last_append.as_ref();
        let time = StreamTime::resume(&self.def.event_time, books.and_then(|books| books.watermarks.as_ref()))
            .with_largest(books.and_then(|books| books.largest_event_time_us));
        let before = books.map_or(first.topic.as_str(), |books| books.topic.as_str());
        let mut time = if self.def.topics.is_some() { time.by_topic(before) } else { time };
        time.enter(&first.topic);
        time
    }

    /// The number of the stream's definition, in force from where silver stands in every topic.
    fn definition(
        &self,
        present: &[StreamIdentity],
        silver: &dyn LakeTable,
        committer: &Committer<'_>,
    ) -> Result<i32, CommitFailure> {
        let first = &present[0];
        let positions = first.positions(silver.state());
        let mut others: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        let newest = silver.state().last_append.as_ref().and_then(|books| books.watermarks.as_ref());
        let had_several = newest.is_some_and(|watermarks| !watermarks.topics.is_empty());
        if self.def.topics.is_some() || had_several {
            // Lives that are over, too: of a topic that was found since the version before, nothing else says up to where
            // that one was in force.
            let ours = silver.state().positions.iter().filter(|(key, _)| key.pipeline == first.pipeline);
            for (key, next) in ours {
                others.entry(key.incarnation.clone()).or_default().insert(key.partition, *next);
            }
            for identity in present {
                others.entry(identity.incarnation.to_string()).or_default();
            }
            others.remove(&*first.incarnation);
        }
        let incarnation = &first.incarnation;
        let from = InForceFrom { incarnation, positions: &positions, others: &others, closed_until_us: None };
        self.version(DefinitionKind::Stream, &self.def.name, self.def, from, committer)
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
