//! Judging payloads on several threads: the expensive part, and free of order.
//!
//! Each thread has a [`Judge`] of its own. A panic in one is told as what could not be judged, never passed on.

use crate::expect::Judged;
use crate::expect::definition::StreamDefinition;
use crate::expect::judge::Judge;
use std::any::Any;

/// Payloads judged in one call: enough for all threads, little enough that what comes of them fits in memory easily.
pub(super) const JUDGE_ROWS: usize = 16_384;
/// Fewer than this are not worth another thread.
const SHARE_ROWS_MIN: usize = 512;

/// Judges of one definition.
pub(super) struct Judges {
    judges: Vec<Judge>,
}

impl Judges {
    /// As many as there are threads.
    ///
    /// # Errors
    /// Where the definition's checks cannot be planned.
    pub(super) fn new(definition: &StreamDefinition, threads: usize) -> Result<Self, String> {
        let judges = (0..threads.max(1)).map(|_| Judge::new(definition)).collect::<Result<_, _>>()?;
        Ok(Self { judges })
    }

    /// One answer per payload, in their order.
    ///
    /// # Errors
    /// Where they could not be judged: says why.
    pub(super) fn judge(&mut self, payloads: &[Option<&[u8]>]) -> Result<Vec<Judged>, String> {
        let share = payloads.len().div_ceil(self.judges.len().max(1)).max(SHARE_ROWS_MIN);
        let parts: Vec<Result<Vec<Judged>, String>> = std::thread::scope(|scope| {
            let mut shares = self.judges.iter_mut().zip(payloads.chunks(share));
            let first = shares.next();
            let threads: Vec<_> = shares.map(|(judge, payloads)| scope.spawn(move || judge.judge(payloads))).collect();
            let own = first.map(|(judge, payloads)| judge.judge(payloads));
            let others = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| Err(said(&*panic))));
            own.into_iter().chain(others).collect()
        });
        let mut judged = Vec::with_capacity(payloads.len());
        for part in parts {
            judged.append(&mut part?);
        }
        match judged.len() == payloads.len() {
            true => Ok(judged),
            false => Err(format!("{} payloads were given, {} judged", payloads.len(), judged.len())),
        }
    }
}

/// A panic's message.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("verify failed: {}; this is a defect: please report it", text.as_deref().unwrap_or("it panicked"))
}
