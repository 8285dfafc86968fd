//! Positions: how far a table has come in a partition of a topic.
//!
//! A position is (pipeline, topic, incarnation of the topic, partition) → next offset. It is stored as a Delta
//! `txn` action whose `appId` is [`PositionKey::app_id`] and whose `version` is the next offset, in the commit
//! that holds the data. A range `(from, to]` of next-offset values covers the offsets `from..to`.

use std::collections::BTreeMap;

/// What a position belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositionKey {
    /// The pipeline's uuid, made once.
    pub pipeline: String,
    /// Topic name.
    pub topic: String,
    /// Identity of this life of the topic: another after it was deleted and created anew.
    pub incarnation: String,
    /// Partition number.
    pub partition: i32,
}

impl PositionKey {
    /// The `txn.appId` under which the position is stored.
    #[must_use]
    pub fn app_id(&self) -> String {
        format!("watertight/{}/{}/{}/{}", self.pipeline, self.topic, self.incarnation, self.partition)
    }

    /// Reads an `appId` back; `None` where it is not one of ours.
    #[must_use]
    pub fn parse(app_id: &str) -> Option<Self> {
        let mut parts = app_id.split('/');
        if parts.next() != Some("watertight") {
            return None;
        }
        let (pipeline, topic, incarnation) = (parts.next()?, parts.next()?, parts.next()?);
        let partition = parts.next()?.parse().ok()?;
        parts.next().is_none().then(|| Self {
            pipeline: pipeline.to_owned(),
            topic: topic.to_owned(),
            incarnation: incarnation.to_owned(),
            partition,
        })
    }
}

/// Positions of one table: next offset by key. A key that is absent has never been committed.
pub type Positions = BTreeMap<PositionKey, i64>;

/// One partition's step in a commit: allowed only where the stored position equals `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionStep {
    /// Whose position moves.
    pub key: PositionKey,
    /// The stored next offset that this step expects; `None` where none may be stored yet.
    pub from: Option<i64>,
    /// The next offset after the step.
    pub to: i64,
}

/// Why a step does not fit the stored positions. Nothing is changed by finding out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Another writer, or an earlier attempt of ours, moved the position.
    #[error("partition {partition}: the table is at {stored:?}, this step begins at {from:?}")]
    Moved {
        /// Partition number.
        partition: i32,
        /// What the table holds.
        stored: Option<i64>,
        /// What the step expected.
        from: Option<i64>,
    },
    /// The step goes backwards.
    #[error("partition {partition}: a step may not go back from {from} to {to}")]
    Backwards {
        /// Partition number.
        partition: i32,
        /// Start.
        from: i64,
        /// End.
        to: i64,
    },
}

/// Checks every step against `stored`; the first that does not fit is returned.
///
/// # Errors
/// [`StepError`] names the partition and both sides.
pub fn check_steps(stored: &Positions, steps: &[PositionStep]) -> Result<(), StepError> {
    for step in steps {
        let partition = step.key.partition;
        let found = stored.get(&step.key).copied();
        if found != step.from {
            return Err(StepError::Moved { partition, stored: found, from: step.from });
        }
        if let Some(from) = step.from
            && step.to < from
        {
            return Err(StepError::Backwards { partition, from, to: step.to });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PositionKey {
        PositionKey { pipeline: "u".into(), topic: "t".into(), incarnation: "i".into(), partition }
    }

    #[test]
    fn an_app_id_reads_back_as_the_key_it_was_made_from() {
        assert_eq!(PositionKey::parse(&key(3).app_id()), Some(key(3)));
        assert_eq!(PositionKey::parse("spark/u/t/i/3"), None);
        assert_eq!(PositionKey::parse("watertight/u/t/i/x"), None);
        assert_eq!(PositionKey::parse("watertight/u/t/i/3/more"), None);
    }

    #[test]
    fn a_step_fits_only_the_exact_stored_position() {
        let stored = Positions::from([(key(0), 10)]);
        let step = |from, to| PositionStep { key: key(0), from, to };
        assert_eq!(check_steps(&stored, &[step(Some(10), 12)]), Ok(()));
        assert!(matches!(check_steps(&stored, &[step(Some(9), 12)]), Err(StepError::Moved { .. })));
        assert!(matches!(check_steps(&stored, &[step(None, 12)]), Err(StepError::Moved { .. })));
        assert!(matches!(check_steps(&stored, &[step(Some(10), 9)]), Err(StepError::Backwards { .. })));
    }
}
