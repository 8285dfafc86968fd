//! Secrets: taken as they are, from the pipeline file, from a file of their own or from a variable (docs/adr/0012).
//!
//! Contract: what a file or a variable holds never becomes YAML, and `${…}` in it stays what it is; one newline at the end
//! of a file is the editor's and goes. No problem shows a secret, nor what may be one that stands in the place of its
//! file's name or its variable's.

use super::Outside;
use crate::config::Secret;
use crate::problem::Report;
use crate::raw::{RawSecret, Spanned};
use crate::yaml::quoted;

/// Hex digits of a key.
const KEY_DIGITS: usize = 64;

/// The secret; what is wrong is reported at the key that was written.
pub(super) fn secret(raw: &RawSecret, outside: Outside<'_>, report: &mut Report) -> Option<Secret> {
    match raw {
        RawSecret::Text(text) => Some(Secret::new(text.value.clone())),
        RawSecret::File(path) => of_file(path, outside, report),
        RawSecret::Env(name) => {
            let wrong = match (outside.env)(&name.value) {
                Some(text) if !text.is_empty() => return Some(Secret::new(text)),
                Some(_) => "the variable of a secret is empty",
                None => "the variable of a secret is not set",
            };
            name.problem(report, wrong, Some("set it in the environment that the program is started with".into()));
            None
        }
    }
}

fn of_file(path: &Spanned<String>, outside: Outside<'_>, report: &mut Report) -> Option<Secret> {
    if is_like_a_key(&path.value) {
        let suggestion = Some("name the file that holds it".into());
        path.problem(report, "a secret's own text stands where its file belongs", suggestion);
        return None;
    }
    // A word without a folder or an ending may be the secret itself.
    let named = path.value.contains(['/', '.']);
    let file =
        if named { format!("the file of a secret, {},", quoted(&path.shown)) } else { "the file of a secret".into() };
    let content = match (outside.reader)(&outside.base.join(&path.value)) {
        Ok(content) => content,
        Err(error) => {
            path.problem(report, format!("cannot read {}: {error}", file.trim_end_matches(',')), None);
            return None;
        }
    };
    let text = content.strip_suffix('\n').unwrap_or(&content);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        path.problem(report, format!("{file} is empty"), None);
        return None;
    }
    Some(Secret::new(text.to_owned()))
}

/// Whether the name of a file is rather the key itself, which no problem may show.
fn is_like_a_key(name: &str) -> bool {
    let last = name.rsplit(':').next().unwrap_or_default().trim();
    last.len() == KEY_DIGITS && last.bytes().all(|byte| byte.is_ascii_hexdigit())
}
