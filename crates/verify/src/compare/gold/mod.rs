//! Gold, computed anew: every window that closed, by the SQL of the model's version that closed it, over silver's rows.
//!
//! # What must be in gold
//! Every window that ends at or before the newest append's `closed_until_us`, once per group. It is made of silver's
//! rows that are not late and lie below gold's positions. No other row belongs to it: a partition that is not idle
//! never has a watermark below the stream's, so what comes for a closed window is late (docs/adr/0007). Rows with a
//! time beyond the tolerated future are no exception: they are folded like others, and their windows wait until the
//! watermark gets there; where an end of input left such windows open, `closed_until_us` says so. Where the topic was
//! made anew, positions bound nothing: silver's rows do not tell which life of the topic they are of. Where the table was
//! removed and made anew, every window that the former one had closed must be in it too, whatever its own books say.
//!
//! # How it is computed
//! A stretch of windows at a time (`stretches`), in a DataFusion session of our own (`model`), from the live files of
//! silver (`provider`), compared by window and group (`difference`). Which version of a model computed which window is
//! in `eras`.
//!
//! # What is not checked
//! Values of approximate aggregates, SQL that is more than a SELECT over its stream with GROUP BY `window_start`, and
//! windows whose rows of silver cannot be read: each of these is entered as what could not be checked. `--quick`
//! computes nothing. A choice of partitions does not apply: a window is made of all of them. `_window_date` is left to
//! the check of files.

mod difference;
mod eras;
mod judge;
mod model;
mod plan;
mod positions;
mod provider;
mod show;
mod stray;
mod stretches;

#[cfg(test)]
mod tests;

use crate::expect::definition::Definitions;
use crate::finding::{Code, Findings, Place, Unable};
use crate::guard::guarded;
use crate::lake::{LiveFile, PositionKey, Table};
use crate::report::Part;
use crate::request::{Progress, Request};
use arrow::array::{AsArray, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use eras::{Closed, InForce};
use judge::{Found, Judge};
use model::{Failure, Model, Query};
use provider::{LiveRows, Rows, WINDOW_START, column, in_file, utc_timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stretches::{Dated, Stretch, dated, stretches};

/// The columns that gold has besides the model's own.
const OURS: [&str; 3] = ["_computed_by", "_model_version", "_window_date"];
/// Stack of the thread that plans and runs: SQL may nest, and planners recurse. It is address space until it is used.
const STACK_BYTES: usize = 256 << 20;

/// A model's table, and what its windows are computed from.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    /// The table.
    pub gold: &'a Table,
    /// The table of the stream that the model reads.
    pub silver: &'a Table,
    /// All definitions.
    pub definitions: &'a Definitions,
    /// Up to which instant, microseconds, a former table of this name had closed windows.
    pub closed_before_us: Option<i64>,
}

/// Computes a model's windows anew from silver and compares them with gold.
///
/// `looked_at` is the number of windows and groups that were computed and compared.
pub fn check(of: Of<'_>, request: &Request, progress: &dyn Progress, findings: &Findings) -> Part {
    let name = of.gold.name.to_string();
    let looked_at = if request.scope.quick {
        0
    } else {
        let run = || Check::new(of, request, findings).run(progress);
        on_its_own_stack(run).unwrap_or_else(|why| {
            findings.unable(Unable { place: Place::table(&name), why });
            0
        })
    };
    Part { check: "gold".to_owned(), of: name, looked_at, unit: "windows".to_owned() }
}

fn on_its_own_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("gold".to_owned()).stack_size(STACK_BYTES);
        let running = thread
            .spawn_scoped(scope, || guarded(work))
            .map_err(|error| format!("no thread to compute the windows with: {error}; free memory and try again"))?;
        // What a panic says may hold values of rows.
        let computed = running.join().ok().flatten();
        computed.ok_or_else(|| "computing the windows panicked; please report it with the model's SQL".to_owned())
    })
}

/// All that one table is checked with.
struct Check<'a> {
    gold: &'a Table,
    silver: &'a Table,
    definitions: &'a Definitions,
    request: &'a Request,
    findings: &'a Findings,
    name: String,
    /// The model's own columns in gold.
    columns: Schema,
    closed: Closed,
}

impl<'a> Check<'a> {
    fn new(of: Of<'a>, request: &'a Request, findings: &'a Findings) -> Self {
        let Of { gold, silver, definitions, closed_before_us } = of;
        let in_force: Vec<InForce> = definitions
            .models(&gold.name.name)
            .into_iter()
            .map(|known| InForce { version: known.version, closed_until_us: known.from.closed_until_us })
            .collect();
        let fields = gold.metadata.columns.fields().iter();
        let own: Vec<_> = fields.filter(|field| !OURS.contains(&field.name().as_str())).cloned().collect();
        let mut closed = Closed::of(gold, &in_force, &request.scope);
        if let Some(until_us) = closed_before_us {
            closed.expect(until_us, &in_force, &request.scope);
        }
        let name = gold.name.to_string();
        Self { gold, silver, definitions, request, findings, name, columns: Schema::new(own), closed }
    }

