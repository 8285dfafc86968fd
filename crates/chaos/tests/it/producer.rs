//! The producer alone, killed and cut off from its power again and again. After each death its ledger is held against
//! what the log holds: no acknowledged id is missing from the ledger, none stands in it that the log lacks.
//!
//! What the log holds is read by the program itself, from a copy into a lake of its own, so that nobody but the next
//! producer mends what a dead one left.

use crate::crash_points::{died, failures};
use crate::power_cuts::{Layout, Site, can_cut};
use crate::story::{Act, Dice, Place, Size};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Deaths of one producer; two of them run at once.
const KILLS: usize = 25;
/// The tables are made once, at the end.
const SIZE: Size = Size { events: 1, rows_max: 5_000 };
/// Slow enough that a group holds some tens of events and a life ends within a few groups.
const RATE: &str = "2000/s";
/// More than any of these producers comes to send.
const NEVER_REACHED: u64 = 1_000_000;
/// Events sent at the end, behind the last that the log has.
const AT_THE_END: u64 = 100;

/// The pipeline that reads the copy: its silver tells ids and positions, one row for each record.
const LOOK: &str = "pipeline: look
log: { local: { path: data/log } }
lake: data/lake
streams:
  stock_ticks:
    topic: stock-ticks
    partitions: 2
    event_id: event_id
    event_time: { column: ts, watermark: 1 min }
    columns:
      event_id: { type: string, required: true }
      ts: { type: timestamp, required: true }
";
/// Every record in the log with its id; without one, where silver did not take it.
const RECORDS: &str = "select b._kafka_partition as p, b._kafka_offset as o, s.event_id as id \
    from bronze.stock_ticks b left join silver.stock_ticks s \
    on b._kafka_partition = s._kafka_partition and b._kafka_offset = s._kafka_offset order by 1, 2";

/// Partition and offset.
type At = (i32, i64);

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    sequence: u64,
    id: String,
    at: At,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('\t');
        let (sequence, id) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
        let at = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        fields.next().is_none().then_some(Self { sequence, id, at })
    }
}

/// The whole lines of a ledger behind its header; none where it was not begun. What a power cut left unwritten, and
/// what stands behind it, was never acknowledged.
fn lines(ledger: &Path) -> Vec<Line> {
    let text = String::from_utf8(std::fs::read(ledger).unwrap_or_default()).expect("a ledger is UTF-8");
    let whole = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n')).skip(1);
    let written = whole.take_while(|line| !line.contains('\0'));
    written.map(|line| Line::parse(line).unwrap_or_else(|| panic!("a damaged line: {line:?}"))).collect()
}

/// What a ledger and the log do not agree on. `acknowledged` stood in the ledger before, and may not be lost.
fn disagreements(acknowledged: &[Line], ledger: &[Line], log: &BTreeMap<At, String>) -> Vec<String> {
    let mut found = Vec::new();
    if !ledger.starts_with(acknowledged) {
        let (had, has) = (acknowledged.len(), ledger.len());
        let changed = acknowledged.iter().zip(ledger).find(|(was, is)| was != is);
        found.push(format!("the ledger had {had} lines and has {has}; the first change: {changed:?}"));
    }
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut sequences, mut named) = (BTreeSet::new(), BTreeSet::new());
    for line in ledger {
        match log.get(&line.at) {
            Some(id) if *id == line.id => {}
            other => found.push(format!("{line:?} is acknowledged, but the log holds {other:?} there")),
        }
        if !sequences.insert(line.sequence) || !named.insert(line.at) {
            found.push(format!("{line:?} stands in the ledger twice"));
        }
        let end = ends.entry(line.at.0).or_default();
        *end = line.at.1.max(*end);
    }
    let mut ids = BTreeSet::new();
    for (at, id) in log {
        // What a death leaves in doubt lies behind all that is acknowledged, in each partition.
        if !named.contains(at) && ends.get(&at.0).is_some_and(|end| at.1 < *end) {
            found.push(format!("'{id}' at {at:?} is not in the ledger, and later ones are"));
        }
        if id.is_empty() || !ids.insert(id) {
            found.push(format!("'{id}' at {at:?} is in the log twice, or is none of what was sent"));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, target).expect("copied");
        }
    }
}

