//! Who commits: pipeline, topic and incarnation, from which positions and books get their names.

use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::Books;
use watertight_core::port::TableState;
use watertight_core::position::{PositionKey, PositionStep};

/// The identity under which a stream's tables hold their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamIdentity {
    /// The pipeline's uuid.
    pub pipeline: String,
    /// Topic.
    pub topic: String,
    /// Incarnation of the topic.
    pub incarnation: Arc<str>,
    /// Definition in force (`_schema_version`).
    pub definition: i32,
}

impl StreamIdentity {
    /// The same under another definition.
    #[must_use]
    pub fn under(&self, definition: i32) -> Self {
        Self { definition, ..self.clone() }
    }

    /// The key of one partition's position.
    #[must_use]
    pub fn key(&self, partition: i32) -> PositionKey {
        PositionKey {
            pipeline: self.pipeline.clone(),
            topic: self.topic.clone(),
            incarnation: self.incarnation.to_string(),
            partition,
        }
    }

    /// The stored next offsets of this incarnation, by partition.
    #[must_use]
    pub fn positions(&self, state: &TableState) -> BTreeMap<i32, i64> {
        let ours = state.positions.iter().filter(|(key, _)| {
            key.pipeline == self.pipeline && key.topic == self.topic && *key.incarnation == *self.incarnation
        });
        ours.map(|(key, next)| (key.partition, *next)).collect()
    }

    /// Books of an append under this identity.
    #[must_use]
    pub fn books(&self, commit_id: String) -> Books {
        let mut books = Books::append(&self.pipeline, commit_id);
        books.topic.clone_from(&self.topic);
        books.incarnation = self.incarnation.to_string();
        books.definition = self.definition;
        books
    }

    /// The steps from the stored positions to the ends of the books' entries.
    #[must_use]
    pub fn steps(&self, stored: &BTreeMap<i32, i64>, books: &Books) -> Vec<PositionStep> {
        let step = |partition: i32, to: i64| PositionStep {
            key: self.key(partition),
            from: stored.get(&partition).copied(),
            to,
        };
        books.entries.iter().map(|entry| step(entry.partition, entry.to)).collect()
    }
}
