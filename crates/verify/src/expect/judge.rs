//! Judge: what must become of a record, from its payload and the definition in force.
//!
//! A payload is decoded; if nothing is against it, the checks are evaluated; what passes is a row with its event id.
//! Whether the row is a duplicate, late, or of the future is decided elsewhere: that depends on other records. The outcome
//! depends on definition and payload alone, and not on the batch.

use super::checks::Checks;
use super::decode::{Decoded, Decoder};
use super::definition::StreamDefinition;
use super::identity::Identity;
use super::{ExpectedRow, Judged, Outcome, Value};

/// Records that are taken through checks and ids at once; also bounded by [`BATCH_BYTES_MAX`].
const BATCH_ROWS: usize = 4096;
/// Bytes of payloads that are decoded at once, so that what is made of them stays small; one record may be longer.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// Judges by one definition. Any thread may use it.
#[derive(Debug)]
pub struct Judge {
    decoder: Decoder,
    checks: Checks,
    identity: Identity,
}

/// A decoded row that waits for its checks.
struct Candidate {
    at: usize,
    values: Vec<Value>,
    extra: Option<serde_json::Value>,
    event_time_us: i64,
}

impl Judge {
    /// For a definition.
    ///
    /// # Errors
    /// Where it contradicts itself or a check cannot be planned: nothing can be judged by it. It says why.
    pub fn new(definition: &StreamDefinition) -> Result<Self, String> {
        Ok(Self {
            decoder: Decoder::new(definition)?,
            checks: Checks::new(definition)?,
            identity: Identity::new(definition)?,
        })
    }

    /// What must become of each payload; `None` is a record without a value.
    ///
    /// # Errors
    /// Where values cannot be brought into Arrow's form: a defect of this program, which says nothing about the records.
    pub fn judge(&self, payloads: &[Option<&[u8]>]) -> Result<Vec<Judged>, String> {
        let mut judged = Vec::with_capacity(payloads.len());
        let mut rest = payloads;
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_length(rest));
            judged.extend(self.batch(batch)?);
            rest = behind;
        }
        Ok(judged)
    }

    fn batch(&self, payloads: &[Option<&[u8]>]) -> Result<Vec<Judged>, String> {
        let mut judged = Vec::with_capacity(payloads.len());
        let mut candidates = Vec::new();
        for (at, payload) in payloads.iter().enumerate() {
            judged.push(match self.decoder.decode(*payload) {
                Decoded::DeadLetter { reasons, event_time_us } => {
                    Judged { outcome: Outcome::DeadLetter(reasons), event_time_us }
                }
                Decoded::Unjudged(why) => Judged { outcome: Outcome::Unjudged(why), event_time_us: None },
                Decoded::Row { values, extra, event_time_us } => {
                    candidates.push(Candidate { at, values, extra, event_time_us });
                    // Until its checks are evaluated.
                    let outcome = Outcome::Unjudged("its checks were not evaluated".to_owned());
                    Judged { outcome, event_time_us: Some(event_time_us) }
                }
            });
        }
        let rows: Vec<&[Value]> = candidates.iter().map(|candidate| candidate.values.as_slice()).collect();
        let failing = self.checks.failing(&rows)?;
        let ids = self.identity.ids(&rows)?;
        for ((candidate, reasons), event_id) in candidates.into_iter().zip(failing).zip(ids) {
            let Candidate { at, values, extra, event_time_us } = candidate;
            if let Some(judged) = judged.get_mut(at) {
                judged.outcome = if reasons.is_empty() {
                    Outcome::Row(Box::new(ExpectedRow { values, event_id, event_time_us, extra }))
                } else {
                    Outcome::DeadLetter(reasons)
                };
            }
        }
        Ok(judged)
    }
}

/// How many of these are judged at once; at least one.
fn batch_length(payloads: &[Option<&[u8]>]) -> usize {
    let mut bytes = 0_usize;
    let fits = |payload: &&Option<&[u8]>| {
        bytes = bytes.saturating_add(payload.map_or(0, <[u8]>::len));
        bytes <= BATCH_BYTES_MAX
    };
    payloads.iter().take(BATCH_ROWS).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests;
