//! How DataFusion's errors are worded for an operator.
//!
//! One line: `[line L, column C: ]what is wrong[. Did you mean 'x'?]`. The place counts from 1 in the SQL that was
//! planned; it is there where the parser or the planner gives one (of columns: where the session collects spans).
//! DataFusion's own names of its kinds of error never appear.

use super::wording::plain;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

/// Longest message that is passed on; a list of hundreds of valid columns is cut here.
const MESSAGE_CHARS_MAX: usize = 600;

/// Line and column, from 1.
type Place = (u64, u64);

/// An error from planning: it quotes the SQL and names of columns, never rows. One line.
pub(crate) fn planning_message(error: &DataFusionError) -> String {
    let (parsed, text) = worded(error, plain);
    match parsed.or_else(|| spanned(error)) {
        Some((line, column)) => format!("line {line}, column {column}: {text}"),
        None => text,
    }
}

/// An error from running over rows: what is quoted, and every number, is left out, because it may be a row's value.
pub(crate) fn runtime_message(error: &DataFusionError) -> String {
    redact(&worded(error, str::to_owned).1)
}

fn root(error: &DataFusionError) -> &DataFusionError {
    let mut root = error.find_root();
    while let DataFusionError::Diagnostic(_, inner) = root {
        root = inner.find_root();
    }
    root
}

/// What is wrong, in one line, and the place that the parser wrote behind it. `wording` rewords the planner's own messages.
fn worded(error: &DataFusionError, wording: fn(&str) -> String) -> (Option<Place>, String) {
    let (place, text) = match root(error) {
        DataFusionError::SQL(parser, _) => unparsed(&parser.to_string()),
        DataFusionError::SchemaError(schema, _) => (None, about_columns(schema)),
        DataFusionError::NotImplemented(what) => (None, wording(&format!("not supported: {what}"))),
        other => (None, unplanned(&other.message(), wording)),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default();
    let line = text.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    (place, shorten(line))
}

/// Where the planner says that it is.
fn spanned(error: &DataFusionError) -> Option<Place> {
    let of_column = || match root(error) {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field } => {
                field.spans().first()
            }
            _ => None,
        },
        _ => None,
    };
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span).or_else(of_column)?;
    Some((span.start.line, span.start.column))
}

/// The parser's `sql parser error: Expected: x, found: y at Line: 3, Column: 8`.
fn unparsed(text: &str) -> (Option<Place>, String) {
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    let place = |numbers: &str| -> Option<Place> {
        let (line, column) = numbers.split_once(", Column: ")?;
        Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
    };
    let (what, place) = match text.rsplit_once(" at Line: ") {
        Some((what, numbers)) if place(numbers).is_some() => (what, place(numbers)),
        _ => (text, None),
    };
    let what = what.replacen("Expected: ", "expected ", 1).replacen(", found: ", ", found ", 1);
    let what = match what.strip_suffix(", found EOF") {
        Some(expected) => format!("{expected}, found the end"),
        None => what,
    };
    (place, format!("not valid SQL: {what}"))
}

fn about_columns(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(error, field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            format!("column '{}' may be one of several; name its table too", field.flat_name())
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("two columns are named '{name}'; name one of them with AS")
        }
    }
}

fn unknown_column(error: &SchemaError, field: &Column, valid_fields: &[Column]) -> String {
    let name = field.flat_name();
    let other_case = |valid: &&Column| valid.name != field.name && valid.name.eq_ignore_ascii_case(&field.name);
    if let Some(valid) = valid_fields.iter().find(other_case) {
        let quoted = Column::new_unqualified(valid.name.clone()).quoted_flat_name();
        return if quoted.starts_with('"') {
            format!("unknown column '{name}'; write {quoted} in double quotes: names without them are in lower case")
        } else {
            format!("unknown column '{name}'. Did you mean '{quoted}'?")
        };
    }
    // Which name is near is DataFusion's to say, and it says so in its first line only.
    let shown = error.to_string();
    let near = shown.lines().next().and_then(|line| line.split_once(". Did you mean "));
    match near {
        Some((_, near)) => format!("unknown column '{name}'. Did you mean {near}"),
        None if valid_fields.is_empty() => format!("unknown column '{name}'"),
        None => {
            let known: Vec<&str> = valid_fields.iter().map(Column::name).collect();
            format!("unknown column '{name}'; known columns: {}", known.join(", "))
        }
    }
}

