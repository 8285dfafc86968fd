//! Gives rights to users: the one question to Kafka for which our client has no words.
//!
//! Format: <https://kafka.apache.org/protocol>, CreateAcls version 1, by the listener whose users may do everything.

use std::io::{Read, Write};
use std::net::TcpStream;
use watertight_lab::kafka::shared_secured;

/// What may be done with a topic; the numbers are Kafka's. Each includes to describe it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right {
    Read = 3,
    Write = 4,
    Describe = 8,
}

const CREATE_ACLS: i16 = 30;
const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

/// Allows a user something.
pub(super) fn allow(user: &str, topic: &str, right: Right) {
    let mut body: Vec<u8> = Vec::new();
    body.extend(CREATE_ACLS.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    // A number of its own, and no name of a client.
    body.extend([0, 0, 0, 9, 0xff, 0xff]);
    body.extend(1_i32.to_be_bytes());
    body.push(TOPIC);
    body.extend(sized(topic));
    body.push(LITERAL);
    body.extend(sized(&format!("User:{user}")));
    // From any host.
    body.extend(sized("*"));
    body.extend([right as u8, ALLOW]);
    let mut stream = TcpStream::connect(shared_secured().bootstrap()).unwrap();
    stream.write_all(&(body.len() as i32).to_be_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Behind the question's number, the time it was throttled, and how many answers there are.
    assert_eq!(answer[12..14], [0, 0], "Kafka refused to allow {right:?}: {answer:?}");
}

fn sized(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as i16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}
