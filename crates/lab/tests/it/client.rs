//! As much of a Kafka client as it takes to see that a broker keeps what it acknowledged: one topic, one record.
//!
//! Format: <https://kafka.apache.org/protocol>, in versions that need no tagged fields. Every question is asked again until
//! the broker has an answer without an error, or [`PATIENCE`] is over: a broker that has just begun is busy with itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const TOPIC: &str = "kept";
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Error 36: what a broker says that has made the topic already.
const TOPIC_EXISTS: i16 = 36;

/// One record batch of version 2 with one record without a key, its value `whole`, and its checksum.
const BATCH: &[u8] = b"\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x3d\xff\xff\xff\xff\x02\xe2\x3d\x84\xdf\x00\x00\x00\x00\
    \x00\x00\x00\x00\x01\x9a\xb6\x97\xe8\x00\x00\x00\x01\x9a\xb6\x97\xe8\x00\xff\xff\xff\xff\xff\xff\xff\
    \xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x01\x16\x00\x00\x00\x01\x0a\
    whole\x00";

/// Makes the topic, with one partition and a copy on every broker, and appends one record to it that all have.
///
/// An answer that was lost makes it two records: compare what [`records`] says before and after.
pub(crate) fn append_one(bootstrap: &str) {
    let (one, timeout_ms) = (1_i32.to_be_bytes(), 10_000_i32.to_be_bytes());
    let copies = (bootstrap.split(',').count() as i16).to_be_bytes();
    // One topic: its name, partitions, copies, no assignments, no settings; the time it may take; not only to be checked.
    let parts: [&[u8]; 7] = [&one, &name(), &one, &copies, &[0; 8], &timeout_ms, &[0]];
    let made = until_answered(bootstrap, |broker| {
        let answer = ask(broker, 19, 2, &parts.concat())?;
        // Behind the time it was throttled, the number of topics and the name.
        let error = number::<2>(&answer, 4 + 4 + name().len()).map(i16::from_be_bytes)?;
        if error == TOPIC_EXISTS { Ok(()) } else { refused(error) }
    });
    made.expect("a topic is made");
    // No transaction, all copies; one topic, one partition, of number 0.
    let length = (BATCH.len() as i32).to_be_bytes();
    let (none, all) = ((-1_i16).to_be_bytes(), (-1_i16).to_be_bytes());
    let parts: [&[u8]; 9] = [&none, &all, &timeout_ms, &one, &name(), &one, &[0; 4], &length, BATCH];
    let appended = until_answered(bootstrap, |broker| {
        let answer = ask(broker, 0, 3, &parts.concat())?;
        refused(number::<2>(&answer, behind_the_partition()).map(i16::from_be_bytes)?)
    });
    appended.expect("a record is acknowledged");
}

/// How many records the partition has.
pub(crate) fn records(bootstrap: &str) -> i64 {
    until_answered(bootstrap, end_offset).expect("the broker knows the partition's end")
}

/// One try at the partition's end offset.
pub(crate) fn end_offset(broker: &str) -> io::Result<i64> {
    let one = 1_i32.to_be_bytes();
    // A client and no replica; one topic, one partition, of number 0; the latest offset.
    let parts: [&[u8]; 6] = [&(-1_i32).to_be_bytes(), &one, &name(), &one, &[0; 4], &(-1_i64).to_be_bytes()];
    let answer = ask(broker, 2, 1, &parts.concat())?;
    refused(number::<2>(&answer, behind_the_partition()).map(i16::from_be_bytes)?)?;
    // Behind the error and a time.
    number::<8>(&answer, behind_the_partition() + 2 + 8).map(i64::from_be_bytes)
}

/// Where an answer goes on behind the number of topics, the name, the number of partitions and the partition's own.
fn behind_the_partition() -> usize {
    4 + name().len() + 4 + 4
}

fn name() -> Vec<u8> {
    let mut bytes = (TOPIC.len() as i16).to_be_bytes().to_vec();
    bytes.extend(TOPIC.as_bytes());
    bytes
}

/// Asks one broker after another until one answers: only the partition's leader does.
fn until_answered<T>(bootstrap: &str, question: impl Fn(&str) -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    let mut brokers = bootstrap.split(',').cycle();
    loop {
        let broker = brokers.next().expect("an address");
        match question(broker) {
            Err(error) if began.elapsed() < PATIENCE => {
                eprintln!("{broker}: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
            answered => return answered,
        }
    }
}

fn refused(error: i16) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::other(format!("Kafka's error {error}"))) }
}

fn number<const N: usize>(answer: &[u8], at: usize) -> io::Result<[u8; N]> {
    let found = answer.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().ok_or_else(|| io::Error::other("the answer is too short"))
}

/// Sends one question and gives the answer behind its own number.
fn ask(broker: &str, question: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let address: SocketAddr = broker.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    // The question, its version, a number of its own, and no name of a client.
    let head: [&[u8]; 4] = [&question.to_be_bytes(), &version.to_be_bytes(), &[0, 0, 0, 9], &[0xff, 0xff]];
    let message = [&head.concat(), body].concat();
    stream.write_all(&(message.len() as i32).to_be_bytes())?;
    stream.write_all(&message)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer[..4], [0, 0, 0, 9], "an answer to this question");
    Ok(answer.split_off(4))
}
