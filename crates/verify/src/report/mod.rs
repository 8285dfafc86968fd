//! Report: what was checked, how much, and the verdict; for people, for machines, for auditors.
//!
//! Contract: a [`Report`] is data, and everything that is shown is made of it alone: [`Report::to_text`],
//! [`Report::to_json`], [`Report::to_html`], and the [`certificate`]. Its verdict is one of three that are never
//! confused: balanced, findings, not able to check. Payloads and secrets are never in it; names that others chose (files,
//! event ids) are, and each form escapes them.
//! Never: reads a table (only [`certificate`] and [`against`] do, when they are asked to).

pub mod against;
pub mod certificate;
mod certify;
pub mod checksum;
mod html;
mod json;
mod ledgers;
mod runbook;
mod scope;
pub mod signature;
mod summary;
mod sums;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod words;

pub use against::CertificateReport;
pub use ledgers::{LedgerRange, LedgerReport};
pub use runbook::runbook;
pub use scope::ScopeReport;
pub use summary::{Balance, Counted, Range, STRETCHES_SHOWN, TableReport};

use crate::finding::{Code, Finding, Kept, Place, Severity, Unable};
use crate::lake::Table;
use crate::request::Request;
use crate::rows::TableFacts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the structure of a [`Report`].
pub const FORMAT: u32 = 1;

/// What one check looked at: a line of the table for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The check: `Delta log`, `files`, `tables`, `books`, `offsets`, `gaps`, `conservation`, `uniqueness`, `gold`, `ledgers`.
    pub check: String,
    /// The table (`silver.stock_ticks`), the ledger's file, or `ops` for the tables that it names.
    pub of: String,
    /// How much was looked at.
    pub looked_at: u64,
    /// Of what: `versions`, `files`, `tables`, `rows`, `offsets`, `windows`, `ids`.
    pub unit: String,
}

/// What a report is made of.
pub struct Inputs<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// The tables that were looked at; facts are missing where no row was read.
    pub tables: &'a [(&'a Table, Option<&'a TableFacts>)],
    /// What each check looked at.
    pub parts: Vec<Part>,
    /// How far each ledger speaks.
    pub ledgers: Vec<LedgerReport>,
    /// What was found.
    pub kept: Kept,
    /// Who asks.
    pub about: About,
}

/// What only the program that asks knows of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Who checks: `watertight 0.1.0`.
    pub tool: String,
    /// Name of the pipeline, where there is a pipeline file.
    pub pipeline_name: Option<String>,
    /// SHA-256 of the pipeline file, 64 hex digits ([`signature::sha256_hex`]).
    pub pipeline_file_sha256: Option<String>,
    /// When it began, microseconds.
    pub started_us: i64,
}

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was checked, and nothing is wrong.
    Balanced,
    /// At least one fault.
    Findings,
    /// No fault was seen, but not everything could be checked: neither fine nor lost.
    Unable,
}

/// A finding with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Stable code.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What was found.
    pub what: String,
    /// What it means.
    pub means: String,
    /// What to do.
    pub advice: String,
    /// Path of the runbook in the repository.
    pub runbook: String,
}

impl Reported {
    /// In one line, fit for a terminal: `FAULT rows.lost, silver.ticks, version 3, partition 2, offset 7: …`.
    pub(crate) fn line(&self) -> String {
        let (kind, place) = (text::kind(self.severity), words::place(&self.place));
        format!("{kind} {}, {place}: {}", self.code.name(), words::plain(&self.what))
    }
}

impl From<Finding> for Reported {
    fn from(Finding { code, place, what }: Finding) -> Self {
        let meaning = code.meaning();
        Self {
            code,
            severity: meaning.severity,
            place,
            what,
            means: meaning.means.to_owned(),
            advice: meaning.advice.to_owned(),
            runbook: runbook(code).to_owned(),
        }
    }
}

/// A run of `verify`, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Who checked.
    pub tool: String,
    /// Name of the pipeline, where its file was given.
    pub pipeline_name: Option<String>,
    /// The pipeline's uuid, from the tables.
    pub pipeline: Option<String>,
    /// SHA-256 of the pipeline file, where it was given.
    pub pipeline_file_sha256: Option<String>,
    /// Folder of the lake.
    pub lake: String,
    /// When it began, RFC 3339.
    pub at: String,
    /// The same, microseconds.
    pub at_us: i64,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that the process held, bytes, where the system says.
    pub memory_bytes_peak: Option<u64>,
    /// What was looked at.
    pub scope: ScopeReport,
    /// The certificate that the tables were held against.
    pub certificate: Option<CertificateReport>,
    /// The answer.
    pub verdict: Verdict,
    /// Findings, the worst first; of each code the first [`crate::finding::KEPT_PER_CODE`].
    pub findings: Vec<Reported>,
    /// How many findings there are of each code, those not listed too.
    pub counts: BTreeMap<Code, u64>,
    /// What could not be checked.
    pub unable: Vec<Unable>,
    /// What each check looked at.
    pub parts: Vec<Part>,
    /// How far each producer's ledger speaks.
    pub ledgers: Vec<LedgerReport>,
    /// Streams and their balance.
    pub streams: Vec<Balance>,
    /// Tables, by name.
    pub tables: Vec<TableReport>,
}

