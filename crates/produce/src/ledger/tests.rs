use super::*;
use std::fs;

fn header(producer: &str) -> Header {
    let source = SourceHeader::Input { name: "in".to_owned(), format: "csv".to_owned() };
    Header::new(producer, "t", "i", vec![0, 3], source)
}

fn line(sequence: u64, id: &str) -> Line<'_> {
    Line { sequence, id, partition: 1, offset: 3 + sequence as i64, position: Some(place(7, 10 * sequence)) }
}

fn place(inode: u64, bytes: u64) -> Place {
    Place { inode, bytes, check: Some(u32::MAX - bytes as u32) }
}

#[test]
fn a_torn_tail_is_cut_and_the_lines_before_it_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/ledger");
    {
        let (mut ledger, _, found) = Ledger::open(&path, &header("p"), &Steps::default()).expect("begins");
        assert_eq!(found.count(), 0);
        (0..3).for_each(|sequence| ledger.add(&line(sequence, "a\tb\n")));
        ledger.sync().expect("writes");
    }
    let mut torn = fs::read(&path).expect("there");
    let whole = torn.len();
    torn.extend_from_slice(b"3\tid\t1\t");
    fs::write(&path, &torn).expect("written");
    let (mut ledger, _, found) = Ledger::open(&path, &header("p"), &Steps::default()).expect("opens");
    assert_eq!((found.count(), found.frontier(), found.next_offset(1), found.next_offset(0)), (3, 3, Some(6), None));
    assert_eq!(found.resume_position(), Some((3, place(7, 20))));
    assert_eq!(fs::metadata(&path).expect("there").len(), whole as u64);
    ledger.add(&line(3, "x"));
    ledger.sync().expect("writes");
    ledger.sync().expect("nothing is written twice");
    let mut ids = Vec::new();
    read(&path, |line| ids.push((line.sequence, line.id.to_owned()))).expect("reads");
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[0].1, "a\u{fffd}b\u{fffd}", "an id cannot break the format");
}

#[test]
fn damage_in_the_middle_a_doubled_line_and_a_foreign_file_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    drop(Ledger::open(&path, &header("p"), &Steps::default()).expect("begins"));
    let begun = fs::read_to_string(&path).expect("there");
    let cases = [
        (format!("{begun}0\ta\t0\t0\t-\nx\n1\ta\t0\t1\t-\n"), "line 3"),
        (format!("{begun}0\ta\t0\t0\t-\n1\ta\t0\t1\t-\tx\n"), "line 3"),
        (format!("{begun}0\ta\t0\t0\t-\n0\ta\t0\t1\t-\n"), "sequence 0 twice"),
        ("hello\n".to_owned(), "header"),
        (String::new(), "no header"),
        (begun.replace("\"format\":1", "\"format\":9"), "format 9"),
    ];
    for (text, said) in cases {
        fs::write(&path, text).expect("written");
        let error = Ledger::open(&path, &header("p"), &Steps::default()).expect_err("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_ledger_ends_at_the_first_line_with_zeros_for_none_behind_it_was_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let (mut ledger, ..) = Ledger::open(&path, &header("p"), &Steps::default()).expect("begins");
    (0..2).for_each(|sequence| ledger.add(&line(sequence, "id")));
    ledger.sync().expect("writes");
    drop(ledger);
    let whole = fs::read(&path).expect("there");
    // A page that never was written: in the middle of an id, and where a line begins.
    for behind in ["2\ti\0\0d\t1\t5\t-\n3\tid\t1\t6\t-\n", "\0\0\0\0\n3\tid\t1\t6\t-\n"] {
        fs::write(&path, [&whole[..], behind.as_bytes()].concat()).expect("written");
        let mut sequences = Vec::new();
        read(&path, |line| sequences.push(line.sequence)).expect("reads");
        assert_eq!(sequences, [0, 1]);
        let (_, _, found) = Ledger::open(&path, &header("p"), &Steps::default()).expect("opens");
        assert_eq!((found.count(), fs::read(&path).expect("there") == whole), (2, true), "{behind:?}");
    }
}

#[test]
fn a_second_producer_is_told_that_the_ledger_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let first = Ledger::open(&path, &header("p"), &Steps::default()).expect("begins");
    let error = Ledger::open(&path, &header("p"), &Steps::default()).expect_err("locked").to_string();
    assert!(error.contains("another producer"), "{error}");
    drop(first);
    Ledger::open(&path, &header("p"), &Steps::default()).expect("free again");
}

#[test]
fn the_frontier_stops_at_the_first_number_that_is_missing() {
    let mut acked = Acked::default();
    for sequence in [0, 1, 70, 2, 500] {
        assert!(acked.add(sequence, 0, sequence as i64, Some(place(1, sequence))));
    }
    assert!(!acked.add(70, 0, 70, None));
    assert_eq!((acked.frontier(), acked.end(), acked.count()), (3, 501, 5));
    assert_eq!(acked.resume_position(), Some((3, place(1, 2))));
    assert!(acked.contains(70) && !acked.contains(3));
}

#[test]
fn a_ledger_of_an_older_build_without_checksums_of_places_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    drop(Ledger::open(&path, &header("p"), &Steps::default()).expect("begins"));
    let begun = fs::read_to_string(&path).expect("there");
    fs::write(&path, format!("{begun}0\ta\t0\t0\t7:12\n1\tb\t0\t1\t7:24:0000abcd\n")).expect("written");
    let mut places = Vec::new();
    read(&path, |line| places.push(line.position)).expect("reads");
    let wanted = [(12, None), (24, Some(0xabcd))].map(|(bytes, check)| Some(Place { inode: 7, bytes, check }));
    assert_eq!(places, wanted);
    for bad in ["7", "7:", "7:1:", "7:1:xyz", "7:1:2:3"] {
        fs::write(&path, format!("{begun}0\ta\t0\t0\t{bad}\n")).expect("written");
        assert!(read(&path, |_| {}).is_err(), "{bad}");
    }
}

#[test]
fn the_checksum_of_a_place_changes_with_every_byte_and_stays_what_it_was() {
    let bytes: Vec<u8> = (0..100_u8).collect();
    let check = check_of(&bytes);
    for index in 0..bytes.len() {
        let mut other = bytes.clone();
        other[index] ^= 1;
        assert_ne!(check_of(&other), check, "byte {index}");
    }
    assert_ne!(check_of(&bytes[1..]), check);
    // Computed apart from this code, by the description of `check_of`.
    assert_eq!(check_of(b"{\"id\":1}\n"), 0x428d_1b1c);
}
