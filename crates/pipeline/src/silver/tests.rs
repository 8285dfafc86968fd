use super::time::StreamTime;
use watertight_core::books::TimeDecision;
use watertight_core::schema::EventTimeRule;

const FAR: i64 = i64::MAX / 2;

fn rule() -> EventTimeRule {
    EventTimeRule {
        column: "ts".into(),
        watermark_delay_us: 10,
        future_tolerance_us: 5,
        idle_after_us: 1_000_000,
        not_before_us: 0,
        not_after_us: i64::MAX,
    }
}

fn time(partitions: i32) -> StreamTime {
    let mut time = StreamTime::resume(&rule(), None);
    assert_eq!(time.know(partitions), vec![], "nothing is lifted before the stream has a watermark");
    time
}

#[test]
fn a_record_is_late_only_below_the_watermark_before_it() {
    let mut time = time(1);
    assert!(!time.observe(0, 100, FAR).late, "the first is never late");
    assert!(!time.observe(0, 90, FAR).late, "exactly at the watermark is on time");
    assert!(time.observe(0, 89, FAR).late);
}

#[test]
fn a_time_beyond_the_tolerance_is_flagged_and_moves_nothing() {
    let mut time = time(1);
    time.observe(0, 100, FAR);
    assert!(time.observe(0, 1_006, 1_000).future);
    assert!(!time.observe(0, 95, FAR).late, "the watermark stayed where it was");
    assert!(!time.observe(0, 1_005, 1_000).future, "the tolerance itself is believed");
}

#[test]
fn the_stream_waits_for_every_partition_that_is_not_idle() {
    let mut time = time(2);
    time.observe(0, 100, FAR);
    time.advance();
    assert_eq!(time.stream_us(), None, "partition 1 has said nothing yet");
    time.observe(1, 50, FAR);
    time.advance();
    assert_eq!(time.stream_us(), Some(40));
    assert_eq!(time.idle(1, 7), Some(TimeDecision::Idle { topic: String::new(), partition: 1, at: 7 }));
    assert_eq!(time.idle(1, 7), None, "once is enough");
    time.advance();
    assert_eq!(time.stream_us(), Some(90));
}

#[test]
fn when_all_partitions_fall_idle_at_once_the_stream_goes_as_far_as_any_of_them() {
    let mut time = time(3);
    time.observe(0, 100, FAR);
    time.observe(1, 50, FAR);
    for partition in 0..3 {
        assert!(time.idle(partition, 0).is_some());
    }
    time.advance();
    assert_eq!(time.stream_us(), Some(90));
}

#[test]
fn an_idle_partition_wakes_at_the_streams_watermark() {
    let mut time = time(2);
    time.observe(0, 100, FAR);
    time.observe(1, 50, FAR);
    time.idle(1, 7);
    time.advance();
    assert_eq!(
        time.wake(1, 7),
        Some(TimeDecision::Lifted { topic: String::new(), partition: 1, at: 7, watermark_us: Some(90) })
    );
    assert_eq!(time.wake(1, 8), None);
    assert!(time.observe(1, 89, FAR).late, "its window may be closed");
    assert!(!time.observe(1, 90, FAR).late);
}

#[test]
fn a_partition_added_later_starts_at_the_streams_watermark() {
    let mut time = time(1);
    time.observe(0, 100, FAR);
    time.advance();
    assert_eq!(
        time.know(2),
        vec![TimeDecision::Lifted { topic: String::new(), partition: 1, at: 0, watermark_us: Some(90) }]
    );
    assert!(time.observe(1, 89, FAR).late);
}

#[test]
fn the_streams_watermark_never_goes_back() {
    let mut time = time(2);
    time.observe(0, 100, FAR);
    time.idle(1, 0);
    time.advance();
    assert_eq!(time.stream_us(), Some(90));
    time.wake(1, 0);
    time.advance();
    assert_eq!(time.stream_us(), Some(90));
}

#[test]
fn the_end_of_input_raises_every_partition_so_that_nothing_reopens_a_window() {
    let mut time = time(2);
    time.observe(0, 100, FAR);
    assert_eq!(time.end(200), TimeDecision::EndOfInput { watermark_us: 200 });
    assert_eq!(time.stream_us(), Some(200));
    assert!(time.observe(0, 199, FAR).late);
    assert!(time.observe(1, 199, FAR).late);
    assert_eq!(time.end(100), TimeDecision::EndOfInput { watermark_us: 200 }, "never back");
}

