//! Secrets: taken as they are, from the pipeline file or from a file of their own (docs/adr/0012).
//!
//! Contract: the content of a secret's file never becomes YAML, and `${…}` in it stays what it is; one newline at its end
//! is the editor's and goes. No problem shows a secret, nor what its file holds; the file is named as it is written.

use crate::Reader;
use crate::config::Secret;
use crate::problem::Report;
use crate::raw::RawSecret;
use crate::yaml::quoted;
use std::path::Path;

/// Hex digits of a key.
const KEY_DIGITS: usize = 64;

/// The secret; what is wrong is reported at the key that was written.
pub(super) fn secret(raw: &RawSecret, base: &Path, reader: Reader<'_>, report: &mut Report) -> Option<Secret> {
    let path = match raw {
        RawSecret::Text(text) => return Some(Secret::new(text.value.clone())),
        RawSecret::File(path) => path,
    };
    if is_like_a_key(&path.value) {
        let suggestion = Some("name the file that holds it".into());
        path.problem(report, "a secret's own text stands where its file belongs", suggestion);
        return None;
    }
    let content = match reader(&base.join(&path.value)) {
        Ok(content) => content,
        Err(error) => {
            path.problem(report, format!("cannot read the file of a secret, {}: {error}", quoted(&path.shown)), None);
            return None;
        }
    };
    let text = content.strip_suffix('\n').unwrap_or(&content);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        path.problem(report, format!("the file of a secret, {}, is empty", quoted(&path.shown)), None);
        return None;
    }
    Some(Secret::new(text.to_owned()))
}

/// Whether the name of a file is rather the key itself, which no problem may show.
fn is_like_a_key(name: &str) -> bool {
    let last = name.rsplit(':').next().unwrap_or_default().trim();
    last.len() == KEY_DIGITS && last.bytes().all(|byte| byte.is_ascii_hexdigit())
}
