use super::*;
use crate::expect::fixture::rule;

const FAR: i64 = i64::MAX / 2;

fn time() -> StreamTime {
    StreamTime::new(&rule("ts"))
}

/// The recorded watermarks of partitions that have none.
fn known(partitions: i32) -> Watermarks {
    let partitions = (0..partitions).map(|partition| (partition, PartitionTime::default())).collect();
    Watermarks { stream_us: None, partitions, ..Watermarks::default() }
}

fn on_time(time: &mut StreamTime, partition: i32, offset: i64, event_us: i64) {
    assert_eq!(time.observe(partition, offset, Some(event_us), FAR, FAR), Seen::default());
}

fn late(time: &mut StreamTime, partition: i32, offset: i64, event_us: i64) -> bool {
    time.observe(partition, offset, Some(event_us), FAR, FAR).late
}

#[test]
fn a_record_is_late_only_below_the_watermark_before_it() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    on_time(&mut time, 0, 1, 90);
    assert!(late(&mut time, 0, 2, 89));
    on_time(&mut time, 1, 0, 5);
}

#[test]
fn a_time_beyond_the_tolerance_of_either_clock_is_flagged_and_moves_nothing() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    for (kafka_us, ingested_us) in [(1_000, FAR), (FAR, 1_000)] {
        let seen = time.observe(0, 1, Some(1_006), kafka_us, ingested_us);
        assert_eq!(seen, Seen { late: false, future: true });
    }
    assert_eq!(time.observe(0, 2, None, FAR, FAR), Seen::default());
    on_time(&mut time, 0, 3, 90);
    assert_eq!(time.largest_us(), Some(100));
    assert_eq!(time.observe(0, 4, Some(1_005), 1_000, FAR), Seen::default(), "the tolerance itself is believed");
    assert_eq!(time.largest_us(), Some(1_005));
}

#[test]
fn the_stream_waits_for_every_partition_that_is_not_idle_and_never_goes_back() {
    let mut time = time();
    time.begin(&[]);
    on_time(&mut time, 0, 0, 100);
    time.end(Some(&known(2)));
    assert_eq!(time.after_commit().stream_us, None, "partition 1 has said nothing yet");
    on_time(&mut time, 1, 0, 50);
    time.end(Some(&known(2)));
    assert_eq!(time.after_commit().stream_us, Some(40));
    time.begin(&[Decision::Idle { topic: String::new(), partition: 1, at: 1 }]);
    time.end(None);
    assert_eq!(time.after_commit().stream_us, Some(90));
    time.begin(&[Decision::Lifted { topic: String::new(), partition: 1, at: 1, watermark_us: Some(90) }]);
    assert!(late(&mut time, 1, 1, 89), "its window may be closed");
    on_time(&mut time, 1, 2, 90);
    time.end(None);
    assert_eq!(time.after_commit().stream_us, Some(90));
    let woken = PartitionTime { watermark_us: Some(90), idle: false };
    assert_eq!(time.after_commit().partitions[&1], woken);
    assert_eq!(time.take_contradictions(), Vec::<String>::new());
}

#[test]
fn without_the_recorded_partitions_a_silent_one_would_not_hold_the_stream_back() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    time.end(None);
    assert_eq!(time.after_commit().stream_us, Some(90));
    time.end(Some(&known(2)));
    assert!(!time.after_commit().partitions.contains_key(&1), "a new partition has to be lifted by now");
}

#[test]
fn when_all_partitions_are_idle_the_stream_goes_as_far_as_any_of_them() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    on_time(&mut time, 1, 0, 50);
    time.begin(&[0, 1, 2].map(|partition| Decision::Idle { topic: String::new(), partition, at: 1 }));
    time.end(Some(&known(3)));
    assert_eq!(time.after_commit().stream_us, Some(90));
}

#[test]
fn a_decision_is_taken_at_its_offset() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    on_time(&mut time, 1, 0, 10);
    time.begin(&[Decision::Idle { topic: String::new(), partition: 1, at: 1 }]);
    time.end(None);
    // The lift stands before offset 5: what lies before is as it was, and in this commit nothing of partition 1 is left.
    time.begin(&[Decision::Lifted { topic: String::new(), partition: 1, at: 5, watermark_us: Some(90) }]);
    on_time(&mut time, 0, 1, 300);
    time.end(None);
    assert!(late(&mut time, 1, 5, 89));
    assert_eq!(time.after_commit().stream_us, Some(90), "the lifted partition holds it");
}

#[test]
fn a_new_partition_is_lifted_to_the_streams_watermark() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    time.end(Some(&known(1)));
    time.begin(&[Decision::Lifted { topic: String::new(), partition: 1, at: 0, watermark_us: Some(90) }]);
    time.end(None);
    assert_eq!(time.after_commit().partitions[&1].watermark_us, Some(90));
    assert!(late(&mut time, 1, 7, 89));
    assert_eq!(time.take_contradictions(), Vec::<String>::new());
}

#[test]
fn the_end_of_input_raises_every_partition() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    time.begin(&[Decision::EndOfInput { watermark_us: 200 }]);
    time.end(Some(&known(2)));
    let after = time.after_commit();
    assert_eq!((after.stream_us, after.partitions[&0].watermark_us), (Some(200), Some(200)));
    assert_eq!(time.largest_us(), Some(100), "what was declared was not seen");
    assert!(late(&mut time, 0, 1, 199));
}

