//! The partitions of a stream at work: where each begins, where it is read from, and those that stop by themselves.
//!
//! Contract: where a partition begins is decided once, when the stream first reads its topic, for all partitions that the
//! topic has by then, empty ones too; it is in bronze's books, with a position, before or with the first records, so that
//! nothing that comes before the next start is passed over. From then on a partition without a position is one that was
//! added, or one of a topic that was made anew, and begins at 0.
//!
//! Offsets that are gone before they were read, and a log that ends below what was read, are about one partition. It
//! stops, by name and with the exact range; the others go on, and windows stay open for it. Where the stream says
//! `fail_on_data_loss: false`, offsets that are gone are declared lost instead, and it goes on behind them; what was read
//! and is no longer in the log cannot be undone, and stops it all the same.

use super::commit::CommitFailure;
use super::health::{Condition, Part};
use super::start::Starter;
use super::stream::Worker;
use std::time::Instant;
use watertight_core::books::Took;
use watertight_core::port::{
    ErrorKind, Fetched, Gap, GapCause, LogReader, OffsetBounds, OffsetRange, PortError, ReadFrom,
};
use watertight_core::record::Records;
use watertight_core::schema::{StartAt, StreamDef};

impl Worker<'_> {
    /// At a first start, decides where every partition begins. What depends on the moment (the end of the log, say) is
    /// made durable at once; the first offset of the log is with the first records.
    pub(super) fn decide_starts(&mut self) -> Result<(), CommitFailure> {
        if self.started.bronze.has_begun() {
            return Ok(());
        }
        let (def, partitions) = (self.starter.def, self.started.topic.partitions);
        if let StartAt::Offsets(offsets) = &def.start
            && let Some(unknown) = offsets.keys().find(|partition| !(0..partitions).contains(*partition))
        {
            let message = format!(
                "from names partition {unknown} of topic {}, which has partitions 0..{partitions}: correct the pipeline file",
                def.topic
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        }
        for partition in 0..partitions {
            let at = self.start_of(partition)?;
            self.starts.insert(partition, at);
        }
        tracing::info!(stream = def.name, topic = def.topic, from = ?self.starts, "read for the first time");
        match def.start {
            StartAt::Earliest => Ok(()),
            StartAt::Latest | StartAt::Time { .. } | StartAt::Offsets(_) => self.epoch(Vec::new(), Took::default()),
        }
    }

    fn start_of(&self, partition: i32) -> Result<i64, CommitFailure> {
        let Starter { parts, def, .. } = self.starter;
        if let StartAt::Time { ms } = def.start {
            let committer = self.starter.committer(Part::Stream(def.name.clone()));
            return committer.retry("find an offset by time", || parts.log.offset_at(&def.topic, partition, ms));
        }
        let OffsetBounds { earliest, next } = self.bounds(partition)?;
        let at = match &def.start {
            StartAt::Latest => next,
            StartAt::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(earliest),
            StartAt::Earliest | StartAt::Time { .. } => earliest,
        };
        if (0..=next).contains(&at) {
            return Ok(at);
        }
        let message = format!(
            "from says that partition {partition} of topic {} begins at offset {at}, the log has {earliest}..{next}: correct \
             the pipeline file",
            def.topic
        );
        Err(PortError::new(ErrorKind::Stop, message).into())
    }

    /// A reader of the partitions that have not stopped, each from its position on.
    pub(super) fn reader(&mut self) -> Result<Box<dyn LogReader>, CommitFailure> {
        let starter = self.starter;
        let (log, def) = (&starter.parts.log, starter.def);
        let committer = starter.committer(Part::Stream(def.name.clone()));
        loop {
            let from = self.read_from();
            if from.is_empty() {
                let message = format!("every partition of topic {} stopped: see each", def.topic);
                return Err(PortError::new(ErrorKind::Stop, message).into());
            }
            match committer.retry("open a reader", || log.reader(&def.topic, &from)) {
                Err(CommitFailure::Port(error)) if self.stops_one(&error) => match lost(&error, def) {
                    Some(lost) => self.epoch(vec![lost], Took::default())?,
                    None => self.stop_partition(&error),
                },
                opened => return opened,
            }
        }
    }

    fn read_from(&mut self) -> Vec<ReadFrom> {
        let (stored, epochs) = (self.started.bronze.positions(), self.started.bronze.leader_epochs());
        let mut from = Vec::new();
        for partition in (0..self.started.topic.partitions).filter(|partition| !self.stopped.contains(partition)) {
            let at = stored.get(&partition).or_else(|| self.starts.get(&partition));
            let leader_epoch = epochs.get(&partition).copied().unwrap_or(-1);
            from.push(ReadFrom { partition, offset: at.copied().unwrap_or(0), leader_epoch });
            self.seen.entry(partition).or_insert_with(Instant::now);
        }
        from
    }

    /// Whether an error is about one partition that is being read, and the others can go on.
    pub(super) fn stops_one(&self, error: &PortError) -> bool {
        let kinds = [ErrorKind::OutOfRange, ErrorKind::Stop, ErrorKind::Corrupt];
        let is_read = |OffsetRange { partition, .. }: OffsetRange| {
            (0..self.started.topic.partitions).contains(&partition) && !self.stopped.contains(&partition)
        };
        kinds.contains(&error.kind) && error.range.is_some_and(is_read)
    }

    /// Goes on behind offsets that are gone, where that is wanted: gives what covers them. `None`: the partition is to
    /// stop.
    pub(super) fn pass_over(
        &mut self,
        error: &PortError,
        reader: &mut dyn LogReader,
    ) -> Result<Option<Vec<Fetched>>, CommitFailure> {
        let Some(OffsetRange { partition, from, to }) = error.range else { return Ok(None) };
        let begins = self.starter.def.start == StartAt::Earliest && self.starts.get(&partition) == Some(&from);
        if error.kind == ErrorKind::OutOfRange && begins {
            // The log's first offset moved since it was asked for, and nothing of the partition is in the tables.
            self.starts.insert(partition, to);
            reader.seek(partition, to)?;
            return Ok(Some(Vec::new()));
        }
        let Some(lost) = lost(error, self.starter.def) else { return Ok(None) };
        reader.seek(partition, to)?;
        Ok(Some(vec![lost]))
    }

    /// Enters that a partition stopped. It holds the stream's watermark where it is, also where it was idle: nobody knows
    /// the times of what it does not bring.
    pub(super) fn stop_partition(&mut self, error: &PortError) {
        let Some(OffsetRange { partition, from, to }) = error.range else { return };
        let def = self.starter.def;
        let error = told(error, def);
        tracing::error!(stream = def.name, partition, from, to, error, "the partition stopped; the others go on");
        self.starter.health.set(&Part::Partition(def.name.clone(), partition), Condition::Failed { error });
        self.stopped.insert(partition);
        if !self.upto_bronze() {
            let at = self.started.silver.positions().get(&partition).copied().unwrap_or(0);
            self.started.silver.hold(partition, at);
        }
    }
}

/// What covers offsets that are gone, where the stream wants to go on behind them.
fn lost(error: &PortError, def: &StreamDef) -> Option<Fetched> {
    let OffsetRange { partition, from, to } = error.range?;
    let declared = error.kind == ErrorKind::OutOfRange && !def.fail_on_data_loss;
    let gaps = vec![Gap { from, to, cause: GapCause::Retention }];
    declared.then(|| Fetched { partition, from, to, records: Records::default(), gaps, log_end: to })
}

/// The error, and what can be done.
fn told(error: &PortError, def: &StreamDef) -> String {
    let advice = match error.kind {
        ErrorKind::OutOfRange => format!(
            "they were not read and cannot be any more; to declare them lost and go on, set fail_on_data_loss: false for \
             stream {} and run again",
            def.name
        ),
        _ => "what was read is kept; nothing more of this partition is read until the log is right again".to_owned(),
    };
    format!("{}; {advice} (docs/runbooks/stopped-partition.md)", error.chain())
}
