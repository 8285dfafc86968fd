//! The reference of all keys in Markdown, printed from the table of keys into docs/PIPELINE_FILE.md.

use crate::keys::{Need, PIPELINE, SecretForm, Section, Shape};
use crate::units::{show_duration, show_size};
use std::fmt::Write as _;

/// One table per section, in the order in which sections appear.
#[must_use]
pub fn reference() -> String {
    let mut order: Vec<(&'static Section, String)> = vec![(&PIPELINE, "Top of the file".into())];
    let mut next = 0;
    while next < order.len() {
        let (section, path) = (order[next].0, order[next].1.clone());
        for key in section.keys {
            let path = if next == 0 { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            if let Some((inner, path)) = inner(&key.shape, path)
                && order.iter().all(|(known, _)| known.id != inner.id)
            {
                order.push((inner, path));
            }
        }
        next += 1;
    }
    let mut text = String::new();
    for (section, path) in order {
        let heading = if section.id == PIPELINE.id { path } else { format!("`{path}`") };
        let _ = write!(text, "### {heading}\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let default = match key.need {
                Need::Required => "required".to_owned(),
                Need::OneOfThese => "one of these".to_owned(),
                Need::Optional => "–".to_owned(),
                Need::Default(default) => format!("`{default}`"),
            };
            let _ = writeln!(text, "| `{}` | {} | {default} | {} |", key.name, value(&key.shape), key.doc);
            for (form, name) in key.other_names() {
                let (what, holds) = place(form);
                let _ = writeln!(text, "| `{name}` | {what} | – | Instead of it: {holds} that holds it. |");
            }
        }
        text.push('\n');
    }
    text
}

/// What stands behind a secret's other name.
fn place(form: SecretForm) -> (&'static str, &'static str) {
    match form {
        SecretForm::Text => ("text", "the text"),
        SecretForm::File => ("a file", "the file"),
        SecretForm::Env => ("a variable", "the environment variable"),
    }
}

/// The section behind a shape, and the path at which it stands.
fn inner(shape: &'static Shape, path: String) -> Option<(&'static Section, String)> {
    match shape {
        Shape::Keys(section) => Some((section, path)),
        Shape::Named(item) => inner(item, format!("{path}.<name>")),
        Shape::Either(one, other) => inner(one, path.clone()).or_else(|| inner(other, path)),
        _ => None,
    }
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Text { hint } | Shape::Secret { hint } => (*hint).to_owned(),
        Shape::Name => "a name".into(),
        Shape::Bool => "`true` or `false`".into(),
        Shape::Whole { min, max } => format!("{min} to {max}"),
        Shape::Duration { min, max } => format!("{} to {}", show_duration(*min), show_duration(*max)),
        Shape::Size { min, max } => format!("{} to {}", show_size(*min), show_size(*max)),
        Shape::Instant => "a date, or a time with its zone".into(),
        Shape::Start => "`earliest`, `latest`, a date, or a time with its zone".into(),
        Shape::Offsets => "by partition: an offset".into(),
        Shape::Properties => "by name: text, a number, `true` or `false`".into(),
        Shape::Secrets => "by name, with `_file` or `_env` behind it or not: a secret".into(),
        Shape::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Shape::Type => "a type".into(),
        Shape::List(item) => format!("a list: {}", value(item)),
        Shape::Named(item) => format!("by name: {}", value(item)),
        Shape::Keys(section) => format!("{} (below)", section.what),
        Shape::Either(one, other) => format!("{}, or {}", value(one), value(other)),
    }
}