/// A message of the planner, whose commonest ones are said in fewer words.
fn unplanned(text: &str, wording: fn(&str) -> String) -> String {
    let ungrouped =
        text.split_once("column \"").and_then(|(_, rest)| rest.split_once("\" must appear in the GROUP BY"));
    match ungrouped {
        Some((column, _)) => {
            format!("'{column}' is neither in GROUP BY nor inside an aggregate; group by it, or write max({column})")
        }
        None => {
            let text = text.replace("Invalid function '", "unknown function '");
            wording(&text.replace("'.\nDid you mean", "'. Did you mean"))
        }
    }
}

fn shorten(line: String) -> String {
    match line.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Replaces quoted text by `'…'` and numbers that stand alone by `#`.
///
/// A quote opens only at the start of a word, so that an apostrophe inside one doesn't, and runs to the last quote
/// of its kind: a value may itself hold quotes.
fn redact(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut previous = ' ';
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        let starts_word = !(previous.is_alphanumeric() || previous == '_');
        previous = c;
        if matches!(c, '\'' | '"' | '`') && starts_word {
            let after = rest.as_str();
            kept.push_str("'…'");
            rest = after.rfind(c).map_or("", |end| &after[end + 1..]).chars();
            previous = '\'';
        } else if c.is_ascii_digit() && starts_word {
            kept.push('#');
            let after = rest.as_str();
            let end = after.find(|d: char| !(d.is_alphanumeric() || d == '.' || d == '_')).unwrap_or(after.len());
            rest = after[end..].chars();
            previous = '0';
        } else {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::{Diagnostic, Location, Span};

    #[test]
    fn values_of_rows_are_left_out_and_the_rest_stays() {
        for (from, to) in [
            (
                "Cannot cast string 'it's a \"secret\"' to value of Float64 type",
                "Cannot cast string '…' to value of Float64 type",
            ),
            ("Overflow happened on: 922337 + -12.5e3", "Overflow happened on: # + -#"),
            ("Divide by zero error", "Divide by zero error"),
            ("can't parse Int64", "can't parse Int64"),
            ("unclosed 'abc", "unclosed '…'"),
        ] {
            assert_eq!(redact(from), to);
        }
    }

    #[test]
    fn the_place_of_an_error_of_syntax_comes_first_and_is_said_once() {
        for (from, place, to) in [
            (
                "sql parser error: Expected: ), found: FROM at Line: 3, Column: 8",
                Some((3, 8)),
                "not valid SQL: expected ), found FROM",
            ),
            (
                "sql parser error: Expected: an expression, found: EOF",
                None,
                "not valid SQL: expected an expression, found the end",
            ),
            ("sql parser error: recursion limit exceeded", None, "not valid SQL: recursion limit exceeded"),
            ("sql parser error: odd at Line: x, Column: 8", None, "not valid SQL: odd at Line: x, Column: 8"),
        ] {
            assert_eq!(unparsed(from), (place, to.to_owned()));
        }
    }

    #[test]
    fn an_unknown_column_is_said_without_the_words_of_the_planner() {
        let known = || vec![Column::new_unqualified("price"), Column::new_unqualified("bidPrice")];
        for (name, to) in [
            ("pric", "unknown column 'pric'. Did you mean 'price'?"),
            ("PRICE", "unknown column 'PRICE'. Did you mean 'price'?"),
            (
                "bidprice",
                "unknown column 'bidprice'; write \"bidPrice\" in double quotes: names without them are in lower case",
            ),
            ("zzz", "unknown column 'zzz'; known columns: price, bidPrice"),
        ] {
            let field = Box::new(Column::new_unqualified(name));
            let error = SchemaError::FieldNotFound { field, valid_fields: known() };
            assert_eq!(planning_message(&DataFusionError::SchemaError(Box::new(error), Box::new(None))), to);
        }
    }

    #[test]
    fn a_span_of_the_planner_is_the_place() {
        let at = |line, column| Location { line, column };
        let span = Span::new(at(3, 8), at(3, 12));
        let mut field = Column::new_unqualified("pric");
        field.spans_mut().add_span(span);
        let error = SchemaError::FieldNotFound { field: Box::new(field), valid_fields: Vec::new() };
        let error = DataFusionError::SchemaError(Box::new(error), Box::new(None));
        assert_eq!(planning_message(&error), "line 3, column 8: unknown column 'pric'");
        let error = DataFusionError::Plan("Invalid function 'maxx'.\nDid you mean 'max'?".to_owned());
        let error =
            error.with_diagnostic(Diagnostic::new_error("Invalid function 'maxx'", Some(span))).context("planning");
        assert_eq!(planning_message(&error), "line 3, column 8: unknown function 'maxx'. Did you mean 'max'?");
        assert_eq!(runtime_message(&error), "unknown function '…'?", "no place, no names");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(shorten("é".repeat(700)).chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
