//! `watertight verify`: the tables of a lake held against themselves, the log, producers' ledgers and a certificate.
//!
//! Contract: the exit code is 0 only for what was checked and found balanced, 1 only for a fault that was found, and 2 for
//! all else: nothing is taken for fine, or for lost, because it could not be read. Nothing in the lake is changed.
//! What it checks is `crates/verify`'s; here arguments are read, the log is looked at, and answers are written.
//!
//! `--follow` would go round `checked` in [`answer`] as new versions come.

mod arguments;
mod certificates;
mod log_view;
mod progress;

pub(super) use arguments::Args;

use super::{Exit, output, pipeline_file};
use crate::wiring;
use anyhow::Context as _;
use arguments::Format;
use log_view::LogOf;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use watertight_adapters::system::SystemClock;
use watertight_config::Problems;
use watertight_core::port::Clock as _;
use watertight_verify::report::signature::sha256_hex;
use watertight_verify::report::{About, Report, Verdict, against};
use watertight_verify::request::{Bound, LogView, NoLog, Progress, Request, Scope};

/// Threads that read files, where there are as many cores: a pipeline may run beside.
const THREADS_MAX: usize = 2;

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    match answer(args) {
        Ok(exit) => Ok(exit),
        // A wrong pipeline file has an exit code of its own, as with every command.
        Err(error) if error.is::<Problems>() => Err(error),
        Err(error) => {
            eprintln!("error: not able to check: {}", super::said_once(&error));
            Ok(Exit::NotChecked)
        }
    }
}

/// What is verified, and with what at hand.
struct Subject {
    lake: PathBuf,
    log: Box<dyn LogView>,
    pipeline_name: Option<String>,
    pipeline_file_sha256: Option<String>,
}

impl Subject {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let Some(file) = &args.file else {
            let lake = args.lake.clone().context("name the pipeline file with -f or the lake with --lake")?;
            return Ok(Self { lake, log: Box::new(NoLog), pipeline_name: None, pipeline_file_sha256: None });
        };
        let config = pipeline_file::load(file)?;
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self {
            log: Box::new(LogOf::new(wiring::look_at_log(&config))),
            pipeline_name: Some(config.name),
            pipeline_file_sha256: Some(sha256_hex(&bytes)),
            lake: config.lake,
        })
    }
}

fn answer(args: &Args) -> anyhow::Result<Exit> {
    let subject = Subject::of(args)?;
    // Keys and certificates are read first: who waits for an hour should not then learn of a typing error.
    let key = args.key.as_deref().map(certificates::signing_key).transpose()?;
    let held =
        args.against.as_deref().map(|file| certificates::Held::read(file, args.public_key.as_deref())).transpose()?;
    let scratch =
        tempfile::Builder::new().prefix("watertight-verify-").tempdir().context("cannot make a scratch folder")?;
    let request = request(args, &subject, held.as_ref(), scratch.path());
    let (report, vouched) = progress::shown(|progress| -> anyhow::Result<_> {
        let mut report = checked(&request, &subject, held.as_ref(), progress)?;
        report.ended(SystemClock.now_us(), memory_bytes_peak());
        let vouched = args
            .certificate
            .as_deref()
            .map(|file| certificates::write(file, &report, &request, key.as_ref(), progress));
        Ok((report, vouched))
    })?;
    let shown = [
        ("no certificate was written", vouched.unwrap_or(Ok(()))),
        ("the answer could not be written", show(&report, args.format)),
        ("no HTML was written", args.report.as_deref().map_or(Ok(()), |file| write(file, &report.to_html()))),
    ];
    let mut exit = match report.verdict {
        Verdict::Balanced => Exit::Fine,
        Verdict::Findings => Exit::Failed,
        Verdict::Unable => Exit::NotChecked,
    };
    for (what, error) in shown.into_iter().filter_map(|(what, result)| Some((what, result.err()?))) {
        eprintln!("error: {what}: {}", super::said_once(&error));
        // What was asked for was not given, and that is not fine; a fault that was found stays one.
        exit = if exit == Exit::Fine { Exit::NotChecked } else { exit };
    }
    Ok(exit)
}

fn request(args: &Args, subject: &Subject, held: Option<&certificates::Held>, scratch: &Path) -> Request {
    // What a certificate vouches for needs no second look when only metadata is looked at.
    let certified = held.filter(|_| args.quick).map(|held| Bound::TimeUs(held.certificate.statement.at_us));
    Request {
        lake: subject.lake.clone(),
        scope: Scope {
            tables: args.table.clone(),
            since: args.since.or(certified),
            until: args.until,
            partitions: args.partition.clone(),
            quick: args.quick,
        },
        ledgers: args.ledger.clone(),
        scratch: scratch.to_owned(),
        memory_bytes_max: args.memory,
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
        now_us: SystemClock.now_us(),
    }
}

fn checked(
    request: &Request,
    subject: &Subject,
    held: Option<&certificates::Held>,
    progress: &dyn Progress,
) -> anyhow::Result<Report> {
    let about = About {
        tool: concat!("watertight ", env!("CARGO_PKG_VERSION")).to_owned(),
        pipeline_name: subject.pipeline_name.clone(),
        pipeline_file_sha256: subject.pipeline_file_sha256.clone(),
        started_us: request.now_us,
    };
    let mut report = watertight_verify::compare::verify(request, subject.log.as_ref(), progress, about)?;
    if let Some(certificates::Held { file, certificate, known }) = held {
        report.held_against(against::check(certificate, (file.as_str(), known.as_ref()), request, progress));
    }
    Ok(report)
}

/// Shows the report. That nobody reads it any more does not change what was found.
fn show(report: &Report, format: Format) -> anyhow::Result<()> {
    let text = match format {
        Format::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            report.to_text(colour)
        }
        Format::Json => report.to_json()?,
    };
    match output::print(&text) {
        Err(error) if !output::reader_is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The most memory that this process held, as Linux has it.
fn memory_bytes_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
