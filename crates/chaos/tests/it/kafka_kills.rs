//! The story with its log in Kafka, on a real broker: pipeline, producer and broker are killed at random moments, and
//! pipeline and producer at a sample of their durable steps. Then all tables are compared with the truth and verified.
//!
//! Unset, `WATERTIGHT_SOAK_MINUTES` gives the short form of `make test`; set, seeds go on for that long.
//! A broker answers before it syncs: its own death loses nothing, and what the loss of its power can take is cut off here.

use crate::crash_points::{died, failures, killed_in};
use crate::producer::told;
use crate::story::{Act, Dice, Place, SHORT, Size, census_of, soak_minutes};
use std::process::Child;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use watertight_lab::kafka::{Cluster, ClusterOptions, shared};

/// The line of a story's pipeline that says where its log is.
const LOCAL: &str = "log: { local: { path: data/log, segment_bytes: 64 KiB } }";
/// Few commits, so that the whole of it is verified in a second.
const SIZE: Size = Size { events: 1, rows_max: 5_000 };
/// Slow enough that events come as long as anything is killed.
const RATE: &str = "1000/s";
/// More than any producer of a story comes to send.
const NEVER_REACHED: u64 = 1_000_000;
/// Events sent at the end, behind the last that the log has.
const AT_THE_END: u64 = 500;
/// How many records bronze has of each partition.
const IN_BRONZE: &str = "select _kafka_partition, count(*) from bronze.stock_ticks group by 1 order by 1";
/// Starts after which a producer that does not end well is a defect.
const STARTS_MAX: usize = 4;
/// Of the crash points one in so many is taken.
const SAMPLE: usize = 7;

/// What is killed in a story of random kills, at least.
#[derive(Clone, Copy)]
struct Kills {
    pipeline: u64,
    broker: u64,
}

const FEW: Kills = Kills { pipeline: 12, broker: 3 };
const MANY: Kills = Kills { pipeline: 40, broker: 10 };

/// The pipeline of this place with its log in Kafka, in four partitions of a topic of its own.
fn in_kafka(place: Place, cluster: &Cluster, topic: &str, interval: &str) -> Place {
    let file = place.dir.join("pipeline.yaml");
    let mut text = std::fs::read_to_string(&file).expect("the pipeline file");
    for (local, kafka) in [
        (LOCAL, format!("log: {{ kafka: {{ bootstrap: \"{}\" }} }}", cluster.bootstrap())),
        ("topic: stock-ticks", format!("topic: {topic}")),
        ("partitions: 2", "partitions: 4".to_owned()),
        ("interval: 20 ms", format!("interval: {interval}")),
    ] {
        assert!(text.contains(local), "the pipeline file has no '{local}'");
        text = text.replace(local, &kafka);
    }
    std::fs::write(&file, text).expect("written");
    place
}

/// A program that is killed, at the latest when its story ends.
struct Running(Child);