/// Runs the program to its end; what it printed, or what it said.
pub(crate) fn told(dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_watertight-planted"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("WATERTIGHT_STEPS")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// A producer's life, death after death.
struct Story<'a> {
    place: &'a Place,
    /// Lines that may not be lost any more.
    acknowledged: Vec<Line>,
    looks: usize,
}

impl<'a> Story<'a> {
    fn new(place: &'a Place) -> Self {
        Self { place, acknowledged: Vec::new(), looks: 0 }
    }

    fn produce(&self, count: u64, more: &str) -> Vec<String> {
        let Place { dir, ledger, seed, .. } = self.place;
        let words = format!(
            "produce -f {} --stream stock_ticks --generate stocks --seed {seed} --start-time 2026-03-01T12:00:00Z \
             --rate {RATE} --count {count} --ledger {}{more}",
            dir.join("pipeline.yaml").display(),
            ledger.display()
        );
        words.split(' ').map(str::to_owned).collect()
    }

    /// What the log holds, read from a copy.
    fn log(&mut self) -> Result<BTreeMap<At, String>, String> {
        self.looks += 1;
        let dir: PathBuf = self.place.aside.join(format!("look-{}", self.looks));
        let log = self.place.dir.join("data/log");
        std::fs::create_dir_all(&dir).expect("a folder");
        if log.exists() {
            copy(&log, &dir.join("data/log"));
        }
        std::fs::write(dir.join("look.yaml"), LOOK).expect("written");
        told(&dir, &["run", "-f", "look.yaml", "--stages", "silver", "--until-caught-up"])?;
        let printed = told(&dir, &["sql", "-f", "look.yaml", "--format", "csv", RECORDS])?;
        std::fs::remove_dir_all(&dir).expect("removed");
        let record = |line: &str| {
            let mut cells = line.splitn(3, ',');
            let at: At = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
            Some((at, cells.next()?.to_owned()))
        };
        let rows = printed.lines().skip(1);
        rows.map(|line| record(line).ok_or_else(|| format!("no record: {line}"))).collect()
    }

    /// The ledger agrees with the log; what stands in it now stays.
    fn agree(&mut self) -> Result<(), String> {
        let log = self.log()?;
        let ledger = lines(&self.place.ledger);
        let found = disagreements(&self.acknowledged, &ledger, &log);
        if !found.is_empty() {
            let said = self.place.said();
            return Err(format!("look {}: {} disagreements: {found:?}\n{said}", self.looks, found.len()));
        }
        self.acknowledged = ledger;
        Ok(())
    }

    /// Sends a few events more, ends well, and compares all tables: nothing is in doubt any more.
    fn end(mut self) -> Result<(), String> {
        let number = |id: &String| id.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
        let sent = self.log()?.values().filter_map(number).max().map_or(0, |last| last + 1);
        let truth = format!(" --truth {}", self.place.aside.join("truth").display());
        let arguments = self.produce(sent + AT_THE_END, &truth);
        let status = self.place.ended(self.place.start_with(&arguments, ""), "the last producer");
        if !status.success() {
            return Err(format!("the last producer ended with {status}: {}", self.place.said()));
        }
        self.agree()?;
        let mut sequences: Vec<u64> = self.acknowledged.iter().map(|line| line.sequence).collect();
        sequences.sort_unstable();
        if sequences.iter().copied().ne(0..sent + AT_THE_END) || self.log()?.len() != sequences.len() {
            return Err(format!("{} lines for {} events", sequences.len(), sent + AT_THE_END));
        }
        self.place.complete(Act::Run);
        self.place.compare()
    }
}

