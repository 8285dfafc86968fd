//! Files whose checksums fit and which are still not what their name, their place or a length of theirs says.

use super::super::layout::{Found, Header, Kind, NotAHeader, PAYLOAD_BYTES_MAX, Stamp, read_block, write_block};
use super::*;

fn base_header() -> Header {
    let identity = identity();
    Header { kind: Kind::Base, identity, name: String::new(), generation: 1, upto: Some(3), content: 0, link: 0 }
}

/// A header's bytes, changed, under a checksum that fits.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (mut bytes, _) = base_header().encode();
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What is loaded of a base at version 3 with keys 0..5 and, behind it, a delta of one block under checksums that fit.
fn loaded_with_delta(forge: impl FnOnce(Header) -> Header, upto: u64, payload: &[u8]) -> (Option<u64>, Set) {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).write_base(Some(3), &index_with(dir.path(), 0..5)).unwrap();
    let folder = dir.path().join(identity().what);
    let (base, ..) = Header::read(&mut File::open(folder.join("base-1")).unwrap()).unwrap();
    let (mut bytes, mut chain) = forge(Header { kind: Kind::Delta, content: 0, ..base }).encode();
    write_block(&mut bytes, &mut chain, Stamp { upto, last: true }, payload).unwrap();
    std::fs::write(folder.join("delta-1"), bytes).unwrap();
    loaded(dir.path()).unwrap()
}

/// The answer where a file's kind speaks against its name.
fn another_kind(file: &str) -> Result<(Option<u64>, Set), Rebuild> {
    Err(Rebuild::damaged(file, "it is another kind of file"))
}

#[test]
fn a_header_is_refused_for_its_first_bytes_and_its_length_however_good_its_checksum() {
    let refused = |bytes: Vec<u8>| match Header::read(&mut &bytes[..]) {
        Ok(_) => "nothing",
        Err(NotAHeader::Damaged(why)) => why,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(refused(changed(|_| {})), "nothing", "the checksum is computed as the store does");
    assert_eq!(refused(changed(|bytes| bytes[0] = b'w')), "it does not begin as a state file does");
    // Less than what is read of it before its length is believed.
    assert_eq!(refused(changed(|bytes| bytes[8..12].copy_from_slice(&8_u32.to_le_bytes()))), "header length");
    let long = Header { name: "n".repeat(5_000), ..base_header() };
    assert_eq!(refused(long.encode().0), "header length");
}

#[test]
fn a_block_longer_than_any_that_is_written_is_refused_however_good_its_checksum() {
    for (length, fits) in [(PAYLOAD_BYTES_MAX, true), (PAYLOAD_BYTES_MAX + 1, false)] {
        let mut bytes: Vec<u8> = Vec::new();
        write_block(&mut bytes, &mut 7, Stamp { upto: 4, last: true }, &vec![1; length]).unwrap();
        let found = read_block(&mut &bytes[..], &mut 7, &mut Vec::new()).unwrap();
        assert_eq!(matches!(found, Found::Block(..)), fits, "{length} bytes: {found:?}");
    }
}

#[test]
fn a_delta_counts_only_where_it_continues_what_is_before_it_in_every_respect() {
    let key = 9_u128.to_le_bytes();
    let alone: (Option<u64>, Set) = (Some(3), (0..5).collect());
    let continued: (Option<u64>, Set) = (Some(4), (0..5).chain([9]).collect());
    assert_eq!(loaded_with_delta(|header| header, 4, &key), continued, "as it should be");
    assert_eq!(loaded_with_delta(|header| Header { generation: 2, ..header }, 4, &key), alone, "of another place");
    assert_eq!(loaded_with_delta(|header| Header { upto: Some(2), ..header }, 4, &key), alone, "behind a version");
    let other_link = |header: Header| Header { link: header.link ^ 1, ..header };
    assert_eq!(loaded_with_delta(other_link, 4, &key), alone, "of another history");
    assert_eq!(loaded_with_delta(|header| header, 3, &key), alone, "a version that was there already");
    assert_eq!(loaded_with_delta(|header| header, 4, &key[..8]), alone, "half a key");
}

#[test]
fn a_file_of_another_kind_is_not_loaded_under_a_name_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.write_base(Some(3), &index_with(dir.path(), 0..5)).unwrap();
    store.append_ids(Some(3), 4, &[]).unwrap();
    store.save_blob("windows", 9, b"").unwrap();
    drop(store);
    let file = |name: &str| dir.path().join(identity().what).join(name);
    // A delta without keys and an empty blob would be bases of no key, but for their kind.
    std::fs::rename(file("delta-1"), file("base-1")).unwrap();
    assert_eq!(loaded(dir.path()), another_kind("base-1"));
    std::fs::remove_file(file("base-1")).unwrap();
    std::fs::rename(file("blob-windows"), file("base-0")).unwrap();
    assert_eq!(loaded(dir.path()), another_kind("base-0"));
}

#[test]
fn a_base_under_the_name_of_another_generation_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path(), false);
    let file = |name: &str| dir.path().join(identity().what).join(name);
    std::fs::rename(file("base-1"), file("base-2")).unwrap();
    assert_eq!(loaded(dir.path()), Err(Rebuild::damaged("base-2", "it was renamed")));
}
