//! Tokens that the client fetches itself (OIDC, client credentials): had, renewed, and told where they are not to be had.

use super::{PATIENCE, Way, is_refused, is_served, secured, values};
use crate::kafka::{fresh, record};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use watertight_adapters::system::SystemClock;
use watertight_core::port::{Clock, ErrorKind, EventLog};
use watertight_lab::kafka::secured::USER;

const CLIENT: &str = "pipeline";
/// With which the issuer knows the client.
pub(super) const CLIENT_SECRET: &str = "client-horse-42";

/// Gives tokens over HTTP to whoever knows the secret of [`CLIENT`]. Nobody signs them, which the lab's broker takes.
struct Issuer {
    url: String,
    given: Arc<AtomicUsize>,
}

impl Issuer {
    /// One whose tokens are good for so long. It ends with the tests.
    fn start(life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if answer(stream, life).is_ok_and(|was_given| was_given) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { url, given }
    }

    fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

/// Answers one request; whether a token was given.
fn answer(mut stream: TcpStream, life: Duration) -> io::Result<bool> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = request(&mut stream)?;
    let known = format!("Authorization: Basic {}", STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}")));
    let is_known = request.contains(&known) && request.ends_with("grant_type=client_credentials");
    let (status, body) = if is_known {
        let seconds = life.as_secs();
        ("200 OK", json!({ "access_token": token(seconds), "token_type": "Bearer", "expires_in": seconds }))
    } else {
        ("401 Unauthorized", json!({ "error": "invalid_client" }))
    };
    let (body, kind) = (body.to_string(), "content-type: application/json\r\nconnection: close");
    write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    Ok(is_known)
}

/// A whole request: its head, and as much behind it as the head says.
fn request(stream: &mut TcpStream) -> io::Result<String> {
    let (mut bytes, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut room)?;
        bytes.extend_from_slice(&room[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok();
            if body.len() >= head.lines().find_map(length).unwrap_or(0) {
                return Ok(text);
            }
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn token(life_s: u64) -> String {
    let now_s = SystemClock.now_us() / 1_000_000;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": USER, "iat": now_s, "exp": now_s + life_s as i64 });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

fn issued_by(url: &str, secret: &str) -> Way {
    let way = Way::to(secured().sasl(), "SASL_SSL").with("sasl.mechanism", "OAUTHBEARER");
    let way = way.with("sasl.oauthbearer.method", "oidc").with("sasl.oauthbearer.token.endpoint.url", url);
    way.with("sasl.oauthbearer.client.id", CLIENT).with("sasl.oauthbearer.client.secret", secret)
}

#[test]
fn whoever_is_given_a_token_is_served() {
    let issuer = Issuer::start(Duration::from_secs(3600));
    is_served(&issued_by(&issuer.url, CLIENT_SECRET), "oidc");
    assert!(issuer.given() > 0);
}

#[test]
fn a_token_that_ends_is_renewed_before_and_costs_no_record() {
    // Shorter ones than this end before librdkafka, which looks once a second, has the next.
    let life = Duration::from_secs(20);
    let issuer = Issuer::start(life);
    let (log, topic) = (issued_by(&issuer.url, CLIENT_SECRET).log(), fresh("renewed"));
    log.create_topic(&topic, 1).unwrap();
    let (began, mut sent) = (Instant::now(), Vec::new());
    let mut first = 0;
    while began.elapsed() < life + Duration::from_secs(6) {
        let text = sent.len().to_string();
        match log.append(&topic, 0, &[record(text.as_bytes())]) {
            Ok(_) => sent.push(text),
            // Nothing was appended.
            Err(error) => assert_eq!(error.kind, ErrorKind::Retry, "{}", error.chain()),
        }
        if sent.len() == 1 {
            first = issuer.given();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(first > 0 && issuer.given() > first, "{first} tokens at first, {} in the end", issuer.given());
    assert!(sent.len() > 30, "only {} records in {:?}", sent.len(), began.elapsed());
    assert_eq!(values(&log, &topic, sent.len()).unwrap(), sent);
}

#[test]
fn whoever_is_given_no_token_is_told_to_check_the_secret() {
    let issuer = Issuer::start(Duration::from_secs(3600));
    is_refused(&issued_by(&issuer.url, super::WRONG), &["invalid_client", "`sasl.oauthbearer.client.id`"]);
    assert_eq!(issuer.given(), 0);
}

#[test]
fn while_nobody_gives_tokens_it_is_tried_again() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = issued_by(&format!("http://127.0.0.1:{port}/token"), CLIENT_SECRET).log();
    let error = log.topic("t").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.chain());
    assert!(error.message.contains("`sasl.oauthbearer.token.endpoint.url`"), "{}", error.message);
    assert!(!error.chain().contains(CLIENT_SECRET), "{}", error.chain());
}
