//! YAML text → a tree of nodes that know where they stand, with variables filled in.
//!
//! Built on the parser's events rather than on a ready-made tree, because a tree of YAML keeps one of two equal
//! keys or stops at the first, and all of them must be reported. Aliases are expanded, tags and further documents
//! are refused. Nesting and expansion are bounded, so that no file can exhaust the stack or memory.

mod mend;
mod tree;
mod variables;

pub(crate) use tree::{Entry, Kind, Node, quoted};

use crate::Env;
use crate::problem::Report;

/// Parses `text` and fills in variables. `None` when there is no tree to go on with; the report says why.
pub(crate) fn parse(text: &str, env: Env<'_>, report: &mut Report) -> Option<Node> {
    let mut root = tree::build(text, report)?;
    variables::fill(&mut root, "", env, report);
    Some(root)
}

/// The path of `key` below `path`.
pub(crate) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
