//! Secrets as they are written: each by itself, or by the file or the variable that holds it.
//!
//! What it never does: show what stands behind the key of a secret. It may be the secret where a place is meant.

use super::Spanned;
use super::fields::{Cursor, Fields, beside};
use crate::keys::{SecretForm, Shape};
use crate::problem::Report;
use crate::yaml::{Entry, below};

/// A secret as it is written: itself, or where it is.
pub(crate) enum RawSecret {
    Text(Spanned<String>),
    /// The path of a file.
    File(Spanned<String>),
    /// The name of an environment variable.
    Env(Spanned<String>),
}

impl Fields<'_> {
    /// A secret, by one of its names; a second one is one too many.
    pub(super) fn secret(&mut self, name: &str, report: &mut Report) -> Option<RawSecret> {
        let Shape::Secret { hint } = self.shape(name)?.shape else { return None };
        let entries = self.entries_of(name);
        let (first, others) = entries.split_first()?;
        for other in others {
            beside(other, first, self.path(), report);
        }
        if others.is_empty() { secret(first, self.path(), hint, report) } else { None }
    }
}

impl Cursor<'_> {
    /// Secrets by the names of properties; of those that are wrong, none.
    pub(super) fn secrets(&self, report: &mut Report) -> Vec<(Spanned<String>, RawSecret)> {
        let mut seen: Vec<(&str, &Entry)> = Vec::new();
        let mut secrets = Vec::new();
        for entry in self.properties("secrets by name", report) {
            let (name, _) = SecretForm::of(&entry.key);
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                beside(entry, first, &self.path, report);
                continue;
            }
            seen.push((name, entry));
            let path = below(&self.path, &entry.key);
            let key = Spanned { value: name.to_owned(), shown: entry.key.clone(), at: entry.at, path };
            if let Some(secret) = secret(entry, &self.path, "a secret", report) {
                secrets.push((key, secret));
            }
        }
        secrets
    }
}

fn secret(entry: &Entry, path: &str, hint: &str, report: &mut Report) -> Option<RawSecret> {
    let cursor = Cursor { node: &entry.value, path: below(path, &entry.key) };
    match SecretForm::of(&entry.key).1 {
        SecretForm::Text => cursor.text(hint, report).map(RawSecret::Text),
        SecretForm::File => cursor.text("the path of a file", report).map(RawSecret::File),
        SecretForm::Env => cursor.text("the name of an environment variable", report).map(RawSecret::Env),
    }
}
