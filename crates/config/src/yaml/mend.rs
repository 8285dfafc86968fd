//! Values such as `decimal(18,4)` inside `{ … }`.
//!
//! There YAML ends a plain value at the comma, and reads `{ type: decimal(18,4), required: true }` as the keys
//! `type`, `4)` and `required`. A plain value whose parentheses are open is followed here over the keys without
//! values behind it until they close, and is replaced by what stands in the source. If they never close, nothing
//! is changed and the keys are reported as unknown.

use super::tree::{Built, Kind};

/// `parts` are the keys and values of one mapping, in turn.
pub(super) fn flow_values(parts: Vec<Built>, source: &str) -> Vec<Built> {
    let mut mended: Vec<Built> = Vec::with_capacity(parts.len());
    let mut rest = parts.into_iter().peekable();
    while let (Some(key), Some(mut value)) = (rest.next(), rest.next()) {
        let mut run: Vec<Built> = Vec::new();
        let mut open = if value.plain { text(&value).map_or(0, depth) } else { 0 };
        while open > 0 && rest.peek().is_some_and(|next| next.plain && text(next).is_some()) {
            let (Some(next), Some(nothing)) = (rest.next(), rest.next()) else { break };
            open = if nothing.absent { open + text(&next).map_or(0, depth) } else { -1 };
            run.extend([next, nothing]);
        }
        if open == 0 && !run.is_empty() {
            value.range.1 = run[run.len() - 2].range.1;
            let whole: String =
                source.chars().skip(value.range.0).take(value.range.1 - value.range.0).collect::<String>();
            value.node.kind = Kind::Scalar { shown: whole.clone(), text: whole };
            run.clear();
        }
        mended.extend([key, value]);
        mended.append(&mut run);
    }
    mended
}

fn text(built: &Built) -> Option<&str> {
    match &built.node.kind {
        Kind::Scalar { shown, .. } => Some(shown),
        _ => None,
    }
}

/// Parentheses opened less those closed.
fn depth(text: &str) -> i64 {
    text.chars().map(|c| i64::from(c == '(') - i64::from(c == ')')).sum()
}
