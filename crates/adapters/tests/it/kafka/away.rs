//! Brokers that are away, killed, or say nothing.

use super::*;
use std::net::TcpListener;
use watertight_core::port::{ErrorKind, EventLog, PortError};
use watertight_lab::kafka::{Cluster, ClusterOptions};

/// Longest time that a call may take when nobody answers.
const BOUND: Duration = Duration::from_secs(25);

/// Ends with `Retry`, within the bound.
fn is_to_be_tried_again<T: std::fmt::Debug>(call: impl FnOnce() -> Result<T, PortError>) -> String {
    let began = Instant::now();
    let error = call().unwrap_err();
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.message);
    error.message
}

#[test]
fn where_nobody_listens_every_call_says_so_in_bounded_time() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = log_at(&format!("127.0.0.1:{port}"));
    let said = is_to_be_tried_again(|| log.topic("t"));
    assert!(said.contains("topic t") && said.contains("`bootstrap`"), "{said}");
    is_to_be_tried_again(|| log.create_topic("t", 1));
    is_to_be_tried_again(|| log.bounds("t", 0));
    is_to_be_tried_again(|| log.end("t", 0));
    is_to_be_tried_again(|| log.append("t", 0, &[record(b"nothing was appended")]));
    is_to_be_tried_again(|| log.commit_group_offsets("t", "g", &[(0, 1)]));
}

#[test]
fn a_broker_that_says_nothing_leaves_an_append_undecided_and_its_end_untold_until_it_is_known() {
    let cluster = Cluster::start(ClusterOptions::default()).unwrap();
    let bootstrap = cluster.bootstrap();
    let log = log_at(&bootstrap);
    log.create_topic("t", 1).unwrap();
    log.append("t", 0, &[record(b"0")]).unwrap();
    cluster.pause(1).unwrap();
    // At once behind the last answer: it is sent without asking first.
    let began = Instant::now();
    let error = log.append("t", 0, &[record(b"1"), record(b"2")]).unwrap_err();
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
    is_to_be_tried_again(|| log.end("t", 0));
    is_to_be_tried_again(|| log.append("t", 0, &[record(b"never sent")]));
    cluster.resume(1).unwrap();
    let began = Instant::now();
    let end = loop {
        match log.end("t", 0) {
            Ok(end) => break end,
            Err(error) => assert_eq!(error.kind, ErrorKind::Retry, "{}", error.message),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is decided when the broker is back");
    };
    let found = values(&bootstrap, "t");
    assert_eq!(found.len() as i64, end, "nothing arrives behind an end that was told");
    let wanted: Vec<(i64, String)> = (0..).zip(["0", "1", "2"].map(str::to_owned)).collect();
    assert_eq!(found, wanted, "librdkafka went on until it was in, once");
    assert_eq!(log.append("t", 0, &[record(b"3")]).unwrap().first_offset, 3);
}

#[test]
fn a_broker_that_is_killed_while_batches_are_sent_costs_time_and_no_record() {
    let cluster = Cluster::start(ClusterOptions::default()).unwrap();
    let bootstrap = cluster.bootstrap();
    log_at(&bootstrap).create_topic("t", 1).unwrap();
    let (sent, told) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| send_for(Duration::from_secs(12), &bootstrap));
        for _ in 0..2 {
            std::thread::sleep(Duration::from_secs(1));
            cluster.kill(1).unwrap();
            cluster.start_again(1).unwrap();
        }
        writer.join().unwrap()
    });
    assert!(sent.len() > 1_000, "{} records", sent.len());
    let found = values(&bootstrap, "t");
    assert!(told.iter().all(|(offset, text)| found[*offset as usize] == (*offset, text.clone())));
    assert_eq!(found, (0..).zip(sent).collect::<Vec<_>>());
}

/// Sends batches of numbered records: what was sent, and the places that were told.
fn send_for(time: Duration, bootstrap: &str) -> (Vec<String>, Vec<(i64, String)>) {
    let (log, began, mut sent, mut told) = (log_at(bootstrap), Instant::now(), Vec::new(), Vec::new());
    while began.elapsed() < time {
        let texts: Vec<String> = (sent.len()..sent.len() + 50).map(|row| row.to_string()).collect();
        let records: Vec<NewRecord<'_>> = texts.iter().map(|text| record(text.as_bytes())).collect();
        match log.append("t", 0, &records) {
            Ok(append) => {
                told.extend(texts.iter().enumerate().map(|(row, text)| (append.offset(row), text.clone())));
                sent.extend(texts);
            }
            // Nothing was appended.
            Err(error) if error.kind == ErrorKind::Retry => {}
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Unknown, "{}", error.message);
                // The client does not give up before it is in; then the end is told.
                while let Err(error) = log.end("t", 0) {
                    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.message);
                }
                sent.extend(texts);
            }
        }
    }
    (sent, told)
}