    fn run(&self, progress: &dyn Progress) -> u64 {
        let none_closed = self.closed.appends.is_empty() && self.closed.eras.is_empty();
        if none_closed && (self.gold.live.is_empty() || self.gold.checkpoint.is_some()) {
            if !self.gold.live.is_empty() {
                self.unable("the entries of its appends are gone from the log: nothing says which windows closed");
            }
            return 0;
        }
        self.report_outdated();
        self.report_ahead();
        positions::check(self.gold, self.silver, &self.request.scope, self.findings);
        let models = self.models();
        let (silver, gold) = (dated(self.silver, "_event_date"), dated(self.gold, "_window_date"));
        let mut all: Vec<(i32, Stretch)> = Vec::new();
        for era in &self.closed.eras {
            if let Some(model) = models.get(&era.version) {
                all.extend(stretches(era, model.window_us(), &silver, &gold).into_iter().map(|s| (era.version, s)));
            }
        }
        if let Some(model) = models.values().next_back() {
            let unknown: Vec<_> =
                self.closed.eras.iter().filter(|era| !models.contains_key(&era.version)).cloned().collect();
            let (gold_table, closed) = (self.gold, &self.closed);
            let look = stray::Strays { gold: gold_table, model, closed, unknown: &unknown, stretches: &all };
            look.find(gold.iter().filter(|file| self.in_scope(file.file)), self.findings);
        }
        let below = bounds(&self.gold.txns, &self.silver.txns);
        let table = Arc::new(without_commits(self.silver));
        let part = format!("gold {}", self.gold.name.name);
        let mut failed = BTreeSet::new();
        let mut looked_at = 0;
        for (done, (version, stretch)) in all.iter().enumerate() {
            progress.at(&part, done as u64, all.len() as u64);
            let Some(model) = models.get(version).filter(|_| !failed.contains(version)) else { continue };
            let files = silver.iter().filter(|file| file.may_hold(stretch.from_us, stretch.to_us));
            let files: Vec<LiveFile> = files.map(|file| file.file.clone()).collect();
            let rows: Arc<dyn Rows> = Arc::new(LiveRows { table: Arc::clone(&table), files });
            let judge = Judge {
                table: &self.name,
                version: *version,
                model,
                closed: &self.closed,
                below: &below,
                findings: self.findings,
            };
            let judged = read_gold(self.gold, &gold, *stretch, model.columns())
                .map_err(Failure::Rows)
                .and_then(|found| judge.stretch(*stretch, &rows, &found));
            match judged {
                Ok(compared) => looked_at += compared,
                Err(Failure::Rows(unable)) => self.findings.unable(*unable),
                Err(Failure::Query(why)) => {
                    failed.insert(*version);
                    let from = show::time(stretch.from_us);
                    self.unable(&format!(
                        "version {version} of the model could not be run over the windows from {from} on: {why}"
                    ));
                }
            }
        }
        progress.at(&part, all.len() as u64, all.len() as u64);
        looked_at
    }

    /// The planned versions that closed windows. What is missing or cannot be planned is entered.
    fn models(&self) -> BTreeMap<i32, Model> {
        let mut models = BTreeMap::new();
        let mut versions: BTreeSet<i32> = self.closed.eras.iter().map(|era| era.version).collect();
        if versions.is_empty() {
            // Nothing is to be computed, but rows may stand where none belongs.
            versions.extend(self.definitions.models(&self.gold.name.name).iter().map(|known| known.version).max());
        }
        for version in versions {
            let Some(known) = self.definitions.model(&self.gold.name.name, version) else {
                let what = format!(
                    "windows were closed by version {version} of model {}, which ops.definitions does not have",
                    self.gold.name.name
                );
                self.findings.add(Code::DefinitionMissing, Place::table(&self.name), what);
                continue;
            };
            if known.from != self.silver.name.name {
                self.unable(&format!("version {version} of the model reads {}, which was not given", known.from));
                continue;
            }
            let query = Query { from: known.from.clone(), window_us: known.window_us, sql: known.sql.clone() };
            match Model::plan(&query, &self.silver.metadata.columns, &self.columns, self.request) {
                Ok(model) => {
                    if !model.approximate().is_empty() {
                        let names = model.approximate().join(", ");
                        self.unable(&format!(
                            "columns {names} of version {version} of the model are approximate: they depend on how \
                             rows fell into batches, and are not compared"
                        ));
                    }
                    models.insert(version, model);
                }
                Err(why) => {
                    self.unable(&format!("version {version} of model {} cannot be recomputed: {why}", known.name));
                }
            }
        }
        models
    }

    fn in_scope(&self, file: &LiveFile) -> bool {
        let committed_at_us = self.gold.committed_at_us(file.version);
        self.request.scope.has_version(&self.gold.name, file.version, committed_at_us)
    }

    fn report_outdated(&self) {
        for (version, used, latest) in &self.closed.outdated {
            let what = format!("the commit was computed by version {used} of the model, version {latest} was in force");
            let place = Place::table(&self.name).at_version(*version).in_column("_model_version");
            self.findings.add(Code::WindowDifferent, place, what);
        }
    }

