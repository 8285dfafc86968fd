//! How long our files and functions are.
//!
//! Purpose: prints medians and the longest, and fails above the hard limits. A file that wants to be longer usually
//! holds two ideas, and a function that does usually holds two steps.
//! Counting: a file's lines are all its lines, tests and comments included; a function's lines run from its `fn` to
//! its closing brace, without doc comments. Code inside macro calls is not counted as functions.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::visit::Visit;

use crate::verify::Tally;
use crate::workspace::Workspace;

/// Longer files are printed: about what one sitting reads with the whole in mind.
const FILE_LINES_SOFT: usize = 400;
/// Longer files fail: a quarter above the soft limit, so that a last test case need not force a split at once.
const FILE_LINES_MAX: usize = 500;
/// Longer functions are printed: about one screen.
const FUNCTION_LINES_SOFT: usize = 70;
/// Longer functions fail: flat tables and matches may pass one screen, nothing needs more than one and a half.
const FUNCTION_LINES_MAX: usize = 100;
/// Without outliers, this many of the longest are still shown.
const SHOWN_MIN: usize = 3;

/// One measured thing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Measure {
    /// `path` for a file, `path:line name` for a function.
    place: String,
    lines: usize,
}

pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for path in workspace.tracked("*.rs")? {
        let full: PathBuf = workspace.root.join(&path);
        let text = std::fs::read_to_string(&full).with_context(|| format!("{} cannot be read", full.display()))?;
        files.push(Measure { place: path.display().to_string(), lines: text.lines().count() });
        functions.extend(functions_of(&path, &text)?);
    }
    let mut problems = judged("file", files, FILE_LINES_SOFT, FILE_LINES_MAX);
    problems.extend(judged("function", functions, FUNCTION_LINES_SOFT, FUNCTION_LINES_MAX));
    Ok(Tally::check(problems))
}

/// Prints the median and the outliers; returns those above the hard limit.
fn judged(what: &str, mut measures: Vec<Measure>, soft: usize, hard: usize) -> Vec<String> {
    measures.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.place.cmp(&b.place)));
    let median = measures.get(measures.len() / 2).map_or(0, |measure| measure.lines);
    println!("{} {what}s, median {median} lines (soft limit {soft}, hard limit {hard})", measures.len());
    for (index, measure) in measures.iter().enumerate() {
        if measure.lines <= soft && index >= SHOWN_MIN {
            break;
        }
        let mark = if measure.lines > soft { "long" } else { "" };
        println!("  {:>5} {mark:<5} {}", measure.lines, measure.place);
    }
    let beyond = measures.iter().filter(|measure| measure.lines > hard);
    beyond.map(|measure| format!("{} has {} lines; a {what} may have {hard}", measure.place, measure.lines)).collect()
}

fn functions_of(path: &Path, text: &str) -> Result<Vec<Measure>> {
    let file = syn::parse_file(text).with_context(|| format!("{} is not Rust that parses", path.display()))?;
    let mut ruler = Ruler { path, found: Vec::new() };
    ruler.visit_file(&file);
    Ok(ruler.found)
}

struct Ruler<'a> {
    path: &'a Path,
    found: Vec<Measure>,
}

impl Ruler<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        let place = format!("{}:{first} {}", self.path.display(), signature.ident);
        self.found.push(Measure { place, lines: last - first + 1 });
    }
}

impl<'ast> Visit<'ast> for Ruler<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Vec<(String, usize)> {
        let found = functions_of(Path::new("a.rs"), text).unwrap();
        found.into_iter().map(|measure| (measure.place, measure.lines)).collect()
    }

    #[test]
    fn a_function_runs_from_fn_to_its_closing_brace_whatever_its_text_holds() {
        let text = "/// Docs.\n#[inline]\npub fn tricky() -> char {\n    let s = r#\"}}\"#;\n    // }\n    '}'\n}\n";
        assert_eq!(measured(text), [("a.rs:3 tricky".to_owned(), 5)]);
    }

    #[test]
    fn methods_defaults_of_traits_and_nested_functions_are_measured() {
        let text = "trait T {\n fn a(&self);\n fn b(&self) {}\n}\nimpl S {\n fn c() {\n  fn d() {}\n }\n}\n";
        let names: Vec<String> = measured(text).into_iter().map(|(place, _)| place).collect();
        assert_eq!(names, ["a.rs:3 b", "a.rs:6 c", "a.rs:7 d"]);
    }

    #[test]
    fn one_line_above_the_hard_limit_fails_and_the_limit_itself_does_not() {
        let measure = |lines| Measure { place: format!("f{lines}"), lines };
        let problems = judged("file", vec![measure(10), measure(11), measure(3)], 5, 10);
        assert_eq!(problems, ["f11 has 11 lines; a file may have 10"]);
    }

    #[test]
    fn a_file_that_does_not_parse_is_an_error() {
        assert!(functions_of(Path::new("a.rs"), "fn {").is_err());
    }
}
