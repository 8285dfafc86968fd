//! `verify --follow`: round after round, beside a running pipeline and out of its way.
//!
//! Contract: it has the lowest priority and one thread, and rests at least `--every` between two rounds, and four times as
//! long as the round took, up to a minute. Which versions a round checks is [`Follow`]'s to say. Each round is a line on
//! standard output, and its verdict is left for `status`. After the first signal there is one more round, over what came
//! since; the exit code is the worst verdict of all. A lake that is not there when it begins is waited for only as long as
//! `--wait` says: a wrong folder must not pass for a pipeline that has nothing to tell.

use super::{Args, Format, Subject, checked, exit_of, progress, request, scope, scratch_folder};
use crate::cli::{Exit, output, said_once};
use crate::status::Verified;
use crate::wiring;
use anyhow::{Context as _, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watertight_adapters::system::{SystemClock, yield_to_others};
use watertight_core::port::Clock as _;
use watertight_verify::finding::{Place, Unable};
use watertight_verify::follow::{Follow, Round};
use watertight_verify::lake::{self, Logs};
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
    if await_tables(args, subject, &stop)? == Awaited::Stopped {
        eprintln!("stopped: there was nothing to check yet");
        return Ok(Exit::NotChecked);
    }
    let follow = Follow::default();
    let mut following = Following { args, subject, follow, logs: Logs::default(), whole: None, told: false };
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

/// How waiting for the lake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// There are tables.
    There,
    /// A signal came first.
    Stopped,
}

/// Waits until the lake has the tables that were asked for, or any: as long as `--wait` says, else not at all.
fn await_tables(args: &Args, subject: &Subject, stop: &AtomicBool) -> anyhow::Result<Awaited> {
    let (began, mut told) = (Instant::now(), false);
    while let Some(why) = lacking(args, subject) {
        let Some(limit) = args.wait else {
            bail!("{why}; --wait TIME waits for it");
        };
        if began.elapsed() >= limit {
            bail!("{why}; it was waited for as long as --wait says");
        }
        if !std::mem::replace(&mut told, true) {
            eprintln!("waiting: {why}");
        }
        rest(args.every.min(limit.saturating_sub(began.elapsed())), stop);
        if stop.load(Ordering::SeqCst) {
            return Ok(Awaited::Stopped);
        }
    }
    Ok(Awaited::There)
}

/// Why there is nothing to check yet, if so.
fn lacking(args: &Args, subject: &Subject) -> Option<String> {
    let lake = subject.lake.display();
    let survey = match lake::survey(&subject.lake) {
        Ok(survey) => survey,
        Err(unable) => return Some(unable.why),
    };
    // What links lead out of the lake is there, and told by the rounds.
    let names: Vec<String> = survey.tables.iter().chain(&survey.outside).map(ToString::to_string).collect();
    if names.is_empty() {
        return Some(format!("there is no table in {lake}: give the folder that holds bronze, silver and gold"));
    }
    let missing = args.table.iter().find(|asked| !names.contains(asked))?;
    Some(format!("there is no table {missing} in {lake}"))
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
    /// What was read of the Delta logs.
    logs: Logs,
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
        if whole {
            // What has the same times and another content is found by these rounds at the latest.
            self.logs = Logs::default();
        }
        let whole = whole || last;
        let ids = if whole && (grown || behind) { Ids::All } else { Ids::New };
        match self.check(ids) {
            Ok((report, silent)) => {
                if whole {
                    self.whole = Some((Instant::now(), began.elapsed()));
                }
                let round = self.follow.take(&report, ids);
                self.follow.with_log(round, silent)
            }
            Err(error) => self.follow.failed(now_us, unable(error)),
        }
    }

    /// The report of a round, and what the log could not be asked in it.
    fn check(&mut self, ids: Ids) -> anyhow::Result<(Report, Vec<Unable>)> {
        let scratch = scratch_folder()?;
        let scope = self.follow.scope(&scope(self.args, None), ids);
        let request = Request { threads: 1, ..request(self.args, self.subject, scope, scratch.path()) };
        let (subject, logs) = (self.subject, &mut self.logs);
        let mut report = progress::shown(|progress| checked(&request, subject, progress, logs))?;
        report.ended(SystemClock.now_us(), None);
        let silent = subject.silent_log(&report, &request.scope);
        Ok((report, silent))
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
