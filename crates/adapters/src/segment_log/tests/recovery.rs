//! Torn tails, dead writers, lost and old marks.

use super::*;
use watertight_core::port::{ErrorKind, ReadFrom};

/// Two appends, then a third of which only the files know: the mark is as it was before it.
pub(super) fn two_marked_and_one_behind() -> (Scratch, Vec<u8>, u64) {
    let scratch = Scratch::new();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    append(&scratch.log, &["a0", "a1"]);
    append(&scratch.log, &["b0"]);
    let mark = fs::read(scratch.partition().join(MARK_FILE)).unwrap();
    append(&scratch.log, &["c0", "c1", "c2"]);
    let start = headers(&segments(&scratch.partition())[0])[3].position;
    (scratch, mark, start)
}

#[test]
fn a_torn_tail_is_cut_at_every_byte_and_the_acked_prefix_stays() {
    let (scratch, mark, start) = two_marked_and_one_behind();
    let whole = fs::read(&segments(&scratch.partition())[0]).unwrap();
    let acked = rows(0, &["a0", "a1", "b0"]);
    for len in start..=whole.len() as u64 {
        for mark in [Some(&mark), None] {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(&scratch.path(), copy.path());
            let partition = copy.path().join(TOPIC).join("0");
            let segment = &segments(&partition)[0];
            fs::write(segment, &whole[..len as usize]).unwrap();
            match mark {
                Some(mark) => fs::write(partition.join(MARK_FILE), mark).unwrap(),
                None => fs::remove_file(partition.join(MARK_FILE)).unwrap(),
            }
            let complete = len >= whole.len() as u64;
            let mut expected = acked.clone();
            expected.extend(complete.then(|| rows(3, &["c0", "c1", "c2"])).into_iter().flatten());
            let next = expected.len() as i64;
            let log = open(copy.path());
            assert_eq!(read(&log, 0), Read { records: expected.clone(), gaps: vec![] }, "cut at {len}");
            assert_eq!(fs::metadata(segment).unwrap().len(), len, "a reader cuts nothing");
            assert_eq!(append(&log, &["d0"]), next);
            expected.push((next, "d0".to_owned()));
            assert_eq!(read(&open(copy.path()), 0), Read { records: expected, gaps: vec![] }, "cut at {len}");
        }
    }
}

#[test]
fn rubbish_behind_the_last_good_block_is_cut_by_the_next_writer() {
    let (scratch, mark, start) = two_marked_and_one_behind();
    let segment = &segments(&scratch.partition())[0];
    for rubbish in [vec![0; 500], vec![0xF7; 77], b"\xF7WTB\x01\x01".repeat(40)] {
        let mut bytes = fs::read(segment).unwrap();
        bytes.truncate(start as usize);
        bytes.extend(rubbish);
        fs::write(segment, bytes).unwrap();
        fs::write(scratch.partition().join(MARK_FILE), &mark).unwrap();
        let log = scratch.open();
        assert_eq!(read(&log, 0).records, rows(0, &["a0", "a1", "b0"]));
        assert_eq!(append(&log, &["d0"]), 3);
        let found = headers(segment);
        assert_eq!(found.last().map(|h| h.position + h.block_len()), Some(fs::metadata(segment).unwrap().len()));
    }
}

#[test]
fn a_block_whose_records_did_not_reach_the_disk_is_a_torn_tail() {
    let (scratch, mark, start) = two_marked_and_one_behind();
    let segment = &segments(&scratch.partition())[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[start as usize + HEADER_LEN..].fill(0);
    fs::write(segment, bytes).unwrap();
    fs::write(scratch.partition().join(MARK_FILE), mark).unwrap();
    let log = scratch.open();
    assert_eq!(read(&log, 0), Read { records: rows(0, &["a0", "a1", "b0"]), gaps: vec![] });
    assert_eq!(append(&log, &["d0"]), 3);
    assert_eq!(read(&scratch.open(), 3), Read { records: rows(3, &["d0"]), gaps: vec![] });
}

#[test]
fn a_reader_publishes_what_a_dead_writer_synced() {
    let (scratch, mark, _) = two_marked_and_one_behind();
    let other = scratch.open();
    let mut waiting = other.reader(TOPIC, &[ReadFrom::offset(0, 6)]).unwrap();
    assert!(waiting.fetch(1 << 20, Duration::ZERO).unwrap().is_empty());
    fs::write(scratch.partition().join(MARK_FILE), &mark).unwrap();
    let mut reader = other.reader(TOPIC, &[ReadFrom::offset(0, 3)]).unwrap();
    let fetched = reader.fetch(1 << 20, Duration::from_secs(2)).unwrap();
    assert_eq!((fetched[0].from, fetched[0].to), (3, 6));
    assert_eq!(mark_in(&scratch.partition()).unwrap().next, 6);
}

#[test]
fn bounds_after_a_power_cut_count_what_an_old_mark_does_not() {
    let (scratch, mark, _) = two_marked_and_one_behind();
    fs::write(scratch.partition().join(MARK_FILE), &mark).unwrap();
    assert_eq!(scratch.open().bounds(TOPIC, 0).unwrap().next, 6);
}

#[test]
fn damage_in_the_middle_of_what_an_old_mark_does_not_know_is_kept_as_damage() {
    let (scratch, mark, start) = two_marked_and_one_behind();
    append(&scratch.log, &["d0"]);
    fs::write(scratch.partition().join(MARK_FILE), &mark).unwrap();
    flip(&segments(&scratch.partition())[0], start + 12, 0);
    let log = scratch.open();
    assert_eq!(append(&log, &["e0"]), 7, "acked offsets behind the damage are not cut");
    let all = read(&log, 2);
    assert_eq!(all.records, [rows(2, &["b0"]), rows(6, &["d0", "e0"])].concat());
    assert_eq!(all.gaps.iter().map(|gap| (gap.from, gap.to)).collect::<Vec<_>>(), [(3, 6)]);
}

#[test]
fn every_prefix_of_a_mark_and_every_flipped_bit_of_it_is_refused() {
    let (scratch, _, _) = two_marked_and_one_behind();
    let path = scratch.partition().join(MARK_FILE);
    let whole = fs::read(&path).unwrap();
    let mark = mark_in(&scratch.partition());
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(mark_in(&scratch.partition()), None);
    }
    for bit in 0..whole.len() * 8 {
        fs::write(&path, &whole).unwrap();
        flip(&path, bit as u64 / 8, bit as u8 % 8);
        assert_eq!(mark_in(&scratch.partition()), None);
    }
    assert_eq!(read(&scratch.open(), 0).records.len(), 6, "it is made again from the segment");
    assert_eq!(mark_in(&scratch.partition()), mark);
}

