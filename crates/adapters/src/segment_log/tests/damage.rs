//! Flipped bits: each costs the offsets it must, exactly, and nothing behind.

use super::*;
use watertight_core::port::GapCause;

/// Three appends of three records in one segment, and the header of the middle one.
pub(super) fn three_blocks() -> (Scratch, Header) {
    let scratch = Scratch::new();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    append(&scratch.log, &["a0", "a1", "a2"]);
    append(&scratch.log, &["b0", "b1", "b2"]);
    append(&scratch.log, &["c0", "c1", "c2"]);
    let middle = headers(&segments(&scratch.partition())[0])[2];
    assert_eq!((middle.first_offset, middle.end_offset()), (3, 6));
    (scratch, middle)
}

pub(super) fn lost(from: i64, to: i64) -> Vec<Gap> {
    vec![Gap { from, to, cause: GapCause::Damaged }]
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_block_costs_exactly_that_block() {
    let (scratch, middle) = three_blocks();
    let segment = &segments(&scratch.partition())[0];
    let bytes = HEADER_LEN as u64 + u64::from(middle.stored_len);
    let mut kept = rows(0, &["a0", "a1", "a2"]);
    kept.extend(rows(6, &["c0", "c1", "c2"]));
    for byte in 0..bytes {
        for bit in [byte % 8, (byte + 5) % 8] {
            flip(segment, middle.position + byte, bit as u8);
            let log = scratch.open();
            assert_eq!(read(&log, 0), Read { records: kept.clone(), gaps: lost(3, 6) }, "byte {byte} bit {bit}");
            assert_eq!(read(&log, 4).gaps, lost(4, 6), "also from within");
            flip(segment, middle.position + byte, bit as u8);
        }
    }
    assert_eq!(read(&scratch.open(), 0).records.len(), 9, "put right again, all is there");
}

#[test]
fn damage_in_the_last_acked_block_is_reported_and_never_cut() {
    for byte in [2, 20, 70] {
        let (scratch, _) = three_blocks();
        let segment = &segments(&scratch.partition())[0];
        let last = headers(segment)[3];
        flip(segment, last.position + byte, 1);
        let log = scratch.open();
        assert_eq!(read(&log, 0).gaps, lost(6, 9));
        assert_eq!(append(&log, &["d0"]), 9, "its offsets are not given away");
        let all = read(&scratch.open(), 5);
        assert_eq!(all, Read { records: [rows(5, &["b2"]), rows(9, &["d0"])].concat(), gaps: lost(6, 9) });
    }
}

#[test]
fn a_damaged_opening_costs_nothing() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let values: Vec<String> = (0..120).map(|at| format!("{at}-{}", "0123456789".repeat(at % 5))).collect();
    for value in &values {
        append(&scratch.log, &[value.as_str(); 3]);
    }
    let found = segments(&scratch.partition());
    assert!(found.len() > 1, "the values fill several segments");
    let payload = HEADER_LEN as u64;
    // A byte of its header; then of what it says of the segment before: base, length, next offset.
    for byte in [24, payload, payload + 9, payload + 16] {
        found.iter().for_each(|segment| flip(segment, byte, 0));
        let all = read(&scratch.open(), 0);
        assert_eq!((all.records.len(), all.gaps), (360, vec![]), "byte {byte}");
        found.iter().for_each(|segment| flip(segment, byte, 0));
    }
}

#[test]
fn neighbouring_damage_is_one_gap_and_a_segment_of_rubbish_ends_where_the_next_begins() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    for at in 0..120 {
        append(&scratch.log, &[format!("value {at}").as_str()]);
    }
    let found = segments(&scratch.partition());
    assert!(found.len() >= 3);
    let base = |path: &Path| path.file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    let rubbish = vec![0xA5; fs::metadata(&found[1]).unwrap().len() as usize];
    fs::write(&found[1], rubbish).unwrap();
    let all = read(&scratch.open(), 0);
    assert_eq!(all.gaps, lost(base(&found[1]), base(&found[2])));
    assert_eq!(all.records.len() as i64, 120 - (base(&found[2]) - base(&found[1])));
}

#[test]
fn a_segment_cut_short_loses_its_missing_offsets_and_no_offset_is_used_twice() {
    let (scratch, _) = three_blocks();
    let segment = &segments(&scratch.partition())[0];
    let last = headers(segment)[3];
    File::options().write(true).open(segment).unwrap().set_len(last.position + 10).unwrap();
    let log = scratch.open();
    assert_eq!(read(&log, 0).gaps, lost(6, 9));
    assert_eq!(append(&log, &["d0"]), 9);
    assert_eq!(segments(&scratch.partition()).len(), 2, "nothing is written behind the hole");
    assert_eq!(read(&scratch.open(), 0).gaps, lost(6, 9));
    assert_eq!(read(&scratch.open(), 9).records, rows(9, &["d0"]));
}

#[test]
fn a_payload_that_quotes_a_segment_is_not_taken_for_one() {
    let scratch = Scratch::new();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    append(&scratch.log, &["a0", "a1"]);
    let segment = segments(&scratch.partition())[0].clone();
    // Aligned at each of eight places, so that one of the copies stands where a header could.
    let quoted = fs::read(&segment).unwrap();
    let values: Vec<Vec<u8>> = (0..8).map(|pad| [vec![b'.'; pad], quoted.clone()].concat()).collect();
    let records: Vec<NewRecord<'_>> =
        values.iter().map(|value| NewRecord { value: Some(value), ..NewRecord::default() }).collect();
    scratch.log.append(TOPIC, 0, &records).unwrap();
    append(&scratch.log, &["c0"]);
    let quoting = headers(&segment)[2];
    flip(&segment, quoting.position + 9, 2);
    let all = read(&scratch.open(), 0);
    assert_eq!(all, Read { records: [rows(0, &["a0", "a1"]), rows(10, &["c0"])].concat(), gaps: lost(2, 10) });
}

#[test]
fn a_missing_segment_is_a_gap_of_exactly_its_offsets() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    for at in 0..120 {
        append(&scratch.log, &[format!("value {at}").as_str()]);
    }
    let found = segments(&scratch.partition());
    let base = |path: &Path| path.file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    fs::remove_file(&found[1]).unwrap();
    let all = read(&scratch.open(), 0);
    assert_eq!(all.gaps, lost(base(&found[1]), base(&found[2])), "named to the offset");
}
