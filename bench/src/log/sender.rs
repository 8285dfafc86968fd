//! Records into Kafka at given partitions, in order, each once.
//!
//! Contract: idempotent, acknowledged by all replicas, lz4. One that could not be delivered is an error at the next send
//! or at the end; a full queue makes the caller wait.

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// While the queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// How long what was sent may take to be acknowledged at the end.
const FLUSH_MAX: Duration = Duration::from_secs(120);

/// What became of what was sent.
#[derive(Debug, Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failure: Mutex<Option<String>>,
}

struct Watched(Arc<Deliveries>);

impl ClientContext for Watched {}

impl ProducerContext for Watched {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        match delivery {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// A producer of one topic.
pub(crate) struct KafkaSender {
    producer: ThreadedProducer<Watched>,
    deliveries: Arc<Deliveries>,
    topic: String,
    sent: u64,
}

impl KafkaSender {
    /// A producer that waits so long for a batch to fill.
    pub(crate) fn new(bootstrap: &str, topic: &str, linger_ms: u32) -> Result<Self> {
        let deliveries = Arc::new(Deliveries::default());
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", linger_ms.to_string());
        let producer: ThreadedProducer<Watched> = config
            .create_with_context(Watched(Arc::clone(&deliveries)))
            .with_context(|| format!("no producer for {bootstrap}"))?;
        Ok(Self { producer, deliveries, topic: topic.to_owned(), sent: 0 })
    }

    /// Sends one record; returns when it is in the queue.
    pub(crate) fn send(
        &mut self,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<()> {
        self.check()?;
        let topic = self.topic.as_str();
        let timestamp = Some(timestamp_ms);
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord {
            topic,
            partition: Some(partition),
            payload: value,
            key,
            timestamp,
            headers: None,
            delivery_opaque: (),
        };
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((error, refused)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    record = refused;
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(error).context("a record could not be sent"),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until everything is acknowledged.
    pub(crate) fn finish(self) -> Result<()> {
        self.producer.flush(FLUSH_MAX).context("not everything was acknowledged in time; look at the brokers")?;
        self.check()?;
        let acknowledged = self.deliveries.acknowledged.load(Ordering::Relaxed);
        if acknowledged != self.sent {
            bail!("{acknowledged} of {} records were acknowledged; look at the brokers", self.sent);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.deliveries.failure.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            None => Ok(()),
            Some(error) => bail!("a record could not be delivered: {error}"),
        }
    }
}
