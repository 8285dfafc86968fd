//! The input of a local log into a Kafka topic, record by record at the same positions.

use super::KafkaSender;
use crate::levels::read_log::{LogSum, each_part};
use anyhow::{Result, ensure};
use std::path::Path;
use watertight_core::port::Fetched;

/// Full batches, as a topic has them that was filled by busy producers.
const LINGER_MS: u32 = 50;

/// Copies topic `from` of the local log in `folder` to the empty topic `to`, which has as many partitions. Answers the sum of
/// what was copied.
pub(crate) fn into_kafka(folder: &Path, from: &str, bootstrap: &str, to: &str) -> Result<LogSum> {
    let mut sender = KafkaSender::new(bootstrap, to, LINGER_MS)?;
    let mut sum = LogSum::default();
    each_part(folder, from, |part| {
        sum.add_part(part);
        send(&mut sender, part)
    })?;
    sender.finish()?;
    Ok(sum)
}

fn send(sender: &mut KafkaSender, part: &Fetched) -> Result<()> {
    let records = &part.records;
    for (row, meta) in records.metas().iter().enumerate() {
        ensure!(records.headers(row).is_empty(), "an input with headers cannot be copied; make it without a ledger");
        sender.send(part.partition, records.key(row), records.value(row), meta.timestamp_ms)?;
    }
    Ok(())
}
