//! DataFusion's commonest complaints about a statement, in the words of someone who writes a SELECT.
//!
//! Contract: text in, text out. What is not known here stays as it is, but for DataFusion's names of its kinds of error, dumps
//! of its structures, and its request to report a defect of its own. Types are named as the pipeline file names them.

/// Signatures of a function that are named.
const SIGNATURES_MAX: usize = 4;

/// The planner's message in plain words.
pub(super) fn plain(text: &str) -> String {
    let said = function(text).or_else(|| known(bare(text)));
    types(&said.unwrap_or_else(|| bare(text).to_owned()))
}

/// Without what only DataFusion's authors can use.
fn bare(text: &str) -> &str {
    let mut text = text;
    for kind in ["Internal error: ", "Error during planning: ", "Execution error: ", "Parser error: "] {
        text = text.strip_prefix(kind).unwrap_or(text);
    }
    for begin in ["This issue was likely caused by a bug in DataFusion", "No function matches the given name"] {
        text = text.split(begin).next().unwrap_or(text).trim_end();
    }
    // `Substring { expr: Identifier(…) }`
    if text.contains("Span(")
        && let Some((before, _)) = text.split_once(" { ")
    {
        text = before.rsplit_once(' ').map_or(before, |(words, _)| words);
    }
    text.trim_end_matches('.')
}

/// A function that does not take what it is given: `there is no sum(string); there is sum(decimal), sum(long)`.
fn function(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("No function matches the given name and argument types '")?;
    let (given, rest) = rest.split_once("'. You might need to add explicit type casts.")?;
    let (_, candidates) = rest.split_once("Candidate functions:").unwrap_or(("", ""));
    let name = given.split('(').next().unwrap_or_default();
    // Signatures that are made up by the function's own code have no types to show.
    let tells =
        |line: &&str| line.starts_with(name) && !["UserDefined", "Any", "UInt"].iter().any(|w| line.contains(w));
    let lines: Vec<&str> = candidates.split(['\n', ';']).map(str::trim).filter(tells).collect();
    let more = if lines.len() > SIGNATURES_MAX { " and others" } else { "" };
    let shown = lines.iter().take(SIGNATURES_MAX).copied().collect::<Vec<_>>().join(", ");
    Some(match shown.is_empty() {
        true => format!("there is no {given}"),
        false => format!("there is no {given}; there is {shown}{more}"),
    })
}

fn known(text: &str) -> Option<String> {
    let between = |before: &str, after: &str| Some(text.split_once(before)?.1.split_once(after)?.0);
    if let Some(sum) = between("Cannot coerce arithmetic expression ", " to valid types") {
        return Some(format!("{sum} cannot be computed; cast one side to the type of the other"));
    }
    if let Some(predicate) = between("non-boolean predicate '", "' returning ") {
        let kind = text.rsplit_once("' returning ").map_or("", |(_, kind)| kind);
        return Some(format!("'{predicate}' is no condition: it is {kind}, not true or false"));
    }
    if text.contains("require unique expression names") {
        let mut at = text.split(" at position ").skip(1).filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        let (one, other) = (at.next()?.saturating_add(1), at.next()?.saturating_add(1));
        return Some(format!("columns {one} and {other} of the SELECT have the same name; name one of them with AS"));
    }
    text.strip_prefix("not supported: Unsupported SQL type ").map(|kind| format!("there is no type {kind}"))
}

/// The text with types as the pipeline file names them, and constants without theirs. What stands in quotes stays.
pub(super) fn types(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = plain.ends_with(|c: char| c.is_alphanumeric());
        if matches!(first, '\'' | '"') && !in_word {
            let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
            plain.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() && !in_word {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = push_type(word, behind, &mut plain);
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}

/// Appends a word, as the type that it may be; gives what comes behind it.
fn push_type<'a>(word: &str, behind: &'a str, plain: &mut String) -> &'a str {
    let name = match word {
        "Utf8" | "Utf8View" | "LargeUtf8" | "String" => "string",
        "Boolean" => "boolean",
        "Int32" => "int",
        "Int64" => "long",
        "Float32" | "Float" => "float",
        "Float64" => "double",
        "Decimal" | "Decimal128" => "decimal",
        "Date32" => "date",
        "Timestamp" => "timestamp",
        "BinaryView" | "LargeBinary" => "binary",
        _ => {
            plain.push_str(word);
            return behind;
        }
    };
    let inner = behind.strip_prefix('(').and_then(|inner| inner.split_once(')'));
    match (name, inner) {
        ("decimal", _) | (_, None) => {
            plain.push_str(name);
            behind
        }
        ("timestamp", Some((_, behind))) => {
            plain.push_str(name);
            behind
        }
        // A constant: `Int64(1)`, `Utf8("a")`.
        (_, Some((value, behind))) => {
            plain.push_str(&value.replace('"', "'"));
            behind
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_does_not_take_is_said_with_what_it_takes() {
        let signatures = "You might need to add explicit type casts.\n\tCandidate functions:\n\tsum(Decimal)\n\tsum(UInt64)\n\t\
                          sum(Int64)\n\tsum(Float64)";
        let types = "No function matches the given name and argument types 'sum(Utf8)'.";
        let long = "Internal error: Function 'sum' failed to match any signature, errors: Error during planning: Function \
                    'sum' requires Decimal, but received String (DataType: Utf8)..\nThis issue was likely caused by a bug \
                    in DataFusion's code. Please help us to resolve this.";
        let wanted = "there is no sum(string); there is sum(decimal), sum(long), sum(double)";
        assert_eq!(plain(&format!("{long} {types} {signatures}")), wanted);
        let own = "Function 'x' user-defined coercion failed with: Error. No function matches the given name and argument \
                   types 'x(Timestamp(µs, \"UTC\"), Int64)'. You might need to add explicit type casts.\n\tCandidate \
                   functions:\n\tx(UserDefined)";
        assert_eq!(plain(own), "there is no x(timestamp, long)");
    }

    #[test]
    fn the_planners_commonest_complaints_are_said_in_plain_words() {
        for (said, plainly) in [
            (
                "Cannot coerce arithmetic expression Decimal128(18, 4) - Timestamp(µs, \"UTC\") to valid types",
                "decimal(18, 4) - timestamp cannot be computed; cast one side to the type of the other",
            ),
            (
                "Cannot create filter with non-boolean predicate 'ticks.Utf8' returning Decimal128(18, 4)",
                "'ticks.Utf8' is no condition: it is decimal(18, 4), not true or false",
            ),
            (
                "Projections require unique expression names but the expression \"count(Int64(1)) AS n\" at position 2 and \
                 \"sum(t.price) AS n\" at position 3 have the same name. Consider aliasing (\"AS\") one of them.",
                "columns 3 and 4 of the SELECT have the same name; name one of them with AS",
            ),
            ("not supported: Unsupported SQL type foo", "there is no type foo"),
            ("Parser error: Invalid input for type interval: \"foo\"", "Invalid input for type interval: \"foo\""),
            (
                "Substring without for/from is not valid Substring { expr: Identifier(Ident { value: \"price\", span: \
                 Span(Location(1,37)..Location(1,42)) }) }",
                "Substring without for/from is not valid",
            ),
            (
                "Internal error: it went wrong.\nThis issue was likely caused by a bug in DataFusion's code. Please help",
                "it went wrong",
            ),
            ("it doesn't take Int64(7) or Utf8(\"a\")", "it doesn't take 7 or 'a'"),
            ("Divide by zero error", "Divide by zero error"),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }
}
