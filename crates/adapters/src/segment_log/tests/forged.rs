//! Blocks and marks whose checksums fit and one field of which cannot be: what no checksum tells apart.

use super::super::block::{BLOCK_BYTES_MAX, Opening};
use super::damage::{lost, three_blocks};
use super::recovery::two_marked_and_one_behind;
use super::*;
use std::os::unix::fs::FileExt as _;
use watertight_core::port::GapCause;

const TAG: u32 = 9;
const PLACE: u64 = 64;
const GOOD: Header = Header {
    codec: Codec::Lz4,
    opening: false,
    payload_crc: 7,
    first_offset: 5,
    count: 3,
    tag: TAG,
    base_time_ms: 0,
    max_time_ms: 0,
    stored_len: 100,
    raw_len: 200,
    position: PLACE,
};

/// A header's bytes with one of them changed, under a checksum that fits.
fn with_byte(at: usize, byte: u8) -> [u8; HEADER_LEN] {
    let mut bytes = GOOD.encode();
    bytes[at] = byte;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Puts a block where `header` says, under checksums that fit.
fn put(segment: &Path, header: &Header, payload: &[u8]) {
    let header = Header { payload_crc: crc32c::crc32c(payload), ..*header };
    let file = File::options().write(true).open(segment).unwrap();
    file.write_all_at(&[&header.encode()[..], payload].concat(), header.position).unwrap();
}

/// The stored records of a block.
fn payload_of(segment: &Path, header: &Header) -> Vec<u8> {
    let start = header.position as usize + HEADER_LEN;
    fs::read(segment).unwrap()[start..start + header.stored_len as usize].to_vec()
}

#[test]
fn a_header_is_refused_for_each_field_that_cannot_be_however_good_its_checksum() {
    let decoded = |bytes: [u8; HEADER_LEN]| Header::decode(&bytes, TAG, PLACE);
    assert_eq!(decoded(with_byte(0, GOOD.encode()[0])), Some(GOOD), "the checksum is computed as the log does");
    for (what, at, byte) in [("magic", 0, b'W'), ("version", 4, 2), ("codec", 5, 3)] {
        assert_eq!(decoded(with_byte(at, byte)), None, "{what}");
    }
    let too_long = BLOCK_BYTES_MAX as u32 + 1;
    for (what, header) in [
        ("another life of the topic", Header { tag: TAG + 1, ..GOOD }),
        ("another place", Header { position: PLACE + 8, ..GOOD }),
        ("an offset below zero", Header { first_offset: -1, ..GOOD }),
        ("offsets beyond all numbers", Header { first_offset: i64::MAX - 2, ..GOOD }),
        ("an opening with records", Header { opening: true, ..GOOD }),
        ("no opening and no record", Header { count: 0, ..GOOD }),
        ("more stored bytes than a block has", Header { stored_len: too_long, ..GOOD }),
        ("more unpacked bytes than a block has", Header { raw_len: too_long, ..GOOD }),
    ] {
        assert_eq!(decoded(header.encode()), None, "{what}");
    }
}

#[test]
fn a_header_vouches_for_no_bytes_of_another_length() {
    let header = Header { stored_len: 4, payload_crc: crc32c::crc32c(b"four"), ..GOOD };
    assert!(header.vouches_for(b"four"));
    assert!(!Header { stored_len: 5, ..header }.vouches_for(b"four"));
}

#[test]
fn a_forged_block_costs_its_own_offsets_and_none_behind_them() {
    let (scratch, middle) = three_blocks();
    let segment = &segments(&scratch.partition())[0];
    let payload = payload_of(segment, &middle);
    let rubbish = vec![0xFF; payload.len()];
    let segment_len = fs::metadata(segment).unwrap().len() as u32;
    let kept = [rows(0, &["a0", "a1", "a2"]), rows(6, &["c0", "c1", "c2"])].concat();
    for (what, header, payload) in [
        ("of another life of the topic", Header { tag: middle.tag ^ 1, ..middle }, &payload),
        ("that opens a segment", Header { opening: true, ..middle }, &payload),
        ("that goes on behind the end of its segment", Header { stored_len: segment_len, ..middle }, &payload),
        ("with offsets behind the end of the log", Header { count: 1_000, ..middle }, &payload),
        ("that unpacks to less than it says", Header { raw_len: middle.raw_len + 8, ..middle }, &payload),
        ("whose bytes are no records", middle, &rubbish),
    ] {
        put(segment, &header, payload);
        assert_eq!(read(&scratch.open(), 0), Read { records: kept.clone(), gaps: lost(3, 6) }, "a block {what}");
    }
    put(segment, &middle, &payload);
    assert_eq!(read(&scratch.open(), 0).records.len(), 9, "put right again, all is there");
}

#[test]
fn a_segment_of_the_topics_former_life_is_not_read_as_its_own() {
    let (scratch, _) = three_blocks();
    let segment = segments(&scratch.partition())[0].clone();
    let former = fs::read(&segment).unwrap();
    assert!(scratch.log.remove_topic(TOPIC).unwrap());
    scratch.log.create_topic(TOPIC, 1).unwrap();
    fs::write(&segment, former).unwrap();
    let log = scratch.open();
    assert_eq!(read(&log, 0), Read::default());
    assert_eq!(append(&log, &["new"]), 0);
    assert_eq!(read(&scratch.open(), 0), Read { records: rows(0, &["new"]), gaps: vec![] });
}

#[test]
fn a_first_block_that_opens_nothing_or_follows_another_segment_costs_nothing() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    for at in 0..120 {
        append(&scratch.log, &[format!("value {at}").as_str()]);
    }
    let second = &segments(&scratch.partition())[1];
    let opening = headers(second)[0];
    let (tag, base) = (opening.tag, opening.first_offset);
    let says = Opening::decode(&payload_of(second, &opening)).unwrap();
    let lies = Opening { prev_next: says.prev_next - 5, ..says };
    let payload_that = |says: Opening| says.block(tag, base)[HEADER_LEN..].to_vec();
    // Its offset is below those of its segment, so that as a block of records it is passed over.
    let records = Header { opening: false, count: 1, first_offset: base - 1, ..opening };
    for (what, header, payload) in [
        ("a block of records", records, payload_that(lies)),
        ("an opening behind another segment", opening, payload_that(Opening { prev_base: says.prev_base + 1, ..lies })),
    ] {
        put(second, &header, &payload);
        let all = read(&scratch.open(), 0);
        assert_eq!((all.records.len(), all.gaps), (120, vec![]), "{what}");
    }
    // It would not go unnoticed: an opening is believed.
    put(second, &opening, &payload_that(lies));
    let given_up = Gap { from: base - 5, to: base, cause: GapCause::NoRecord };
    assert_eq!(read(&scratch.open(), 0).gaps, [given_up]);
}

