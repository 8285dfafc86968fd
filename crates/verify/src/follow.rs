//! Following a lake while a pipeline writes to it: which versions the next round checks, and what all rounds found.
//!
//! Contract: a round checks the versions that came since the one before, and that all older files are still there, as
//! long as they were. Old rows are not read again: what is altered in place after its round is found by a whole
//! verification. The ids of new rows are held against each other; every so often, as whoever follows asks, a round with
//! [`Ids::All`] goes once more through silver's versions since the last such round and holds their ids against the whole
//! table: by then it is told which records without a row are lost, and which ids stand in older rows too.
//!
//! A fault, once found, stays. What could not be checked stays as well where the rounds pass it over; of a table that could
//! not be read at all nothing is passed over, and the next round tries again. Why the lake cannot be looked at is told once,
//! until something else is the matter.

use crate::finding::{Code, Finding, Place, Severity, Unable};
use crate::report::{Report, Reported, Verdict, words};
use crate::request::{Ids, Scope};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Findings that are remembered, so that a round does not tell them again: 20 MB.
const REMEMBERED_MAX: usize = 100_000;

/// What was verified so far, and what came of it.
#[derive(Debug, Default)]
pub struct Follow {
    rounds: u64,
    /// By table: the newest version that was verified.
    verified: BTreeMap<String, u64>,
    /// By table of silver: the newest version whose ids were held against the whole table.
    ids: BTreeMap<String, u64>,
    told: BTreeSet<(Code, String)>,
    /// What notes said of tables that were made anew.
    anew: BTreeSet<String>,
    /// Faults that were counted and not listed, by code: the most of a round.
    unlisted: BTreeMap<Code, u64>,
    not_checked: BTreeSet<String>,
    /// Whether something that could not be checked was passed over.
    passed_over: bool,
    /// Whether the last round that looked at the lake could not check something.
    unable: bool,
    /// Why the last round could not look at it at all.
    failure: Option<Unable>,
    /// What the last round that looked at the lake could not ask the log.
    silent: Vec<Unable>,
}

/// A round, and what came of all so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Its number, from 1.
    pub round: u64,
    /// When it began, RFC 3339.
    pub at: String,
    /// The same, microseconds.
    pub at_us: i64,
    /// How long it took.
    pub seconds: f64,
    /// Versions that it looked at for the first time, over all tables.
    pub new_versions: u64,
    /// Records of bronze that it held against silver.
    pub records: u64,
    /// Windows and groups that it computed anew.
    pub windows: u64,
    /// What new ids were held against: `all`, `new`, or nothing (`none`).
    pub ids: &'static str,
    /// The answer so far.
    pub verdict: Verdict,
    /// Faults so far.
    pub faults: u64,
    /// The faults that no round before told.
    pub findings: Vec<Reported>,
    /// What could not be checked, and no round before told.
    pub unable: Vec<Unable>,
    /// By table: the newest version that was verified.
    pub tables: BTreeMap<String, u64>,
    /// Whether it could not look at the lake at all.
    #[serde(skip)]
    pub failed: bool,
}

impl Follow {
    /// What the next round is to look at, of what was asked for.
    #[must_use]
    pub fn scope(&self, asked: &Scope, ids: Ids) -> Scope {
        let mut scope = Scope { ids, ..asked.clone() };
        for (table, verified) in &self.verified {
            let last = match ids {
                Ids::All if is_silver(table) => self.ids.get(table),
                Ids::All | Ids::New => Some(verified),
            };
            if let Some(first) = last.and_then(|last| last.checked_add(1)) {
                scope.from_versions.insert(table.clone(), first);
            }
        }
        scope
    }

    /// By table: the newest version that was verified.
    #[must_use]
    pub fn verified(&self) -> &BTreeMap<String, u64> {
        &self.verified
    }

    /// Whether there are rows of silver whose ids were held against each other only.
    #[must_use]
    pub fn ids_are_behind(&self) -> bool {
        self.verified.iter().any(|(table, version)| is_silver(table) && self.ids.get(table) != Some(version))
    }

