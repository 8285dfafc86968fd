//! The demo: a producer, the pipeline killed once with SIGKILL in the middle, and an account that adds up.
//!
//! It runs this very program as child processes, as a user would, and reads what it shows from the tables. At the end
//! `compare` and `verify` judge them, each in its own process. It ends well only if the books add up and both find nothing.

mod children;
mod view;

use crate::cli::{Exit, load_pipeline_file};
use crate::status::gather;
use crate::wiring;
use anyhow::{Context as _, bail};
use children::Child;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use view::View;
use watertight_adapters::ownership::RunLock;
use watertight_config::PipelineConfig;

/// Between two pictures.
const EVERY: Duration = Duration::from_millis(500);
/// How long the pipeline stays dead.
const DEAD_FOR: Duration = Duration::from_secs(2);

/// Shows the demo; `Failed` when the account does not add up.
///
/// # Errors
/// When a child process cannot be started or ends badly, or when it is stopped by a signal; no child is left then.
pub(crate) fn show(run_for: Duration, dir: Option<&Path>) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    wiring::on_signals(&stop).context("signals could not be caught")?;
    let dir = scratch(dir)?;
    let file = dir.join("pipeline.yaml");
    let config = load_pipeline_file(&file)?;
    println!("everything the demo writes is in {}", dir.display());
    let pipeline = file.to_string_lossy().into_owned();
    let (ledger, truth) = (text(&dir.join("acknowledged.ledger")), text(&dir.join("truth")));
    let produce: Vec<&str> = vec![
        "produce",
        "-f",
        &pipeline,
        "--stream",
        "stock_ticks",
        "--generate",
        "stocks",
        "--rate",
        "500/s",
        "--duplicates",
        "5%",
        "--late",
        "3%",
        "--malformed",
        "0.5%",
        "--ledger",
        &ledger,
        "--truth",
        &truth,
    ];
    let run: Vec<&str> = vec!["run", "-f", &pipeline];
    let mut producer = Child::start("produce", &produce, &dir, &stop)?;
    let mut runner = Child::start("run", &run, &dir, &stop)?;
    let mut view = View::new();
    let began = Instant::now();
    watch(&config, &mut view, run_for / 2, began, "producing and running", &mut producer)?;
    runner.kill()?;
    watch(&config, &mut view, run_for / 2 + DEAD_FOR, began, "the pipeline was killed (SIGKILL)", &mut producer)?;
    runner = Child::start("run", &run, &dir, &stop)?;
    watch(&config, &mut view, run_for, began, "the pipeline is running again", &mut producer)?;
    producer.stop()?;
    runner.stop()?;
    let finish = ["run", "-f", &pipeline, "--until-caught-up", "--close-windows"];
    Child::start("run", &finish, &dir, &stop)?.wait()?;
    view.show(&gather_now(&config)?, began.elapsed(), "stopped; open windows were closed", &rows(&config)?)?;
    let adds_up = account(&config, Path::new(&ledger))?;
    println!("\nthe tables compared with what the producer says must be in them:");
    let compare = ["compare", "-f", &pipeline, "--truth", &truth, "--ledger", &ledger, "--all-windows"];
    let exact = Child::start_shown("compare", &compare, &stop)?.ended_well()?;
    println!("\nthe tables verified, by code that shares nothing with the pipeline:");
    let verify = ["verify", "-f", &pipeline, "--ledger", &ledger];
    let balanced = Child::start_shown("verify", &verify, &stop)?.ended_well()?;
    look_further(&pipeline, &ledger);
    Ok(if adds_up && exact && balanced { Exit::Fine } else { Exit::Failed })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn scratch(dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => std::env::temp_dir().join(format!("watertight-demo-{}", std::process::id())),
    };
    // The commands that are shown at the end work from any folder.
    let dir = std::path::absolute(&dir).with_context(|| format!("{} is no path", dir.display()))?;
    if dir.exists() {
        bail!("{} is there already; name another folder with --dir, or remove it", dir.display());
    }
    let files = [
        ("pipeline.yaml", include_str!("../../../../examples/demo/pipeline.yaml")),
        ("models/candles_5s.sql", include_str!("../../../../examples/demo/models/candles_5s.sql")),
    ];
    std::fs::create_dir_all(dir.join("models")).with_context(|| format!("could not make {}", dir.display()))?;
    for (name, content) in files {
        std::fs::write(dir.join(name), content).with_context(|| format!("could not write {name}"))?;
    }
    Ok(dir)
}

