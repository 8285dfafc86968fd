//! `watertight verify`: the tables of a lake held against themselves, the log, producers' ledgers and a certificate.
//!
//! Contract: the exit code is 0 only for what was checked and found balanced, 1 only for a fault that was found, and 2 for
//! all else: nothing is taken for fine, or for lost, because it could not be read. Nothing in the tables is changed; the
//! verdict on the tables is left in the state folder for `status`.
//! What it checks is `crates/verify`'s; here arguments are read, the log is looked at, and answers are written. `follow`
//! goes round [`checked`] as new versions come.

mod arguments;
mod certificates;
mod follow;
mod log_view;
mod outputs;
mod progress;
mod quiet;

pub(super) use arguments::Args;

use super::{Exit, output, pipeline_file};
use crate::status::Verified;
use crate::wiring;
use anyhow::{Context as _, bail};
use arguments::Format;
use log_view::LogOf;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use watertight_adapters::system::SystemClock;
use watertight_config::{Problems, Secret};
use watertight_core::port::Clock as _;
use watertight_verify::finding::{Code, Kept, Severity, Unable};
use watertight_verify::lake::Logs;
use watertight_verify::report::certificate::CertifiedTable;
use watertight_verify::report::signature::sha256_hex;
use watertight_verify::report::{About, Report, Verdict, against};
use watertight_verify::request::{Ids, LogView, NoLog, Progress, Request, Scope};

/// Threads that read files, where there are as many cores: a pipeline may run beside.
const THREADS_MAX: usize = 2;

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    quiet::about_caught_panics();
    let answered = Subject::of(args).and_then(|subject| match args.follow {
        true => follow::follow(args, &subject),
        false => answer(args, &subject),
    });
    match answered {
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
    /// The event log, where there is a pipeline file.
    log: Option<LogOf>,
    pipeline_name: Option<String>,
    pipeline_file_sha256: Option<String>,
    /// The state folder, where there is a pipeline file.
    state: Option<PathBuf>,
    /// The key that the pipeline file signs certificates with.
    signing_key: Option<Secret>,
}

impl Subject {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let Some(file) = &args.file else {
            let lake = args.lake.clone().context("name the pipeline file with -f or the lake with --lake")?;
            let (pipeline_name, pipeline_file_sha256) = (None, None);
            return Ok(Self { lake, log: None, pipeline_name, pipeline_file_sha256, state: None, signing_key: None });
        };
        let config = pipeline_file::load(file)?;
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self {
            log: Some(LogOf::new(wiring::look_at_log(&config)?)),
            pipeline_name: Some(config.name),
            pipeline_file_sha256: Some(sha256_hex(&bytes)),
            lake: config.lake,
            state: Some(config.state),
            signing_key: config.signing_key,
        })
    }

    /// The tables whose offsets could not be held against the log.
    fn silent_log(&self, report: &Report, scope: &Scope) -> Vec<Unable> {
        self.log.as_ref().map_or_else(Vec::new, |log| log.silent_about(&report.tables, scope))
    }

    /// Leaves a verdict for `status`, where there is a state folder.
    fn leave(&self, verified: &Verified) -> std::io::Result<()> {
        self.state.as_ref().map_or(Ok(()), |state| verified.leave(state))
    }
}

fn answer(args: &Args, subject: &Subject) -> anyhow::Result<Exit> {
    outputs::check(args)?;
    // What is read beside the tables comes first: who waits for an hour should not then learn of a typing error.
    let key = match (&args.key, &subject.signing_key) {
        (Some(file), _) => Some(certificates::signing_key(file)?),
        (None, Some(secret)) if args.certificate.is_some() => Some(certificates::signing_key_of(secret)?),
        (None, _) => None,
    };
    let held =
        args.against.as_deref().map(|file| certificates::Held::read(file, args.public_key.as_deref())).transpose()?;
    args.ledger.iter().try_for_each(|ledger| is_there(ledger))?;
    let scratch = scratch_folder()?;
    let request = request(args, subject, scope(args, held.as_ref()), scratch.path());
    let (report, vouched) = progress::shown(|progress| -> anyhow::Result<_> {
        let mut report = checked(&request, subject, progress, &mut Logs::default())?;
        let silent = subject.silent_log(&report, &request.scope);
        if !silent.is_empty() {
            report.also(Vec::new(), Kept { unable: silent, ..Kept::default() });
        }
        leave(args, subject, &report);
        if let Some(certificates::Held { file, certificate, known }) = &held {
            report.held_against(against::check(certificate, (file.as_str(), known.as_ref()), &request, progress));
        }
        report.ended(SystemClock.now_us(), memory_bytes_peak());
        let file = args.certificate.as_deref().map(|file| (file, args.force));
        let vouched = file.map(|file| certificates::write(file, &report, &request, key.as_ref(), progress));
        Ok((report, vouched))
    })?;
    let shown = show(&report, args.format);
    let vouched = vouched.unwrap_or_else(|| Ok(String::new())).map(|said| {
        if !said.is_empty() {
            eprintln!("{said}");
        }
    });
    let written = [
        ("no certificate was written", vouched),
        ("the answer could not be written", shown),
        ("no HTML was written", args.report.as_deref().map_or(Ok(()), |file| write(file, &report.to_html()))),
    ];
    let mut exit = exit_of(report.verdict);
    for (what, error) in written.into_iter().filter_map(|(what, result)| Some((what, result.err()?))) {
        eprintln!("error: {what}: {}", super::said_once(&error));
        // What was asked for was not given, and that is not fine; a fault that was found stays one.
        exit = if exit == Exit::Fine { Exit::NotChecked } else { exit };
    }
    Ok(exit)
}

