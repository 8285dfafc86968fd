//! One supervisor over named threads: a thread per stream, one for the copying of the books, and a timer.
//!
//! A stream that fails stops alone; a panic stops everything. At a stop each thread drains, commits and is joined.

use super::commit::{CommitFailure, Committer};
use super::ending::Ended;
use super::health::{Condition, Health, Part};
use super::signal::Stop;
use super::start::{Parts, Setup, Starter};
use super::stream::{StreamFailure, run_stream};
use super::threads::{panic_message, stopping_at_panic};
use crate::ops::{COMMITS_PER_TURN_MAX, CommitCopier, CopiedTable, Definitions};
use std::sync::Mutex;
use std::time::Duration;
use watertight_core::port::{ErrorKind, PortError};

/// How often the books are copied to `ops.commits`.
const BOOKS_COPIED_EVERY: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// Streams that failed or left windows open, partitions that stopped, and panics.
    pub failures: Vec<StreamFailure>,
    /// Models that failed, by name, with the reason.
    pub failed_models: Vec<(String, String)>,
}

/// Runs the pipeline until `stop`, or until what `setup.until` says.
///
/// # Errors
/// Where it cannot even begin: `ops` tables not to be opened.
pub fn run(setup: &Setup, parts: &Parts, health: &Health, stop: &Stop) -> Result<RunOutcome, PortError> {
    let (clock, ids) = (parts.clock.as_ref(), parts.ids.as_ref());
    let committer = Committer { part: Part::Ops, health, stop, clock, ids };
    let opened = committer.retry("open the ops tables", || {
        let definitions = Definitions::open(parts.lake.as_ref(), &setup.pipeline)?;
        Ok((definitions, CommitCopier::open(parts.lake.clone(), &setup.pipeline, copied_tables(setup))?))
    });
    let (definitions, mut copier) = match opened {
        Ok((definitions, copier)) => (Mutex::new(definitions), copier),
        Err(CommitFailure::Port(error)) => return Err(error),
        Err(CommitFailure::Stopped | CommitFailure::Imbalance(_)) => return Ok(RunOutcome::default()),
    };
    let ended = Stop::default();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let mut streams = Vec::new();
        for def in &setup.streams {
            let starter = Starter { setup, parts, def, definitions: &definitions, health, stop };
            let body = move || supervised(&starter);
            streams.push(spawn(scope, format!("stream {}", def.name), stop, body));
        }
        let (ended, copier) = (&ended, &mut copier);
        let copy = move || {
            while !ended.wait(BOOKS_COPIED_EVERY) {
                copy_books(copier, parts, health, ended);
            }
            copy_the_last_books(copier, parts, health);
            Ok(())
        };
        let mut beside = vec![spawn(scope, "ops".to_owned(), stop, copy)];
        if let Some(time) = setup.until.elapsed {
            let timer = move || {
                if !ended.wait(time) {
                    stop.request();
                }
                Ok(())
            };
            beside.push(spawn(scope, "timer".to_owned(), stop, timer));
        }
        for thread in streams {
            collect(thread, &mut failures);
        }
        ended.request();
        for thread in beside {
            collect(thread, &mut failures);
        }
    });
    let mut failed_models = Vec::new();
    for (part, condition) in health.all() {
        match (part, condition) {
            (Part::Model(name), Condition::Failed { error }) => failed_models.push((name, error)),
            (Part::Partition(stream, partition), Condition::Failed { error }) => {
                failures.push(StreamFailure::PartitionStopped { stream, partition, error });
            }
            (Part::TopicPartition(stream, topic, partition), Condition::Failed { error }) => {
                failures.push(StreamFailure::TopicPartitionStopped { stream, topic, partition, error });
            }
            _ => {}
        }
    }
    Ok(RunOutcome { failures, failed_models })
}

/// Starts a named thread; a panic in it asks everything to stop.
fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: String,
    stop: &Stop,
    body: impl FnOnce() -> Result<(), StreamFailure> + Send + 'scope,
) -> Thread<'scope> {
    let (stop, thread) = (stop.clone(), name.clone());
    std::thread::Builder::new()
        .name(name)
        .spawn_scoped(scope, move || stopping_at_panic(&thread, &stop, body).and_then(|ended| ended))
}

type Thread<'a> = std::io::Result<std::thread::ScopedJoinHandle<'a, Result<(), StreamFailure>>>;

fn collect(thread: Thread<'_>, failures: &mut Vec<StreamFailure>) {
    let outcome = match thread {
        Ok(thread) => thread.join().unwrap_or_else(|panic| {
            Err(StreamFailure::Panicked { thread: "a thread".to_owned(), message: panic_message(panic.as_ref()) })
        }),
        Err(error) => Err(StreamFailure::Failed {
            stream: "(not started)".to_owned(),
            source: PortError::caused(ErrorKind::Stop, "a thread could not be started", error).into(),
        }),
    };
    failures.extend(outcome.err());
}