impl Running {
    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().expect("looked at")
    }

    /// Kills it; whether it lived until then.
    fn kill(mut self) -> bool {
        self.0.kill().expect("a child can be killed");
        died(self.0.wait().expect("reaped"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was killed while it lived.
#[derive(Debug, Default)]
struct Dead {
    pipelines: u64,
    producers: u64,
}

fn produce(place: &Place, count: u64, more: &str) -> Vec<String> {
    let words = format!(
        "produce -f {} --stream stock_ticks --generate stocks --seed {} --duplicates 5% --late 3% --malformed 1% \
         --start-time 2026-03-01T12:00:00Z --rate {RATE} --count {count} --ledger {}{more}",
        place.dir.join("pipeline.yaml").display(),
        place.seed,
        place.ledger.display()
    );
    words.split(' ').map(str::to_owned).collect()
}

fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Kills the broker again and again; it is away for some seconds each time.
fn strike_broker(cluster: &Cluster, kills: u64, mut dice: Dice) {
    for _ in 0..kills {
        sleep_ms(dice.roll(1_000, 3_000));
        cluster.kill(1).expect("killed");
        sleep_ms(dice.roll(0, 2_000));
        cluster.start_again(1).expect("started again");
    }
}

/// Kills the pipeline, and in some of its lives the producer, for as long as the broker is struck.
fn strike_program(place: &Place, kills: u64, striker: &ScopedJoinHandle<'_, ()>) -> Result<Dead, String> {
    let mut dice = Dice(place.seed);
    let run = ["run", "-f", place.dir.join("pipeline.yaml").to_str().expect("plain names")].map(str::to_owned);
    let producing = produce(place, NEVER_REACHED, "");
    let mut producer = Running(place.start_with(&producing, ""));
    let (mut dead, mut kill) = (Dead::default(), 0);
    while kill < kills || !striker.is_finished() {
        let mut pipeline = Running(place.start_with(&run, ""));
        // Long enough, in one of four lives, to miss a broker and to see it come back.
        sleep_ms(if kill % 4 == 3 { dice.roll(4_000, 7_000) } else { dice.roll(20, 1_500) });
        if let Some(status) = pipeline.ended() {
            return Err(format!("the pipeline ended by itself: {status}"));
        }
        dead.pipelines += u64::from(pipeline.kill());
        // One that finds no broker when it starts says so and ends; the next one begins where it was.
        let over = producer.ended().is_some();
        if over || kill % 4 == 1 {
            dead.producers += u64::from(producer.kill());
            producer = Running(place.start_with(&producing, ""));
        }
        kill += 1;
    }
    dead.producers += u64::from(producer.kill());
    Ok(dead)
}

/// The number behind the highest in the ledger.
fn next_in(place: &Place) -> u64 {
    let text = std::fs::read_to_string(&place.ledger).expect("a ledger");
    let numbers = text.lines().skip(1).filter_map(|line| line.split('\t').next()?.parse::<u64>().ok());
    numbers.max().map_or(0, |last| last + 1)
}

/// Enters what is in doubt in the ledger, sends some events more, carries all of them to the end, and compares.
fn finish(place: &Place) -> Result<(), String> {
    // One that starts while the broker is not quite back says so and ends.
    let complete = |count: u64, more: &str| {
        let words = produce(place, count, more);
        let ends_well = |_| place.ended(place.start_with(&words, ""), "the last producer").success();
        if (0..STARTS_MAX).any(ends_well) { Ok(()) } else { Err("the last producer does not end well".to_owned()) }
    };
    complete(next_in(place), "")?;
    complete(next_in(place) + AT_THE_END, &format!(" --truth {}", place.aside.join("truth").display()))?;
    let status = place.once(Act::Run, "");
    if !status.success() {
        return Err(format!("the last run ended with {status}"));
    }
    place.compare()?;
    let ledger = place.ledger.to_str().expect("plain names");
    let said = told(&place.dir, &["verify", "-f", "pipeline.yaml", "--ledger", ledger])?;
    if said.contains("balanced: nothing is lost, doubled or altered") { Ok(()) } else { Err(said) }
}

fn random_story(seed: u64, kills: Kills) -> Result<Dead, String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let cluster = Cluster::start(ClusterOptions::default()).map_err(|error| error.in_full())?;
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SIZE, seed);
    let place = in_kafka(place, &cluster, "stock-ticks", "200 ms");
    let dead = std::thread::scope(|scope| {
        let striker = scope.spawn(|| strike_broker(&cluster, kills.broker, Dice(seed.wrapping_add(1))));
        let dead = strike_program(&place, kills.pipeline, &striker);
        striker.join().expect("the broker comes back each time");
        dead
    });
    let ended = dead.and_then(|dead| finish(&place).map(|()| dead));
    ended.map_err(|what| format!("{what}\n{}", place.said()))
}

#[test]
fn random_kills_of_pipeline_producer_and_broker_leave_the_tables_exact() {
    let Some(minutes) = soak_minutes() else {
        let dead = random_story(31, FEW).unwrap_or_else(|difference| panic!("{difference}"));
        assert!(dead.pipelines >= FEW.pipeline && dead.producers >= 2, "{dead:?}");
        return;
    };
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut stories, mut kills, mut seed) = (0, 0, u64::from(std::process::id()) << 20);
    while Instant::now() < until {
        let dead = random_story(seed, MANY).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        kills += dead.pipelines + dead.producers + MANY.broker;
        (stories, seed) = (stories + 1, seed + 1);
        println!("kafka: {stories} stories, {kills} kills with the broker's, 0 differences; last seed {}", seed - 1);
    }
}

