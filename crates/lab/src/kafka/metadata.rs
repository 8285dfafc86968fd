//! One question to a broker, by hand: which cluster are you, and which brokers do you know of?
//!
//! Format: <https://kafka.apache.org/protocol>, Metadata version 4, without topics. A broker answers only when it is part
//! of its cluster, so an answer is the sign that it is ready.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a connection, and then an answer, are waited for: a starting broker takes connections before it answers.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read: brokers and names of a lab take less than a kilobyte.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The number of the question in Kafka's protocol, and the version spoken here.
const METADATA: (i16, i16) = (3, 4);
const CORRELATION: i32 = 1;
const CLIENT: &str = "watertight-lab";

/// What a broker answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The cluster's name.
    pub(super) cluster: Option<String>,
    /// The numbers of the brokers that are up, as this one knows.
    pub(super) brokers: Vec<i32>,
}

/// Asks whoever listens on this port of 127.0.0.1.
pub(super) fn ask(port: u16) -> io::Result<Metadata> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&question())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
    let mut answer = vec![0; length.ok_or_else(not_kafka)?];
    stream.read_exact(&mut answer)?;
    parse(&answer).ok_or_else(not_kafka)
}

fn not_kafka() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not Kafka's")
}

fn question() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(METADATA.0.to_be_bytes());
    body.extend(METADATA.1.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend((CLIENT.len() as i16).to_be_bytes());
    body.extend(CLIENT.as_bytes());
    // No topics, and none to be made.
    body.extend(0_i32.to_be_bytes());
    body.push(0);
    let mut message = (body.len() as i32).to_be_bytes().to_vec();
    message.extend(body);
    message
}

fn parse(answer: &[u8]) -> Option<Metadata> {
    let mut fields = Fields(answer);
    if fields.i32()? != CORRELATION {
        return None;
    }
    let _throttled_ms = fields.i32()?;
    let mut brokers = Vec::new();
    for _ in 0..fields.i32()? {
        brokers.push(fields.i32()?);
        let _host = fields.text()?;
        let _port = fields.i32()?;
        let _rack = fields.text()?;
    }
    Some(Metadata { cluster: fields.text()?, brokers })
}

/// What is left of an answer.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn i32(&mut self) -> Option<i32> {
        self.bytes().map(i32::from_be_bytes)
    }

    /// A text with its length before it; a negative length is none.
    fn text(&mut self) -> Option<Option<String>> {
        let Ok(length) = usize::try_from(self.bytes().map(i16::from_be_bytes)?) else { return Some(None) };
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(String::from_utf8_lossy(text).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// As a broker of Kafka 4.3.1 wrote it.
    fn answer() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 9];
        bytes.extend(b"127.0.0.1");
        bytes.extend([0, 0, 0x71, 0xad, 0xff, 0xff, 0, 3]);
        bytes.extend(b"abc");
        bytes.extend([0, 0, 0, 7, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn an_answer_is_read_and_one_that_is_cut_anywhere_before_its_name_ends_is_none() {
        let whole = answer();
        let read = parse(&whole).unwrap();
        assert_eq!(read, Metadata { cluster: Some("abc".to_owned()), brokers: vec![7] });
        let end_of_name = whole.len() - 8;
        for length in 0..end_of_name {
            assert_eq!(parse(&whole[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn a_server_of_another_kind_is_an_error_and_not_a_broker() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
            // Kept open until the other side has read.
            let _ = stream.read(&mut [0; 64]);
        });
        assert_eq!(ask(port).unwrap_err().kind(), io::ErrorKind::InvalidData);
        server.join().unwrap();
    }
}
