//! Explains holes: offsets that the first reading passed over.
//!
//! Kafka's consumers show only records. Markers of transactions, records of aborted ones and what compaction removed
//! leave holes, and a client cannot tell them from records that it lost by a defect. So each hole is read again by a
//! client of its own, which sees records of aborted transactions as well. Nothing there: there is no record as far as
//! anybody can know. Something there: a third client, which shows committed records only, has to pass over the same
//! records as the first. Shows it one that the first passed over, the first was wrong, and its reading is not used.
//!
//! Cost: one pass over what lies between the first and the last hole that wait, of all partitions at once, and the
//! thread sleeps where no topic has any.

use super::failure::Failure;
use super::inbox::Inbox;
use super::second::{Context, Second};
use super::sweep::Sweep;
use rdkafka::ClientConfig;
use std::ops::Range;
use std::time::Duration;
use watertight_core::port::{Gap, GapCause};

/// Pause after a pass that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Holes of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Which lane.
    pub(super) lane: usize,
    /// For which place.
    pub(super) version: u64,
    /// Its partition.
    pub(super) partition: i32,
    /// In order, apart from one another.
    pub(super) holes: Vec<Range<i64>>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is there to read: these gaps, which cover the holes exactly.
    Empty(Vec<Gap>),
    /// It could not be found out yet.
    Unknown(Failure),
    /// There are records that the first reading should have shown.
    Missed(Range<i64>),
}

/// The verdict on a doubt.
#[derive(Debug)]
pub(super) struct Answer {
    /// Which lane.
    pub(super) lane: usize,
    /// For which place.
    pub(super) version: u64,
    /// See there.
    pub(super) verdict: Verdict,
}

/// Explains holes until the reader is gone.
pub(super) fn run(context: &Context, inbox: &Inbox) {
    let mut clients = Clients { context, all: None, committed: None };
    while let Some(doubts) = inbox.doubts() {
        let answers = clients.judge(&doubts, &|| inbox.is_closed());
        let has_failed = answers.iter().any(|answer| matches!(answer.verdict, Verdict::Unknown(_)));
        for answer in answers {
            inbox.settle(answer);
        }
        if has_failed && !inbox.is_closed() {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The second and the third reader, made when they are needed first.
struct Clients<'a> {
    context: &'a Context,
    all: Option<Second>,
    committed: Option<Second>,
}

impl Clients<'_> {
    fn judge(&mut self, doubts: &[Doubt], is_stopped: &dyn Fn() -> bool) -> Vec<Answer> {
        let answer = |doubt: &Doubt, verdict| Answer { lane: doubt.lane, version: doubt.version, verdict };
        match self.sweep(doubts, is_stopped) {
            Ok(verdicts) => doubts.iter().zip(verdicts).map(|(doubt, verdict)| answer(doubt, verdict)).collect(),
            // Each alone: what keeps one from being explained must not hold up the others.
            Err(_) if doubts.len() > 1 && !is_stopped() => {
                doubts.iter().flat_map(|doubt| self.judge(std::slice::from_ref(doubt), is_stopped)).collect()
            }
            Err(failure) => doubts.iter().map(|doubt| answer(doubt, Verdict::Unknown(failure.clone()))).collect(),
        }
    }

    fn sweep(&mut self, doubts: &[Doubt], is_stopped: &dyn Fn() -> bool) -> Result<Vec<Verdict>, Failure> {
        let sweep = |doubt: &Doubt| Sweep::new(doubt.partition, doubt.holes.clone());
        let mut sweeps: Vec<Sweep> = doubts.iter().map(sweep).collect();
        let context = self.context;
        pass(&mut self.all, context, &context.uncommitted, &mut sweeps, is_stopped)?;

        let shown = sweeps.iter().filter(|sweep| !sweep.inside().is_empty());
        let mut again: Vec<Sweep> = shown.map(|sweep| Sweep::new(sweep.partition, sweep.inside().to_vec())).collect();
        if !again.is_empty() {
            pass(&mut self.committed, context, &context.committed, &mut again, is_stopped)?;
        }
        Ok(sweeps.iter().map(|sweep| verdict(&context.topic, sweep, &again)).collect())
    }
}

/// One pass by the client that is kept in `kept`; one that failed is not kept.
fn pass(
    kept: &mut Option<Second>,
    context: &Context,
    config: &ClientConfig,
    sweeps: &mut [Sweep],
    is_stopped: &dyn Fn() -> bool,
) -> Result<(), Failure> {
    let mut client = match kept.take() {
        Some(client) => client,
        None => Second::open(context, config)?,
    };
    client.run(sweeps, is_stopped)?;
    *kept = Some(client);
    Ok(())
}

/// What is to be said of a partition's holes, after the pass over all records and the one, over what it showed, over
/// committed ones.
fn verdict(topic: &str, all: &Sweep, committed: &[Sweep]) -> Verdict {
    let again = committed.iter().find(|sweep| sweep.partition == all.partition);
    if let Some(missed) = again.and_then(|sweep| sweep.inside().first()) {
        return Verdict::Missed(missed.clone());
    }
    if let (Some(first), Some(last)) = (all.inside().first(), all.inside().last()) {
        let partition = all.partition;
        tracing::debug!(
            topic,
            partition,
            from = first.start,
            to = last.end,
            "offsets hold records of aborted transactions: entered as no record"
        );
    }
    // What retention took from under the third reader was seen by the second, and counts as lost all the same.
    let removed = again.into_iter().flat_map(Sweep::gaps).filter(|gap| gap.cause == GapCause::Retention);
    let mut all = all.clone();
    removed.for_each(|gap| all.removed_below(gap.to));
    Verdict::Empty(all.gaps())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::once;

    fn sweep(holes: impl IntoIterator<Item = Range<i64>>, shown: &[i64]) -> Sweep {
        let mut sweep = Sweep::new(4, holes.into_iter().collect());
        shown.iter().for_each(|offset| sweep.see(*offset));
        sweep
    }

    #[test]
    fn nothing_shown_is_no_record() {
        let all = sweep([3..5, 8..9], &[5, 7, 9]);
        let gap = |from, to| Gap { from, to, cause: GapCause::NoRecord };
        assert_eq!(verdict("t", &all, &[]), Verdict::Empty(vec![gap(3, 5), gap(8, 9)]));
    }

    #[test]
    fn what_only_uncommitted_reading_shows_is_no_record_and_what_both_show_was_missed() {
        let all = sweep(once(3..7), &[3, 4, 7]);
        assert_eq!(all.inside().first(), Some(&(3..5)));
        let hidden = sweep(once(3..5), &[7]);
        let gaps = vec![Gap { from: 3, to: 7, cause: GapCause::NoRecord }];
        assert_eq!(verdict("t", &all, &[hidden]), Verdict::Empty(gaps));
        let shown = sweep(once(3..5), &[4, 7]);
        assert_eq!(verdict("t", &all, &[shown]), Verdict::Missed(4..5));
        let other = Sweep::new(5, once(3..5).collect());
        assert!(matches!(verdict("t", &all, &[other]), Verdict::Empty(_)), "another partition's");
    }

    #[test]
    fn what_was_removed_between_the_readings_is_lost() {
        let all = sweep(once(3..7), &[3, 4, 7]);
        let mut hidden = Sweep::new(4, all.inside().to_vec());
        hidden.removed_below(4);
        let gap = |from, to, cause| Gap { from, to, cause };
        let gaps = vec![gap(3, 4, GapCause::Retention), gap(4, 7, GapCause::NoRecord)];
        assert_eq!(verdict("t", &all, &[hidden]), Verdict::Empty(gaps));
    }
}
