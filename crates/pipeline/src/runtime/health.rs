//! How each part is: what `status` shows beside what the tables say.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A part of the pipeline that can fail by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A stream: bronze, dead letters and silver.
    Stream(String),
    /// One partition of a stream's topic, by the stream's name. It has a condition only where it stopped by itself.
    Partition(String, i32),
    /// One partition of a stream of several topics, by the names of stream and topic.
    TopicPartition(String, String, i32),
    /// A gold model.
    Model(String),
    /// The copying of the books.
    Ops,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(name) => write!(f, "stream {name}"),
            Self::Partition(stream, partition) => write!(f, "partition {partition} of stream {stream}"),
            Self::TopicPartition(stream, topic, partition) => {
                write!(f, "partition {partition} of topic {topic} of stream {stream}")
            }
            Self::Model(name) => write!(f, "model {name}"),
            Self::Ops => write!(f, "ops"),
        }
    }
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// At work.
    Running,
    /// Waits for something that may pass.
    Waiting {
        /// What failed last.
        error: String,
    },
    /// Stopped for good until an operator acts.
    Failed {
        /// Why.
        error: String,
    },
    /// Ended as asked.
    Done,
}

/// How far a part is with reading back from its tables what it keeps in memory: rows, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilding {
    /// Rows read.
    pub done: u64,
    /// Rows to be read.
    pub of: u64,
}

type Listener = Box<dyn Fn(&BTreeMap<Part, Condition>) + Send + Sync>;

/// The conditions of all parts. A listener is told of each change.
#[derive(Clone)]
pub struct Health {
    conditions: Arc<Mutex<BTreeMap<Part, Condition>>>,
    commit_times: Arc<Mutex<BTreeMap<Part, Duration>>>,
    rebuilding: Arc<Mutex<BTreeMap<Part, Rebuilding>>>,
    listener: Arc<Listener>,
}

impl Health {
    /// Nothing known yet.
    #[must_use]
    pub fn new(listener: Listener) -> Self {
        Self {
            conditions: Arc::default(),
            commit_times: Arc::default(),
            rebuilding: Arc::default(),
            listener: Arc::new(listener),
        }
    }

    /// Enters a condition; the listener hears of it only where it changed.
    pub fn set(&self, part: &Part, condition: Condition) {
        if condition != Condition::Running {
            self.note_rebuilding(part, None);
        }
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        if conditions.get(part) == Some(&condition) {
            return;
        }
        conditions.insert(part.clone(), condition);
        (self.listener)(&conditions);
    }

    /// Takes back what was said of partitions of a stream: it starts, and tries all of them again.
    pub fn forget_partitions(&self, stream: &str) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = conditions.len();
        let is_its =
            |part: &Part| matches!(part, Part::Partition(of, _) | Part::TopicPartition(of, ..) if of == stream);
        conditions.retain(|part, _| !is_its(part));
        if conditions.len() != before {
            (self.listener)(&conditions);
        }
    }

    /// Notes how long a part's last epoch took, from its records in hand to everything committed.
    pub fn note_commit(&self, part: &Part, took: Duration) {
        self.commit_times.lock().unwrap_or_else(PoisonError::into_inner).insert(part.clone(), took);
    }

    /// How long each part's last epoch took.
    #[must_use]
    pub fn commit_times(&self) -> BTreeMap<Part, Duration> {
        self.commit_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how far a part is with rebuilding its state; `None` when it is done with it. No listener hears of it.
    pub fn note_rebuilding(&self, part: &Part, at: Option<Rebuilding>) {
        let mut rebuilding = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(at) => rebuilding.insert(part.clone(), at),
            None => rebuilding.remove(part),
        };
    }

    /// The parts that are rebuilding their state.
    #[must_use]
    pub fn rebuilding(&self) -> BTreeMap<Part, Rebuilding> {
        self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All conditions.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Part, Condition> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
