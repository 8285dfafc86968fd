//! `ops.definitions`, read.

use super::{Definitions, InForceFrom, Version, Versions};
use crate::finding::{Code, Findings, Place};
use crate::lake::Table;
use crate::rows::{DataFile, FileProblem};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use serde::de::DeserializeOwned;

const COLUMNS: [&str; 5] = ["kind", "name", "version", "definition", "in_force_from"];

/// A row of the table.
struct Row<'a> {
    kind: &'a str,
    name: &'a str,
    version: i32,
    definition: &'a str,
    from: &'a str,
}

impl Definitions {
    /// Reads the live rows of `ops.definitions`; under `--quick` too, since they name the tables that must be there.
    ///
    /// What cannot be understood is entered as [`Code::DefinitionMissing`]: a row, a file, a version that is missing
    /// between others, a version that stands there twice with different texts (the first one read counts).
    #[must_use]
    pub fn read(table: &Table, findings: &Findings) -> Self {
        let mut read = Self::default();
        for (path, file) in &table.live {
            let place = || Place::table(&table.name.to_string()).in_file(path);
            let missing = |what: String| findings.add(Code::DefinitionMissing, place(), what);
            let told = |problem: FileProblem| match problem {
                FileProblem::Wrong { what, .. } => missing(format!("the definitions in it are unknown: {what}")),
                FileProblem::Unable(unable) => findings.unable(unable),
            };
            match DataFile::open(table, file) {
                Err(problem) => told(problem),
                Ok(open) => {
                    for batch in open.batches(&COLUMNS) {
                        match batch {
                            Ok(batch) => read.take(&batch, &missing),
                            Err(problem) => told(problem),
                        }
                    }
                }
            }
        }
        let missing = |what: String| findings.add(Code::DefinitionMissing, Place::table(&table.name.to_string()), what);
        gaps("stream", &read.streams, &missing);
        gaps("model", &read.models, &missing);
        read
    }

    /// Takes the rows of a batch; `missing` is told of what cannot be understood.
    pub(super) fn take(&mut self, batch: &RecordBatch, missing: &dyn Fn(String)) {
        for index in 0..batch.num_rows() {
            match row(batch, index) {
                None => missing("a row lacks kind, name, version, definition or in_force_from".to_owned()),
                Some(row) if row.kind == "stream" => {
                    let names = [("bronze", ""), ("bronze", "_dlq"), ("silver", "")];
                    let named = names.map(|(schema, end)| format!("{schema}.{}{end}", row.name));
                    self.tables.extend(named);
                    enter(&mut self.streams, &row, missing);
                    if self.stream(row.name, row.version).is_none() {
                        self.unreadable.insert((row.name.to_owned(), row.version));
                    }
                }
                Some(row) if row.kind == "model" => {
                    self.tables.insert(format!("gold.{}", row.name));
                    enter(&mut self.models, &row, missing);
                }
                Some(row) => missing(format!("version {} of {} is neither stream nor model", row.version, named(&row))),
            }
        }
    }
}

fn row(batch: &RecordBatch, index: usize) -> Option<Row<'_>> {
    let text = |name| batch.column_by_name(name).and_then(|column| text(column, index));
    let versions = batch.column_by_name("version")?.as_primitive_opt::<Int32Type>()?;
    Some(Row {
        kind: text("kind")?,
        name: text("name")?,
        version: versions.is_valid(index).then(|| versions.value(index))?,
        definition: text("definition")?,
        from: text("in_force_from")?,
    })
}

fn text(column: &dyn Array, index: usize) -> Option<&str> {
    if column.is_null(index) {
        return None;
    }
    let (short, long) = (column.as_string_opt::<i32>(), column.as_string_opt::<i64>());
    let view = column.as_string_view_opt();
    short
        .map(|texts| texts.value(index))
        .or_else(|| long.map(|texts| texts.value(index)))
        .or_else(|| view.map(|texts| texts.value(index)))
}

/// Kind and name for people; both are the table's, and may be anything.
fn named(row: &Row<'_>) -> String {
    let short = |text: &str| text.chars().take(64).flat_map(char::escape_debug).collect::<String>();
    format!("{} {}", short(row.kind), short(row.name))
}

fn enter<T: DeserializeOwned + PartialEq>(versions: &mut Versions<T>, row: &Row<'_>, missing: &dyn Fn(String)) {
    let what = |part: &str, error: &serde_json::Error| {
        // Where it fails, and not what stands there.
        let (line, column) = (error.line(), error.column());
        missing(format!(
            "{part} of version {} of {} cannot be understood, from line {line}, column {column} on",
            row.version,
            named(row)
        ));
    };
    let definition: T = match serde_json::from_str(row.definition) {
        Ok(definition) => definition,
        Err(error) => return what("the text", &error),
    };
    let from: InForceFrom = match serde_json::from_str(row.from) {
        Ok(from) => from,
        Err(error) => return what("in_force_from", &error),
    };
    let entered = Version { version: row.version, definition, from };
    let of_name = versions.entry(row.name.to_owned()).or_default();
    match of_name.get(&row.version) {
        None => {
            of_name.insert(row.version, entered);
        }
        Some(there) if *there == entered => {}
        Some(_) => {
            missing(format!("version {} of {} is there twice, with different contents", row.version, named(row)));
        }
    }
}

/// Versions count from 1 without a gap.
fn gaps<T>(kind: &str, versions: &Versions<T>, missing: &dyn Fn(String)) {
    for (name, of_name) in versions {
        let mut expected = 1;
        for version in of_name.keys() {
            if *version > expected {
                missing(format!("{kind} {name} has version {version}, and not version {expected} before it"));
            }
            expected = version.saturating_add(1);
        }
    }
}
