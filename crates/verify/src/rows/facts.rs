//! Reading every live file of a table once: it is readable, and it is what its entry says.

use super::bound::Writer;
use super::dates::Dates;
use super::held::Holding;
use super::layer::Layer;
use super::positions::Positions;
use super::statistics::Statistics;
use super::{DataFile, FileFacts, FileProblem, TableFacts};
use crate::finding::{Code, Findings, Place};
use crate::lake::{LiveFile, Table};
use crate::request::{Progress, Request};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Reads the live files that the scope names, each once, on `request.threads` threads, and enters what is wrong with
/// them:
/// rows, columns, statistics, dates, order of offsets. What a file holds comes back by its path; a file that could not
/// be
/// read has no facts. That a file is missing or has another length is entered by [`crate::compare`]'s look at the Delta
/// log, not here.
pub fn gather(table: &Table, request: &Request, progress: &dyn Progress, findings: &Findings) -> TableFacts {
    let files: Vec<&LiveFile> = table.live.values().filter(|file| in_scope(table, file, request)).collect();
    let part = format!("files {}", table.name);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let facts = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match look(table, file, findings) {
                Ok(found) => {
                    facts.lock().unwrap_or_else(PoisonError::into_inner).insert(file.add.path.clone(), found);
                }
                Err(problem) => enter(problem, table, file, findings),
            }
            progress.at(&part, done.fetch_add(1, Ordering::Relaxed) as u64 + 1, files.len() as u64);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..request.threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    facts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn in_scope(table: &Table, file: &LiveFile, request: &Request) -> bool {
    let commit = commit_of(table, file.version);
    let at_us = commit.map_or(0, |commit| commit.timestamp_us);
    // A rewrite behind the end of the scope holds rows of before.
    let rewrite = commit.is_some_and(|commit| !commit.is_append());
    request.scope.has_version(&table.name, file.version, at_us) || (rewrite && request.scope.until.is_some())
}

/// The commit of a version, where its entry was read.
pub(crate) fn commit_of(table: &Table, version: u64) -> Option<&crate::lake::Commit> {
    let number = table.commits.binary_search_by_key(&version, |commit| commit.version).ok()?;
    table.commits.get(number)
}

/// Where a live file is, for findings.
pub(crate) fn place_of(table: &Table, file: &LiveFile) -> Place {
    Place::table(&table.name.to_string()).at_version(file.version).in_file(&file.add.path)
}

/// Enters why a file could not be read.
pub(crate) fn enter(problem: FileProblem, table: &Table, file: &LiveFile, findings: &Findings) {
    match problem {
        // Found by the look at the Delta log, which reads no file.
        FileProblem::Wrong { code: Code::FileMissing | Code::FileSize | Code::PathEscapes, .. } => {}
        FileProblem::Wrong { code, what } => findings.add(code, place_of(table, file), what),
        FileProblem::Unable(mut unable) => {
            unable.place = place_of(table, file);
            findings.unable(unable);
        }
    }
}

fn look(table: &Table, file: &LiveFile, findings: &Findings) -> Result<FileFacts, FileProblem> {
    let place = place_of(table, file);
    let ours = commit_of(table, file.version).is_some_and(|commit| commit.books().is_some());
    let writer = if ours { Writer::Ours } else { Writer::Other };
    let layer = Layer::of(table);
    let date = table.metadata.partition_columns.first();
    let mut dates = layer.dated_by(table).zip(date).map(|(time, date)| Dates::new(time, date));
    let columns = &table.metadata.columns;
    let data = DataFile::open(table, file)?;
    let mut statistics = Statistics::of(file.add.stats.as_deref(), columns, writer, place.clone(), findings);
    let mut holding = Holding::new();
    for batch in data.batches(&[]) {
        let batch = batch?;
        let positions = Positions::of(&batch);
        statistics.look(&batch, &|row| positions.as_ref().map(|positions| positions.at(row)), findings);
        holding.look(&batch)?;
        if let Some(dates) = &mut dates {
            dates.look(&batch);
        }
    }
    statistics.end(findings);
    if let Some(dates) = dates {
        dates.end(&place, findings);
    }
    let ordered = layer == Layer::Bronze && ours && file.add.data_change;
    Ok(holding.end(ordered, &place, findings))
}
