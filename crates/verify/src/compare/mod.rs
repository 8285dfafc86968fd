//! Compare: what was observed against what must be.
//!
//! [`verify`] goes through a lake in the order in which a fault shows first: the Delta log of each table, its files; which
//! tables are gone; the books; the offsets of bronze; silver against bronze; gold against silver; the producers' ledgers
//! against all of it. A check that cannot be made is entered as such and the others go on. A pipeline may commit meanwhile:
//! see `observe`.

mod asked;
pub mod books;
pub mod conservation;
pub mod continuity;
pub mod delta_log;
mod gaps;
pub mod gold;
mod gone;
pub mod ledgers;
mod observe;
pub mod stream;

use crate::books::copies::{self, Copied, Copies, Former};
use crate::expect::definition::Definitions;
use crate::finding::{Findings, Place, Unable};
use crate::lake::{Logs, Table, TableName};
use crate::report::{Inputs, LedgerReport, Part, Report};
use crate::request::{LogView, Progress, Request};
use crate::rows::TableFacts;
use crate::rows::facts;
use observe::Absent;
use std::collections::{BTreeMap, BTreeSet};
use stream::Stream;

/// A table as it was observed; facts only where its rows were read.
struct Observed {
    table: Table,
    facts: Option<TableFacts>,
}

/// Verifies a lake.
///
/// # Errors
/// Only where nothing could be checked at all: no lake, no tables, or nothing that was asked for. Whatever else cannot be
/// read is in the report.
pub fn verify(
    request: &Request,
    log: &dyn LogView,
    progress: &dyn Progress,
    about: crate::report::About,
) -> Result<Report, Unable> {
    verify_again(request, log, progress, about, &mut Logs::default())
}

/// As [`verify`], reading of the Delta logs and the copies of the books only what is new since the last time with the same
/// `logs`.
///
/// # Errors
/// As [`verify`].
pub fn verify_again(
    request: &Request,
    log: &dyn LogView,
    progress: &dyn Progress,
    about: crate::report::About,
    logs: &mut Logs,
) -> Result<Report, Unable> {
    asked::check(request)?;
    let findings = Findings::default();
    let mut parts = Vec::new();
    let observe::Seen { tables, absent } = observe::observe(request, logs, &findings)?;
    asked::check_tables(&tables, &request.scope)?;
    for table in tables.values() {
        parts.push(delta_log::check(table, request, &findings));
    }
    let tables: BTreeMap<String, Observed> = tables
        .into_iter()
        .map(|(name, table)| {
            let facts = reads_rows(request, &name).then(|| facts::gather(&table, request, progress, &findings));
            (name, Observed { table, facts })
        })
        .collect();
    let books = Books::read(&tables, absent, request, &mut logs.copies, &findings);
    parts.push(gone::check(&tables, &books, request, &findings));
    for (name, observed) in &tables {
        if !request.scope.has_table(name) {
            continue;
        }
        parts.push(books::check(&observed.table, observed.facts.as_ref(), &books.copies, request, &findings));
        if is_bronze(&observed.table.name) {
            let facts = observed.facts.as_ref();
            parts.push(continuity::check(&observed.table, facts, &books.copies, log, request, &findings));
        }
    }
    let mut ledgers = Vec::new();
    if !request.scope.quick {
        let (of_rows, of_ledgers) = rows(&tables, &books, log, request, progress, &findings);
        parts.extend(of_rows);
        ledgers = of_ledgers;
    }
    let seen: Vec<(&Table, Option<&TableFacts>)> =
        tables.values().map(|observed| (&observed.table, observed.facts.as_ref())).collect();
    let report = Report::new(Inputs { request, tables: &seen, parts, ledgers, kept: findings.into_kept(), about });
    logs.keep(tables.into_values().map(|observed| observed.table));
    Ok(report)
}

/// What the `ops` tables keep of the books and the definitions.
struct Books {
    copies: Copies,
    /// Tables that were removed, and of whose name another one is.
    former: Vec<Former>,
    /// The tables that the copies are of.
    named: BTreeSet<String>,
    /// None where they could not be read: nothing can be judged then.
    definitions: Option<Definitions>,
    /// Why tables that something is judged by are not at hand.
    absent: Absent,
}

impl Books {
    fn read(
        tables: &BTreeMap<String, Observed>,
        absent: Absent,
        request: &Request,
        kept: &mut copies::Kept,
        findings: &Findings,
    ) -> Self {
        let table = |name: &str| tables.get(name).map(|observed| &observed.table);
        let definitions = table(observe::DEFINITIONS).map(|table| Definitions::read(table, findings));
        let seen: BTreeMap<String, &Table> =
            tables.iter().map(|(name, observed)| (name.clone(), &observed.table)).collect();
        let copied = table(gone::COMMITS).map(|table| copies::read_again(table, &seen, request, kept, findings));
        let Copied { copies, former, named } = copied.unwrap_or_default();
        Self {
            copies,
            former,
            named,
            definitions: (!absent.is_unread(observe::DEFINITIONS)).then(|| definitions.unwrap_or_default()),
            absent,
        }
    }
}

