//! The part of a document that a measurement rewrites with its table.
//!
//! Contract: everything outside the two marks stays as it is, byte for byte. A document without them, or with more than one
//! pair, is an error and stays as well.

use anyhow::{Context as _, Result, bail};
use std::path::Path;

const END: &str = "<!-- bench end -->";

/// Puts `text` into the part of measurement `name`.
pub(crate) fn put(path: &Path, name: &str, text: &str) -> Result<()> {
    let document = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let with = replaced(&document, name, text).with_context(|| format!("{} was left as it is", path.display()))?;
    std::fs::write(path, with).with_context(|| format!("could not write {}", path.display()))
}

fn replaced(document: &str, name: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- bench {name} -->");
    let mut parts = document.split(begin.as_str());
    let (Some(before), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else {
        bail!("it must have the line `{begin}` once, and `{END}` behind it");
    };
    let Some((_, behind)) = rest.split_once(END) else { bail!("it has `{begin}`, but no `{END}` behind it") };
    let text = text.trim_end();
    Ok(format!("{before}{begin}\n```text\n{text}\n```\n{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "a\n<!-- bench levels -->\nold\n<!-- bench end -->\nb\n<!-- bench ids -->\nids\n<!-- bench end -->\nc\n";

    #[test]
    fn only_the_part_that_is_named_changes() {
        let with = replaced(DOCUMENT, "levels", "new\n").expect("replaced");
        let expected = DOCUMENT.replace("\nold\n", "\n```text\nnew\n```\n");
        assert_eq!(with, expected);
        assert_eq!(replaced(&with, "levels", "new").expect("again"), expected);
    }

    #[test]
    fn a_document_without_the_marks_is_not_touched() {
        let dir = tempfile::tempdir().expect("scratch");
        let path = dir.path().join("p.md");
        for document in
            ["", "<!-- bench levels -->", "<!-- bench end -->\n<!-- bench levels -->", DOCUMENT.repeat(2).as_str()]
        {
            std::fs::write(&path, document).expect("written");
            assert!(put(&path, "levels", "new").is_err(), "{document}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), document);
        }
        assert!(put(&dir.path().join("none.md"), "levels", "new").is_err());
    }
}