impl Report {
    /// Puts a report together.
    #[must_use]
    pub fn new(inputs: Inputs<'_>) -> Self {
        let Inputs { request, tables, parts, ledgers, kept, about } = inputs;
        let mut tables: Vec<_> = tables.to_vec();
        tables.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        let uuid = |(table, _): &(&Table, _)| table.metadata.configuration.get("watertight.pipeline").cloned();
        let mut report = Self {
            format: FORMAT,
            tool: about.tool,
            pipeline_name: about.pipeline_name,
            pipeline: tables.iter().find_map(uuid),
            pipeline_file_sha256: about.pipeline_file_sha256,
            lake: request.lake.display().to_string(),
            at: words::instant(about.started_us),
            at_us: about.started_us,
            seconds: 0.0,
            memory_bytes_peak: None,
            scope: scope::of(request),
            certificate: None,
            verdict: Verdict::Balanced,
            findings: Vec::new(),
            counts: BTreeMap::new(),
            unable: Vec::new(),
            parts: Vec::new(),
            ledgers,
            streams: summary::balances(&tables),
            tables: tables.iter().map(|(table, facts)| summary::table(table, *facts, &kept)).collect(),
        };
        report.also(parts, kept);
        report
    }

    /// Adds what a further check looked at and found; the verdict is drawn anew.
    pub fn also(&mut self, parts: Vec<Part>, kept: Kept) {
        self.parts.extend(parts);
        self.findings.extend(kept.findings.into_iter().map(Reported::from));
        self.findings.sort_by_key(|finding| {
            let place = &finding.place;
            (finding.severity, finding.code, place.table.clone(), place.version, place.partition, place.offsets)
        });
        for (code, count) in kept.counts {
            let sum = self.counts.entry(code).or_default();
            *sum = sum.saturating_add(count);
        }
        self.unable.extend(kept.unable);
        self.verdict = self.judged();
    }

    /// Adds what came of holding the tables against a certificate ([`against::check`]).
    pub fn held_against(&mut self, (certificate, parts, kept): (CertificateReport, Vec<Part>, Kept)) {
        self.certificate = Some(certificate);
        self.also(parts, kept);
    }

    /// Puts what was counted row by row in the place of what the books say of these streams.
    pub fn counted(&mut self, balances: Vec<Balance>) {
        self.streams.retain(|told| balances.iter().all(|counted| counted.stream != told.stream));
        self.streams.extend(balances);
        self.streams.sort_by(|one, other| one.stream.cmp(&other.stream));
    }

    /// Says when it ended (microseconds), and the most memory that the process held, where the system says.
    pub fn ended(&mut self, ended_us: i64, memory_bytes_peak: Option<u64>) {
        self.seconds = seconds(self.at_us, ended_us);
        self.memory_bytes_peak = memory_bytes_peak;
    }

    /// A fault outweighs what could not be checked: it is known. What could not be checked outweighs fine: it is not.
    fn judged(&self) -> Verdict {
        match (self.faults(), self.unable.is_empty()) {
            (1.., _) => Verdict::Findings,
            (0, false) => Verdict::Unable,
            (0, true) => Verdict::Balanced,
        }
    }

    /// Number of faults, those that are not listed too.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let faults = self.counts.iter().filter(|(code, _)| code.severity() == Severity::Fault);
        faults.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Offsets that the streams' books declare lost: no fault, and never passed over in silence.
    #[must_use]
    pub fn declared_lost(&self) -> u64 {
        self.streams.iter().fold(0, |sum, stream| sum.saturating_add(stream.lost))
    }

    /// The exit code of the process. Scripts rely on it: 1 is never given for what could not be read, 0 only for what
    /// was.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            // Balanced: all that was asked for was checked, and no fault was found. Notes don't count.
            Verdict::Balanced => 0,
            // At least one fault, whatever else could not be checked.
            Verdict::Findings => 1,
            // No fault seen, but something could not be checked.
            Verdict::Unable => 2,
        }
    }
}

fn seconds(from_us: i64, to_us: i64) -> f64 {
    // To the millisecond: more says nothing, and the number reads well.
    to_us.saturating_sub(from_us).max(0).div_euclid(1_000) as f64 / 1e3
}