/// Whether its rows are read: what others are judged by is, also if it was not asked for.
fn reads_rows(request: &Request, name: &str) -> bool {
    let relied_on = name.starts_with("bronze.") || name.starts_with("silver.");
    !request.scope.quick && (relied_on || request.scope.has_table(name))
}

fn is_bronze(name: &TableName) -> bool {
    name.schema == "bronze" && !name.name.ends_with("_dlq")
}

/// The checks that need rows: silver against bronze, gold against silver, ledgers against both.
fn rows(
    tables: &BTreeMap<String, Observed>,
    books: &Books,
    log: &dyn LogView,
    request: &Request,
    progress: &dyn Progress,
    findings: &Findings,
) -> (Vec<Part>, Vec<LedgerReport>) {
    let mut parts = Vec::new();
    let streams = streams(tables, &books.copies);
    for stream in &streams {
        books::check_pair(stream.bronze.0, stream.silver.0, &books.copies, request, findings);
        let gaps = tables.get(&gaps::name(&stream.name)).map(|observed| &observed.table);
        parts.extend(gaps::check(stream, gaps, request, findings));
        let names = [format!("bronze.{}", stream.name), format!("silver.{}", stream.name)];
        let letters = format!("bronze.{}_dlq", stream.name);
        let asked = names.iter().chain([&letters]).any(|name| request.scope.has_table(name));
        if let Some(definitions) = books.definitions.as_ref().filter(|_| asked) {
            parts.extend(conservation::check(stream, definitions, request, progress, findings));
        }
    }
    for (name, gold) in tables.iter().filter(|(_, observed)| observed.table.name.schema == "gold") {
        if !request.scope.has_table(name) {
            continue;
        }
        let model = &gold.table.name.name;
        let unable = |why: String| findings.unable(Unable { place: Place::table(name), why });
        // Without definitions nobody knows what the model reads.
        let known = books.definitions.as_ref().filter(|_| tables.contains_key(observe::DEFINITIONS));
        let Some(definitions) = known else {
            let why = books.absent.why(observe::DEFINITIONS);
            unable(format!(
                "the table cannot be recomputed: {}, which has the model's SQL, {why}",
                observe::DEFINITIONS
            ));
            continue;
        };
        let Some(from) = definitions.source_of(model) else {
            unable(format!(
                "the table cannot be recomputed: no row of {} that can be used is of model {model}",
                observe::DEFINITIONS
            ));
            continue;
        };
        let from = format!("silver.{from}");
        let Some(silver) = tables.get(&from) else {
            let why = books.absent.why(&from);
            unable(format!("the table cannot be recomputed: {from}, which the model reads, {why}"));
            continue;
        };
        let closed = closed_before(&books.former, name, &silver.table.name.name, definitions);
        let of = gold::Of { gold: &gold.table, silver: &silver.table, definitions, closed_before_us: closed };
        parts.push(gold::check(of, request, progress, findings));
    }
    let mut ledgers = Vec::new();
    if !request.ledgers.is_empty() {
        let now = |name: &TableName| Table::observe(&request.lake, name, &Findings::default());
        let beside = ledgers::Beside { log, copies: &books.copies, now: &now };
        let (of_ledgers, told) = ledgers::check(&request.ledgers, &streams, &beside, request, findings);
        parts.extend(of_ledgers);
        ledgers = told;
    }
    (parts, ledgers)
}

/// Up to which instant former tables of this name had closed windows of this stream.
fn closed_before(former: &[Former], gold: &str, stream: &str, definitions: &Definitions) -> Option<i64> {
    let model = gold.strip_prefix("gold.").unwrap_or(gold);
    let reads = |version: i32| definitions.model(model, version).is_some_and(|known| known.from == stream);
    let closed = former.iter().filter(|former| former.table == gold).flat_map(|former| &former.closed_until_us);
    closed.filter(|(version, _)| reads(**version)).map(|(_, until)| *until).max()
}

/// The streams of which all three tables are there; of the others [`observe`] says that they cannot be compared.
fn streams<'a>(tables: &'a BTreeMap<String, Observed>, copies: &Copies) -> Vec<Stream<'a>> {
    let part = |name: String| tables.get(&name).and_then(|o| o.facts.as_ref().map(|facts| (&o.table, facts)));
    tables
        .values()
        .filter(|observed| observed.table.name.schema == "silver")
        .filter_map(|observed| {
            let name = observed.table.name.name.clone();
            let bronze = part(format!("bronze.{name}"))?;
            let silver = part(format!("silver.{name}"))?;
            let dead_letters = part(format!("bronze.{name}_dlq"))?;
            let silvers = format!("silver.{name}");
            let of_silver = || copies.iter().filter(|((table, _), _)| *table == silvers);
            let books = of_silver().filter_map(|((_, version), copied)| Some((*version, copied.books.clone()?)));
            let foreign = of_silver().filter(|(_, copied)| copied.books.is_none() && copied.kind == "foreign");
            let foreign = foreign.map(|((_, version), _)| *version).collect();
            let stream = Stream::new(&name, bronze, silver, dead_letters);
            Some(stream.with_copies(books.collect()).with_foreign(foreign))
        })
        .collect()
}