    /// The answer of all rounds so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let doubt = self.passed_over || self.unable || self.failure.is_some() || !self.silent.is_empty();
        match (self.faults(), doubt) {
            (1.., _) => Verdict::Findings,
            (0, true) => Verdict::Unable,
            (0, false) => Verdict::Balanced,
        }
    }

    /// Faults so far, each once.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.unlisted.values().fold(self.told.len() as u64, |sum, more| sum.saturating_add(*more))
    }

    /// Things that could not be checked so far, each once.
    #[must_use]
    pub fn not_checked(&self) -> u64 {
        (self.not_checked.len() as u64).saturating_add(self.silent.len() as u64)
    }

    /// Takes the report of a round that was made with [`Follow::scope`].
    pub fn take(&mut self, report: &Report, ids: Ids) -> Round {
        let read = !report.scope.quick;
        let gone = self.gone(report);
        let mut findings: Vec<Reported> = gone.values().chain(&report.findings).cloned().collect();
        findings.retain(|finding| finding.severity == Severity::Fault && self.is_new(finding));
        self.count_unlisted(report);
        let unable = self.take_unable(report);
        let mut new_versions = 0_u64;
        for told in report.tables.iter().filter(|told| !gone.contains_key(&told.table)) {
            let before = self.verified.insert(told.table.clone(), told.last_version);
            let first = before.map_or(told.first_version, |before| before.saturating_add(1));
            let count = told.last_version.saturating_add(1).saturating_sub(first);
            new_versions = new_versions.saturating_add(count);
            if ids == Ids::All && read && is_silver(&told.table) {
                self.ids.insert(told.table.clone(), told.last_version);
            }
        }
        let looked_at = |check: &str| {
            let parts = report.parts.iter().filter(|part| part.check == check);
            parts.fold(0_u64, |sum, part| sum.saturating_add(part.looked_at))
        };
        let held = match (read, ids) {
            (false, _) => "none",
            (true, Ids::All) => "all",
            (true, Ids::New) => "new",
        };
        let round = self.round(report.at_us, report.seconds);
        let (records, windows) = (looked_at("conservation"), looked_at("gold"));
        Round { new_versions, records, windows, ids: held, findings, unable, ..round }
    }

    /// Adds to a round what the log could not be asked in it. That passes over nothing: the next round asks again.
    #[must_use]
    pub fn with_log(&mut self, round: Round, silent: Vec<Unable>) -> Round {
        let mut unable = round.unable;
        unable.extend(silent.iter().filter(|unable| !self.silent.contains(unable)).cloned());
        self.silent = silent;
        Round { unable, verdict: self.verdict(), ..round }
    }

    /// A round in which nothing was new, and nothing was looked at.
    pub fn nothing_new(&mut self, at_us: i64) -> Round {
        self.failure = None;
        self.round(at_us, 0.0)
    }

    /// A round that could not look at the lake at all. The next one tries again; the same reason is not told again.
    pub fn failed(&mut self, at_us: i64, unable: Unable) -> Round {
        let told = self.failure.as_ref() == Some(&unable);
        self.failure = Some(unable.clone());
        let unable = if told { Vec::new() } else { vec![unable] };
        Round { unable, failed: true, ..self.round(at_us, 0.0) }
    }

    fn round(&mut self, at_us: i64, seconds: f64) -> Round {
        self.rounds = self.rounds.saturating_add(1);
        Round {
            round: self.rounds,
            at: words::instant(at_us),
            at_us,
            seconds,
            new_versions: 0,
            records: 0,
            windows: 0,
            ids: "none",
            verdict: self.verdict(),
            faults: self.faults(),
            findings: Vec::new(),
            unable: Vec::new(),
            tables: self.verified.clone(),
            failed: false,
        }
    }

    /// Whether no round before found it. What stands in the log is found again in each round.
    fn is_new(&mut self, finding: &Reported) -> bool {
        let place = serde_json::to_string(&finding.place).unwrap_or_default();
        self.told.len() < REMEMBERED_MAX && self.told.insert((finding.code, place))
    }

    fn count_unlisted(&mut self, report: &Report) {
        for (code, count) in report.counts.iter().filter(|(code, _)| code.meaning().severity == Severity::Fault) {
            let listed = report.findings.iter().filter(|finding| finding.code == *code).count() as u64;
            let unlisted = count.saturating_sub(listed);
            if unlisted > 0 {
                let most = self.unlisted.entry(*code).or_default();
                *most = (*most).max(unlisted);
            }
        }
    }

    /// What could not be checked and is new; remembers whether it is passed over.
    fn take_unable(&mut self, report: &Report) -> Vec<Unable> {
        (self.unable, self.failure) = (!report.unable.is_empty(), None);
        let read = |table: &str| report.tables.iter().any(|told| told.table == table);
        let mut new = Vec::new();
        for unable in &report.unable {
            self.passed_over |= unable.place.table.as_deref().is_none_or(read);
            let key = serde_json::to_string(unable).unwrap_or_default();
            if self.not_checked.len() < REMEMBERED_MAX && self.not_checked.insert(key) {
                new.push(unable.clone());
            }
        }
        new
    }

    /// Tables, and ends of their logs, that were there in a round before. Of these nothing is verified any more: what is
    /// there, or comes there, is looked at from its beginning.
    fn gone(&mut self, report: &Report) -> BTreeMap<String, Reported> {
        let mut gone = BTreeMap::new();
        let notes = report.findings.iter().filter(|finding| finding.code == Code::TableAnew);
        let anew: BTreeSet<String> =
            notes.filter(|note| self.anew.insert(note.line())).filter_map(|note| note.place.table.clone()).collect();
        for (table, verified) in &self.verified {
            let unread = report.unable.iter().any(|unable| unable.place.table.as_ref() == Some(table));
            let now = report.tables.iter().find(|told| told.table == *table).map(|told| told.last_version);
            let place = Place::table(table);
            let (code, place, what) = match now {
                Some(_) if anew.contains(table) => {
                    let what = format!("a round before verified version {verified} of another table of this name");
                    (Code::TableMissing, place, what)
                }
                Some(now) if now < *verified => {
                    let what = format!("a round before verified version {verified}, the log ends with version {now}");
                    (Code::VersionMissing, place.at_version(now.saturating_add(1)), what)
                }
                None if !unread => {
                    let what = format!("a round before verified version {verified}, the table is gone");
                    (Code::TableMissing, place, what)
                }
                Some(_) | None => continue,
            };
            gone.insert(table.clone(), Reported::from(Finding { code, place, what }));
        }
        for table in gone.keys() {
            self.verified.remove(table);
            self.ids.remove(table);
        }
        gone
    }
}

