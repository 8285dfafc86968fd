//! The layout: what was written once stays readable, and what is read is exactly what was written.

use super::super::block::{BLOCK_BYTES_MAX, Block, take_record};
use super::*;
use proptest::prelude::*;
use watertight_core::port::{ErrorKind, GapCause, Ids, ReadFrom};
use watertight_core::record::{decode_headers, encode_headers};

/// Files that version 1 wrote. They are made anew with `WATERTIGHT_WRITE_FIXTURES=1 cargo test -p watertight-adapters
/// version_1`, which is to be done for a new version only, in a folder of its own.
const VERSION_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/segment_log_v1");

struct FixedIds;

impl Ids for FixedIds {
    fn fresh(&self) -> String {
        "0c0ffee0-0000-4000-8000-000000000001".to_owned()
    }
}

const CODECS: [Codec; 3] = [Codec::None, Codec::Lz4, Codec::Zstd];

/// Three segments, one per codec; behind the first, three offsets were given up after a failed sync.
fn write_version_1(root: &Path) {
    for codec in CODECS {
        let disk = Arc::new(FailingDisk::default());
        let options = SegmentLogOptions { segment_bytes: 4096, codec };
        let dyn_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let log = SegmentLog::open_on(
            root,
            options,
            (Arc::new(FixedClock(1_700_000_000_000_000)), Arc::new(FixedIds)),
            dyn_disk,
            Steps::default(),
        )
        .unwrap();
        log.create_topic(TOPIC, 1).unwrap();
        let headers: &[(&str, Option<&[u8]>)] = &[("trace", Some(b"t1")), ("trace", None)];
        let text = format!("{codec:?} ").repeat(20);
        let full =
            NewRecord { key: Some(b"key"), value: Some(text.as_bytes()), headers, timestamp_ms: 1_700_000_000_123 };
        let null = NewRecord { timestamp_ms: -1, ..NewRecord::default() };
        let empty = NewRecord { key: Some(b""), value: Some(b""), ..NewRecord::default() };
        log.append(TOPIC, 0, &[full, null]).unwrap();
        log.append(TOPIC, 0, &[empty]).unwrap();
        disk.set(|faults| faults.syncs = 1);
        log.append(TOPIC, 0, &[full, full, null]).unwrap_err();
    }
}

#[test]
fn version_1_is_written_as_it_was_and_read_as_it_was_meant() {
    let fixture = Path::new(VERSION_1);
    if std::env::var_os("WATERTIGHT_WRITE_FIXTURES").is_some() {
        fs::remove_dir_all(fixture).ok();
        write_version_1(fixture);
    }
    let written = tempfile::tempdir().unwrap();
    write_version_1(written.path());
    let first = Path::new(TOPIC).join("0").join("00000000000000000000.seg");
    let bytes = |root: &Path| fs::read(root.join(&first)).unwrap();
    assert!(bytes(written.path()) == bytes(fixture), "uncompressed blocks are the same byte for byte");

    let copy = tempfile::tempdir().unwrap();
    copy_dir(fixture, copy.path());
    let log = open(copy.path());
    assert_eq!(log.topic(TOPIC).unwrap().unwrap().incarnation, FixedIds.fresh());
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    let part = reader.fetch(1 << 20, Duration::ZERO).unwrap().remove(0);
    let given_up = |from| Gap { from, to: from + 3, cause: GapCause::NoRecord };
    assert_eq!(part.gaps, [given_up(3), given_up(9)]);
    assert_eq!(part.to, 15);
    let offsets: Vec<i64> = part.records.metas().iter().map(|meta| meta.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 6, 7, 8, 12, 13, 14]);
    for (turn, codec) in CODECS.iter().enumerate() {
        let (full, null, empty) = (turn * 3, turn * 3 + 1, turn * 3 + 2);
        let times: Vec<i64> = [full, null, empty].map(|row| part.records.metas()[row].timestamp_ms).to_vec();
        assert_eq!(times, [1_700_000_000_123, -1, 0]);
        assert_eq!(part.records.key(full), Some(&b"key"[..]));
        assert_eq!(part.records.value(full), Some(format!("{codec:?} ").repeat(20).as_bytes()));
        let headers = decode_headers(part.records.headers(full)).unwrap();
        assert_eq!(headers, [(&b"trace"[..], Some(&b"t1"[..])), (b"trace", None)]);
        assert_eq!((part.records.key(null), part.records.value(null)), (None, None));
        assert_eq!((part.records.key(empty), part.records.value(empty)), (Some(&b""[..]), Some(&b""[..])));
    }
    let codecs = segments(&copy.path().join(TOPIC).join("0")).iter().map(|s| headers(s)[1].codec).collect::<Vec<_>>();
    assert_eq!(codecs, CODECS);
}

