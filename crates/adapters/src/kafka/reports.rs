//! Delivery reports: what became of each record of a batch.
//!
//! Contract: a batch has one report for each record that was handed to librdkafka; it is complete when all are in,
//! however long that takes, and whoever began it may have stopped waiting by then.

use super::listener::Listener;
use super::native::delivery::is_absent;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

// A report bears the number of its batch and its row in one word.
const _: () = assert!(usize::BITS == 64);

/// How often a waiting thread looks whether reports come in.
const LOOK: Duration = Duration::from_millis(100);

/// What one record's report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// In the log, at this offset; `None` where the broker only says that it has it.
    Delivered(Option<i64>),
    /// Not delivered, as far as the client knows.
    Failed {
        /// Why.
        code: RDKafkaErrorCode,
        /// Certainly not in the log.
        absent: bool,
    },
}

/// What is known of a batch.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// By row; `None` until the report is in.
    pub(super) reports: Vec<Option<Report>>,
    missing: usize,
}

/// A batch that was handed to librdkafka.
#[derive(Debug)]
pub(super) struct Batch {
    number: u32,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Batch {
    fn new(number: u32, records: usize) -> Self {
        let progress = Progress { reports: vec![None; records], missing: records };
        Self { number, progress: Mutex::new(progress), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a record of this batch is sent with.
    pub(super) fn ticket(&self, row: usize) -> usize {
        ((self.number as usize) << 32) | row
    }

    /// Takes a report; true where it was the last one.
    fn take(&self, row: usize, report: Report) -> bool {
        let mut progress = self.lock();
        if let Some(place) = progress.reports.get_mut(row)
            && place.is_none()
        {
            *place = Some(report);
            progress.missing -= 1;
        }
        let complete = progress.missing == 0;
        drop(progress);
        if complete {
            self.changed.notify_all();
        }
        complete
    }

    /// How many reports are in.
    pub(super) fn reported(&self) -> usize {
        let progress = self.lock();
        progress.reports.len() - progress.missing
    }

    /// Waits until all reports are in: the reports. `None` where none came in for `quiet`.
    pub(super) fn wait(&self, quiet: Duration) -> Option<Progress> {
        let mut progress = self.lock();
        let (mut seen, mut since) = (progress.missing, Instant::now());
        while progress.missing > 0 {
            if progress.missing != seen {
                (seen, since) = (progress.missing, Instant::now());
            }
            let left = quiet.saturating_sub(since.elapsed());
            if left.is_zero() {
                return None;
            }
            progress = self.changed.wait_timeout(progress, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(progress.clone())
    }
}

/// The batches that miss reports.
#[derive(Default)]
struct Batches {
    open: HashMap<u32, Arc<Batch>>,
    /// The number of the last one that was begun.
    last: u32,
}

/// The producer's context: it takes reports, and listens.
pub(super) struct Reports {
    listener: Listener,
    batches: Mutex<Batches>,
}

impl Reports {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, batches: Mutex::default() }
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch of so many records that are about to be sent.
    pub(super) fn begin(&self, records: usize) -> Arc<Batch> {
        let mut batches = self.lock();
        let number = batches.last.wrapping_add(1);
        let batch = Arc::new(Batch::new(number, records));
        batches.last = number;
        batches.open.insert(number, Arc::clone(&batch));
        batch
    }

    /// Only the first `sent` records of the batch were sent: no report will come for the others.
    pub(super) fn cut(&self, batch: &Batch, sent: usize) {
        let mut batches = self.lock();
        let mut progress = batch.lock();
        progress.reports.truncate(sent);
        progress.missing = progress.reports.iter().filter(|report| report.is_none()).count();
        if progress.missing == 0 {
            batches.open.remove(&batch.number);
        }
    }

    pub(super) fn take(&self, ticket: usize, report: Report) {
        let (number, row) = ((ticket >> 32) as u32, ticket & 0xffff_ffff);
        let mut batches = self.lock();
        if batches.open.get(&number).is_some_and(|batch| batch.take(row, report)) {
            batches.open.remove(&number);
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.listener.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.listener.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => Report::Delivered(Some(message.offset()).filter(|offset| *offset >= 0)),
            Err((error, message)) => Report::Failed {
                code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
                absent: is_absent(message),
            },
        };
        self.take(ticket, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::KafkaOptions;

    const SOON: Duration = Duration::from_millis(20);

    fn reports() -> Reports {
        let options = KafkaOptions { bootstrap: "b:1".to_owned(), properties: [].into(), replication_factor: None };
        Reports::new(Listener::new("test", &options))
    }

    #[test]
    fn a_batch_is_complete_when_its_last_report_is_in_whatever_their_order() {
        let reports = reports();
        let (one, other) = (reports.begin(2), reports.begin(1));
        reports.take(one.ticket(1), Report::Delivered(Some(8)));
        reports.take(other.ticket(0), Report::Delivered(None));
        assert!(one.wait(SOON).is_none());
        assert_eq!((one.reported(), other.reported()), (1, 1));
        let failed = Report::Failed { code: RDKafkaErrorCode::MessageSizeTooLarge, absent: true };
        reports.take(one.ticket(0), failed);
        assert_eq!(one.wait(SOON).unwrap().reports, [Some(failed), Some(Report::Delivered(Some(8)))]);
        assert_eq!(other.wait(SOON).unwrap().reports, [Some(Report::Delivered(None))]);
        assert!(reports.lock().open.is_empty(), "nothing is kept of batches that are complete");
    }

    #[test]
    fn a_batch_that_was_cut_waits_for_what_was_sent_only() {
        let reports = reports();
        let batch = reports.begin(3);
        reports.take(batch.ticket(0), Report::Delivered(Some(5)));
        reports.cut(&batch, 1);
        assert_eq!(batch.wait(SOON).unwrap().reports, [Some(Report::Delivered(Some(5)))]);
        assert!(reports.lock().open.is_empty());
    }

    #[test]
    fn waiting_goes_on_while_reports_come_in() {
        let reports = reports();
        let batch = reports.begin(6);
        let quiet = Duration::from_millis(400);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for row in 0..6 {
                    std::thread::sleep(Duration::from_millis(120));
                    reports.take(batch.ticket(row), Report::Delivered(Some(row as i64)));
                }
            });
            assert!(batch.wait(quiet).is_some(), "720 ms in all, never 400 without one");
        });
    }
}
