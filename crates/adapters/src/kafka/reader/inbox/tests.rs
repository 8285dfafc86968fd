use super::*;
use watertight_core::port::{GapCause, OffsetRange};

const NO_WAIT: Duration = Duration::ZERO;
const ALL: usize = 1 << 30;

/// A chunk of records of 1,000 bytes at these offsets; what is between them are holes.
fn chunk(from: i64, offsets: &[i64]) -> Chunk {
    let mut chunk = Chunk::at(from, 0, 0);
    for offset in offsets {
        if chunk.to < *offset {
            chunk.holes.push(chunk.to..*offset);
        }
        chunk.records.push(*offset, 0, 0, None, Some(&[7; 1_000]), None);
        chunk.to = offset + 1;
    }
    chunk
}

fn inbox(partitions: i32) -> Inbox {
    Inbox::new((0..partitions).map(|partition| (ReadFrom::offset(partition, 0), None)))
}

fn push(inbox: &Inbox, lane: usize, version: u64, chunk: Chunk) {
    let end = chunk.to;
    inbox.push(vec![Update { lane, version, chunks: vec![chunk], end, failure: None }]);
}

fn fail(inbox: &Inbox, lane: usize, until: Until) {
    let failure = Some(Failure::new(ErrorKind::Stop, format!("lane {lane}"), until));
    inbox.push(vec![Update { lane, version: 0, chunks: Vec::new(), end: 0, failure }]);
}

/// That partition 0 is to be read from there.
fn order(version: u64, offset: i64, leader_epoch: i32) -> Next {
    Next::Place(vec![Order { lane: 0, version, offset, leader_epoch }])
}

/// Partition, from and to of each part; the error's message where it is one.
fn fetch(inbox: &Inbox, bytes_max: usize) -> Result<Vec<(i32, i64, i64)>, String> {
    let fetched = inbox.fetch(bytes_max, NO_WAIT, || None).map_err(|error| error.message)?;
    Ok(fetched.iter().map(|part| (part.partition, part.from, part.to)).collect())
}

#[test]
fn a_fetch_takes_whole_chunks_and_only_the_first_is_cut() {
    let inbox = inbox(1);
    push(&inbox, 0, 0, chunk(0, &[0, 1, 2, 3]));
    let offsets: Vec<i64> = (4..2_000).collect();
    push(&inbox, 0, 0, chunk(4, &offsets));
    assert_eq!(fetch(&inbox, 1), Ok(vec![(0, 0, 1)]), "at least one record");
    assert_eq!(fetch(&inbox, 2_000), Ok(vec![(0, 1, 3)]));
    assert_eq!(fetch(&inbox, 100_000), Ok(vec![(0, 3, 4)]), "the next one would be cut");
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 4, 2_000)]));
    assert_eq!(fetch(&inbox, ALL), Ok(Vec::new()));
    assert_eq!(inbox.lock().queued, 0, "all that was counted is given back");
}

#[test]
fn a_backlog_starves_no_other_partition() {
    let inbox = inbox(3);
    for lane in [0, 1] {
        push(&inbox, lane, 0, chunk(0, &(0..2_000).collect::<Vec<_>>()));
    }
    push(&inbox, 2, 0, chunk(0, &[0]));
    let mut met: Vec<i32> = Vec::new();
    for _ in 0..3 {
        met.extend(fetch(&inbox, 6_000).expect("parts").iter().map(|part| part.0));
    }
    met.sort_unstable();
    met.dedup();
    assert_eq!(met, [0, 1, 2]);
}

#[test]
fn a_failed_partition_is_told_of_in_turn_and_holds_up_nobody() {
    let inbox = inbox(2);
    push(&inbox, 0, 0, chunk(0, &[0]));
    fail(&inbox, 0, Until::Seek);
    let mut answers = Vec::new();
    for offset in 0..4 {
        push(&inbox, 1, 0, chunk(offset, &[offset]));
        answers.push(fetch(&inbox, ALL));
    }
    assert_eq!(answers[0], Ok(vec![(0, 0, 1), (1, 0, 1)]), "what came before it is read");
    let failures = answers.iter().filter(|answer| answer.is_err()).count();
    assert!((1..=2).contains(&failures), "{answers:?}");
    assert!(fetch(&inbox, ALL).is_err() || fetch(&inbox, ALL).is_err(), "and again");
    assert!(inbox.seek(0, 5));
    assert!((0..3).all(|_| fetch(&inbox, ALL).is_ok()), "until it is sent elsewhere");
}