/// A stream whose positions were moved by someone else discards its work and starts again from the tables; so does one
/// that met, outside a commit, what may pass (a full disk while its state was read or spilled), for as long as it takes.
fn supervised(starter: &Starter<'_>) -> Result<(), StreamFailure> {
    const RESTARTS_MAX: u32 = 5;
    const PAUSE_MAX: Duration = Duration::from_secs(5);
    let part = Part::Stream(starter.def.name.clone());
    let (mut restarts, mut waits) = (0, 0);
    loop {
        let error = match run_stream(starter) {
            Ok(Ended::AsAsked) | Err(CommitFailure::Stopped) => return Ok(()),
            Ok(Ended::HeldBack(held_back)) => {
                return Err(StreamFailure::HeldBack { stream: starter.def.name.clone(), held_back });
            }
            Err(error) => error,
        };
        let fenced = matches!(&error, CommitFailure::Port(port) if port.kind == ErrorKind::Fenced);
        if fenced && restarts < RESTARTS_MAX {
            restarts += 1;
            tracing::warn!(stream = starter.def.name, %error, "positions were moved by another writer: starting again from the tables");
            if starter.stop.wait(Duration::from_millis(200) * restarts) {
                return Ok(());
            }
            continue;
        }
        if let CommitFailure::Port(port) = &error
            && matches!(port.kind, ErrorKind::Retry | ErrorKind::Unknown)
        {
            waits += 1;
            let said = port.chain();
            tracing::warn!(
                stream = starter.def.name,
                error = said,
                "waiting for this to pass, then starting again from the tables"
            );
            starter.health.set(&part, Condition::Waiting { error: said });
            if starter.stop.wait((Duration::from_millis(100) * waits).min(PAUSE_MAX)) {
                return Ok(());
            }
            continue;
        }
        let said = match &error {
            CommitFailure::Port(port) => port.chain(),
            other => other.to_string(),
        };
        tracing::error!(stream = starter.def.name, error = said, "the stream stopped");
        starter.health.set(&part, Condition::Failed { error: said });
        return Err(StreamFailure::Failed { stream: starter.def.name.clone(), source: error });
    }
}

/// Copies what is new; goes on at once where that was more than one turn takes.
fn copy_books(copier: &mut CommitCopier, parts: &Parts, health: &Health, stop: &Stop) {
    let (clock, ids) = (parts.clock.as_ref(), parts.ids.as_ref());
    let committer = Committer { part: Part::Ops, health, stop, clock, ids };
    loop {
        match copier.turn(&committer) {
            Ok(copied) => {
                health.set(&Part::Ops, Condition::Running);
                if copied < COMMITS_PER_TURN_MAX || stop.requested() {
                    return;
                }
            }
            Err(CommitFailure::Stopped) => return,
            Err(error) => {
                tracing::warn!(%error, "the books were not copied to ops.commits; tried again at the next turn");
                health.set(&Part::Ops, Condition::Waiting { error: error.to_string() });
                return;
            }
        }
    }
}

/// One attempt when everything else has ended: a run that was asked to stop does not wait for a full disk. The copy is
/// derived from the tables, and the next run completes it.
fn copy_the_last_books(copier: &mut CommitCopier, parts: &Parts, health: &Health) {
    let at_once = Stop::default();
    at_once.request();
    let (clock, ids) = (parts.clock.as_ref(), parts.ids.as_ref());
    let committer = Committer { part: Part::Ops, health, stop: &at_once, clock, ids };
    let Err(error) = copier.turn(&committer) else {
        health.set(&Part::Ops, Condition::Done);
        return;
    };
    tracing::warn!(%error, "the books of the last commits were not copied to ops.commits; the next run completes the copy");
    // What the committer was not allowed to wait for is shown already.
    if !matches!(error, CommitFailure::Stopped) {
        health.set(&Part::Ops, Condition::Waiting { error: error.to_string() });
    }
}

fn copied_tables(setup: &Setup) -> Vec<CopiedTable> {
    let table = |schema_name: &str, table: String| CopiedTable { schema_name: schema_name.to_owned(), table };
    let streams = setup.streams.iter().flat_map(|stream| {
        [
            table("bronze", stream.name.clone()),
            table("bronze", format!("{}_dlq", stream.name)),
            table("silver", stream.name.clone()),
            table("silver", format!("{}_gaps", stream.name)),
        ]
    });
    streams.chain(setup.models.iter().map(|model| table("gold", model.name.clone()))).collect()
}
