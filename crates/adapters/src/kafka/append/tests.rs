use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn options() -> KafkaOptions {
    KafkaOptions { bootstrap: "b:1".to_owned(), properties: [].into(), replication_factor: None }
}

fn record(value: &[u8]) -> NewRecord<'_> {
    NewRecord { value: Some(value), ..NewRecord::default() }
}

/// The answer to a batch of as many records as there are reports.
fn answer(reports: &[Report], fatal: Option<Code>) -> Result<Append, PortError> {
    let records: Vec<NewRecord<'_>> = reports.iter().map(|_| record(b"seven b")).collect();
    let batch = {
        let all = Reports::new(Listener::new("test", &options()));
        let batch = all.begin(reports.len());
        reports.iter().enumerate().for_each(|(row, report)| all.take(batch.ticket(row), *report));
        batch
    };
    let progress = batch.wait(Duration::ZERO).expect("all reports are in");
    let fatal = fatal.map(|code| (code, "for ever".to_owned()));
    Outcome { topic: "t", partition: 3, records: &records, progress, refusal: None, fatal }.answer()
}

const IN: fn(i64) -> Report = |offset| Report::Delivered(Some(offset));
const fn failed(code: Code, absent: bool) -> Report {
    Report::Failed { code, absent }
}

#[test]
fn a_batch_that_is_in_is_told_by_the_offset_of_each_record() {
    assert_eq!(answer(&[IN(7), IN(8), IN(9)], None).unwrap(), Append::dense(7));
    let torn = answer(&[IN(7), IN(8), IN(12)], None).unwrap();
    assert_eq!([0, 1, 2].map(|row| torn.offset(row)), [7, 8, 12]);
}

#[test]
fn a_batch_of_which_nothing_is_in_fails_as_its_cause_says() {
    for (code, kind) in [
        (Code::NotEnoughReplicas, ErrorKind::Retry),
        (Code::TopicAuthorizationFailed, ErrorKind::Stop),
        (Code::MessageSizeTooLarge, ErrorKind::Stop),
        // It was seen to be there: the client does not know it yet.
        (Code::UnknownTopicOrPartition, ErrorKind::Retry),
        (Code::PurgeQueue, ErrorKind::Retry),
    ] {
        let error = answer(&[failed(code, true), failed(Code::PurgeQueue, true)], None).unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.message);
        assert!(error.message.contains("t/3") && error.message.contains("not in the log"), "{}", error.message);
    }
    let error = answer(&[failed(Code::MessageSizeTooLarge, true)], None).unwrap_err();
    assert!(error.message.contains("max.message.bytes") && error.message.contains("43 bytes"), "{}", error.message);
}

#[test]
fn a_batch_of_which_some_is_in_or_may_be_is_unknown_and_the_cause_is_told() {
    let cases: [(&[Report], &str); 4] = [
        (&[IN(7), failed(Code::MessageSizeTooLarge, true), failed(Code::PurgeQueue, true)], "1 are in the log"),
        (&[failed(Code::MessageSizeTooLarge, false)], "1 may be"),
        (&[IN(7), Report::Delivered(None)], "does not say where"),
        (&[IN(7), IN(7)], "does not say where"),
    ];
    for (reports, said) in cases {
        let error = answer(reports, None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
        assert!(error.message.contains(said), "{}", error.message);
    }
}

#[test]
fn a_producer_that_can_send_nothing_more_says_why() {
    let reports = [failed(Code::PurgeQueue, true), failed(Code::Fatal, true)];
    let error = answer(&reports, Some(Code::ClusterAuthorizationFailed)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop);
    assert!(error.message.contains("for ever") && error.message.contains("allow"), "{}", error.message);
}

#[test]
fn an_end_is_asked_for_when_no_append_is_under_way_and_none_begins_meanwhile() {
    let appender = Appender::new(&options(), Arc::new(Admin::open(&options()).unwrap()));
    let standing = appender.standing("t", 3);
    let (begun, is_over) = (std::sync::Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As an append does.
            let _held = lock(&standing);
            begun.wait();
            std::thread::sleep(Duration::from_millis(200));
            is_over.store(true, Ordering::SeqCst);
        });
        begun.wait();
        let error = appender.settled("t", 3, Duration::from_millis(20), || Ok(())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Retry);
        assert!(error.message.contains("t/3"), "{}", error.message);
        appender.settled("t", 4, Duration::ZERO, || Ok(())).unwrap();
        let asked = appender.settled("t", 3, ANSWER, || {
            assert!(is_over.load(Ordering::SeqCst), "the append had its answer");
            Ok(standing.try_lock().is_err())
        });
        assert!(asked.unwrap(), "the next one waits for the answer");
    });
    assert!(standing.try_lock().is_ok(), "and then begins");
}

#[test]
fn a_record_is_measured_as_librdkafka_measures_it() {
    assert_eq!(wire_bytes(&NewRecord::default()), 36);
    assert_eq!(wire_bytes(&NewRecord { key: Some(b"key"), ..record(b"value") }), 36 + 3 + 5);
    // A length up to 63 takes one byte, up to 8,191 two.
    let (short, long) = ([0; 63], [0; 64]);
    let headers: &[(&str, Option<&[u8]>)] = &[("n", Some(&short)), ("n", Some(&long)), ("", None)];
    assert_eq!(wire_bytes(&NewRecord { headers, ..record(b"") }), 36 + (2 + 64) + (2 + 66) + 2);
}
