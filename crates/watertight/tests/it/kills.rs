//! SIGKILL of the real pipeline and the real producer at random moments; then every table is compared with the truth.
//!
//! Unset, `WATERTIGHT_SOAK_MINUTES` gives the short form of `make test`; set, it goes on with fresh seeds for that long.

use super::{fine, scratch, watertight};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = "market/pipeline.yaml";
const PRODUCE: [&str; 22] = [
    "produce",
    "-f",
    FILE,
    "--stream",
    "stock_ticks",
    "--generate",
    "stocks",
    "--duplicates",
    "5%",
    "--late",
    "3%",
    "--malformed",
    "0.5%",
    "--start-time",
    "2026-03-01T12:00:00Z",
    "--ledger",
    "acked.ledger",
    "--truth",
    "truth",
    "--rate",
    "30000/s",
    "--count",
];
const COMPARE: [&str; 8] = ["compare", "-f", FILE, "--truth", "truth", "--ledger", "acked.ledger", "--all-windows"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (self.0 >> 33) % (to - from)
    }
}

fn start(dir: &Path, arguments: &[&str]) -> Child {
    let said = std::fs::File::options().create(true).append(true).open(dir.join("said.log")).expect("a log");
    Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .expect("the program starts")
}

/// One story: `events` are produced while the pipeline is killed `kills` times and the producer every fifth time.
/// Returns the kills that met a living process.
fn story(seed: u64, events: &str, kills: u64) -> u64 {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "market"]);
    let pipeline = dir.join(FILE);
    let text = std::fs::read_to_string(&pipeline).expect("the example");
    std::fs::write(&pipeline, text.replace("interval: 1 s", "interval: 100 ms")).expect("written");
    let mut dice = Dice(seed);
    let seed_text = seed.to_string();
    let produce: Vec<&str> = PRODUCE.into_iter().chain([events, "--seed", &seed_text]).collect();
    let mut producer = start(dir, &produce);
    let mut died = 0;
    for kill in 0..kills {
        let mut runner = start(dir, &["run", "-f", FILE]);
        std::thread::sleep(Duration::from_millis(dice.roll(20, 700)));
        if kill % 5 == 4 {
            producer.kill().expect("a child can be killed");
            producer.wait().expect("reaped");
            producer = start(dir, &produce);
        }
        if runner.try_wait().expect("looked at").is_none() {
            died += 1;
        }
        runner.kill().expect("a child can be killed");
        runner.wait().expect("reaped");
    }
    assert!(producer.wait().expect("ends").success(), "{}", said(dir));
    fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
    let compared = watertight(dir, &COMPARE);
    assert_eq!(compared.code, Some(0), "seed {seed}: {}{}\n{}", compared.out, compared.err, said(dir));
    let verified = watertight(dir, &["verify", "-f", FILE, "--ledger", "acked.ledger"]);
    assert_eq!(verified.code, Some(0), "seed {seed}: {}{}\n{}", verified.out, verified.err, said(dir));
    died
}

fn said(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("said.log")).unwrap_or_default()
}

#[test]
fn every_event_is_there_once_however_often_the_pipeline_and_the_producer_are_killed() {
    let minutes: Option<u64> = std::env::var("WATERTIGHT_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let Some(minutes) = minutes else {
        let died = story(7, "200000", 20);
        assert!(died >= 15, "only {died} of 20 kills met a living pipeline");
        return;
    };
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut stories, mut kills, mut seed) = (0, 0, u64::from(std::process::id()));
    while Instant::now() < until {
        kills += story(seed, "2000000", 60);
        (stories, seed) = (stories + 1, seed + 1);
        println!("{stories} stories of 2000000 events, {kills} kills, 0 differences; last seed {}", seed - 1);
    }
}
