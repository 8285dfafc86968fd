//! Brokers end with the process that they belong to, however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use watertight_lab::process::ProcessId;

/// How long the system may take to end what it was told to end: a Java that frees its memory.
const GONE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn brokers_end_with_their_parent_when_it_is_killed() {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_watertight-lab"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the helper starts");
    let mut lines = BufReader::new(parent.stdout.take().expect("piped")).lines();
    let broker = lines.next().expect("a broker is up").expect("its line is text");
    let words: Vec<&str> = broker.split(' ').collect();
    let ["broker", "1", pid, began] = words[..] else { panic!("not a broker's line: {broker}") };
    let process = ProcessId { pid: pid.parse().unwrap(), began: began.parse().unwrap() };
    assert!(process.runs());
    parent.kill().expect("a child can be killed");
    parent.wait().expect("reaped");
    let killed = Instant::now();
    while process.runs() {
        assert!(killed.elapsed() < GONE_WITHIN, "the broker, process {process}, outlives its parent");
        std::thread::sleep(Duration::from_millis(10));
    }
}
