//! Disks that fail: what is answered, what is read, what the next append gets.

use super::*;
use watertight_core::port::{ErrorKind, GapCause};

fn on_a_failing_disk() -> (Scratch, Arc<FailingDisk>) {
    let disk = Arc::new(FailingDisk::default());
    let options = SegmentLogOptions { codec: Codec::None, ..SegmentLogOptions::default() };
    let scratch = Scratch::with(options, Arc::clone(&disk) as Arc<dyn Disk>);
    scratch.log.create_topic(TOPIC, 1).unwrap();
    append(&scratch.log, &["a0", "a1"]);
    (scratch, disk)
}

fn never_written(from: i64, to: i64) -> Vec<Gap> {
    vec![Gap { from, to, cause: GapCause::NoRecord }]
}

#[test]
fn a_reader_does_not_see_what_is_not_synced() {
    let (scratch, disk) = on_a_failing_disk();
    let other = scratch.open();
    // Opening a partition for the first time waits for the lock, that is, for the sync that is held below.
    assert_eq!(read(&other, 0).records.len(), 2);
    disk.set(|faults| faults.held = true);
    std::thread::scope(|scope| {
        let appended = scope.spawn(|| append(&scratch.log, &["b0"]));
        disk.wait_for(|faults| faults.synced == 2);
        for log in [&other, &*scratch.log] {
            assert_eq!(read(log, 0).records, rows(0, &["a0", "a1"]));
            assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 2);
        }
        disk.set(|faults| faults.held = false);
        assert_eq!(appended.join().unwrap(), 2);
    });
    assert_eq!(read(&other, 2).records, rows(2, &["b0"]));
}

#[test]
fn callers_that_wait_share_one_sync() {
    let (scratch, disk) = on_a_failing_disk();
    disk.set(|faults| faults.held = true);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| append(&scratch.log, &["b0"]));
        }
        std::thread::sleep(Duration::from_millis(100));
        disk.set(|faults| faults.held = false);
    });
    assert_eq!(read(&scratch.log, 0).records.len(), 22);
    assert!(disk.set(|faults| faults.synced) <= 6, "the first caller's, and one or two for all others");
}

#[test]
fn a_writer_that_waits_for_its_sync_holds_up_no_other_process_whose_sync_covers_it() {
    let (scratch, disk) = on_a_failing_disk();
    let other = scratch.open();
    assert_eq!(read(&other, 0).records.len(), 2);
    disk.set(|faults| faults.held = true);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| append(&scratch.log, &["b0", "b1"]));
        disk.wait_for(|faults| faults.synced == 2);
        assert_eq!(append(&other, &["c0"]), 4, "it is written behind what is being synced, and answered");
        let both = rows(0, &["a0", "a1", "b0", "b1", "c0"]);
        assert_eq!(read(&other, 0).records, both, "its sync came after those bytes: they are durable too");
        disk.set(|faults| faults.syncs = 1);
        disk.set(|faults| faults.held = false);
        assert_eq!(held.join().unwrap(), 2, "whatever its own sync says then");
        assert_eq!(read(&scratch.open(), 0).records, both);
    });
    assert_eq!(append(&scratch.log, &["d0"]), 5);
}

#[test]
fn what_goes_wrong_behind_the_write_is_unknown_and_never_a_refusal() {
    let (scratch, disk) = on_a_failing_disk();
    disk.set(|faults| faults.held = true);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| try_append(&scratch.log, &["b0"]));
        disk.wait_for(|faults| faults.synced == 2);
        // Neither the mark nor the segment can be read when the writer comes back to say how it ended.
        fs::write(scratch.partition().join(MARK_FILE), b"").unwrap();
        fs::remove_file(&segments(&scratch.partition())[0]).unwrap();
        disk.set(|faults| faults.held = false);
        assert_eq!(held.join().unwrap().unwrap_err().kind, ErrorKind::Unknown);
    });
}

#[test]
fn where_one_process_fails_to_sync_the_others_that_wait_are_in_doubt_too_and_no_offset_is_used_twice() {
    let (scratch, disk) = on_a_failing_disk();
    let failing = Arc::new(FailingDisk::default());
    let options = SegmentLogOptions { codec: Codec::None, ..SegmentLogOptions::default() };
    let other = open_on(&scratch.path(), &options, Arc::clone(&failing) as Arc<dyn Disk>);
    assert_eq!(read(&other, 0).records.len(), 2);
    disk.set(|faults| faults.held = true);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| try_append(&scratch.log, &["b0", "b1"]));
        disk.wait_for(|faults| faults.synced == 2);
        failing.set(|faults| faults.syncs = 1);
        assert_eq!(try_append(&other, &["c0"]).unwrap_err().kind, ErrorKind::Unknown);
        disk.set(|faults| faults.held = false);
        assert_eq!(held.join().unwrap().unwrap_err().kind, ErrorKind::Unknown, "its bytes count no more");
    });
    assert_eq!(append(&scratch.log, &["d0"]), 5, "above everything that was written");
    for log in [&other, &*scratch.log, &scratch.open()] {
        let expected = Read { records: [rows(0, &["a0", "a1"]), rows(5, &["d0"])].concat(), gaps: never_written(2, 5) };
        assert_eq!(read(log, 0), expected);
    }
}

