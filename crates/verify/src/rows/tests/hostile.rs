//! Crafted files are refused, never followed.

use crate::finding::Code;
use crate::lake::{LiveFile, Table};
use crate::rows::hostile::check_footer;
use crate::rows::little_table::{LittleTable, rows};
use crate::rows::{DataFile, FileProblem};
use std::path::PathBuf;

fn live(little: &LittleTable) -> LiveFile {
    little.table.live.values().next().expect("a file").clone()
}

/// Opens and reads it all: the code of the first problem.
fn read(table: &Table, live: &LiveFile) -> Option<Code> {
    let read = DataFile::open(table, live).and_then(|data| data.batches(&[]).try_for_each(|batch| batch.map(drop)));
    match read {
        Ok(()) => None,
        Err(FileProblem::Wrong { code, .. }) => Some(code),
        Err(FileProblem::Unable(unable)) => panic!("{unable}"),
    }
}

/// Changes the file's bytes, and the size in its entry with them.
fn with_bytes(change: impl FnOnce(&mut Vec<u8>)) -> Option<Code> {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..1_000));
    let mut live = live(&little);
    let path: PathBuf = little.path(&live.add);
    let mut bytes = std::fs::read(&path).expect("read");
    change(&mut bytes);
    std::fs::write(&path, &bytes).expect("written");
    live.add.size = bytes.len() as u64;
    read(&little.table, &live)
}

/// Where the footer begins.
fn footer_at(bytes: &[u8]) -> usize {
    let tail = bytes.len() - 8;
    let length = bytes[tail..tail + 4].iter().rev().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    tail - length
}

#[test]
fn an_untouched_file_is_read() {
    assert_eq!(with_bytes(|_| {}), None);
}

#[test]
fn a_footer_that_claims_gigabytes_is_refused() {
    for length in [u32::MAX, 1 << 30, 100_000] {
        let code = with_bytes(|bytes| {
            let tail = bytes.len() - 8;
            bytes[tail..tail + 4].copy_from_slice(&length.to_le_bytes());
        });
        assert_eq!(code, Some(Code::FileUnreadable), "{length}");
    }
}

#[test]
fn a_file_that_is_cut_or_no_parquet_at_all_is_refused() {
    let changes: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.truncate(5),
        Vec::clear,
        |bytes| bytes[0] = b'X',
        |bytes| {
            let length = bytes.len();
            bytes[length - 1] = b'E';
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(with_bytes(change), Some(Code::FileUnreadable), "{number}");
    }
}

#[test]
fn no_flipped_byte_makes_the_reader_panic() {
    let mut refused = 0;
    let length = {
        let mut little = LittleTable::bronze();
        little.append(&rows(0, 0..1_000));
        live(&little).add.size
    };
    for at in (0..length).step_by(97) {
        let code = with_bytes(|bytes| {
            if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                *byte ^= 0x55;
            }
        });
        refused += u64::from(code.is_some());
    }
    assert!(refused > 0);
}

#[test]
fn every_cut_and_flipped_footer_is_refused_or_read_but_never_followed() {
    for at in (0..2_000_usize).step_by(13) {
        with_bytes(|bytes| {
            let footer = footer_at(bytes);
            let length = bytes.len() - 8 - footer;
            let at = footer + at % length;
            bytes[at] ^= 0xff;
        });
    }
}

#[test]
fn lists_longer_than_their_bytes_and_deep_nesting_are_refused_before_they_are_parsed() {
    // Field 4, a list of structs, that claims 2^31 - 1 row groups.
    let many_groups = [0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
    assert!(check_footer(&many_groups).is_err());
    // Field 2: a schema of 40 elements, each the only child of the one before.
    let mut deep = vec![0x29, 0xfc, 40];
    for _ in 0..40 {
        // Field 4: the name "a"; field 5: one child.
        deep.extend([0x48, 1, b'a', 0x15, 2, 0]);
    }
    deep.push(0);
    assert!(check_footer(&deep).is_err());
    let mut shallow = vec![0x29, 0x2c];
    shallow.extend([0x48, 1, b'a', 0x15, 2, 0, 0x48, 1, b'b', 0]);
    shallow.push(0);
    assert!(check_footer(&shallow).is_ok());
    // A field of another type than the format says: the crate would read it as something else.
    assert!(check_footer(&[0x28, 1, b'a', 0]).is_err());
    // An unknown field that nests without an end.
    let mut nested = vec![0xfc];
    nested.extend(std::iter::repeat_n(0x1c, 100));
    assert!(check_footer(&nested).is_err());
}

#[test]
fn a_path_or_a_link_that_leads_out_of_the_table_is_not_followed() {
    let mut little = LittleTable::bronze();
    little.append(&rows(0, 0..10));
    let original = live(&little);
    let outside = tempfile::tempdir().expect("a folder");
    let target = outside.path().join("part.parquet");
    std::fs::copy(little.path(&original.add), &target).expect("copied");
    std::os::unix::fs::symlink(&target, little.table.folder.join("link.parquet")).expect("linked");
    std::os::unix::fs::symlink(outside.path(), little.table.folder.join("folder")).expect("linked");
    let absolute = target.to_string_lossy().into_owned();
    for path in ["link.parquet", "folder/part.parquet", "../part.parquet", absolute.as_str()] {
        let mut escaping = original.clone();
        escaping.add.path = path.to_owned();
        assert_eq!(read(&little.table, &escaping), Some(Code::PathEscapes), "{path}");
    }
    let mut missing = original;
    missing.add.path = "part-none.parquet".to_owned();
    assert_eq!(read(&little.table, &missing), Some(Code::FileMissing));
}
