//! The report as one HTML file: no network, no script, nothing that is not in it.
//!
//! Light and dark by the reader's own setting, readable on a phone. Every text that is not ours passes [`escaped`], and
//! the page's policy forbids scripts and loads, should an escape ever be forgotten.

mod picture;

use super::{Report, Reported, Verdict, text, words};
use crate::finding::Severity;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// Text for HTML, in elements and in quoted attributes; control characters are made plain.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Report {
    /// The report as an HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        self.head(&mut page);
        for balance in &self.streams {
            page.push_str(&picture::flow(balance, &self.gold_of(&balance.stream)));
        }
        self.continuity(&mut page);
        self.findings_table(&mut page);
        self.unable_list(&mut page);
        self.parts_table(&mut page);
        self.ledgers_list(&mut page);
        self.tables_table(&mut page);
        self.foot(&mut page);
        page
    }

    /// Gold tables with their rows, next to the stream when there is only one: the tables don't say whose they are.
    fn gold_of(&self, stream: &str) -> Vec<(String, Option<u64>)> {
        if self.streams.len() != 1 || self.streams.first().is_none_or(|only| only.stream != stream) {
            return Vec::new();
        }
        let gold = self.tables.iter().filter(|table| table.table.starts_with("gold."));
        gold.map(|table| (table.table.clone(), table.rows)).collect()
    }

    fn head(&self, page: &mut String) {
        let (class, verdict) = match self.verdict {
            Verdict::Balanced => {
                let class = if self.declared_lost() > 0 { "doubt" } else { "good" };
                (class, escaped(&self.balanced()).replacen('b', "B", 1))
            }
            Verdict::Findings => ("bad", "Findings".to_owned()),
            Verdict::Unable => ("doubt", "Not able to check everything; no fault was seen".to_owned()),
        };
        let name = self.pipeline_name.as_deref().map_or(String::new(), |name| format!(" of {}", escaped(name)));
        let faults = match self.verdict {
            Verdict::Findings => format!(": {}", words::counted(self.faults(), "fault")),
            Verdict::Balanced | Verdict::Unable => String::new(),
        };
        let _infallible = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>Verification{name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>Verification{name}</h1>\n<p class=\"verdict {class}\">{verdict}{faults}</p>\n\
             <p class=\"quiet\">lake {}, {}, {:.1} s, {}</p>\n",
            escaped(&self.lake),
            escaped(&self.at),
            self.seconds,
            escaped(&self.tool),
        );
        if let Some(only) = self.scope.only() {
            let _infallible = writeln!(page, "<p>Looked at only: {}.</p>", escaped(&only));
        }
        if let Some(certificate) = &self.certificate {
            let _infallible = writeln!(
                page,
                "<p>Held against the certificate of {}: {}.</p>",
                escaped(&certificate.at),
                escaped(&certificate.signature)
            );
        }
    }

    fn continuity(&self, page: &mut String) {
        let tables = self.tables.iter().filter(|table| table.table.starts_with("bronze.") && !table.ranges.is_empty());
        let mut pictures = tables.map(picture::bars).peekable();
        if pictures.peek().is_none() {
            return;
        }
        page.push_str("<h2>Continuity of offsets</h2>\n");
        page.push_str(
            "<p class=\"legend\"><span class=\"key held\"></span> there \
             <span class=\"key declared\"></span> declared without a record \
             <span class=\"key missing\"></span> missing</p>\n",
        );
        pictures.for_each(|picture| page.push_str(&picture));
    }

    fn findings_table(&self, page: &mut String) {
        page.push_str("<h2>Findings</h2>\n");
        if self.findings.is_empty() {
            page.push_str("<p>None.</p>\n");
            return;
        }
        page.push_str("<ul class=\"counts\">\n");
        for (code, count) in text::by_weight(self) {
            let class = class_of(code.severity());
            let _infallible =
                writeln!(page, "<li class=\"{class}\"><code>{}</code> {}</li>", code.name(), words::grouped(count));
        }
        page.push_str("</ul>\n<table class=\"findings\">\n<thead><tr><th>Code</th><th>Where</th><th>What</th>");
        page.push_str("<th>What it means, what to do</th></tr></thead>\n<tbody>\n");
        self.findings.iter().for_each(|finding| finding_row(page, finding));
        page.push_str("</tbody>\n</table>\n");
        let listed = self.findings.len() as u64;
        let total = self.counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if total > listed {
            let _infallible = writeln!(page, "<p>{} more are counted above.</p>", words::grouped(total - listed));
        }
    }

    fn unable_list(&self, page: &mut String) {
        if self.unable.is_empty() {
            return;
        }
        page.push_str("<h2>Could not be checked</h2>\n<ul>\n");
        for unable in &self.unable {
            let _infallible = writeln!(
                page,
                "<li class=\"doubt\">{}: {}</li>",
                escaped(&words::place(&unable.place)),
                escaped(&unable.why)
            );
        }
        let _infallible = writeln!(page, "</ul>\n<p>See {}.</p>", super::runbook::CANNOT_CHECK);
    }

    fn parts_table(&self, page: &mut String) {
        page.push_str(
            "<h2>What was checked</h2>\n<table>\n<thead><tr><th>Check</th><th>Of</th><th>Looked at</th></tr>",
        );
        page.push_str("</thead>\n<tbody>\n");
        for part in &self.parts {
            let _infallible = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td class=\"number\">{} {}</td></tr>",
                escaped(&part.check),
                escaped(&part.of),
                words::grouped(part.looked_at),
                escaped(&part.unit)
            );
        }
        page.push_str("</tbody>\n</table>\n");
    }

    fn ledgers_list(&self, page: &mut String) {
        if self.ledgers.is_empty() {
            return;
        }
        page.push_str("<h2>How far ledgers speak</h2>\n<ul>\n");
        for ledger in &self.ledgers {
            let _infallible = writeln!(page, "<li>{}</li>", escaped(&ledger.in_words()));
        }
        page.push_str("</ul>\n");
    }

    fn tables_table(&self, page: &mut String) {
        page.push_str(
            "<h2>Tables</h2>\n<table>\n<thead><tr><th>Table</th><th>Versions</th><th>Files</th><th>Rows</th>",
        );
        page.push_str("</tr></thead>\n<tbody>\n");
        for table in &self.tables {
            let _infallible = writeln!(
                page,
                "<tr><td>{}</td><td class=\"number\">{}–{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                escaped(&table.table),
                table.first_version,
                table.last_version,
                words::grouped(table.files),
                table.rows.map_or("?".to_owned(), words::grouped)
            );
        }
        page.push_str("</tbody>\n</table>\n");
    }

    fn foot(&self, page: &mut String) {
        page.push_str("<p class=\"quiet\">");
        if let Some(pipeline) = &self.pipeline {
            let _infallible = write!(page, "pipeline {}. ", escaped(pipeline));
        }
        if let Some(hash) = &self.pipeline_file_sha256 {
            let _infallible = write!(page, "SHA-256 of its file {}. ", escaped(hash));
        }
        page.push_str("This file needs no network and runs no script.</p>\n</main>\n</body>\n</html>\n");
    }
}

const fn class_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Fault => "bad",
        Severity::Note => "doubt",
    }
}

fn finding_row(page: &mut String, finding: &Reported) {
    let _infallible = writeln!(
        page,
        "<tr><td data-label=\"Code\" class=\"{}\"><code>{}</code></td><td data-label=\"Where\">{}</td>\
         <td data-label=\"What\">{}</td><td data-label=\"Means\">{}. <em>{}.</em> <span class=\"quiet\">{}</span></td></tr>",
        class_of(finding.severity),
        finding.code.name(),
        escaped(&words::place(&finding.place)),
        escaped(&finding.what),
        escaped(&finding.means),
        escaped(&finding.advice),
        escaped(&finding.runbook)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_html_would_read_is_left() {
        assert_eq!(escaped("<b a='1' c=\"2\">&\u{1b}"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\\u{1b}");
    }
}
