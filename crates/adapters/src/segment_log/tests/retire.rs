//! Retention: what goes, what stays, and what readers are told.

use super::*;
use std::collections::BTreeMap;
use watertight_core::port::{ErrorKind, ReadFrom};

/// One segment per append, of records one second apart.
fn ten_segments(now_us: i64) -> Scratch {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let options = SegmentLogOptions { segment_bytes: 4096, codec: Codec::None };
    let log = SegmentLog::open(&scratch.path(), options, Arc::new(FixedClock(now_us)), Arc::new(SystemIds)).unwrap();
    let value = "v".repeat(5_000);
    for at in 0..10 {
        let record = NewRecord { value: Some(value.as_bytes()), timestamp_ms: at * 1_000, ..NewRecord::default() };
        log.append(TOPIC, 0, &[record]).unwrap();
    }
    assert_eq!(segments(&scratch.partition()).len(), 10);
    Scratch { log: Arc::new(log), ..scratch }
}

#[test]
fn segments_older_than_the_age_go_and_the_active_one_stays() {
    let scratch = ten_segments(10_000_000);
    let retired = scratch.log.apply_retention(TOPIC, Some(Duration::from_secs(6)), None, &BTreeMap::new()).unwrap();
    assert_eq!((retired[0].from, retired[0].to, retired[0].segments), (0, 4, 4));
    assert_eq!(scratch.log.bounds(TOPIC, 0).unwrap().earliest, 4);
    assert_eq!(scratch.log.apply_retention(TOPIC, Some(Duration::from_secs(6)), None, &BTreeMap::new()).unwrap(), []);
    scratch.log.apply_retention(TOPIC, Some(Duration::ZERO), None, &BTreeMap::new()).unwrap();
    assert_eq!(scratch.log.bounds(TOPIC, 0).unwrap().earliest, 9);
    assert_eq!(read(&scratch.open(), 9).records.len(), 1);
}

#[test]
fn segments_that_are_still_needed_stay_whatever_their_age_and_size() {
    let scratch = ten_segments(10_000_000);
    let needed = BTreeMap::from([(0, 3)]);
    let retired = scratch.log.apply_retention(TOPIC, Some(Duration::ZERO), Some(0), &needed).unwrap();
    assert_eq!((retired[0].from, retired[0].to, retired[0].segments), (0, 3, 3));
    assert_eq!(read(&scratch.open(), 3).records.len(), 7, "nothing that is still needed went");
}

#[test]
fn the_oldest_segments_go_until_the_rest_fits() {
    let scratch = ten_segments(0);
    let size = fs::metadata(&segments(&scratch.partition())[0]).unwrap().len();
    let retired = scratch.log.apply_retention(TOPIC, None, Some(3 * size), &BTreeMap::new()).unwrap();
    assert_eq!((retired[0].to, retired[0].segments, retired[0].bytes), (7, 7, 7 * size));
    assert_eq!(append(&scratch.log, &["next"]), 10);
    assert_eq!(read(&scratch.open(), 7).records.len(), 4);
}

#[test]
fn a_reader_in_the_middle_of_what_goes_is_told_the_exact_range() {
    let scratch = ten_segments(0);
    let other = scratch.open();
    let mut reader = other.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    assert_eq!(reader.fetch(1, Duration::ZERO).unwrap()[0].to, 1);
    assert_eq!(reader.fetch(5_000, Duration::ZERO).unwrap()[0].to, 2);
    scratch.log.apply_retention(TOPIC, None, Some(0), &BTreeMap::new()).unwrap();
    let error = reader.fetch(1, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind, ErrorKind::OutOfRange);
    assert!(error.message.contains("2..9"), "{}", error.message);
    reader.seek(0, 9).unwrap();
    assert_eq!(reader.fetch(1, Duration::ZERO).unwrap()[0].to, 10);
}

#[test]
fn readers_and_writers_go_on_while_retention_runs() {
    let scratch = Scratch::with_small_segments();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let other = scratch.open();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for at in 0..300 {
                append(&scratch.log, &[format!("{at}").as_str()]);
            }
        });
        let retiring = scratch.open();
        scope.spawn(move || {
            while retiring.bounds(TOPIC, 0).unwrap().next < 300 {
                retiring.apply_retention(TOPIC, None, Some(5_000), &BTreeMap::new()).unwrap();
            }
        });
        let mut reader = other.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
        let mut position = 0;
        while position < 300 {
            match reader.fetch(700, Duration::from_millis(20)) {
                Ok(parts) => {
                    for part in parts {
                        assert_eq!((part.from, part.gaps.len()), (position, 0));
                        let text = |row| String::from_utf8(part.records.value(row).unwrap().to_vec()).unwrap();
                        let right = |(row, meta): (usize, &watertight_core::record::RecordMeta)| {
                            meta.offset.to_string() == text(row)
                        };
                        assert!(part.records.metas().iter().enumerate().all(right));
                        position = part.to;
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::OutOfRange, "{error}");
                    let earliest = other.bounds(TOPIC, 0).unwrap().earliest;
                    assert!(earliest > position);
                    position = earliest;
                    reader.seek(0, position).unwrap();
                }
            }
        }
        writer.join().unwrap();
    });
    assert!(scratch.log.bounds(TOPIC, 0).unwrap().earliest > 0, "something was removed meanwhile");
}

#[test]
fn a_mark_older_than_the_retention_brings_nothing_back() {
    let scratch = ten_segments(0);
    let old = fs::read(scratch.partition().join(MARK_FILE)).unwrap();
    scratch.log.apply_retention(TOPIC, None, Some(0), &BTreeMap::new()).unwrap();
    fs::write(scratch.partition().join(MARK_FILE), old).unwrap();
    let bounds = scratch.open().bounds(TOPIC, 0).unwrap();
    assert_eq!((bounds.earliest, bounds.next), (9, 10));
}
