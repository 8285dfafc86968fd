//! How DataFusion's errors are worded for an operator.

use datafusion::error::DataFusionError;

/// Longest message that is passed on; a list of hundreds of valid columns is cut here.
const MESSAGE_CHARS_MAX: usize = 600;

/// An error from planning: it quotes the SQL and names of columns, never rows. One line.
pub(crate) fn planning_message(error: &DataFusionError) -> String {
    let mut root = error.find_root();
    while let DataFusionError::Diagnostic(_, inner) = root {
        root = inner.find_root();
    }
    let text = match root {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        DataFusionError::NotImplemented(what) => format!("not supported: {what}"),
        other => other.message().into_owned(),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default();
    let line = text.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    shorten(line)
}

/// An error from running over rows: what is quoted, and every number, is left out, because it may be a row's value.
pub(crate) fn runtime_message(error: &DataFusionError) -> String {
    redact(&planning_message(error))
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
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(shorten("é".repeat(700)).chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
