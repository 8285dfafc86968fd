//! A model: the stream it reads and where its SQL stands.

use crate::Reader;
use crate::config::SqlOrigin;
use crate::problem::Report;
use crate::raw::{RawModel, Spanned};
use crate::suggest::did_you_mean;
use crate::yaml::quoted;
use std::path::Path;
use watertight_core::schema::ModelDef;

/// Builds a model, and says where its SQL stands; what is wrong is reported.
pub(super) fn model(
    raw: &RawModel,
    streams: &[String],
    base: &Path,
    reader: Reader<'_>,
    report: &mut Report,
) -> Option<(ModelDef, SqlOrigin)> {
    if let Some(from) = raw.from.as_ref().filter(|from| !streams.contains(&from.value)) {
        let suggestion = did_you_mean(&from.value, streams.iter().map(String::as_str))
            .or_else(|| Some(format!("declared streams: {}", streams.join(", "))).filter(|_| !streams.is_empty()));
        from.problem(report, format!("no stream {} is declared", quoted(&from.shown)), suggestion);
    }
    let sql = raw.sql.as_ref().and_then(|sql| self::sql(sql, base, reader, report));
    let (sql, origin) = sql?;
    let from = raw.from.as_ref()?.value.clone();
    Some((ModelDef { name: raw.name.clone(), from, window_us: raw.window?, sql }, origin))
}

/// The SELECT itself, or the content of the file that a value on one line ending in `.sql` names.
fn sql(raw: &Spanned<String>, base: &Path, reader: Reader<'_>, report: &mut Report) -> Option<(String, SqlOrigin)> {
    let text = raw.value.trim();
    let names_file = text.ends_with(".sql") && !text.contains('\n');
    match (names_file, begins_a_query(text)) {
        (true, true) => {
            let suggestion = Some("give the path of a file, or a SELECT that doesn't end in .sql".into());
            raw.problem(report, "this is both a SELECT and the name of a .sql file", suggestion);
            None
        }
        (false, true) => Some((text.to_owned(), SqlOrigin::default())),
        (false, false) => {
            let suggestion = Some("begin with SELECT or WITH, or name a file such as models/candles.sql".into());
            raw.problem(report, "expected a SELECT or a file that ends in .sql", suggestion);
            None
        }
        (true, false) => {
            let content = match reader(&base.join(text)) {
                Ok(content) => content,
                Err(error) => {
                    let suggestion = Some("paths are relative to the folder of the pipeline file".into());
                    raw.problem(report, format!("cannot read {}: {error}", quoted(&raw.shown)), suggestion);
                    return None;
                }
            };
            let content = content.trim_start_matches('\u{feff}');
            if !begins_a_query(content) {
                raw.problem(report, format!("{} does not begin with SELECT or WITH", quoted(&raw.shown)), None);
                return None;
            }
            let file = raw.shown.trim().escape_debug().to_string();
            Some((content.trim().to_owned(), origin(file, content)))
        }
    }
}

/// Where the first word of a file's content stands.
fn origin(file: String, content: &str) -> SqlOrigin {
    let before = &content[..content.len() - content.trim_start().len()];
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    SqlOrigin {
        file: Some(file),
        lines_before: count(before.matches('\n').count()),
        columns_before: count(before.rsplit('\n').next().unwrap_or_default().chars().count()),
    }
}

/// Whether the text, behind its comments, begins with SELECT, WITH or a parenthesis.
fn begins_a_query(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest).trim_start()
        } else {
            break;
        }
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest.starts_with('(') || ["select", "with"].iter().any(|word| rest[..end].eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_known_by_its_first_word_behind_comments() {
        for query in ["SELECT 1", "with a as (select 1) select 1", "-- why\n/* and\nhow */ select 1", "(select 1)"] {
            assert!(begins_a_query(query), "{query}");
        }
        for other in ["models/a.sql", "selected.sql", "-- nothing", "", "insert into x"] {
            assert!(!begins_a_query(other), "{other}");
        }
    }
}
