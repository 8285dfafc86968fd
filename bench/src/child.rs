//! One child, run to its end and measured from outside.
//!
//! Contract: CPU time is the kernel's, of all threads, read from the child while it is dead and not yet reaped, so that
//! nothing of it is missing. Memory is the kernel's own peak, looked at every [`POLL_INTERVAL`]: only one that is reached
//! after the last look is missed. A child that fails, or takes longer than it may, is an error with the last lines it
//! wrote. Children must not have children: those would not be counted. No child outlives this program, however it ends
//! ([`ends_with_us`]).

use crate::proc_files;
use crate::progress::Deadline;
use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, set_parent_process_death_signal, waitid,
};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often memory and written bytes are looked at: a few hundred times in a run, at no cost that shows in it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of a failed child's errors that are repeated.
const LINES_SHOWN: usize = 8;

/// What a child used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// User and system time, seconds.
    pub(crate) cpu_s: f64,
    /// User time, seconds.
    pub(crate) user_s: f64,
    /// System time, seconds.
    pub(crate) system_s: f64,
    /// From before it was started until it had ended, seconds.
    pub(crate) wall_s: f64,
    /// Largest resident memory, bytes.
    pub(crate) peak_resident_bytes: Option<u64>,
    /// Bytes sent to storage.
    pub(crate) written_bytes: Option<u64>,
}

/// A child that ended well.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// What it used.
    pub(crate) usage: Usage,
    /// What it wrote to standard output.
    pub(crate) output: String,
}

/// Writes a child's standard input; it is closed when this returns.
pub(crate) type Feed = Box<dyn FnOnce(ChildStdin) -> io::Result<()> + Send>;

/// What was seen of a child while it lived.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    peak_resident_bytes: Option<u64>,
    written_bytes: Option<u64>,
    out_of_time: bool,
}

impl Watched {
    fn look(&mut self, pid: Pid) {
        self.peak_resident_bytes =
            self.peak_resident_bytes.max(read(pid, "status").and_then(|text| proc_files::peak_resident_bytes(&text)));
        self.written_bytes = self.written_bytes.max(read(pid, "io").and_then(|text| proc_files::written_bytes(&text)));
    }
}

/// Runs `command` to its end. What it writes goes to files in `place`.
pub(crate) fn run(mut command: Command, place: &Path, deadline: Deadline, feed: Option<Feed>) -> Result<Finished> {
    let name = Path::new(command.get_program()).display().to_string();
    let (output, errors) = (place.join("stdout"), place.join("stderr"));
    let file = |path: &Path| File::create(path).with_context(|| format!("could not make {}", path.display()));
    command.stdin(if feed.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(file(&output)?).stderr(file(&errors)?);
    ends_with_us(&mut command);
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("could not start {name}; give its path with --program"))?;
    let pid = Pid::from_child(&child);
    let stdin = child.stdin.take();
    let (died, fed, mut watched) = std::thread::scope(|scope| {
        let (ended, is_ended) = channel::<()>();
        let watcher = scope.spawn(move || watch(pid, &is_ended, deadline));
        let feeder = feed.zip(stdin).map(|(feed, stdin)| scope.spawn(move || feed(stdin)));
        let died = wait_without_reaping(pid).map(|()| began.elapsed());
        drop(ended);
        let fed = feeder.map(|feeder| feeder.join());
        (died, fed, watcher.join())
    });
    let stat = read(pid, "stat").and_then(|text| proc_files::cpu_seconds(&text));
    if let Ok(watched) = &mut watched {
        watched.look(pid);
    }
    let status = child.wait().with_context(|| format!("could not wait for {name}"))?;
    let watched =
        watched.ok().context("the thread that watches a child panicked; this is a defect in watertight-bench")?;
    if watched.out_of_time {
        bail!("{name} was ended: {}", deadline.advice());
    }
    if !status.success() {
        return Err(failure(&name, status, &errors));
    }
    match fed {
        None | Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => return Err(error).with_context(|| format!("could not write the input of {name}")),
        Some(Err(_)) => bail!("the thread that writes input panicked; this is a defect in watertight-bench"),
    }
    let wall_s = died.with_context(|| format!("could not wait for {name}"))?.as_secs_f64();
    let (user_s, system_s) =
        stat.with_context(|| format!("/proc does not tell the CPU time of {name}; is it mounted?"))?;
    let Watched { peak_resident_bytes, written_bytes, .. } = watched;
    let usage = Usage { cpu_s: user_s + system_s, user_s, system_s, wall_s, peak_resident_bytes, written_bytes };
    let output = std::fs::read_to_string(&output).with_context(|| format!("could not read {}", output.display()))?;
    Ok(Finished { usage, output })
}

