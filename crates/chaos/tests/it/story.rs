//! One small story: events are produced, the pipeline makes tables of them, and whatever dies on the way is started
//! again, until all is done. Then `compare` holds the tables against an independent truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest that one start of the program may take: far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts after which a story that does not end is a defect.
const STARTS_MAX: usize = 6;

/// The pipeline of the stories: small segments, small commits, windows that close.
fn pipeline(rows_max: u64) -> String {
    format!(
        r#"pipeline: crash
log: {{ local: {{ path: data/log, segment_bytes: 64 KiB }} }}
lake: data/lake
streams:
  stock_ticks:
    topic: stock-ticks
    partitions: 2
    event_id: event_id
    event_time: {{ column: ts, watermark: 1 min }}
    columns:
      event_id: {{ type: string, required: true }}
      symbol:   {{ type: string, required: true }}
      price:    {{ type: "decimal(18,4)", required: true }}
      volume:   {{ type: long, required: true }}
      exchange: string
      ts:       {{ type: timestamp, required: true }}
    checks:
      positive_price: price > 0
models:
  candles_1m: {{ from: stock_ticks, window: 1 min, sql: models/candles_1m.sql }}
commit: {{ interval: 20 ms, max_rows: {rows_max} }}
"#
    )
}

/// A story's size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Events produced; a producer appends about 4,000 at once.
    pub(crate) events: u64,
    /// Records in a commit.
    pub(crate) rows_max: u64,
}

/// A few commits of each table: enough for all that happens at every one.
pub(crate) const SHORT: Size = Size { events: 600, rows_max: 150 };
/// Over a hundred commits, so that the Delta log gets a checkpoint too; several appends per partition.
pub(crate) const LONG: Size = Size { events: 12_000, rows_max: 100 };

/// Where a story takes place.
pub(crate) struct Place {
    /// Folder of the pipeline file, the log, the lake and, if not said otherwise, the ledger.
    pub(crate) dir: PathBuf,
    /// Where the ledger is.
    pub(crate) ledger: PathBuf,
    /// Where the truth and the program's words go: never cut off.
    pub(crate) aside: PathBuf,
    pub(crate) size: Size,
    pub(crate) seed: u64,
}

/// What the program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Produce,
    /// All that is in the log; windows stay open.
    CatchUp,
    /// All of it, and the input declared ended.
    Run,
    /// Whatever comes within three seconds: long enough for what is done beside the pipeline, which begins after one.
    Stay,
}

impl Place {
    /// Lays out the pipeline in `dir`.
    pub(crate) fn new(dir: &Path, aside: &Path, size: Size, seed: u64) -> Self {
        let models = dir.join("models");
        std::fs::create_dir_all(&models).expect("a folder");
        std::fs::create_dir_all(aside).expect("a folder");
        std::fs::write(dir.join("pipeline.yaml"), pipeline(size.rows_max)).expect("written");
        let sql = include_str!("../../../../examples/stocks/models/candles_1m.sql");
        std::fs::write(models.join("candles_1m.sql"), sql).expect("written");
        let ledger = dir.join("acks/of/the/producer/acked.ledger");
        Self { dir: dir.to_owned(), ledger, aside: aside.to_owned(), size, seed }
    }