#[test]
fn a_block_behind_the_mark_whose_offsets_were_given_away_is_a_torn_tail() {
    let (scratch, mark, _) = two_marked_and_one_behind();
    let segment = &segments(&scratch.partition())[0];
    let last = headers(segment)[3];
    let payload = payload_of(segment, &last);
    put(segment, &Header { first_offset: 1, ..last }, &payload);
    fs::write(scratch.partition().join(MARK_FILE), mark).unwrap();
    let log = scratch.open();
    assert_eq!(read(&log, 0), Read { records: rows(0, &["a0", "a1", "b0"]), gaps: vec![] });
    assert_eq!(append(&log, &["d0"]), 3);
}

#[test]
fn a_mark_of_another_version_or_life_is_not_believed_however_good_its_checksum() {
    let (scratch, _) = three_blocks();
    let (path, tag) = (scratch.partition().join(MARK_FILE), tag_in(&scratch.partition()));
    let mark = mark_in(&scratch.partition()).unwrap();
    let ahead = Mark { next: 1_000, ..mark };
    let with_byte = |at: usize, byte: u8| {
        let mut bytes = ahead.encode(tag);
        bytes[at] = byte;
        let crc = crc32c::crc32c(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let another_life = ahead.encode(tag ^ 1);
    for (what, bytes) in [("magic", with_byte(0, b'W')), ("version", with_byte(4, 2)), ("life", another_life)] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(scratch.open().bounds(TOPIC, 0).unwrap().next, 9, "{what}");
        assert_eq!(mark_in(&scratch.partition()), Some(mark), "{what}: it is made again from the segment");
    }
}
