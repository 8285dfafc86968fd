//! The report as text for people: findings first, then a short table of what was checked, then the verdict.
//!
//! At most [`WIDTH`] columns; colours only when asked for, which is for a terminal.

use super::{Balance, Counted, Part, Report, Reported, Verdict, runbook, words};
use crate::finding::{Code, Severity, Unable};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Columns of a line.
pub(super) const WIDTH: usize = 100;
/// Findings that are shown in full; the rest is counted.
const IN_FULL: usize = 20;
/// Notes of one code that are shown in full, as an example: they call for nothing, and there may be thousands.
const NOTES_IN_FULL: usize = 1;
/// What could not be checked, as many of it as is shown.
const UNABLE_SHOWN: usize = 10;

/// How a stretch of text looks on a terminal.
#[derive(Debug, Clone, Copy)]
enum Look {
    Bad,
    Doubtful,
    Good,
    Heading,
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn painted(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Bad => "1;31",
            Look::Doubtful => "33",
            Look::Good => "32",
            Look::Heading => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Text in lines of [`WIDTH`], the first behind `head` (of `head_width` columns), the others indented as far.
    fn paragraph(&mut self, head: &str, head_width: usize, text: &str) {
        for (index, part) in wrapped(text, WIDTH.saturating_sub(head_width)).into_iter().enumerate() {
            let before = if index == 0 { head.to_owned() } else { " ".repeat(head_width) };
            self.line(&format!("{before}{part}"));
        }
    }
}

impl Report {
    /// The report as text; in `colour` with the escapes of a terminal.
    #[must_use]
    pub fn to_text(&self, colour: bool) -> String {
        let mut page = Page { text: String::new(), colour };
        self.findings_in_full(&mut page);
        self.not_checked(&mut page);
        self.what_was_checked(&mut page);
        self.balances(&mut page);
        self.how_far_ledgers_speak(&mut page);
        self.conclusion(&mut page);
        page.text
    }

    fn findings_in_full(&self, page: &mut Page) {
        if self.findings.is_empty() {
            return;
        }
        let heading = page.painted(Look::Heading, "findings");
        page.line(&heading);
        let mut notes: BTreeMap<Code, usize> = BTreeMap::new();
        let is_shown = |finding: &&Reported| {
            let of_code = notes.entry(finding.code).or_default();
            *of_code += 1;
            finding.severity == Severity::Fault || *of_code <= NOTES_IN_FULL
        };
        let in_full: Vec<&Reported> = self.findings.iter().filter(is_shown).take(IN_FULL).collect();
        for finding in &in_full {
            one_finding(page, finding);
        }
        let total = self.counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let shown = in_full.len() as u64;
        if total > shown {
            page.line(&format!("and {} more. By code:", words::grouped(total - shown)));
        } else {
            page.line("by code:");
        }
        for (code, count) in by_weight(self) {
            page.line(&format!("  {:>12}  {:<26} {}", words::grouped(count), code.name(), kind(code.severity())));
        }
        page.line("");
    }

    fn not_checked(&self, page: &mut Page) {
        if self.unable.is_empty() {
            return;
        }
        let heading = page.painted(Look::Doubtful, "could not be checked");
        page.line(&heading);
        for Unable { place, why } in self.unable.iter().take(UNABLE_SHOWN) {
            page.paragraph("  ", 2, &format!("{}: {}", words::place(place), words::plain(why)));
        }
        if self.unable.len() > UNABLE_SHOWN {
            page.line(&format!("  and {} more", self.unable.len() - UNABLE_SHOWN));
        }
        page.line(&format!("  see {}", runbook::CANNOT_CHECK));
        page.line("");
    }

    fn what_was_checked(&self, page: &mut Page) {
        let heading = format!("{:<14} {:<38} {:>24}  {}", "checked", "of", "looked at", "found");
        let heading = page.painted(Look::Heading, &heading);
        page.line(&heading);
        for part in &self.parts {
            let of = fitted(&words::plain(&part.of), 38);
            let looked_at = format!("{} {}", words::grouped(part.looked_at), part.unit);
            let (look, found) = self.found_in(part);
            let found = page.painted(look, &found);
            page.line(&format!("{:<14} {of:<38} {looked_at:>24}  {found}", fitted(&part.check, 14)));
        }
        page.line("");
    }

