//! Secrets: taken as they are, from the pipeline file or from a file of their own (docs/adr/0012).
//!
//! Contract: the content of a secret's file never becomes YAML, and `${…}` in it stays what it is; one newline at its end
//! is the editor's and goes. No problem shows a secret, nor what its file holds.

use crate::Reader;
use crate::config::Secret;
use crate::problem::Report;
use crate::raw::RawSecret;
use std::path::Path;

/// The secret; what is wrong is reported at the key that was written.
pub(super) fn secret(raw: &RawSecret, base: &Path, reader: Reader<'_>, report: &mut Report) -> Option<Secret> {
    let path = match raw {
        RawSecret::Text(text) => return Some(Secret::new(text.value.clone())),
        RawSecret::File(path) => path,
    };
    let content = match reader(&base.join(&path.value)) {
        Ok(content) => content,
        Err(error) => {
            path.problem(report, format!("cannot read the file of a secret: {error}"), None);
            return None;
        }
    };
    let text = content.strip_suffix('\n').unwrap_or(&content);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        path.problem(report, "the file of a secret is empty", None);
        return None;
    }
    Some(Secret::new(text.to_owned()))
}
