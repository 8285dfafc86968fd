//! Secrets: taken as they are, from the pipeline file, from a file of their own or from a variable (docs/adr/0012).
//!
//! Contract: what a file or a variable holds never becomes YAML, and `${…}` in it stays what it is; one newline at the end
//! of a file is the editor's and goes. No problem shows a secret, nor where it was looked for: it may stand there.

use super::Outside;
use crate::config::Secret;
use crate::problem::Report;
use crate::raw::RawSecret;

/// The secret; what is wrong is reported at the key that was written.
pub(super) fn secret(raw: &RawSecret, outside: Outside<'_>, report: &mut Report) -> Option<Secret> {
    match raw {
        RawSecret::Text(text) => Some(Secret::new(text.value.clone())),
        RawSecret::File(path) => match (outside.reader)(&outside.base.join(&path.value)) {
            Ok(content) => {
                let text = content.strip_suffix('\n').unwrap_or(&content);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    path.problem(report, "the file of a secret is empty", None);
                    return None;
                }
                Some(Secret::new(text.to_owned()))
            }
            Err(error) => {
                path.problem(report, format!("cannot read the file of a secret: {error}"), None);
                None
            }
        },
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