    /// What a part found, in a word or two.
    fn found_in(&self, part: &Part) -> (Look, String) {
        let of_part = |finding: &&Reported| finding.severity == Severity::Fault && self.is_of(finding, part);
        let faults = self.findings.iter().filter(of_part).count() as u64;
        if faults > 0 {
            let cut = self.findings.iter().filter(of_part).any(|finding| {
                let listed = self.findings.iter().filter(|other| other.code == finding.code).count() as u64;
                self.counts.get(&finding.code).is_some_and(|count| *count > listed)
            });
            let more = if cut { " or more" } else { "" };
            return (Look::Bad, format!("{}{more}", words::counted(faults, "fault")));
        }
        if self.unable.iter().any(|unable| unable.place.table.as_deref() == Some(part.of.as_str())) {
            return (Look::Doubtful, "not all checked".to_owned());
        }
        (Look::Good, "fine".to_owned())
    }

    /// Whether a finding is a part's: of its table or file, and the first of the checks that look for its code.
    fn is_of(&self, finding: &Reported, part: &Part) -> bool {
        let place = &finding.place;
        // What is gone has no part of its own.
        if part.check == "tables" {
            return checks(finding.code).contains(&"tables");
        }
        let same = |of: &str| place.table.as_deref() == Some(of) || place.file.as_deref() == Some(of);
        // A stream's checks are parts of its silver table, or of its name: what they find may lie in any table of it.
        let related = |of: &str| place.table.as_deref().and_then(stream) == Some(stream(of).unwrap_or(of));
        let there = |check: &str| self.parts.iter().any(|other| other.check == check && same(&other.of));
        match checks(finding.code).iter().find(|check| there(check)) {
            Some(check) => part.check == **check && same(&part.of),
            None => checks(finding.code).contains(&part.check.as_str()) && related(&part.of),
        }
    }

    fn balances(&self, page: &mut Page) {
        for balance in &self.streams {
            page.paragraph("", 0, &balance_in_words(balance));
            if balance.difference() != 0 {
                let left = page.painted(Look::Bad, &format!("  {} unaccounted for", balance.difference()));
                page.line(&left);
            }
        }
        if !self.streams.is_empty() {
            page.line("");
        }
    }

    fn how_far_ledgers_speak(&self, page: &mut Page) {
        for ledger in &self.ledgers {
            page.paragraph("", 0, &ledger.in_words());
        }
        if !self.ledgers.is_empty() {
            page.line("");
        }
    }

    fn conclusion(&self, page: &mut Page) {
        if let Some(certificate) = &self.certificate {
            let of =
                format!("certificate of {}: {}", words::plain(&certificate.at), words::plain(&certificate.signature));
            page.paragraph("", 0, &of);
        }
        let name = self.pipeline_name.as_deref().map_or(String::new(), |name| format!("pipeline {name}, "));
        let memory = self.memory_bytes_peak.map_or(String::new(), |bytes| format!(", {} MiB", bytes >> 20));
        let run = format!(
            "{name}lake {}: {} in {:.1} s{memory}, {} at {}",
            words::plain(&self.lake),
            words::counted(self.tables.len() as u64, "table"),
            self.seconds,
            self.tool,
            self.at
        );
        page.paragraph("", 0, &run);
        if let Some(only) = self.scope.only() {
            page.paragraph("", 0, &format!("looked at only: {only}"));
        }
        let (look, verdict) = match self.verdict {
            Verdict::Balanced if self.declared_lost() > 0 => (Look::Doubtful, self.balanced()),
            Verdict::Balanced => (Look::Good, self.balanced()),
            Verdict::Findings => {
                let kinds = self.counts.keys().filter(|code| code.severity() == Severity::Fault).count() as u64;
                let faults = words::counted(self.faults(), "fault");
                let also = if self.unable.is_empty() { "" } else { "; not everything could be checked" };
                (Look::Bad, format!("FINDINGS: {faults} of {}{also}", words::counted(kinds, "kind")))
            }
            Verdict::Unable => {
                let why = "NOT ABLE TO CHECK: no fault was seen, but not everything could be looked at";
                (Look::Doubtful, why.to_owned())
            }
        };
        for line in wrapped(&verdict, WIDTH) {
            let line = page.painted(look, &line);
            page.line(&line);
        }
    }
}

fn one_finding(page: &mut Page, finding: &Reported) {
    let look = if finding.severity == Severity::Fault { Look::Bad } else { Look::Doubtful };
    let head = page.painted(look, &format!("{:<5} {}", kind(finding.severity), finding.code.name()));
    page.line(&head);
    page.paragraph("  where    ", 11, &words::place(&finding.place));
    page.paragraph("  what     ", 11, &words::plain(&finding.what));
    page.paragraph("  means    ", 11, &finding.means);
    page.paragraph("  do       ", 11, &finding.advice);
    page.paragraph("  runbook  ", 11, &finding.runbook);
    page.line("");
}

pub(super) const fn kind(severity: Severity) -> &'static str {
    match severity {
        Severity::Fault => "FAULT",
        Severity::Note => "note",
    }
}