/// A story on the broker that tests share, with nothing in it yet.
fn sampled(scratch: &tempfile::TempDir, topic: &str) -> Place {
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SHORT, 32);
    in_kafka(place, shared(), topic, "20 ms")
}

/// Kills `act` there once, starts everything again until it is done, and compares.
fn killed_at(act: Act, planted: &str, topic: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    killed_in(&sampled(&scratch, topic), act, planted)
}

#[test]
fn killed_at_one_in_seven_crash_points_the_tables_made_from_kafka_end_exact() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let passed = census_of(&sampled(&scratch, "crash-points-none"));
    let local: Vec<_> = passed.keys().filter(|(_, point)| point.starts_with("log.")).collect();
    assert!(local.is_empty(), "the built-in log was touched: {local:?}");
    let mut dice = Dice(33);
    let mut points = Vec::new();
    for (number, ((act, point), times)) in passed.iter().enumerate().step_by(SAMPLE) {
        let (step, moment) = point.split_once(':').expect("step and moment");
        // How many commits there are depends on what Kafka hands out at a time.
        let nth = dice.roll(1, (times / 3).max(1));
        points.push((*act, format!("kill:{moment}:{step}:{nth}"), format!("crash-points-{number}")));
    }
    assert!(points.len() >= 5, "{points:?}");
    let failed = failures(&points, |(act, planted, topic)| killed_at(*act, planted, topic));
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), points.len(), failed.join("\n"));
}

/// Takes half of what a broker that is down has of partition 0, as the loss of its power could.
fn lose_half(cluster: &Cluster, topic: &str) {
    let folder = cluster.folder().join("broker-1/data").join(format!("{topic}-0"));
    for entry in std::fs::read_dir(&folder).expect("a partition").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_some_and(|ending| ending == "snapshot") {
            std::fs::remove_file(entry).expect("removed");
        }
    }
    let segment = std::fs::File::options().write(true).open(folder.join("00000000000000000000.log"));
    let segment = segment.expect("the first segment");
    let bytes = segment.metadata().expect("looked at").len();
    segment.set_len(bytes / 2).expect("cut");
}

#[test]
fn records_that_a_broker_lost_stop_their_partition_also_once_others_are_at_their_offsets() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let cluster = Cluster::start(ClusterOptions::default()).expect("a broker");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SIZE, 34);
    let mut place = in_kafka(place, &cluster, "stock-ticks", "200 ms");
    let produced = |place: &Place, count| {
        let status = place.ended(place.start_with(&produce(place, count, ""), ""), "a producer");
        assert!(status.success(), "{status}: {}", place.said());
    };
    // Paced, they lie in many batches.
    produced(&place, 2_000);
    assert!(place.once(Act::CatchUp, "").success(), "{}", place.said());
    let rows = || told(&scratch.path().join("here"), &["sql", "-f", "pipeline.yaml", "--format", "csv", IN_BRONZE]);
    let read = rows().expect("bronze is read");
    cluster.kill(1).expect("killed");
    lose_half(&cluster, "stock-ticks");
    cluster.start_again(1).expect("started again");

    assert_eq!(place.once(Act::CatchUp, "").code(), Some(1), "{}", place.said());
    assert!(place.said().contains("lies behind the end of the log"), "{}", place.said());
    let first = place.ended(place.start_with(&produce(&place, 4_000, ""), ""), "the first producer");
    assert_eq!(first.code(), Some(1), "its ledger has more than the log: {}", place.said());
    assert!(place.said().contains("were there and are gone"), "{}", place.said());
    // Another producer, who knows nothing of the first one's ledger, writes until all partitions have more than ever.
    (place.seed, place.ledger) = (35, place.dir.join("other.ledger"));
    produced(&place, 4_000);
    assert_eq!(place.once(Act::CatchUp, "").code(), Some(1), "{}", place.said());
    assert!(place.said().contains("the log holds other records there now"), "{}", place.said());
    let (before, after) = (read, rows().expect("bronze is read"));
    let of = |text: &str, partition: usize| text.lines().nth(partition + 1).map(str::to_owned);
    assert_eq!(of(&after, 0), of(&before, 0), "nothing of partition 0 is read, and what was read is kept");
    assert!((1..4).all(|partition| of(&after, partition) != of(&before, partition)), "the others went on: {after}");
}
