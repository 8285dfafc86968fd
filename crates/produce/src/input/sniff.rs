//! Whether a file named `.json` holds one document or a document per line: both are common.
//!
//! Contract: looks at the beginning of a regular file only, so that nothing is taken from a pipe, and never fails: what cannot
//! be read is told when it is opened to be sent.

use super::BYTE_ORDER_MARK;
use crate::request::InputFormat;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much is looked at. A first line that is longer is taken for the beginning of a document.
const SNIFFED_BYTES: u64 = 1 << 20;

/// What a file with JSON holds: [`InputFormat::JsonLines`] where its first line is a whole object and more lines follow,
/// or no array of records is in it; else [`InputFormat::JsonArray`].
#[must_use]
pub fn json_format_of(path: &Path) -> InputFormat {
    let mut beginning = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let read = is_file.then(|| File::open(path).and_then(|file| file.take(SNIFFED_BYTES).read_to_end(&mut beginning)));
    match read {
        Some(Ok(_)) if holds_lines(&beginning) => InputFormat::JsonLines,
        _ => InputFormat::JsonArray,
    }
}

fn holds_lines(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (line, behind) = bytes.split_at(end);
    let Ok(Value::Object(members)) = serde_json::from_slice(line) else { return false };
    let is_records = |value: &Value| value.as_array().is_some_and(|items| items.first().is_some_and(Value::is_object));
    !behind.trim_ascii_start().is_empty() || !members.values().any(is_records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_documents_are_told_apart_by_their_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in.json");
        let cases = [
            ("{\"id\":1}\n{\"id\":2}\n", InputFormat::JsonLines),
            ("\u{feff}\n {\"id\":1}\r\nnot json\n", InputFormat::JsonLines),
            ("{\"id\":1}", InputFormat::JsonLines),
            ("{\"id\":1,\"tags\":[{\"a\":1}]}\n{\"id\":2}\n", InputFormat::JsonLines),
            ("[{\"id\":1}]", InputFormat::JsonArray),
            ("{\"features\":[{\"id\":1}]}\n", InputFormat::JsonArray),
            ("{\n  \"features\": [\n{\"id\":1}\n]}\n", InputFormat::JsonArray),
            ("nonsense", InputFormat::JsonArray),
            ("", InputFormat::JsonArray),
        ];
        for (text, wanted) in cases {
            std::fs::write(&path, text).expect("written");
            assert_eq!(json_format_of(&path), wanted, "{text:?}");
        }
        assert_eq!(json_format_of(&folder.path().join("absent.json")), InputFormat::JsonArray);
    }
}