/// Codes and counts, faults before notes, the most frequent first.
pub(super) fn by_weight(report: &Report) -> Vec<(Code, u64)> {
    let mut counts: Vec<(Code, u64)> = report.counts.iter().map(|(code, count)| (*code, *count)).collect();
    counts.sort_by_key(|(code, count)| (code.severity(), std::cmp::Reverse(*count), *code));
    counts
}

/// The checks that look for a code, the likeliest first.
fn checks(code: Code) -> &'static [&'static str] {
    let Some((family, rest)) = code.name().split_once('.') else { return &[] };
    match (family, rest) {
        ("log", "file_unreadable" | "file_rows" | "file_schema" | "file_partition" | "statistics") => {
            &["files", "Delta log", "books"]
        }
        ("log", "table_missing" | "table_anew") => &["tables"],
        ("log", _) => &["Delta log"],
        ("books", _) => &["books"],
        ("offsets", _) => &["offsets"],
        ("rows", "date") => &["files", "conservation", "books"],
        ("rows" | "dead_letters" | "definitions", _) => &["conservation"],
        ("ids", _) => &["uniqueness", "conservation"],
        ("gold" | "serving", _) => &["gold"],
        ("ledger", _) => &["ledgers"],
        ("certificate", _) => &["certificate"],
        _ => &[],
    }
}

/// The stream that a table belongs to.
fn stream(table: &str) -> Option<&str> {
    let (schema, name) = table.split_once('.')?;
    match schema {
        "bronze" => Some(name.strip_suffix("_dlq").unwrap_or(name)),
        "silver" => Some(name),
        _ => None,
    }
}

/// `stream x: 60,000 bronze = 19,997 silver (428 late) + 39,695 duplicates + 308 dead letters`.
pub(super) fn balance_in_words(balance: &Balance) -> String {
    let number = words::grouped;
    let mut text = format!(
        "stream {}: {} bronze = {} silver ({} late) + {} duplicates + {} dead letters",
        words::plain(&balance.stream),
        number(balance.bronze),
        number(balance.silver),
        number(balance.late),
        number(balance.duplicates),
        number(balance.dead_letters),
    );
    for (count, what) in
        [(balance.withheld, "withheld"), (balance.erased, "erased"), (balance.ahead, "not yet in silver")]
    {
        if count > 0 {
            let _infallible = write!(text, " + {} {what}", number(count));
        }
    }
    for (count, what) in [(balance.no_record, "without a record"), (balance.lost, "declared lost")] {
        if count > 0 {
            let _infallible = write!(text, "; {} offsets {what}", number(count));
        }
    }
    if balance.counted == Counted::Books {
        text.push_str(" (by the books)");
    }
    text
}

/// Text of at most `width` columns: the end of what is too long is kept, for names differ there.
fn fitted(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length - width.saturating_sub(1)).collect();
    format!("…{end}")
}

/// Lines of at most `width` characters, broken at spaces, and inside a word only where it is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while rest.len() > width {
            let tail = rest.split_off(width);
            lines.push(rest.into_iter().collect());
            rest = tail;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += rest.len();
        line.extend(rest);
    }
    if used > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_inside() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn every_code_has_a_check_that_looks_for_it() {
        for code in Code::ALL {
            assert!(!checks(*code).is_empty(), "{}", code.name());
        }
    }

    #[test]
    fn of_a_long_name_the_end_is_kept() {
        assert_eq!(fitted("silver.ticks", 40), "silver.ticks");
        assert_eq!(fitted("ledgers/of/march/led1.jsonl", 11), "…led1.jsonl");
    }
}