#[test]
fn decisions_that_do_not_follow_are_told() {
    let mut time = time();
    on_time(&mut time, 0, 0, 100);
    time.end(None);
    for (decision, part) in [
        (
            Decision::Lifted { topic: String::new(), partition: 0, at: 1, watermark_us: Some(90) },
            "neither idle nor new",
        ),
        (
            Decision::Lifted { topic: String::new(), partition: 1, at: 0, watermark_us: Some(80) },
            "to 80, and the watermarks before make it 90",
        ),
        (Decision::EndOfInput { watermark_us: 89 }, "was 90"),
        (Decision::Idle { topic: String::new(), partition: 0, at: 1 }, ""),
        (Decision::Idle { topic: String::new(), partition: 0, at: 1 }, "was idle"),
    ] {
        time.decide(&decision);
        let told = time.take_contradictions().concat();
        assert!(told.contains(part) && told.is_empty() == part.is_empty(), "{decision:?}: {told}");
    }
}

#[test]
fn it_goes_on_from_recorded_watermarks_and_under_another_definition() {
    let mut before = time();
    on_time(&mut before, 0, 0, 100);
    before.begin(&[Decision::Idle { topic: String::new(), partition: 1, at: 0 }]);
    before.end(None);
    let mut after = time();
    after.resume("", &before.after_commit());
    after.resume_largest(before.largest_us());
    assert_eq!((after.after_commit(), after.largest_us()), (before.after_commit(), Some(100)));
    after.redefine(&EventTime { watermark_delay_us: 1, ..rule("ts") });
    on_time(&mut after, 0, 1, 100);
    assert_eq!(after.after_commit().partitions[&0].watermark_us, Some(99));
}

#[test]
fn the_order_of_partitions_within_a_commit_does_not_matter() {
    let commits: [(&[Decision], &[(i32, i64, i64)]); 3] = [
        (&[], &[(0, 0, 100), (0, 1, 40), (1, 0, 20), (1, 1, 70), (2, 0, 95)]),
        (&[Decision::Idle { topic: String::new(), partition: 2, at: 1 }], &[(0, 2, 300), (1, 2, 59), (1, 3, 200)]),
        (
            &[Decision::Lifted { topic: String::new(), partition: 2, at: 1, watermark_us: Some(190) }],
            &[(0, 3, 289), (2, 1, 189), (2, 2, 500), (1, 4, 191)],
        ),
    ];
    let run = |reversed: bool| {
        let mut time = time();
        let mut lates = BTreeMap::new();
        for (decisions, records) in commits {
            time.begin(decisions);
            let mut records = records.to_vec();
            records.sort_by_key(|(partition, offset, _)| (if reversed { -partition } else { *partition }, *offset));
            for (partition, offset, event_us) in records {
                lates.insert((partition, offset), late(&mut time, partition, offset, event_us));
            }
            time.end(Some(&known(3)));
        }
        assert_eq!(time.take_contradictions(), Vec::<String>::new());
        (lates, time.after_commit())
    };
    assert_eq!(run(false), run(true));
    let lates: Vec<(i32, i64)> = run(false).0.into_iter().filter(|(_, late)| *late).map(|(at, _)| at).collect();
    assert_eq!(lates, [(0, 1), (0, 3), (1, 2), (2, 1)]);
}

fn lifted(topic: &str, at: i64, watermark_us: i64) -> Decision {
    Decision::Lifted { topic: topic.to_owned(), partition: 0, at, watermark_us: Some(watermark_us) }
}

#[test]
fn partitions_of_topics_are_told_apart_from_the_first_commit_on_that_says_so() {
    let mut time = time();
    time.enter("a", false);
    time.begin(&[]);
    time.observe(0, 0, Some(100), FAR, FAR);
    time.end(None);
    let one = time.after_commit();
    assert_eq!((one.stream_us, one.topics.len()), (Some(90), 0));

    // Another topic comes beside it, which is found at the stream's watermark.
    time.enter("b", true);
    time.begin(&[lifted("b", 0, 90)]);
    assert!(time.observe(0, 0, Some(89), FAR, FAR).late, "by what it was lifted to, not by partition 0 of topic a");
    time.observe(0, 1, Some(300), FAR, FAR);
    time.end(None);
    let two = time.after_commit();
    assert!(two.partitions.is_empty() && two.are_by_topic());
    assert_eq!(two.topics["a"], one.partitions, "what was known is of the topic of the commit before");
    assert_eq!((two.stream_us, two.of("b", 0).and_then(|time| time.watermark_us)), (Some(90), Some(290)));

    // A commit of one topic may decide about another.
    time.enter("b", true);
    time.begin(&[Decision::Idle { topic: "a".to_owned(), partition: 0, at: 1 }]);
    time.end(None);
    assert_eq!(time.after_commit().stream_us, Some(290));
    let recorded = time.after_commit();
    let mut resumed = self::time();
    resumed.resume("b", &recorded);
    assert_eq!(resumed.after_commit(), recorded);
    for time in [&mut time, &mut resumed] {
        time.enter("a", true);
        time.begin(&[lifted("a", 1, 290)]);
        assert!(time.observe(0, 1, Some(289), FAR, FAR).late);
        time.end(None);
        assert_eq!(time.take_contradictions(), Vec::<String>::new());
        time.begin(&[lifted("b", 2, 290)]);
        time.end(None);
        let said = time.take_contradictions();
        assert_eq!(said, ["partition 0 of topic b is lifted at 2, and was neither idle nor new"]);
    }
}