/// Has the system kill the child when this program ends, in whatever way.
///
/// The signal comes when the *thread* that starts the child ends: start it from one that waits for it. The lab leaves this
/// to `setpriv`; here its start would count as the child's.
#[expect(unsafe_code, reason = "between fork and exec: two system calls, which allocate nothing and take no lock")]
pub(crate) fn ends_with_us(command: &mut Command) {
    let us = getpid();
    let told = move || -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If we ended before that, nobody tells the child.
        if getppid() == Some(us) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: see the reason above.
    unsafe {
        command.pre_exec(told);
    }
}

/// Looks at the child until it has ended, and ends it when its time is over.
fn watch(pid: Pid, ended: &Receiver<()>, deadline: Deadline) -> Watched {
    let mut watched = Watched::default();
    loop {
        watched.look(pid);
        match ended.recv_timeout(POLL_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return watched,
        }
        if !watched.out_of_time && deadline.is_over() {
            watched.out_of_time = true;
            // It is reaped only after this thread has ended, so the id is still its own. If it ended by itself just
            // now, there is nothing to do.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Returns when the child is dead, and leaves it to be looked at.
fn wait_without_reaping(pid: Pid) -> io::Result<()> {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file of `/proc/<pid>`; `None` where it cannot be read.
pub(crate) fn read(pid: Pid, file: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{}/{file}", pid.as_raw_pid())).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a child that failed said.
pub(crate) fn failure(name: &str, status: ExitStatus, errors: &Path) -> anyhow::Error {
    let text = std::fs::read_to_string(errors).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n  ");
    anyhow::anyhow!("{name} failed ({status}); it said:\n  {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn long() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[test]
    fn a_child_is_measured_and_its_output_is_kept() {
        let dir = tempfile::tempdir().expect("scratch");
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 0.1";
        let finished = run(shell(script), dir.path(), long(), None).expect("ends well");
        assert_eq!(finished.output, "done\n");
        let usage = finished.usage;
        assert!(usage.wall_s >= 0.1 && usage.cpu_s > 0.0 && usage.cpu_s < 60.0, "{usage:?}");
        assert!(usage.peak_resident_bytes.is_some_and(|bytes| bytes > 100_000), "{usage:?}");
    }

    #[test]
    fn a_failed_child_is_an_error_with_what_it_said() {
        let dir = tempfile::tempdir().expect("scratch");
        let error = run(shell("echo no space left >&2; exit 3"), dir.path(), long(), None).expect_err("it failed");
        assert!(error.to_string().contains("no space left") && error.to_string().contains('3'), "{error}");
    }

    #[test]
    fn a_child_that_takes_too_long_is_ended_and_the_error_says_what_to_do() {
        let dir = tempfile::tempdir().expect("scratch");
        let began = Instant::now();
        let mut command = Command::new("sleep");
        command.arg("60");
        let error = run(command, dir.path(), Deadline::after(Duration::from_millis(50)), None).expect_err("no time");
        assert!(error.to_string().contains("--time-max"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_system_is_told_to_kill_a_child_when_its_parent_ends() {
        let dir = tempfile::tempdir().expect("scratch");
        let mut command = Command::new("setpriv");
        command.arg("--dump");
        let finished = run(command, dir.path(), long(), None).expect("ends well");
        let told = finished.output.lines().find(|line| line.starts_with("Parent death signal"));
        assert!(told.is_some_and(|line| line.to_ascii_lowercase().contains("kill")), "{}", finished.output);
    }

    #[test]
    fn what_is_fed_arrives_and_the_input_ends() {
        let dir = tempfile::tempdir().expect("scratch");
        let feed: Feed = Box::new(|mut stdin: ChildStdin| stdin.write_all(b"one\ntwo\n"));
        let finished = run(shell("wc -l"), dir.path(), long(), Some(feed)).expect("ends well");
        assert_eq!(finished.output.trim(), "2");
    }
}