fn gather_now(config: &PipelineConfig) -> anyhow::Result<crate::status::Status> {
    let (log, lake) = (wiring::look_at_log(config), wiring::open_lake(config));
    let status = gather(config, &log, lake.as_ref(), RunLock::holder(&config.lake));
    let mut errors = status.streams.iter().filter_map(|stream| stream.error.as_ref());
    if let Some(error) = errors.next() {
        bail!("the demo's tables cannot be read: {error}");
    }
    Ok(status)
}

fn watch(
    config: &PipelineConfig,
    view: &mut View,
    until: Duration,
    began: Instant,
    what: &str,
    producer: &mut Child,
) -> anyhow::Result<()> {
    while began.elapsed() < until {
        view.show(&gather_now(config)?, began.elapsed(), what, &rows(config)?)?;
        producer.must_live_on(EVERY.min(until.saturating_sub(began.elapsed())))?;
    }
    Ok(())
}

/// The newest rows of gold, as text; nothing while there is no table.
fn rows(config: &PipelineConfig) -> anyhow::Result<String> {
    const QUERY: &str = "select window_start, symbol, open, high, low, close, volume, trades from gold.candles_5s \
                         order by window_start desc, symbol limit 5";
    if wiring::open_lake(config).look("gold", "candles_5s")?.is_none() {
        return Ok(String::new());
    }
    let session = watertight_query::Session::new(wiring::open_lake(config), &config.lake)?;
    let rows = session.stream(QUERY)?;
    let mut out = Vec::new();
    watertight_query::Format::Table.write(&rows.schema(), rows, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The books of the whole run, line by line; whether they add up.
fn account(config: &PipelineConfig, ledger: &Path) -> anyhow::Result<bool> {
    let status = gather_now(config)?;
    let Some(stream) = status.streams.first() else { bail!("the demo's pipeline has no stream") };
    let outcome = stream.outcome;
    let acknowledged = acknowledged(ledger)?;
    let sum = outcome.silver + outcome.duplicates + outcome.dead_letters;
    let adds_up = acknowledged == stream.bronze && stream.bronze == sum && stream.lag == 0;
    println!("\nthe account");
    println!("  acknowledged to the producer   {acknowledged:>8}");
    println!("  rows in bronze                 {:>8}", stream.bronze);
    println!("    = silver                     {:>8}   ({} of them late)", outcome.silver, outcome.late);
    println!("    + duplicates                 {:>8}", outcome.duplicates);
    println!("    + dead letters               {:>8}", outcome.dead_letters);
    println!("  {}", if adds_up { "it adds up" } else { "IT DOES NOT ADD UP" });
    Ok(adds_up)
}

/// Commands that show more of what the demo left.
fn look_further(pipeline: &str, ledger: &str) {
    println!("\nto look further:");
    let program = std::env::current_exe().map_or("watertight".to_owned(), |path| path.display().to_string());
    for command in [
        "status -f FILE",
        "sql -f FILE \"select * from gold.candles_5s order by window_start, symbol limit 10\"",
        "sql -f FILE \"select _quality_flags, count(*) from bronze.stock_ticks_dlq group by 1\"",
        "sql -f FILE   # a prompt: \\d lists the tables",
        "verify -f FILE --ledger LEDGER --report report.html   # continuity and findings, as a page",
    ] {
        println!("  {program} {}", command.replace("FILE", pipeline).replace("LEDGER", ledger));
    }
}

/// Lines of the ledger behind its header: one for each event that the log acknowledged.
fn acknowledged(ledger: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(ledger).with_context(|| format!("could not read {}", ledger.display()))?;
    Ok(text.lines().skip(1).count() as u64)
}