    fn arguments(&self, act: Act) -> Vec<String> {
        let text = |path: &Path| path.to_str().expect("plain names").to_owned();
        let file = text(&self.dir.join("pipeline.yaml"));
        let words = match act {
            Act::CatchUp => format!("run -f {file} --until-caught-up"),
            Act::Run => format!("run -f {file} --until-caught-up --close-windows"),
            Act::Stay => format!("run -f {file} --for 3s"),
            Act::Produce => format!(
                "produce -f {file} --stream stock_ticks --generate stocks --count {} --seed {} --duplicates 5% --late 3% \
                 --malformed 1% --start-time 2026-03-01T12:00:00Z --ledger {} --truth {}",
                self.size.events,
                self.seed,
                text(&self.ledger),
                text(&self.aside.join("truth"))
            ),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// Starts the program with `planted` faults.
    pub(crate) fn start(&self, act: Act, planted: &str) -> Child {
        self.start_with(&self.arguments(act), planted)
    }

    /// Starts the program with these `arguments` and `planted` faults.
    pub(crate) fn start_with(&self, arguments: &[String], planted: &str) -> Child {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_watertight-planted")).args(arguments), planted)
    }

    /// Runs the program to its end by a clock that is wrong by `offset`, as `WATERTIGHT_CLOCK_OFFSET` has it.
    pub(crate) fn once_at(&self, act: Act, offset: &str) -> ExitStatus {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watertight-planted"));
        command.args(self.arguments(act)).env("WATERTIGHT_CLOCK_OFFSET", offset);
        self.ended(self.spawn(&mut command, ""), &format!("{act:?} by a clock that is wrong by {offset}"))
    }

    /// Starts the program without faults through another one, which sets limits.
    pub(crate) fn start_through(&self, through: &[&str], act: Act) -> Child {
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(env!("CARGO_BIN_EXE_watertight-planted")).args(self.arguments(act));
        self.spawn(&mut command, "")
    }

    fn spawn(&self, command: &mut Command, planted: &str) -> Child {
        let said = std::fs::File::options().create(true).append(true).open(self.aside.join("said.log"));
        command
            .env("WATERTIGHT_STEPS", planted)
            .env("WATERTIGHT_LOG", "info")
            .current_dir(&self.aside)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.expect("a log"))
            .spawn()
            .expect("the program starts")
    }

    /// Runs the program to its end, whatever that is.
    pub(crate) fn once(&self, act: Act, planted: &str) -> ExitStatus {
        self.ended(self.start(act, planted), &format!("{act:?} with '{planted}'"))
    }

    /// Waits for the end of a program that was started here.
    pub(crate) fn ended(&self, mut child: Child, what: &str) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("looked at") {
                return status;
            }
            if began.elapsed() > PATIENCE {
                child.kill().expect("a child can be killed");
                child.wait().expect("reaped");
                panic!("{what} did not end within {PATIENCE:?}: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it without faults until it ends well.
    pub(crate) fn complete(&self, act: Act) {
        for _ in 0..STARTS_MAX {
            if self.once(act, "").success() {
                return;
            }
        }
        panic!("{act:?} does not end well any more: {}", self.said());
    }

    /// Everything to its end, then the comparison; its words where something differs.
    pub(crate) fn finish(&self) -> Result<(), String> {
        self.complete(Act::Produce);
        self.complete(Act::Run);
        self.compare()
    }

    /// Tables against the truth and the ledger.
    pub(crate) fn compare(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_watertight-planted"))
            .args(["compare", "--all-windows", "-f"])
            .arg(self.dir.join("pipeline.yaml"))
            .arg("--truth")
            .arg(self.aside.join("truth"))
            .arg("--ledger")
            .arg(&self.ledger)
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.code() {
            Some(0) => Ok(()),
            _ => Err(format!("{}{}\n{}", text(&output.stdout), text(&output.stderr), self.said())),
        }
    }

    /// What the program said on standard error, all starts.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.aside.join("said.log")).unwrap_or_default()
    }
}

/// How often a story without faults passes each step, before and after, by act.
pub(crate) fn census(size: Size, seed: u64) -> BTreeMap<(Act, String), u64> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    census_of(&Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), size, seed))
}

/// The same of the story of this place, in which nothing has happened yet.
pub(crate) fn census_of(place: &Place) -> BTreeMap<(Act, String), u64> {
    let mut passed = BTreeMap::new();
    for act in [Act::Produce, Act::Run] {
        let list = place.aside.join(format!("{act:?}.list"));
        assert!(place.once(act, &format!("list:{}", list.display())).success(), "{}", place.said());
        for line in std::fs::read_to_string(&list).expect("steps were passed").lines() {
            *passed.entry((act, line.replace(' ', ":"))).or_default() += 1;
        }
    }
    place.compare().unwrap_or_else(|difference| panic!("without faults: {difference}"));
    passed
}

/// For how long a soak goes on; `None` in the short form.
pub(crate) fn soak_minutes() -> Option<u64> {
    std::env::var("WATERTIGHT_SOAK_MINUTES").ok()?.parse().ok()
}

/// A small seeded generator.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number from `from` to `to`, both included.
    pub(crate) fn roll(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + (self.0 >> 33) % (to - from + 1)
    }
}