/// Refuses a ledger that is not there.
fn is_there(ledger: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot read the ledger {}", ledger.display());
    if std::fs::metadata(ledger).with_context(failed)?.is_dir() {
        bail!("the ledger {} is a folder: name its files", ledger.display());
    }
    Ok(())
}

fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Balanced => Exit::Fine,
        Verdict::Findings => Exit::Failed,
        Verdict::Unable => Exit::NotChecked,
    }
}

/// Leaves the verdict over the whole lake for `status`; one over a part of it must not hide what that found. What a ledger
/// has to say is not in it, nor what a certificate has: that depends on the file that was given, and a wrong one must not
/// stand there as a fault of the tables.
fn leave(args: &Args, subject: &Subject, report: &Report) {
    if args.only().is_some() {
        return;
    }
    let of_tables = |code: &Code| code.severity() == Severity::Fault && !code.name().starts_with("ledger.");
    let counts = report.counts.iter().filter(|(code, _)| of_tables(code)).map(|(_, count)| *count);
    let of_ledger = |file: &String| report.scope.ledgers.contains(file);
    let unable = report.unable.iter().filter(|unable| !unable.place.file.as_ref().is_some_and(of_ledger));
    let (findings, not_checked) = (counts.fold(0, u64::saturating_add), unable.count() as u64);
    let verified = Verified {
        at_us: SystemClock.now_us(),
        verdict: match (findings, not_checked) {
            (1.., _) => Verdict::Findings,
            (0, 1..) => Verdict::Unable,
            (0, 0) => Verdict::Balanced,
        },
        findings,
        not_checked,
        tables: report.tables.iter().map(|told| (told.table.clone(), told.last_version)).collect(),
        only: None,
        following: false,
    };
    if let Err(error) = subject.leave(&verified) {
        tracing::debug!(%error, "the verdict was not left for status");
    }
}

/// A folder for what does not fit in memory; removed with what it holds when dropped.
fn scratch_folder() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("watertight-verify-").tempdir().context("cannot make a scratch folder")
}

fn scope(args: &Args, held: Option<&certificates::Held>) -> Scope {
    // What a certificate vouches for needs no second look when only metadata is looked at.
    let certified = held.filter(|_| args.quick && args.since.is_none()).map(|held| &held.certificate.statement.tables);
    let behind = |table: &CertifiedTable| (table.table.clone(), table.version.saturating_add(1));
    Scope {
        tables: args.table.clone(),
        since: args.since,
        from_versions: certified.into_iter().flatten().map(behind).collect(),
        until: args.until,
        partitions: args.partition.clone(),
        quick: args.quick,
        ids: Ids::All,
    }
}

fn request(args: &Args, subject: &Subject, scope: Scope, scratch: &Path) -> Request {
    Request {
        lake: subject.lake.clone(),
        scope,
        ledgers: args.ledger.clone(),
        scratch: scratch.to_owned(),
        memory_bytes_max: args.memory,
        threads: std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
        now_us: SystemClock.now_us(),
    }
}

fn checked(request: &Request, subject: &Subject, progress: &dyn Progress, logs: &mut Logs) -> anyhow::Result<Report> {
    let about = About {
        tool: concat!("watertight ", env!("CARGO_PKG_VERSION")).to_owned(),
        pipeline_name: subject.pipeline_name.clone(),
        pipeline_file_sha256: subject.pipeline_file_sha256.clone(),
        started_us: request.now_us,
    };
    let log: &dyn LogView = match &subject.log {
        Some(log) => log,
        None => &NoLog,
    };
    Ok(watertight_verify::compare::verify_again(request, log, progress, about, logs)?)
}

/// Shows the report. That nobody reads it does not change what was found.
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
