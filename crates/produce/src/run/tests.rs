use super::*;
use crate::fixtures::{FakeLog, Fault, FixedClock, stocks_stream};
use crate::generate::{GeneratorKind, Shares};
use crate::ledger;
use crate::request::{Appends, Batching, InputFrom};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SHARES: Shares = Shares { duplicates: 0.2, late: 0.1, malformed: 0.1 };

pub(super) fn generate(count: Option<u64>) -> Source {
    Source::Generate(GenerateOptions {
        kind: GeneratorKind::Stocks,
        shares: Some(SHARES),
        count,
        seed: 11,
        start_time_us: None,
        uuid_ids: false,
    })
}

pub(super) fn request(source: Source, ledger: Option<&Path>) -> ProduceRequest {
    ProduceRequest {
        stream: stocks_stream(2_000_000),
        models: Vec::new(),
        source,
        rate: None,
        producer: "p1".to_owned(),
        ledger: ledger.map(Path::to_owned),
        truth: None,
        steps: Steps::default(),
        batching: Batching {
            records_max: 6,
            bytes_max: 1 << 20,
            linger: Duration::from_millis(5),
            appends: Appends::InTurn,
        },
    }
}

pub(super) fn start(request: ProduceRequest, log: &FakeLog) -> Result<ProduceSummary, ProduceError> {
    run(request, log, &FixedClock, &AtomicBool::new(false), &mut |_| {})
}

/// Runs until a run ends without being killed; how often it was killed.
pub(super) fn start_again_and_again(request: &ProduceRequest, log: &FakeLog) -> u32 {
    for kills in 0..100 {
        match catch_unwind(AssertUnwindSafe(|| start(request.clone(), log))) {
            Ok(ended) => {
                ended.expect("a run that is not killed succeeds");
                return kills;
            }
            Err(_) => continue,
        }
    }
    panic!("it never ends");
}

/// Every item once, in order within its partition; every line of the ledger true, and none missing.
fn assert_exact(log: &FakeLog, path: Option<&Path>, plan: &Plan, count: u64) {
    let state = log.state();
    let mut wanted = vec![Vec::new(); state.partitions.len()];
    let mut places = HashMap::new();
    let mut item = Item::default();
    for sequence in 0..count {
        plan.item(sequence, &mut item);
        let records: &mut Vec<_> = &mut wanted[item.partition as usize];
        places.insert(sequence, (item.id.clone(), item.partition, records.len() as i64));
        records.push((item.key.clone(), item.value.clone()));
    }
    for (partition, records) in state.partitions.iter().enumerate() {
        let found: Vec<_> = records.iter().map(|record| (record.key.clone(), record.value.clone())).collect();
        assert!(found == wanted[partition], "partition {partition}: {} of {}", found.len(), wanted[partition].len());
    }
    if let Some(path) = path {
        ledger::read(path, |line| {
            let place = places.remove(&line.sequence).expect("each sequence once");
            assert_eq!((line.id.as_bytes(), line.partition, line.offset), (&place.0[..], place.1, place.2));
        })
        .expect("the ledger reads");
        assert!(places.is_empty(), "{} acknowledged items are not in the ledger", places.len());
    }
}

pub(super) fn plan_in(path: &Path) -> Plan {
    let header = ledger::read_header(path).expect("a ledger");
    plan_of(&header).expect("a good plan").expect("generated")
}

#[test]
fn killed_before_or_behind_any_append_the_log_and_the_ledger_end_exact() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut kills = 0;
    for step in 0..20 {
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            let path = folder.path().join(format!("{step}-{fault:?}"));
            // Killed at the step, and again two appends later.
            let log = FakeLog::with_faults([(step, fault), (step + 2, Fault::KillAfter), (step + 3, Fault::LoseAfter)]);
            kills += start_again_and_again(&request(generate(Some(150)), Some(&path)), &log);
            assert_exact(&log, Some(&path), &plan_in(&path), 150);
        }
    }
    assert!(kills >= 70, "the script was played: {kills}");
}