#[test]
fn a_batch_too_large_for_a_block_is_refused_whole() {
    let scratch = Scratch::new();
    scratch.log.create_topic(TOPIC, 1).unwrap();
    let half = vec![7; BLOCK_BYTES_MAX / 2];
    let record = NewRecord { value: Some(&half), ..NewRecord::default() };
    assert_eq!(scratch.log.append(TOPIC, 0, &[record, record]).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(scratch.log.append(TOPIC, 0, &[record]).unwrap().first_offset, 0);
    let mut reader = scratch.log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    let part = reader.fetch(1, Duration::ZERO).unwrap().remove(0);
    assert_eq!(part.records.value(0), Some(&half[..]));
}

#[test]
fn settings_out_of_bounds_are_refused() {
    for segment_bytes in [0, 4095, (64 << 30) + 1] {
        let dir = tempfile::tempdir().unwrap();
        let options = SegmentLogOptions { segment_bytes, ..SegmentLogOptions::default() };
        let error = SegmentLog::open(dir.path(), options, Arc::new(FixedClock(0)), Arc::new(SystemIds)).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Stop);
    }
}

type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, i64);

fn any_record() -> impl Strategy<Value = Parts> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let text = proptest::collection::vec(proptest::char::range('a', 'f'), 0..6).prop_map(String::from_iter);
    (bytes(), bytes(), proptest::collection::vec((text, bytes()), 0..3), any::<i64>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_is_packed_is_unpacked(
        batch in proptest::collection::vec(any_record(), 1..30), codec in 0..3_usize, used in 0..9_000_usize,
    ) {
        let headers: Vec<Vec<(&str, Option<&[u8]>)>> =
            batch.iter().map(|(_, _, h, _)| h.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect()).collect();
        let records: Vec<NewRecord<'_>> = batch
            .iter()
            .zip(&headers)
            .map(|((key, value, _, time), headers)| NewRecord {
                key: key.as_deref(), value: value.as_deref(), headers, timestamp_ms: *time,
            })
            .collect();
        let mut block = Block::pack(&records, CODECS[codec], &mut Vec::new(), Vec::new()).unwrap();
        block.place(7, 100, 64);
        // What buffers were used for before leaves nothing in a block.
        let mut again = Block::pack(&records, CODECS[codec], &mut vec![0xAA; used / 2], vec![0xBB; used]).unwrap();
        again.place(7, 100, 64);
        prop_assert_eq!(again.bytes(), block.bytes());
        let header = Header::decode(block.bytes().first_chunk().unwrap(), 7, 64).unwrap();
        prop_assert_eq!(header.block_len(), block.bytes().len() as u64);
        let stored = &block.bytes()[HEADER_LEN..HEADER_LEN + header.stored_len as usize];
        prop_assert!(header.vouches_for(stored));
        let mut raw = Vec::new();
        prop_assert!(header.unpack(stored, &mut raw).is_some());
        let mut rest = &raw[..];
        for record in &records {
            let read = take_record(&mut rest, header.base_time_ms).unwrap();
            let mut encoded = Vec::new();
            encode_headers(record.headers, &mut encoded);
            prop_assert_eq!((read.key, read.value, read.timestamp_ms), (record.key, record.value, record.timestamp_ms));
            prop_assert_eq!(read.headers.unwrap_or(&[]), &encoded[..]);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn rubbish_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 64..300), codec in 0..3_u8) {
        prop_assert!(Header::decode(bytes.first_chunk().unwrap(), 0, 0).is_none());
        let mut rest = &bytes[..];
        while take_record(&mut rest, 0).is_some() {}
        let mut block = Block::pack(&[NewRecord::default()], Codec::None, &mut Vec::new(), Vec::new()).unwrap();
        block.place(0, 0, 0);
        let header = Header::decode(block.bytes().first_chunk().unwrap(), 0, 0).unwrap();
        let header = Header { codec: CODECS[codec as usize], raw_len: 4_000, stored_len: bytes.len() as u32, ..header };
        prop_assert!(!header.vouches_for(&bytes));
        header.unpack(&bytes, &mut Vec::new());
    }
}