#[test]
fn a_passing_failure_ends_when_something_comes_and_a_told_one_when_it_was_told() {
    let inbox = inbox(1);
    fail(&inbox, 0, Until::Progress);
    assert_eq!((fetch(&inbox, ALL).is_err(), fetch(&inbox, ALL).is_err()), (true, true));
    push(&inbox, 0, 0, chunk(0, &[0]));
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 0, 1)]));
    assert_eq!(fetch(&inbox, ALL), Ok(Vec::new()));
    fail(&inbox, 0, Until::Told);
    assert_eq!((fetch(&inbox, ALL).is_err(), fetch(&inbox, ALL).is_err()), (true, false));
}

#[test]
fn what_was_read_for_an_earlier_place_is_dropped() {
    let inbox = inbox(1);
    push(&inbox, 0, 0, chunk(0, &[0, 1]));
    assert!(inbox.seek(0, 1));
    assert!(!inbox.seek(3, 0), "not assigned");
    assert_eq!(inbox.lock().queued, 0);
    push(&inbox, 0, 0, chunk(2, &[2]));
    assert_eq!(fetch(&inbox, ALL), Ok(Vec::new()));
    assert_eq!(inbox.next(), order(1, 1, -1));
    assert_eq!(inbox.next(), Next::Read, "an order is given once");
    push(&inbox, 0, 1, chunk(1, &[1]));
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 1, 2)]));
}

#[test]
fn a_full_inbox_is_not_filled_further() {
    let inbox = inbox(1);
    assert_eq!(inbox.next(), Next::Read);
    let mut large = Chunk::at(0, 0, 0);
    large.records.push(0, 0, 0, None, Some(&vec![0; QUEUED_BYTES_MAX]), None);
    large.to = 1;
    push(&inbox, 0, 0, large);
    assert_eq!(inbox.next(), Next::Wait);
    assert!(inbox.seek(0, 0), "an order is carried out all the same");
    assert!(matches!(inbox.next(), Next::Place(_)));
    inbox.close();
    assert_eq!(inbox.next(), Next::Close);
}

#[test]
fn holes_hold_a_chunk_back_until_they_are_explained() {
    let inbox = inbox(1);
    push(&inbox, 0, 0, chunk(0, &[0]));
    push(&inbox, 0, 0, chunk(1, &[3, 5]));
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 0, 1)]));
    let doubts = inbox.doubts().expect("open");
    assert_eq!(doubts.len(), 1);
    assert_eq!((doubts[0].partition, &doubts[0].holes[..]), (0, &[1..3, 4..5][..]));
    push(&inbox, 0, 0, chunk(6, &[7]));

    let unknown = Verdict::Unknown(Failure::new(ErrorKind::Retry, "the broker is away", Until::Progress));
    inbox.settle(Answer { lane: 0, version: 0, verdict: unknown });
    assert_eq!(fetch(&inbox, ALL), Err("the broker is away".to_owned()));

    let gap = |from, to, cause| Gap { from, to, cause };
    let gaps = vec![gap(1, 2, GapCause::Retention), gap(2, 3, GapCause::NoRecord), gap(4, 5, GapCause::NoRecord)];
    inbox.settle(Answer { lane: 0, version: 9, verdict: Verdict::Empty(gaps.clone()) });
    assert!(fetch(&inbox, ALL).is_err(), "the answer was for another place");
    inbox.settle(Answer { lane: 0, version: 0, verdict: Verdict::Empty(gaps.clone()) });
    let fetched = inbox.fetch(ALL, NO_WAIT, || None).expect("explained");
    assert_eq!((fetched.len(), fetched[0].from, fetched[0].to, &fetched[0].gaps), (1, 1, 6, &gaps));
    assert_eq!(inbox.doubts().expect("open")[0].holes.first(), Some(&(6..7)), "what came since is asked about next");
}