#[test]
fn the_largest_believed_time_is_what_was_seen_whatever_was_declared() {
    let mut time = time(2);
    assert_eq!(time.largest_us(), None);
    time.observe(0, 100, FAR);
    time.observe(1, 70, FAR);
    time.observe(1, 1_006, 1_000);
    time.end(500);
    assert_eq!(time.largest_us(), Some(100), "neither the unbelievable one nor the end of input counts");
    let resumed = StreamTime::resume(&rule(), Some(&time.watermarks()));
    assert_eq!(resumed.largest_us(), Some(510), "books that don't have it: never less than what was seen");
    assert_eq!(resumed.with_largest(Some(100)).largest_us(), Some(100));
}

#[test]
fn partitions_of_several_topics_hold_the_stream_back_together_each_under_its_own_number() {
    let mut time = StreamTime::resume(&rule(), None).by_topic("a");
    time.know(1);
    time.enter("b");
    time.know(1);
    time.observe(0, 100, FAR);
    time.advance();
    assert_eq!(time.stream_us(), None, "partition 0 of topic a has said nothing yet");
    time.enter("a");
    assert!(!time.observe(0, 50, FAR).late, "it is not partition 0 of topic b");
    time.advance();
    assert_eq!(time.stream_us(), Some(40));
    let idle = TimeDecision::Idle { topic: "a".into(), partition: 0, at: 1 };
    assert_eq!(time.idle(0, 1), Some(idle));
    time.advance();
    assert_eq!(time.stream_us(), Some(90));
    time.enter("c");
    let lifted = TimeDecision::Lifted { topic: "c".into(), partition: 0, at: 0, watermark_us: Some(90) };
    assert_eq!(time.know(1), vec![lifted], "a topic that is found later starts at the stream's watermark");
    assert_eq!(time.topics(), ["a", "b", "c"]);
    time.end(200);
    let raised = |time: &StreamTime| -> Vec<Option<i64>> {
        time.watermarks().topics.values().map(|partitions| partitions[&0].watermark_us).collect()
    };
    assert_eq!(raised(&time), [Some(200); 3]);
    let resumed = StreamTime::resume(&rule(), Some(&time.watermarks())).by_topic("not asked any more");
    assert_eq!(resumed.watermarks(), time.watermarks());
}

#[test]
fn what_was_known_of_one_topic_stays_known_of_it_when_others_come_beside_it() {
    let mut before = time(2);
    before.observe(0, 100, FAR);
    before.idle(1, 3);
    before.advance();
    let known = before.watermarks();
    let mut after = StreamTime::resume(&rule(), Some(&known)).by_topic("a");
    after.enter("b");
    after.enter("a");
    assert!(after.is_idle(1) && !after.is_idle(0));
    let watermarks = after.watermarks();
    assert!(watermarks.partitions.is_empty());
    assert_eq!((watermarks.stream_us, &watermarks.topics["a"]), (known.stream_us, &known.partitions));
    assert_eq!(watermarks.topics.len(), 1, "a topic without partitions is none");
}

#[test]
fn watermarks_resume_from_what_was_recorded() {
    let mut before = time(2);
    before.observe(0, 100, FAR);
    before.observe(1, 60, FAR);
    before.idle(1, 3);
    before.advance();
    let after = StreamTime::resume(&rule(), Some(&before.watermarks()));
    assert_eq!(after.watermarks(), before.watermarks());
    assert!(after.is_idle(1));
}

/// However the records of partitions are interleaved, and wherever commits fall: the same rows are late, and no row
/// that is on time is behind the stream's watermark.
#[test]
fn lateness_depends_on_offset_order_alone() {
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..50 {
        let records: Vec<Vec<i64>> = (0..3).map(|_| (0..40).map(|i| i * 3 + next(40) as i64).collect()).collect();
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            let mut time = time(3);
            let mut at = [0_usize; 3];
            let mut late = vec![Vec::new(); 3];
            while at.iter().any(|a| *a < 40) {
                let partition = next(3) as usize;
                if at[partition] < 40 {
                    let event = records[partition][at[partition]];
                    at[partition] += 1;
                    let judged = time.observe(partition as i32, event, FAR);
                    assert!(judged.late || time.stream_us().is_none_or(|stream| event >= stream));
                    late[partition].push(judged.late);
                }
                if next(5) == 0 {
                    time.advance();
                }
            }
            outcomes.push(late);
        }
        assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
