//! The tables held against a certificate: whether what it vouches for is still what they hold.
//!
//! Contract: rows in the certified ranges give the same counts and checksums, whatever files they stand in now, or there
//! is a finding with table and partition. Rows appended since are fine, columns added since too. In `quick` no row is
//! read: the signature, the tables and their versions are checked.

use super::Part;
use super::certificate::{Certificate, CertifiedRange, CertifiedTable, Signed};
use super::certify;
use super::checksum::TableChecksum;
use super::signature::PublicKey;
use super::sums::{self, Offsets, Selection, Task};
use crate::finding::{Code, Findings, Kept, Place, Unable};
use crate::lake::Table;
use crate::request::{Progress, Request};
use crate::rows::FileProblem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The certificate that a report was held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// Its file.
    pub file: String,
    /// When it was made, RFC 3339.
    pub at: String,
    /// What its signature is worth, in words.
    pub signature: String,
}

/// Holds the lake against a certificate. `file` is its name for people, `known` the key that is known to be the signer's.
///
/// Tables that cannot be read are entered as not checked; the signature is judged all the same.
#[must_use]
pub fn check(
    certificate: &Certificate,
    (file, known): (&str, Option<&PublicKey>),
    request: &Request,
    progress: &dyn Progress,
) -> (CertificateReport, Vec<Part>, Kept) {
    let findings = Findings::default();
    let signed = certificate.signed(known);
    if let Signed::Wrong(why) = &signed {
        findings.add(Code::CertificateSignature, Place::default().in_file(file), why.clone());
    }
    let statement = &certificate.statement;
    let mut parts = Vec::new();
    match certify::observe(request) {
        Ok(tables) => {
            for certified in statement.tables.iter().filter(|table| request.scope.has_table(&table.table)) {
                let held = Held { certified, at: &statement.at, request, findings: &findings };
                parts.push(held.check(&tables, statement.pipeline.as_deref(), progress));
            }
        }
        Err(unable) => findings.unable(unable),
    }
    let report = CertificateReport { file: file.to_owned(), at: statement.at.clone(), signature: signed.to_string() };
    (report, parts, findings.into_kept())
}

/// A certified table that is held against the lake.
struct Held<'a> {
    certified: &'a CertifiedTable,
    at: &'a str,
    request: &'a Request,
    findings: &'a Findings,
}

