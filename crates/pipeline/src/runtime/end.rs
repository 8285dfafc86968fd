//! The end of a run that ends by itself: when all is read, what is waited for, and which windows close then.

use super::commit::CommitFailure;
use super::fetch::FETCH_WAIT_MAX;
use super::start::Started;
use super::stream::Worker;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a run that ends by itself waits, once it is done, for models that could not be written. Longer, and a gold
/// table whose disk is full would hold up what was to run next; the next start catches up.
const MODELS_AWAITED_MAX: Duration = Duration::from_secs(10);

impl Worker<'_> {
    /// Where the log ends now, by partition.
    pub(super) fn ends(&self) -> Result<BTreeMap<i32, i64>, CommitFailure> {
        (0..self.started.topic.partitions).map(|partition| Ok((partition, self.bounds(partition)?.next))).collect()
    }

    pub(super) fn has_reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let Started { bronze, silver, .. } = &self.started;
        let positions = if self.upto_bronze() { bronze.positions() } else { silver.positions() };
        let reached = |partition: &i32, end: i64| positions.get(partition).copied().unwrap_or(0) >= end;
        ends.iter().all(|(partition, end)| self.stopped.contains(partition) || reached(partition, *end))
    }

    /// Waits for models that are set aside, until that time or a stop.
    fn await_models(&mut self, until: Instant) {
        while self.started.models.any_waits() && Instant::now() < until && !self.starter.stop.wait(FETCH_WAIT_MAX) {
            self.open_models_again();
        }
    }

    /// All is read: waits a while for models that are behind, and declares the end of input where that was asked for, so
    /// that every open window closes. Where a partition stopped they stay open: the input has not ended.
    pub(super) fn finish(&mut self) -> Result<(), CommitFailure> {
        let until = Instant::now() + MODELS_AWAITED_MAX;
        self.await_models(until);
        if !self.stopped.is_empty() {
            let (stream, stopped) = (&self.starter.def.name, &self.stopped);
            tracing::warn!(%stream, ?stopped, "windows are left open for partitions that stopped");
        } else if self.starter.setup.until.close_windows && !self.upto_bronze() {
            let time = self.started.silver.time();
            let now_us = self.starter.parts.clock.now_us();
            let end_us = self.started.models.end_of_input_us(time.largest_us(), now_us);
            if let Some(end_us) = end_us.filter(|end| time.stream_us().is_none_or(|stream| stream < *end)) {
                self.started.silver.declare_end(end_us);
                self.silver(&[])?;
                self.await_models(until);
            }
        }
        if !self.starter.stop.requested() {
            self.started.models.give_up(self.starter);
        }
        Ok(())
    }
}
