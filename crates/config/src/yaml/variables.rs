//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$` in values.
//!
//! As in a shell, `:-` and `:?` also take effect when the variable is set but empty, and a `$` before anything but
//! `{` and `$` stands for itself. Keys are left alone. A default ends at the first `}`.

use super::below;
use super::tree::{Kind, Node, quoted};
use crate::Env;
use crate::problem::Report;

/// Fills in all values below `node`; one that fails is reported and marked.
pub(super) fn fill(node: &mut Node, path: &str, env: Env<'_>, report: &mut Report) {
    match &mut node.kind {
        Kind::Scalar { shown, text } => {
            if shown.contains('$') {
                match expand(shown, env) {
                    Ok(expanded) => *text = expanded,
                    Err(messages) => {
                        for message in messages {
                            report.add(node.at, path, message.text, message.suggestion);
                        }
                        node.kind = Kind::Failed;
                    }
                }
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(item, &format!("{path}[{index}]"), env, report);
            }
        }
        Kind::Mapping(entries) => {
            for entry in entries {
                fill(&mut entry.value, &below(path, &entry.key), env, report);
            }
        }
        Kind::Null | Kind::Failed => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Message {
    text: String,
    suggestion: Option<String>,
}

fn expand(shown: &str, env: Env<'_>) -> Result<String, Vec<Message>> {
    let mut out = String::with_capacity(shown.len());
    let mut messages = Vec::new();
    let mut rest = shown;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                messages.push(Message {
                    text: format!("${{ without its }} in {}", quoted(shown)),
                    suggestion: Some("write $$ for a $ that stands for itself".into()),
                });
                break;
            };
            match variable(&after[..end], env) {
                Ok(value) => out.push_str(&value),
                Err(message) => messages.push(message),
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    if messages.is_empty() { Ok(out) } else { Err(messages) }
}

/// The value of what stands between `${` and `}`.
fn variable(inner: &str, env: Env<'_>) -> Result<String, Message> {
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        let text = format!("{} is not a variable", quoted(&format!("${{{inner}}}")));
        return Err(Message { text, suggestion: Some("write ${NAME} with letters, digits and _".into()) });
    }
    let value = env(name);
    let unset =
        |suggestion: String| Message { text: format!("variable {name} is not set"), suggestion: Some(suggestion) };
    if rest.is_empty() {
        return value.ok_or_else(|| unset(format!("set it, or give a default: ${{{name}:-default}}")));
    }
    let value = value.filter(|value| !value.is_empty());
    if let Some(default) = rest.strip_prefix(":-") {
        if default.contains("${") {
            let text = format!("the default of {name} contains another ${{…}}");
            return Err(Message { text, suggestion: Some("give a plain default".into()) });
        }
        return Ok(value.unwrap_or_else(|| default.replace("$$", "$")));
    }
    if let Some(message) = rest.strip_prefix(":?") {
        return value.ok_or_else(|| unset(if message.is_empty() { "set it".into() } else { message.to_owned() }));
    }
    let text = format!("{} after the name of a variable", quoted(rest));
    Err(Message { text, suggestion: Some(format!("use ${{{name}}}, ${{{name}:-default}} or ${{{name}:?message}}")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".into()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("x, y: ${A} }".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_escapes_are_filled_in_once() {
        for (shown, want) in [
            ("${A}/x", "alpha/x"),
            ("${NONE:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("${A:-d}${A:?m}", "alphaalpha"),
            ("$$ $${A} $x 5$", "$ ${A} $x 5$"),
            ("${NONE:-a$$b}", "a$b"),
            ("${TRICK}", "x, y: ${A} }"),
        ] {
            assert_eq!(expand(shown, &env), Ok(want.into()), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        for (shown, want) in [
            ("${NONE}", "variable NONE is not set"),
            ("${EMPTY:?set it}", "variable EMPTY is not set"),
            ("a ${A", "${ without its } in 'a ${A'"),
            ("${}", "'${}' is not a variable"),
            ("${1A}", "'${1A}' is not a variable"),
            ("${A-b}", "'-b' after the name of a variable"),
            ("${NONE:-${A}}", "the default of NONE contains another ${…}"),
        ] {
            let messages = expand(shown, &env).expect_err(shown);
            assert_eq!(messages[0].text, want, "{shown}");
        }
    }

    #[test]
    fn every_unset_variable_of_a_value_is_named() {
        let messages = expand("${X}-${Y}", &env).expect_err("two unset");
        assert_eq!(messages.len(), 2);
    }
}