#[test]
fn a_failed_sync_answers_unknown_and_what_is_in_doubt_is_never_read() {
    let (scratch, disk) = on_a_failing_disk();
    let other = scratch.open();
    assert_eq!(read(&other, 0).records.len(), 2);
    disk.set(|faults| faults.syncs = 1);
    assert_eq!(try_append(&scratch.log, &["b0", "b1", "b2"]).unwrap_err().kind, ErrorKind::Unknown);
    for log in [&other, &*scratch.log, &scratch.open()] {
        assert_eq!(read(log, 0), Read { records: rows(0, &["a0", "a1"]), gaps: vec![] });
        assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 2);
    }
    assert_eq!(append(&other, &["c0"]), 5, "another process knows of it too, and begins above what is in doubt");
    assert_eq!(append(&scratch.log, &["d0"]), 6);
    assert_eq!(segments(&scratch.partition()).len(), 2);
    let expected =
        Read { records: [rows(0, &["a0", "a1"]), rows(5, &["c0", "d0"])].concat(), gaps: never_written(2, 5) };
    for log in [&other, &*scratch.log, &scratch.open()] {
        assert_eq!(read(log, 0), expected);
    }
    fs::remove_file(scratch.partition().join(MARK_FILE)).unwrap();
    assert_eq!(read(&scratch.open(), 0), expected, "and without the mark");
}

#[test]
fn a_failed_sync_of_a_new_segment_begins_yet_another() {
    let (scratch, disk) = on_a_failing_disk();
    disk.set(|faults| faults.syncs = 3);
    for _ in 0..3 {
        assert_eq!(try_append(&scratch.log, &["x"]).unwrap_err().kind, ErrorKind::Unknown);
        assert_eq!(read(&scratch.log, 2), read(&scratch.open(), 2));
    }
    assert_eq!(append(&scratch.log, &["b0"]), 5);
    let expected = Read { records: [rows(0, &["a0", "a1"]), rows(5, &["b0"])].concat(), gaps: never_written(2, 5) };
    assert_eq!(read(&scratch.log, 0), expected);
    assert_eq!(read(&scratch.open(), 0), expected);
}

#[test]
fn a_first_sync_that_fails_leaves_an_empty_log() {
    let disk = Arc::new(FailingDisk::default());
    let scratch = Scratch::with(SegmentLogOptions::default(), Arc::clone(&disk) as Arc<dyn Disk>);
    scratch.log.create_topic(TOPIC, 1).unwrap();
    disk.set(|faults| faults.syncs = 1);
    assert_eq!(try_append(&scratch.log, &["x"]).unwrap_err().kind, ErrorKind::Unknown);
    assert_eq!(read(&scratch.open(), 0), Read::default());
    assert_eq!(append(&scratch.log, &["a0"]), 1);
    assert_eq!(read(&scratch.open(), 0), Read { records: rows(1, &["a0"]), gaps: never_written(0, 1) });
}

#[test]
fn a_full_disk_appends_nothing_and_goes_on_when_there_is_space() {
    let (scratch, disk) = on_a_failing_disk();
    let segment = segments(&scratch.partition())[0].clone();
    let size = fs::metadata(&segment).unwrap().len();
    for written in [0, 1, 64, 70, 90] {
        disk.set(|faults| faults.write = Some((written, ENOSPC)));
        assert_eq!(try_append(&scratch.log, &["b0", "b1"]).unwrap_err().kind, ErrorKind::Retry, "{written}");
        assert_eq!(fs::metadata(&segment).unwrap().len(), size);
        assert_eq!(read(&scratch.open(), 0).records.len(), 2);
    }
    assert_eq!(append(&scratch.log, &["b0"]), 2, "no offset was used");
    assert_eq!(read(&scratch.open(), 0).gaps, vec![]);
}

#[test]
fn a_full_disk_at_the_start_of_a_segment_leaves_none() {
    let disk = Arc::new(FailingDisk::default());
    let scratch = Scratch::with(SegmentLogOptions::default(), Arc::clone(&disk) as Arc<dyn Disk>);
    scratch.log.create_topic(TOPIC, 1).unwrap();
    disk.set(|faults| faults.write = Some((100, ENOSPC)));
    assert_eq!(try_append(&scratch.log, &["x"]).unwrap_err().kind, ErrorKind::Retry);
    assert!(segments(&scratch.partition()).is_empty());
    assert_eq!(append(&scratch.log, &["a0"]), 0);
}

#[test]
fn a_write_that_cannot_be_taken_back_is_in_doubt() {
    for (cuts, number) in [(1, ENOSPC), (0, EIO)] {
        let (scratch, disk) = on_a_failing_disk();
        disk.set(|faults| (faults.write, faults.cuts) = (Some((100, number)), cuts));
        assert_eq!(try_append(&scratch.log, &["b0", "b1"]).unwrap_err().kind, ErrorKind::Unknown);
        assert_eq!(read(&scratch.open(), 0).records.len(), 2);
        assert_eq!(append(&scratch.log, &["c0"]), 4);
        assert_eq!(read(&scratch.open(), 2), Read { records: rows(4, &["c0"]), gaps: never_written(2, 4) });
    }
}

#[test]
fn a_writer_that_panics_leaves_no_caller_waiting() {
    let (scratch, disk) = on_a_failing_disk();
    disk.set(|faults| (faults.held, faults.panics) = (true, true));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| try_append(&scratch.log, &["b0"]))).collect();
        std::thread::sleep(Duration::from_millis(50));
        disk.set(|faults| faults.held = false);
        let panicked = callers.into_iter().map(|caller| caller.join()).filter(Result::is_err).count();
        assert_eq!(panicked, 1, "the one that wrote");
    });
    let before = read(&scratch.open(), 0);
    assert!((5..=6).contains(&before.records.len()), "what was written and not answered may stay: {before:?}");
    let next = scratch.log.bounds(TOPIC, 0).unwrap().next;
    assert_eq!(append(&scratch.log, &["c0"]), next);
    assert_eq!(read(&scratch.open(), 0).gaps, vec![]);
}