/// Kills at a random step and at a random moment in turn.
fn killed(seed: u64) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SIZE, seed);
    let (mut story, mut dice) = (Story::new(&place), Dice(seed));
    let arguments = story.produce(NEVER_REACHED, "");
    for kill in 0..KILLS {
        if kill % 2 == 0 {
            let planted = format!("kill:any:{}", dice.roll(1, 160));
            if !died(place.ended(place.start_with(&arguments, &planted), &planted)) {
                return Err(format!("'{planted}' did not kill it: {}", place.said()));
            }
        } else {
            let mut child = place.start_with(&arguments, "");
            std::thread::sleep(Duration::from_millis(dice.roll(20, 250)));
            child.kill().expect("a child can be killed");
            if !died(child.wait().expect("reaped")) {
                return Err(format!("it ended by itself: {}", place.said()));
            }
        }
        story.agree()?;
    }
    story.end()
}

#[test]
fn fifty_kills_of_the_producer_leave_its_ledger_and_the_log_in_agreement() {
    let failed = failures(&[71, 72], |seed| killed(*seed));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Cuts the power behind a sync of the ledger and at a random step in turn.
fn cut(layout: Layout, seed: u64, cuts: usize) -> Result<(), String> {
    let site = Site::new(layout, SIZE, seed);
    let (mut story, mut dice) = (Story::new(&site.place), Dice(seed));
    let arguments = story.produce(NEVER_REACHED, "");
    for turn in 0..cuts {
        let synced = turn % 2 == 0;
        let planted = match synced {
            true => format!("stop:after:ledger.sync:{}", dice.roll(2, 8)),
            false => format!("stop:any:{}", dice.roll(1, 160)),
        };
        let mut seen = Vec::new();
        let child = site.place.start_with(&arguments, &planted);
        if !site.cut_once_stopped(child, || seen = lines(&site.place.ledger)) {
            return Err(format!("'{planted}' was not reached: {}", site.place.said()));
        }
        // Behind the sync of the ledger, every line that was written is acknowledged.
        if synced {
            story.acknowledged.clone_from(&seen);
        }
        story.agree()?;
        if !seen.starts_with(&story.acknowledged) {
            return Err(format!("'{planted}': lines came into the ledger that were never written"));
        }
    }
    story.end()
}

#[test]
fn twenty_power_cuts_under_the_producer_leave_its_ledger_and_the_log_in_agreement() {
    if !can_cut() {
        return;
    }
    let sites = [(Layout::One, 81, 7), (Layout::Apart, 82, 7), (Layout::LedgerAside, 83, 6)];
    let failed = failures(&sites, |(layout, seed, cuts)| cut(*layout, *seed, *cuts));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn each_planted_disagreement_between_a_ledger_and_the_log_is_found() {
    let line = |sequence: u64, partition: i32, offset: i64| {
        let id = format!("producer-{sequence}");
        Line { sequence, id, at: (partition, offset) }
    };
    let ledger = vec![line(0, 0, 0), line(1, 1, 0), line(2, 0, 1), line(3, 0, 2)];
    let log: BTreeMap<At, String> = ledger.iter().map(|line| (line.at, line.id.clone())).collect();
    let says = |acknowledged: &[Line], ledger: &[Line], log: &BTreeMap<At, String>| {
        disagreements(acknowledged, ledger, log).join("; ")
    };
    assert_eq!(says(&ledger[..3], &ledger, &log), "");
    assert_eq!(says(&[], &ledger[..3], &log), "", "the last one is in doubt, and no more than that");
    assert!(says(&ledger, &ledger[..3], &log).contains("had 4 lines and has 3"));
    let without = |index: usize| [&ledger[..index], &ledger[index + 1..]].concat();
    assert!(says(&[], &without(2), &log).contains("is not in the ledger, and later ones are"));
    assert!(says(&[], &[ledger.clone(), vec![line(3, 1, 0)]].concat(), &log).contains("twice"));
    let change = |at: At, id: Option<&str>| {
        let mut log = log.clone();
        match id {
            Some(id) => log.insert(at, id.to_owned()),
            None => log.remove(&at),
        };
        log
    };
    assert!(says(&[], &ledger, &change((0, 1), None)).contains("the log holds None there"));
    assert!(says(&[], &ledger, &change((0, 1), Some("producer-9"))).contains("the log holds Some"));
    assert!(says(&[], &ledger, &change((1, 1), Some("producer-0"))).contains("in the log twice"));
    assert!(says(&[], &ledger, &change((1, 1), Some(""))).contains("in the log twice, or is none"));
}