#[test]
fn any_prefix_of_a_ledger_is_completed_from_the_log_without_sending_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    start(request(generate(Some(120)), Some(&path)), &log).expect("runs");
    let plan = plan_in(&path);
    let whole = std::fs::read(&path).expect("there");
    let header = whole.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
    for cut in (header..whole.len()).step_by(13) {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let summary = start(request(generate(Some(120)), Some(&path)), &log).expect("resumes");
        assert_eq!((summary.sent, summary.next_sequence), (0, 120), "cut at {cut}");
        assert_exact(&log, Some(&path), &plan, 120);
    }
}

#[test]
fn a_lost_answer_is_resolved_by_reading_back_with_and_without_a_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let faults = || (0..40).map(|step| (step, [Fault::LoseAfter, Fault::LoseBefore, Fault::Refuse][step as usize % 3]));
    let with = FakeLog::with_faults(faults());
    with.state().failing_fetches = 2;
    let summary = start(request(generate(Some(200)), Some(&path)), &with).expect("runs");
    assert!(summary.resolved > 10 && summary.retries > 5, "{summary:?}");
    assert_exact(&with, Some(&path), &plan_in(&path), 200);
    let without = FakeLog::with_faults(faults());
    start(request(generate(Some(200)), None), &without).expect("runs");
    assert_exact(&without, None, &plan_in(&path), 200);
}

#[test]
fn parallel_appends_and_other_batches_give_the_same_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (FakeLog::default(), FakeLog::with_faults([(3, Fault::LoseAfter), (9, Fault::Refuse)]));
    let path = folder.path().join("ledger");
    start(request(generate(Some(3_000)), Some(&path)), &one).expect("runs");
    assert_exact(&one, Some(&path), &plan_in(&path), 3_000);
    let mut request = request(generate(Some(3_000)), None);
    request.batching.appends = Appends::Parallel;
    request.batching.records_max = 100;
    start(request, &other).expect("runs");
    assert_exact(&other, None, &plan_in(&path), 3_000);
}

#[test]
fn a_larger_count_goes_on_where_the_smaller_one_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    // The start time is given: what is sent later lies later, but not beyond what the clock allows.
    let source = |count| match generate(count) {
        Source::Generate(options) => {
            Source::Generate(GenerateOptions { start_time_us: Some(FixedClock.now_us() - 60_000_000), ..options })
        }
        other => other,
    };
    start(request(source(Some(100)), Some(&path)), &log).expect("runs");
    let summary = start(request(source(Some(250)), Some(&path)), &log).expect("goes on");
    assert_eq!((summary.in_ledger, summary.sent, summary.next_sequence), (100, 150, 250));
    assert_exact(&log, Some(&path), &plan_in(&path), 250);
}

#[test]
fn other_options_or_another_topic_than_the_ledgers_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    start(request(generate(Some(50)), Some(&path)), &log).expect("runs");
    let mut seeded = request(generate(Some(50)), Some(&path));
    if let Source::Generate(options) = &mut seeded.source {
        options.seed = 12;
    }
    let error = start(seeded, &log).expect_err("refused").to_string();
    assert!(error.contains("seed was 11, is now 12"), "{error}");
    log.state().incarnation = "-recreated".to_owned();
    let error = start(request(generate(Some(50)), Some(&path)), &log).expect_err("refused").to_string();
    assert!(error.contains("incarnation was"), "{error}");
}

#[test]
fn a_log_that_refuses_for_good_ends_the_run_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::with_faults([(7, Fault::Stop)]);
    let error = start(request(generate(Some(150)), Some(&path)), &log).expect_err("refused");
    assert!(matches!(error, ProduceError::Log(_)), "{error}");
    let mut lines = 0;
    ledger::read(&path, |_| lines += 1).expect("reads");
    assert_eq!(lines, log.state().partitions.iter().map(Vec::len).sum::<usize>());
    start(request(generate(Some(150)), Some(&path)), &log).expect("goes on");
    assert_exact(&log, Some(&path), &plan_in(&path), 150);
}

#[test]
fn a_log_that_ends_below_what_was_acknowledged_stops_the_run_and_names_the_offsets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    start(request(generate(Some(120)), Some(&path)), &log).expect("runs");
    let records = log.state().partitions[1].len();
    log.state().partitions[1].truncate(records - 3);
    let error = start(request(generate(Some(120)), Some(&path)), &log).expect_err("refused");
    assert!(matches!(&error, ProduceError::Log(error) if error.kind == ErrorKind::Stop), "{error}");
    assert!(error.to_string().contains(&format!("offsets {}..{records} of ", records - 3)), "{error}");
    assert_eq!(log.state().partitions[1].len(), records - 3, "nothing is sent behind the loss");
}