impl Held<'_> {
    fn place(&self) -> Place {
        Place::table(&self.certified.table)
    }

    fn changed(&self, place: Place, what: String) {
        self.findings.add(Code::CertificateChanged, place, what);
    }

    fn check(&self, tables: &BTreeMap<String, Table>, pipeline: Option<&str>, progress: &dyn Progress) -> Part {
        let looked_at = match tables.get(&self.certified.table) {
            Some(table) => self.table(table, pipeline, progress),
            None => {
                let what = format!("the certificate names version {}, the table is not there", self.certified.version);
                self.changed(self.place(), what);
                0
            }
        };
        let unit = if self.request.scope.quick { "versions" } else { "rows" };
        let (check, of) = ("certificate".to_owned(), self.certified.table.clone());
        Part { check, of, looked_at, unit: unit.to_owned() }
    }

    /// Returns how much was looked at.
    fn table(&self, table: &Table, pipeline: Option<&str>, progress: &dyn Progress) -> u64 {
        let certified = self.certified;
        if table.version < certified.version {
            let what =
                format!("the certificate names version {}, the table is at {}", certified.version, table.version);
            self.changed(self.place().at_version(certified.version), what);
        }
        let now = table.metadata.configuration.get("watertight.pipeline").map(String::as_str);
        if pipeline.is_some() && now != pipeline {
            let (then, now) = (pipeline.unwrap_or_default(), now.unwrap_or("none"));
            self.changed(self.place(), format!("the certificate is of pipeline {then}, the table of {now}"));
        }
        if self.request.scope.quick {
            return 1;
        }
        if !self.same_columns(table) {
            return 0;
        }
        self.ranges(table, progress).saturating_add(self.windows(table, progress))
    }

    /// Whether every certified column is there as it was; without them no checksum can be computed.
    fn same_columns(&self, table: &Table) -> bool {
        let now = certify::columns(table);
        let gone = self.certified.columns.iter().filter(|column| !now.contains(column));
        let mut same = true;
        for column in gone {
            same = false;
            let found = now.iter().find(|found| found.name == column.name);
            let found = found.map_or("it is not there".to_owned(), |found| format!("the table {}", found.type_name));
            let what = format!("the certificate has the column as {}, {found}", column.type_name);
            self.changed(self.place().in_column(&column.name), what);
        }
        same
    }

    fn ranges(&self, table: &Table, progress: &dyn Progress) -> u64 {
        let scope = &self.request.scope;
        let ranges = self.certified.ranges.iter().filter(|range| scope.has_partition(range.partition));
        // Where the table cannot tell the topic's incarnations apart and there are new ones, only files of then count.
        let tells = self.certified.columns.iter().any(|column| column.name == "_log_incarnation");
        let (anew, plain): (Vec<_>, Vec<_>) = ranges.partition(|range| !tells && made_anew(table, range));
        let mut rows = self.compare(table, &plain, None, progress);
        rows = rows.saturating_add(self.compare(table, &anew, Some(self.certified.version), progress));
        rows
    }

    fn compare(
        &self,
        table: &Table,
        ranges: &[&CertifiedRange],
        version_max: Option<u64>,
        progress: &dyn Progress,
    ) -> u64 {
        if ranges.is_empty() {
            return 0;
        }
        let mut selected = Vec::with_capacity(ranges.len());
        for CertifiedRange { incarnation, partition, from, to, .. } in ranges {
            selected.push(Offsets { incarnation, partition: *partition, from: *from, to: *to });
        }
        let Some(sums) = self.sums(table, Selection::Offsets(selected), version_max, progress) else { return 0 };
        for (range, sum) in ranges.iter().zip(&sums) {
            if (range.rows, range.rows_checksum.as_str()) == (sum.rows, sum.hex().as_str()) {
                continue;
            }
            let place = self.place().of_partition(range.partition).offsets(range.from, range.to);
            let rewritten = |file: &crate::lake::LiveFile| {
                !file.add.data_change && version_max.is_some_and(|max| file.version > max)
            };
            if table.live.values().any(rewritten) {
                let why = "the topic was made anew and the table's files were rewritten since the certificate: which rows \
                           are of which incarnation cannot be told; verify the table itself";
                self.findings.unable(Unable { place, why: why.to_owned() });
                continue;
            }
            self.changed(place, self.both(range.rows, &range.rows_checksum, *sum));
        }
        sums.iter().fold(0, |rows, sum| rows.saturating_add(sum.rows))
    }

    fn windows(&self, table: &Table, progress: &dyn Progress) -> u64 {
        let Some(windows) = &self.certified.windows else { return 0 };
        let selection = Selection::Windows(windows.closed_until_us);
        let Some(sums) = self.sums(table, selection, None, progress) else { return 0 };
        let sum = sums.first().copied().unwrap_or_default();
        if (windows.rows, windows.rows_checksum.as_str()) != (sum.rows, sum.hex().as_str()) {
            let until = super::words::instant(windows.closed_until_us);
            let place = self.place().in_window(&format!("all that end by {until}"));
            self.changed(place, self.both(windows.rows, &windows.rows_checksum, sum));
        }
        sum.rows
    }

    fn both(&self, rows: u64, checksum: &str, found: TableChecksum) -> String {
        let (at, now) = (self.at, found.hex());
        if rows == found.rows {
            format!("{rows} rows as in the certificate of {at}, but with checksum {now} where it says {checksum}")
        } else {
            format!("the certificate of {at} says {rows} rows, the table holds {}", found.rows)
        }
    }

    /// The sums, or none, and then it is entered why.
    fn sums(
        &self,
        table: &Table,
        selection: Selection<'_>,
        version_max: Option<u64>,
        progress: &dyn Progress,
    ) -> Option<Vec<TableChecksum>> {
        let columns: Vec<&str> = self.certified.columns.iter().map(|column| column.name.as_str()).collect();
        let task = Task { table, columns: &columns, selection, version_max };
        let failure = match sums::over(&task, self.request, progress) {
            Ok(sums) => return Some(sums),
            Err(failure) => failure,
        };
        match failure.problem {
            FileProblem::Wrong { code, what } => {
                self.findings.add(code, self.place().in_file(&failure.file), what);
                let why = format!("not held against the certificate: file {} cannot be read", failure.file);
                self.findings.unable(Unable { place: self.place(), why });
            }
            FileProblem::Unable(unable) => self.findings.unable(unable),
        }
        None
    }
}

/// Whether the table has rows of another incarnation of the topic in this partition.
fn made_anew(table: &Table, range: &CertifiedRange) -> bool {
    let appends = table.commits.iter().filter_map(|commit| commit.books());
    appends
        .filter(|books| books.incarnation != range.incarnation)
        .any(|books| books.entries.iter().any(|entry| entry.partition == range.partition))
}

/// Holds one table against what is certified of it, without a lake.
#[cfg(test)]
pub(super) fn held_for_tests(certified: &CertifiedTable, table: &Table, request: &Request) -> Kept {
    let findings = Findings::default();
    let held = Held { certified, at: "2026-11-25T03:00:00.000000Z", request, findings: &findings };
    held.table(table, None, &crate::request::Silent);
    findings.into_kept()
}
