//! One supervisor over named threads: a thread per stream, one for the copying of the books.
//!
//! A stream that fails stops alone; a panic stops everything. At a stop each thread drains, commits and is joined.

use super::commit::CommitFailure;
use super::health::{Condition, Health, Part};
use super::signal::Stop;
use super::start::{Parts, Setup, Starter};
use super::stream::{StreamFailure, run_stream};
use crate::ops::{CommitCopier, CopiedTable, Definitions};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;
use watertight_core::port::{ErrorKind, PortError};

/// How often the books are copied to `ops.commits`.
const BOOKS_COPIED_EVERY: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// Streams that failed, and panics.
    pub failures: Vec<StreamFailure>,
    /// Models that failed, by name, with the reason.
    pub failed_models: Vec<(String, String)>,
}

/// Runs the pipeline until `stop`, or until what `setup.until` says.
///
/// # Errors
/// Where it cannot even begin: `ops` tables not to be opened.
pub fn run(setup: &Setup, parts: &Parts, health: &Health, stop: &Stop) -> Result<RunOutcome, PortError> {
    let definitions = Mutex::new(Definitions::open(parts.lake.as_ref(), &setup.pipeline)?);
    let mut copier = CommitCopier::open(parts.lake.clone(), &setup.pipeline, copied_tables(setup))?;
    let copying_ends = Stop::default();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for def in &setup.streams {
            let starter = Starter { setup, parts, def, definitions: &definitions, health, stop };
            let body = move || supervised(&starter);
            threads.push(spawn(scope, format!("stream {}", def.name), stop, body));
        }
        let (copying, copier) = (copying_ends.clone(), &mut copier);
        let copy = move || {
            while !copying.wait(BOOKS_COPIED_EVERY) {
                copy_books(copier, parts, health, &copying);
            }
            Ok(())
        };
        let ops = spawn(scope, "ops".to_owned(), stop, copy);
        let waited = setup.until.elapsed.map(|time| {
            let timer_stop = stop.clone();
            std::thread::Builder::new().name("timer".to_owned()).spawn(move || {
                if !timer_stop.wait(time) {
                    timer_stop.request();
                }
            })
        });
        drop(waited);
        for thread in threads {
            collect(thread, &mut failures);
        }
        copying_ends.request();
        collect(ops, &mut failures);
    });
    copy_books(&mut copier, parts, health, &Stop::default());
    health.set(&Part::Ops, Condition::Done);
    let failed_models = health.all().into_iter().filter_map(|(part, condition)| match (part, condition) {
        (Part::Model(name), Condition::Failed { error }) => Some((name, error)),
        _ => None,
    });
    Ok(RunOutcome { failures, failed_models: failed_models.collect() })
}

/// Starts a named thread; a panic in it asks everything to stop.
fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: String,
    stop: &Stop,
    body: impl FnOnce() -> Result<(), StreamFailure> + Send + 'scope,
) -> Thread<'scope> {
    let (stop, thread) = (stop.clone(), name.clone());
    std::thread::Builder::new().name(name).spawn_scoped(scope, move || {
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
            stop.request();
            Err(StreamFailure::Panicked { thread, message: panic_message(panic.as_ref()) })
        })
    })
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

/// A stream whose positions were moved by someone else discards its work and starts again from the tables.
fn supervised(starter: &Starter<'_>) -> Result<(), StreamFailure> {
    const RESTARTS_MAX: u32 = 5;
    let mut restarts = 0;
    loop {
        let error = match run_stream(starter) {
            Ok(()) | Err(CommitFailure::Stopped) => return Ok(()),
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
        let said = match &error {
            CommitFailure::Port(port) => port.chain(),
            other => other.to_string(),
        };
        tracing::error!(stream = starter.def.name, error = said, "the stream stopped");
        starter.health.set(&Part::Stream(starter.def.name.clone()), Condition::Failed { error: said });
        return Err(StreamFailure::Failed { stream: starter.def.name.clone(), source: error });
    }
}

fn copy_books(copier: &mut CommitCopier, parts: &Parts, health: &Health, stop: &Stop) {
    let committer = super::commit::Committer {
        part: Part::Ops,
        health,
        stop,
        clock: parts.clock.as_ref(),
        ids: parts.ids.as_ref(),
    };
    match copier.turn(&committer) {
        Ok(_) => health.set(&Part::Ops, Condition::Running),
        Err(CommitFailure::Stopped) => {}
        Err(error) => {
            tracing::warn!(%error, "the books were not copied to ops.commits; tried again at the next turn");
            health.set(&Part::Ops, Condition::Waiting { error: error.to_string() });
        }
    }
}

fn copied_tables(setup: &Setup) -> Vec<CopiedTable> {
    let table = |schema_name: &str, table: String| CopiedTable { schema_name: schema_name.to_owned(), table };
    let streams = setup.streams.iter().flat_map(|stream| {
        [
            table("bronze", stream.name.clone()),
            table("bronze", format!("{}_dlq", stream.name)),
            table("silver", stream.name.clone()),
        ]
    });
    streams.chain(setup.models.iter().map(|model| table("gold", model.name.clone()))).collect()
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