#[test]
fn a_stop_ends_a_paced_run_with_everything_that_was_appended_in_the_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    let mut request = request(generate(None), Some(&path));
    request.rate = Some(2_000.0);
    request.truth = Some(folder.path().join("truth"));
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let summary = run(request, &log, &FixedClock, &stop, &mut |progress| {
        if progress.sent >= 400 {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .expect("ends");
    assert!(began.elapsed() >= Duration::from_millis(190), "paced at 2,000 a second: {:?}", began.elapsed());
    assert!(summary.sent >= 400);
    assert_eq!(summary.truth.map(|counts| counts.records), Some(summary.sent));
    assert_exact(&log, Some(&path), &plan_in(&path), summary.next_sequence);
}

#[test]
fn a_stop_while_the_log_refuses_ends_the_run_as_interrupted() {
    let log = FakeLog::with_faults((0..10_000).map(|step| (step, Fault::Refuse)));
    let stop = AtomicBool::new(false);
    let ended = run(request(generate(Some(50)), None), &log, &FixedClock, &stop, &mut |progress| {
        assert!(progress.waiting.is_some());
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(ended, Err(ProduceError::Interrupted(_))));
}

#[test]
fn a_file_of_lines_killed_at_any_append_is_sent_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("in.jsonl");
    let line = |n: usize| match n % 10 {
        3 => format!("not json {n}"),
        _ => format!("{{\"event_id\": \"e{n}\",  \"symbol\":\"S{}\"}}", n % 7),
    };
    let text: Vec<String> = (0..90).map(line).collect();
    std::fs::write(&input, text.join("\n")).expect("written");
    let source = || {
        Source::Input(InputOptions {
            from: InputFrom::Path(input.clone()),
            format: InputFormat::JsonLines,
            follow: false,
            speed: None,
            key: Some("symbol".to_owned()),
            array: None,
        })
    };
    for step in 0..14 {
        for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAfter] {
            let path = folder.path().join(format!("{step}-{fault:?}"));
            let log = FakeLog::with_faults([(step, fault)]);
            start_again_and_again(&request(source(), Some(&path)), &log);
            let state = log.state();
            let values = state.partitions.iter().flatten().map(|r| r.value.clone().expect("lines have bytes"));
            let mut values: Vec<_> = values.map(|value| String::from_utf8(value).expect("text")).collect();
            values.sort();
            let mut wanted = text.clone();
            wanted.sort();
            assert_eq!(values, wanted);
            let mut lines = 0;
            ledger::read(&path, |line| {
                lines += 1;
                let stored = &state.partitions[line.partition as usize][line.offset as usize];
                let value = String::from_utf8_lossy(stored.value.as_deref().expect("bytes"));
                let n = line.sequence as usize;
                assert_eq!(value, text[n]);
                assert_eq!(line.id, if n % 10 == 3 { format!("p1-{n}") } else { format!("e{n}") });
            })
            .expect("reads");
            assert_eq!(lines, 90);
        }
    }
}

#[test]
fn options_that_contradict_each_other_are_usage_errors() {
    let log = FakeLog::default();
    let mut future = request(generate(Some(5)), None);
    if let Source::Generate(options) = &mut future.source {
        options.start_time_us = Some(FixedClock.now_us() + 3_600_000_000);
    }
    let mut rate = request(generate(Some(5)), None);
    rate.rate = Some(0.0);
    let mut unnamed = request(generate(Some(5)), None);
    unnamed.producer.clear();
    for request in [future, rate, unnamed] {
        assert!(matches!(start(request, &log), Err(ProduceError::Usage(_))));
    }
}

#[test]
fn a_truth_that_cannot_be_known_is_refused_before_anything_is_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = FakeLog::default();
    let with_truth = |name: &str| {
        let mut request = request(generate(Some(50)), Some(&path));
        request.truth = Some(folder.path().join(name));
        request.models = vec![crate::fixtures::model(&request.stream, GeneratorKind::Stocks, "mine", 1_000_000)];
        request
    };
    let mut changed = with_truth("changed");
    changed.models[0].sql = changed.models[0].sql.replace("max(price)", "max(price) + 1");
    let error = start(changed, &log).expect_err("refused");
    assert!(matches!(&error, ProduceError::Usage(what) if what.contains("model mine")), "{error}");
    assert!(!path.exists(), "no ledger is left behind");
    // Another stream's models are none of this truth's business.
    let mut foreign = with_truth("truth");
    foreign.models.push(foreign.models[0].clone());
    (foreign.models[1].from, foreign.models[1].sql) = ("another".to_owned(), "SELECT 1".to_owned());
    start(foreign, &log).expect("runs");
    let resumed = start(with_truth("truth"), &log).expect("its own records are known by the ledger");
    assert_eq!(resumed.in_ledger, 50);
    let mut fresh = with_truth("fresh");
    for ledger in [None, Some(folder.path().join("another"))] {
        fresh.ledger = ledger;
        let error = start(fresh.clone(), &log).expect_err("refused");
        assert!(matches!(&error, ProduceError::Usage(what) if what.contains("held records before")), "{error}");
    }
    assert!(!folder.path().join("another").exists());
}