    /// Gold is made of silver's commits: it never stands before them. (Gold's log must have been read before silver's.)
    fn report_ahead(&self) {
        for (application, position) in &self.gold.txns {
            let silver = self.silver.txns.get(application).copied();
            if silver.is_none_or(|silver| silver < *position) {
                let silver = silver.map_or_else(|| "has no position".to_owned(), |at| format!("stands at {at}"));
                let what = format!("gold stands at {position} of {application}, silver {silver}");
                self.findings.add(Code::BooksPosition, Place::table(&self.name).at_version(self.gold.version), what);
            }
        }
    }

    fn unable(&self, why: &str) {
        self.findings.unable(Unable { place: Place::table(&self.name), why: why.to_owned() });
    }
}

/// Silver's offsets by partition up to which gold was made, from the positions of both; nothing where silver holds
/// several lives of its topic. Of those that are over, windows hold rows above gold's positions, which older builds
/// left where the life ended; and the rows of all lives have the same offsets.
fn bounds(gold: &BTreeMap<String, i64>, silver: &BTreeMap<String, i64>) -> BTreeMap<i32, i64> {
    let lives: BTreeSet<(String, String)> =
        silver.keys().filter_map(|key| PositionKey::parse(key)).map(|key| (key.topic, key.incarnation)).collect();
    if lives.len() > 1 {
        return BTreeMap::new();
    }
    let mut below = BTreeMap::new();
    for (application, position) in gold {
        let partition = application.starts_with("watertight/").then(|| application.rsplit('/').next()).flatten();
        if let Some(partition) = partition.and_then(|text| text.parse().ok()) {
            let known: &mut i64 = below.entry(partition).or_insert(*position);
            *known = (*known).max(*position);
        }
    }
    below
}

/// A table as far as its files need it to be read.
fn without_commits(table: &Table) -> Table {
    Table {
        name: table.name.clone(),
        folder: table.folder.clone(),
        commits: Vec::new(),
        checkpoint: table.checkpoint,
        live: BTreeMap::new(),
        txns: BTreeMap::new(),
        metadata: table.metadata.clone(),
        version: table.version,
    }
}

/// Gold's rows of the windows of a stretch, from the files of its day.
fn read_gold(gold: &Table, files: &[Dated<'_>], stretch: Stretch, columns: &SchemaRef) -> Result<Found, Box<Unable>> {
    let mut wanted: Vec<String> = columns.fields().iter().map(|field| field.name().clone()).collect();
    wanted.extend(OURS[..2].iter().map(|name| (*name).to_owned()));
    let mut fields = columns.fields().to_vec();
    fields.push(Arc::new(Field::new(OURS[0], DataType::Utf8, true)));
    fields.push(Arc::new(Field::new(OURS[1], DataType::Int32, true)));
    let whole = Arc::new(Schema::new(fields));
    let (mut batches, mut from_files, mut rows) = (Vec::new(), Vec::new(), 0);
    for file in files.iter().filter(|file| file.day == Some(stretch.day)) {
        from_files.push((rows, file.file.add.path.clone(), file.file.version));
        for batch in in_file(gold, file.file, &wanted) {
            let kept = keep(&batch?, stretch, &whole).map_err(|_| unfit(gold, &file.file.add.path))?;
            rows += kept.num_rows();
            batches.push(kept);
        }
    }
    found(&whole, columns, &batches, from_files).map_err(|_| unfit(gold, "its files"))
}

fn unfit(gold: &Table, path: &str) -> Box<Unable> {
    let why = "the rows do not have the columns of the table; see the findings about the file".to_owned();
    Box::new(Unable { place: Place::table(&gold.name.to_string()).in_file(path), why })
}

fn keep(batch: &RecordBatch, stretch: Stretch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let starts = column(batch, WINDOW_START, &utc_timestamp())?;
    let starts = starts.as_primitive::<TimestampMicrosecondType>();
    let within = |start: i64| stretch.from_us <= start && start < stretch.to_us;
    let mask: BooleanArray = starts.iter().map(|start| Some(start.is_some_and(within))).collect();
    let cast = columns.fields().iter().map(|field| column(batch, field.name(), field.data_type()));
    let all = RecordBatch::try_new(Arc::clone(columns), cast.collect::<Result<_, _>>()?)?;
    filter_record_batch(&all, &mask)
}

fn found(
    whole: &SchemaRef,
    columns: &SchemaRef,
    batches: &[RecordBatch],
    files: Vec<(usize, String, u64)>,
) -> Result<Found, ArrowError> {
    let all = concat_batches(whole, batches)?;
    let own = columns.fields().len();
    let rows = RecordBatch::try_new(Arc::clone(columns), all.columns().iter().take(own).cloned().collect())?;
    let mark = |name: &str, kind: &DataType| column(&all, name, kind);
    let computed_by: StringArray = mark(OURS[0], &DataType::Utf8)?.as_string::<i32>().clone();
    let versions: Int32Array = mark(OURS[1], &DataType::Int32)?.as_primitive::<Int32Type>().clone();
    Ok(Found { rows, computed_by, versions, files })
}
