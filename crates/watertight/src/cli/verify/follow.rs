//! `verify --follow`: round after round, beside a running pipeline and out of its way.
//!
//! Contract: it has the lowest priority and one thread, and rests at least `--every` between two rounds, and four times as
//! long as the round took, up to a minute. Which versions a round checks is [`Follow`]'s to say. Each round is a line on
//! standard output, and its verdict is left for `status`. After the first signal there is one more round, over what came
//! since; the exit code is the worst verdict of all.

use super::{Args, Format, Subject, checked, exit_of, progress, request, scope, scratch_folder};
use crate::cli::{Exit, output, said_once};
use crate::status::Verified;
use crate::wiring;
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watertight_adapters::system::{SystemClock, yield_to_others};
use watertight_core::port::Clock as _;
use watertight_verify::finding::{Place, Unable};
use watertight_verify::follow::{Follow, Round};
use watertight_verify::lake;
use watertight_verify::report::Report;
use watertight_verify::request::{Ids, Request};

/// How often new ids are held against the whole of silver, and files are looked at where nothing is new.
const WHOLE_EVERY: Duration = Duration::from_secs(5 * 60);
/// A round that does so is followed by none of the kind for this many times as long as it took.
const WHOLE_REST: u32 = 20;
/// How many times as long as a round took the rest after it is, at least.
const REST: u32 = 4;
/// The longest rest that a long round makes necessary.
const REST_MAX: Duration = Duration::from_secs(60);
/// Between two looks at the stop flag.
const NAP: Duration = Duration::from_millis(100);
/// A second signal cuts the round short: it was not able to check.
const CUT_SHORT: i32 = 2;

/// Follows the lake until it is told to stop.
pub(super) fn follow(args: &Args, subject: &Subject) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    wiring::on_signals_ending_with(CUT_SHORT, &stop).context("signals could not be caught")?;
    if let Err(error) = yield_to_others() {
        tracing::warn!(%error, "it runs at the priority of other programs");
    }
    let mut following = Following { args, subject, follow: Follow::default(), whole: None, told: false };
    loop {
        let last = stop.load(Ordering::SeqCst);
        if last {
            eprintln!("stopping: checking what came since (a second signal ends it at once)");
        }
        let began = Instant::now();
        let round = following.round(last);
        following.leave(last);
        let answer = exit_of(following.follow.verdict());
        match show(&round, args.format) {
            Ok(()) => {}
            // Nobody reads it any more: what was found so far is the answer.
            Err(error) if output::reader_is_gone(&error) => return Ok(answer),
            Err(error) => {
                eprintln!("error: the answer could not be written: {}", said_once(&error));
                return Ok(if answer == Exit::Fine { Exit::NotChecked } else { answer });
            }
        }
        if last {
            return Ok(answer);
        }
        rest(args.every.max((began.elapsed() * REST).min(REST_MAX)), &stop);
    }
}

fn show(round: &Round, format: Format) -> anyhow::Result<()> {
    output::print(&match format {
        Format::Text => round.to_text(),
        Format::Json => round.to_json()?,
    })
}

/// Waits, or until it is told to stop.
fn rest(time: Duration, stop: &AtomicBool) {
    let end = Instant::now() + time;
    while !stop.load(Ordering::SeqCst) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}

/// The rounds.
struct Following<'a> {
    args: &'a Args,
    subject: &'a Subject,
    follow: Follow,
    /// The last round that looked at the whole: when it ended, and how long it took.
    whole: Option<(Instant, Duration)>,
    /// Whether it was told that the verdict cannot be left.
    told: bool,
}

impl Following<'_> {
    fn round(&mut self, last: bool) -> Round {
        let (now_us, began) = (SystemClock.now_us(), Instant::now());
        let grown = match lake::has_grown(&self.subject.lake, self.follow.verified()) {
            Ok(grown) => grown,
            Err(unable) => return self.follow.failed(now_us, unable),
        };
        let behind = !self.args.quick && self.follow.ids_are_behind();
        let whole = self.whole.is_none_or(|(ended, took)| ended.elapsed() >= WHOLE_EVERY.max(took * WHOLE_REST));
        if !(grown || whole || last && behind) {
            return self.follow.nothing_new(now_us);
        }
        let whole = whole || last;
        let ids = if whole && (grown || behind) { Ids::All } else { Ids::New };
        match self.check(ids) {
            Ok(report) => {
                if whole {
                    self.whole = Some((Instant::now(), began.elapsed()));
                }
                self.follow.take(&report, ids)
            }
            Err(error) => self.follow.failed(now_us, unable(error)),
        }
    }

    fn check(&self, ids: Ids) -> anyhow::Result<Report> {
        let scratch = scratch_folder()?;
        let scope = self.follow.scope(&scope(self.args, None), ids);
        let request = Request { threads: 1, ..request(self.args, self.subject, scope, scratch.path()) };
        let mut report = progress::shown(|progress| checked(&request, self.subject, None, progress))?;
        report.ended(SystemClock.now_us(), None);
        Ok(report)
    }

    /// Leaves the verdict for `status`.
    fn leave(&mut self, last: bool) {
        let verified = Verified {
            at_us: SystemClock.now_us(),
            verdict: self.follow.verdict(),
            findings: self.follow.faults(),
            not_checked: self.follow.not_checked(),
            tables: self.follow.verified().clone(),
            only: self.args.only(),
            following: !last,
        };
        if let Err(error) = self.subject.leave(&verified)
            && !self.told
        {
            self.told = true;
            tracing::warn!(%error, "the verdict cannot be left for status");
        }
    }
}

fn unable(error: anyhow::Error) -> Unable {
    error.downcast::<Unable>().unwrap_or_else(|error| Unable { place: Place::default(), why: said_once(&error) })
}