#[test]
fn a_record_that_was_passed_over_is_told_once_and_read_again() {
    let inbox = inbox(1);
    push(&inbox, 0, 0, chunk(0, &[0]));
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 0, 1)]));
    push(&inbox, 0, 0, chunk(1, &[3]));
    inbox.settle(Answer { lane: 0, version: 0, verdict: Verdict::Missed(2..3) });
    let message = fetch(&inbox, ALL).expect_err("told");
    assert!(message.contains("2..3") && message.contains("offset 1"), "{message}");
    assert_eq!(fetch(&inbox, ALL), Ok(Vec::new()), "nothing of it is used");
    assert_eq!(inbox.next(), order(1, 1, 0));
}

#[test]
fn what_is_read_again_is_read_with_the_epoch_of_its_position_and_a_seek_knows_of_none() {
    let inbox = Inbox::new([(ReadFrom { partition: 0, offset: 5, leader_epoch: 3 }, None)]);
    let miss = |version| {
        inbox.settle(Answer { lane: 0, version, verdict: Verdict::Missed(0..1) });
        assert!(fetch(&inbox, ALL).is_err(), "told");
        inbox.next()
    };
    assert_eq!(miss(0), order(1, 5, 3), "nothing was given out since it was opened");

    let mut records = Chunk::at(5, 0, 0);
    for (offset, epoch) in [(5, 3), (6, 4), (7, 6)] {
        records.records.push(offset, 0, epoch, None, Some(b"x"), None);
    }
    records.to = 8;
    push(&inbox, 0, 1, records);
    assert_eq!(fetch(&inbox, 1), Ok(vec![(0, 5, 6)]));
    assert_eq!(fetch(&inbox, 1), Ok(vec![(0, 6, 7)]));
    assert_eq!(miss(1), order(2, 7, 4), "not that of what waited");

    let mut marker = Chunk::at(7, 0, 0);
    marker.records.push(7, 0, 6, None, Some(b"x"), None);
    marker.gaps.push(Gap { from: 8, to: 9, cause: GapCause::NoRecord });
    marker.to = 9;
    push(&inbox, 0, 2, marker);
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 7, 9)]));
    assert_eq!(miss(2), order(3, 9, -1), "a marker may be of a later leader");

    push(&inbox, 0, 3, chunk(9, &[9]));
    assert_eq!(fetch(&inbox, ALL), Ok(vec![(0, 9, 10)]));
    assert!(inbox.seek(0, 10));
    assert_eq!(inbox.next(), order(4, 10, -1), "whoever seeks answers for what lies below");
}

#[test]
fn silence_is_asked_about_only_when_nothing_came() {
    let range = OffsetRange { partition: 0, from: 1, to: 2 };
    let inbox = inbox(1);
    let away = || Some(Failure { range: Some(range), ..Failure::new(ErrorKind::Retry, "away", Until::Progress) });
    let error = inbox.fetch(ALL, Duration::from_millis(5), away).expect_err("away");
    assert_eq!((error.kind, error.range), (ErrorKind::Retry, Some(range)));
    push(&inbox, 0, 0, chunk(0, &[0]));
    assert_eq!(inbox.fetch(ALL, NO_WAIT, away).expect("a record").len(), 1);
    inbox.end(Failure::new(ErrorKind::Stop, "deleted", Until::Seek));
    assert_eq!(inbox.fetch(ALL, Duration::from_secs(9), away).expect_err("ended").message, "deleted");
}

#[test]
fn lag_reaches_zero_at_the_end_that_may_be_read() {
    let inbox = inbox(1);
    inbox.push(vec![Update { lane: 0, version: 0, chunks: vec![chunk(0, &[0, 1])], end: 9, failure: None }]);
    let part = inbox.fetch(1, NO_WAIT, || None).expect("a record").remove(0);
    assert_eq!((part.to, part.log_end), (1, 9));
    inbox.push(vec![Update { lane: 0, version: 0, chunks: Vec::new(), end: 2, failure: None }]);
    let part = inbox.fetch(1, NO_WAIT, || None).expect("a record").remove(0);
    assert_eq!((part.to, part.log_end), (2, 2));
}