#[test]
fn a_new_segment_that_was_never_finished_is_begun_again() {
    let (scratch, _, _) = two_marked_and_one_behind();
    let unfinished = scratch.partition().join("00000000000000000006.seg");
    for bytes in [&b""[..], b"\xF7WTB\x01", &[0; 4096]] {
        fs::write(&unfinished, bytes).unwrap();
        let log = scratch.open();
        assert_eq!(read(&log, 0).records.len(), 6);
        assert!(unfinished.exists(), "a reader removes nothing");
        let next = log.bounds(TOPIC, 0).unwrap().next;
        assert_eq!(append(&log, &["d0"]), next);
        assert!(!unfinished.exists());
        assert_eq!(read(&log, 5).gaps, vec![]);
        // Once more, from the same state.
        let segment = &segments(&scratch.partition())[0];
        let last = headers(segment).pop().unwrap();
        File::options().write(true).open(segment).unwrap().set_len(last.position).unwrap();
        fs::remove_file(scratch.partition().join(MARK_FILE)).unwrap();
        assert_eq!(scratch.open().bounds(TOPIC, 0).unwrap().next, 6);
    }
}

#[test]
fn without_mark_and_without_a_readable_block_nothing_is_assumed() {
    let (scratch, _, _) = two_marked_and_one_behind();
    fs::remove_file(scratch.partition().join(MARK_FILE)).unwrap();
    fs::write(&segments(&scratch.partition())[0], [0x55; 600]).unwrap();
    let log = scratch.open();
    assert_eq!(log.bounds(TOPIC, 0).unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(try_append(&log, &["x"]).unwrap_err().kind, ErrorKind::Corrupt);
}

#[test]
fn two_logs_on_one_folder_append_and_roll_without_a_hole() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let other = scratch.open();
    for turn in 0..60 {
        let log = if turn % 3 == 0 { &other } else { &*scratch.log };
        let value = format!("{turn} {}", "~".repeat(turn));
        assert_eq!(append(log, &[value.as_str(), "second"]), 2 * turn as i64);
    }
    assert!(segments(&scratch.partition()).len() > 1);
    for log in [&other, &*scratch.log] {
        let all = read(log, 0);
        assert_eq!((all.records.len(), all.gaps), (120, vec![]));
    }
}

#[test]
fn a_topic_file_that_is_damaged_or_newer_is_refused() {
    let scratch = Scratch::new();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let path = scratch.path().join(TOPIC).join("topic.json");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(scratch.log.topic(TOPIC).unwrap_err().kind, ErrorKind::Corrupt);
    fs::write(&path, whole.replace("\"format\":1", "\"format\":2")).unwrap();
    assert_eq!(scratch.log.topic(TOPIC).unwrap_err().kind, ErrorKind::Stop);
}

#[test]
fn names_that_are_no_topics_are_refused() {
    let scratch = Scratch::new();
    for name in ["", ".", "..", "a/b", "ä", "a b", "lock~", &"x".repeat(250)] {
        assert_eq!(scratch.log.create_topic(name, 1).unwrap_err().kind, ErrorKind::Stop, "{name}");
        assert_eq!(scratch.log.topic(name).unwrap_err().kind, ErrorKind::Stop, "{name}");
    }
    assert!(scratch.log.create_topic(&"x".repeat(249), 1).is_ok());
}