#[test]
fn a_topic_grows_to_the_partitions_that_the_stream_declares_and_never_shrinks() {
    let log = FakeLog::default();
    let mut request = request(generate(Some(200)), None);
    for (partitions, wanted) in [(2, 2), (5, 5), (3, 5)] {
        request.stream.partitions = partitions;
        request.producer = format!("p{partitions}");
        start(request.clone(), &log).expect("runs");
        assert_eq!(log.state().partitions.len(), wanted);
    }
    assert!(log.state().partitions.iter().all(|records| !records.is_empty()), "keys are spread over all of them");
}

#[test]
fn a_full_disk_under_the_ledger_is_said_to_be_the_ledgers() {
    use watertight_core::steps::{Course, LEDGER_WRITE, Moment};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let left = std::sync::atomic::AtomicI32::new(2);
    let mut request = request(generate(Some(50)), Some(&path));
    request.steps = Steps::new(move |step, moment| {
        let full = (step, moment) == (LEDGER_WRITE, Moment::Before) && left.fetch_sub(1, Ordering::Relaxed) > 0;
        if full { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(Course::Take) }
    });
    let log = FakeLog::with_faults([(3, Fault::Refuse)]);
    let mut waits = Vec::new();
    run(request, &log, &FixedClock, &AtomicBool::new(false), &mut |progress| waits.extend(progress.waiting))
        .expect("runs");
    let ledgers = waits.iter().filter(|wait| matches!(wait, Waiting::Ledger(what) if what.contains("ledger"))).count();
    let logs = waits.iter().filter(|wait| matches!(wait, Waiting::Log(what) if what.contains("scripted"))).count();
    assert_eq!((ledgers, logs, waits.len()), (2, 1, 3), "{waits:?}");
}

#[test]
fn what_is_passed_over_is_told_and_counted_and_costs_no_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, path) = (folder.path().join("in.jsonl"), folder.path().join("ledger"));
    let mut bytes = b"{\"event_id\":\"a\"}\n".to_vec();
    bytes.resize(bytes.len() + (17 << 20), b'x');
    bytes.extend_from_slice(b"\n{\"event_id\":\"b\"}\n");
    std::fs::write(&input, bytes).expect("written");
    let source = Source::Input(InputOptions {
        from: InputFrom::Path(input),
        format: InputFormat::JsonLines,
        follow: true,
        speed: None,
        key: None,
        array: None,
    });
    let (log, stop, mut told) = (FakeLog::default(), AtomicBool::new(false), Vec::new());
    let summary = run(request(source, Some(&path)), &log, &FixedClock, &stop, &mut |progress| {
        told.extend(progress.passed_over);
        if progress.sent == 2 {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .expect("ends");
    assert_eq!((summary.sent, summary.passed_over, summary.next_sequence, told.len()), (2, 1, 2, 1));
    assert!(told[0].contains("line 2, at byte 17,"), "{}", told[0]);
}