impl Round {
    /// The round in a line, and each new fault and what could not be checked in one of its own.
    #[must_use]
    pub fn to_text(&self) -> String {
        let counted = words::counted;
        let looked_at = match (self.new_versions, self.records, self.windows) {
            _ if self.failed => "the lake could not be looked at".to_owned(),
            (0, 0, 0) => "nothing new".to_owned(),
            (versions, records, windows) => {
                let ids = match self.ids {
                    "all" => ", all ids",
                    _ => "",
                };
                let (records, windows) = (counted(records, "record"), counted(windows, "window"));
                format!("{}, {records}, {windows}{ids}", counted(versions, "new version"))
            }
        };
        let verdict = match self.verdict {
            Verdict::Balanced => "balanced".to_owned(),
            Verdict::Unable => "NOT ABLE TO CHECK everything so far".to_owned(),
            Verdict::Findings => format!("FINDINGS: {} so far", counted(self.faults, "fault")),
        };
        let mut text = format!("{} round {}: {looked_at}: {verdict}\n", self.at, self.round);
        for finding in &self.findings {
            let _infallible = writeln!(text, "  {}", finding.line());
        }
        for unable in &self.unable {
            let (place, why) = (words::place(&unable.place), words::plain(&unable.why));
            let _infallible = writeln!(text, "  not checked: {place}: {why}");
        }
        text
    }

    /// The round as one line of JSON.
    ///
    /// # Errors
    /// None that is known: every value has a form in JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        Ok(text)
    }
}

fn is_silver(table: &str) -> bool {
    table.starts_with("silver.")
}

#[cfg(test)]
mod tests;
