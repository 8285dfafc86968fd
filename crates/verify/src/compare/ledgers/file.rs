//! A producer's ledger, read.
//!
//! Format (crates/produce/src/ledger): UTF-8 lines; the first is a header as JSON; then one line per acknowledged record,
//! `<sequence> TAB <event id> TAB <partition> TAB <offset>`, with a fifth field where the input was a file. Control
//! characters of an id stand there as U+FFFD.
//!
//! A last line without its end, and all from a line with a NUL on, was never made durable (the producer was killed, or the
//! power went): what is before it counts, and it is no fault. Any other damage makes the ledger [`Unable`]. Lines are
//! bounded. It never writes.

use crate::finding::{Place, Unable};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The longest line, header included.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// What is used of a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) producer: String,
    pub(super) topic: String,
    pub(super) incarnation: String,
}

/// An acknowledged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) sequence: u64,
    pub(super) id: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let sequence = fields.next()?.parse().ok()?;
        let id = fields.next()?;
        let partition = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        // A fifth field is the place in the input; nothing here depends on it.
        let _ = fields.next();
        fields.next().is_none().then_some(Self { sequence, id, partition, offset })
    }
}

/// Reads a ledger: its header, then `each` line.
///
/// # Errors
/// When it cannot be read, is no ledger, or is damaged before its end; or as `each`.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Line<'_>) -> Result<(), Unable>) -> Result<Header, Unable> {
    let unable = |why: String| Unable { place: Place::default().in_file(&path.display().to_string()), why };
    let file = File::open(path).map_err(|error| unable(format!("the ledger cannot be read: {error}")))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut header = None;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let length = read.map_err(|error| unable(format!("line {number} of the ledger cannot be read: {error}")))?;
        if line.last() != Some(&b'\n') {
            if length as u64 == LINE_BYTES_MAX {
                return Err(unable(format!("line {number} of the ledger has no end within {LINE_BYTES_MAX} bytes")));
            }
            break;
        }
        line.pop();
        if line.contains(&0) {
            break;
        }
        let text = std::str::from_utf8(&line).ok();
        if header.is_none() {
            let parsed = text.and_then(|text| serde_json::from_str::<Header>(text).ok());
            let parsed = parsed.ok_or_else(|| unable("it does not begin with a ledger's header".to_owned()))?;
            if parsed.format != 1 {
                return Err(unable(format!("the ledger has format {}, this build reads 1", parsed.format)));
            }
            header = Some(parsed);
            continue;
        }
        match text.and_then(Line::parse) {
            Some(parsed) => each(parsed)?,
            None => return Err(unable(format!("line {number} of the ledger is damaged; restore the file"))),
        }
    }
    header.ok_or_else(|| unable("the ledger has no header".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"format\":1,\"producer\":\"p\",\"topic\":\"t\",\"incarnation\":\"i\",\"source\":{}}\n";

    fn of(text: &[u8]) -> Result<Vec<(u64, String, i32, i64)>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger");
        std::fs::write(&path, text).expect("written");
        let mut lines = Vec::new();
        let header = read(&path, &mut |line| {
            lines.push((line.sequence, line.id.to_owned(), line.partition, line.offset));
            Ok(())
        });
        header.map(|_| lines).map_err(|unable| unable.why)
    }

    #[test]
    fn whole_lines_count_and_a_torn_end_is_no_fault() {
        let wanted = Ok(vec![(0, "a b".to_owned(), 0, 5), (1, "c".to_owned(), 1, 6)]);
        for end in ["", "2\td\t1\t", "2\td\t1\t7", "\0\0\0\n9\tz\t0\t0\n", "2\0\td\n"] {
            let text = format!("{HEADER}0\ta b\t0\t5\n1\tc\t1\t6\t7:12:0000abcd\n{end}");
            assert_eq!(of(text.as_bytes()), wanted, "{end:?}");
        }
        assert_eq!(of(HEADER.as_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn damage_in_the_middle_and_what_is_no_ledger_are_said() {
        for (text, said) in [
            (format!("{HEADER}0\ta\t0\t0\nx\n1\ta\t0\t1\n"), "line 3"),
            (format!("{HEADER}0\ta\t0\t99999999999999999999\n"), "line 2"),
            (format!("{HEADER}0\ta\t0\t0\t-\t-\n"), "line 2"),
            ("hello\n".to_owned(), "header"),
            (String::new(), "no header"),
            (HEADER.replace("\"format\":1", "\"format\":9"), "format 9"),
        ] {
            let why = of(text.as_bytes()).expect_err("refused");
            assert!(why.contains(said), "{why}");
        }
        let mut bytes = HEADER.as_bytes().to_vec();
        bytes.extend_from_slice(b"0\t\xff\t0\t0\n1\ta\t0\t1\n");
        assert!(of(&bytes).expect_err("not text").contains("line 2"));
    }
}
