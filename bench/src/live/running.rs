//! A child that runs until it is told to end.
//!
//! Contract: it never outlives this value, nor this program, nor the thread that started it. One that ends by itself is an error with the last lines it wrote.

use crate::child::{ends_with_us, failure, read};
use crate::proc_files;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// See the module.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    name: String,
    errors: PathBuf,
}

impl Running {
    /// Starts `command`. What it writes goes to files in `place`.
    pub(crate) fn start(mut command: Command, place: &Path) -> Result<Self> {
        let name = Path::new(command.get_program()).display().to_string();
        let errors = place.join("stderr");
        let file = |path: &Path| File::create(path).with_context(|| format!("could not make {}", path.display()));
        command.stdin(Stdio::null()).stdout(file(&place.join("stdout"))?).stderr(file(&errors)?);
        ends_with_us(&mut command);
        let child = command.spawn().with_context(|| format!("could not start {name}; give its path with --program"))?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid, name, errors })
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait().with_context(|| format!("could not look after {}", self.name))? {
            None => Ok(()),
            Some(status) => Err(failure(&self.name, status, &self.errors)).context("it ended before it was told to"),
        }
    }

    /// Resident memory now, bytes.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        proc_files::resident_bytes(&read(self.pid, "status")?)
    }

    /// Largest resident memory so far, bytes.
    pub(crate) fn peak_resident_bytes(&self) -> Option<u64> {
        proc_files::peak_resident_bytes(&read(self.pid, "status")?)
    }

    /// CPU time so far, of all its threads, seconds.
    pub(crate) fn cpu_s(&self) -> Option<f64> {
        proc_files::cpu_seconds(&read(self.pid, "stat")?).map(|(user_s, system_s)| user_s + system_s)
    }

    /// Ends it at once: SIGKILL. Returns when it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).with_context(|| format!("could not kill {}", self.name))?;
        Ok(())
    }

    /// Ends it the way users do, with SIGTERM; it must end well within `patience`.
    pub(crate) fn end(mut self, patience: Duration) -> Result<()> {
        kill_process(self.pid, Signal::TERM).with_context(|| format!("could not tell {} to end", self.name))?;
        let began = Instant::now();
        loop {
            match self.child.try_wait().with_context(|| format!("could not wait for {}", self.name))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(failure(&self.name, status, &self.errors)),
                None if began.elapsed() > patience => {
                    bail!("{} did not end within {} s of SIGTERM; it was killed", self.name, patience.as_secs());
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do; a child that was reaped is not signalled again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, place: &Path) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command, place).expect("started")
    }

    #[test]
    fn a_child_that_ends_well_when_told_to_is_no_error_and_another_is() {
        let dir = tempfile::tempdir().expect("scratch");
        let told = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let child = shell(told, dir.path());
        let up = || std::fs::read_to_string(dir.path().join("stdout")).is_ok_and(|text| text == "up\n");
        let began = Instant::now();
        while !up() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(LOOK_EVERY);
        }
        assert!(child.resident_bytes().is_some_and(|bytes| bytes > 10_000));
        child.end(Duration::from_secs(20)).expect("it ends well");
        let child = shell("exec sleep 60", dir.path());
        assert!(child.end(Duration::from_secs(20)).is_err(), "it was ended by a signal");
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it_and_so_with_this_program() {
        let dir = tempfile::tempdir().expect("scratch");
        let place = dir.path();
        let started = std::thread::scope(|scope| scope.spawn(move || shell("exec sleep 60", place)).join());
        let mut child = started.expect("the thread ended well");
        let began = Instant::now();
        while child.check().is_ok() {
            assert!(began.elapsed() < Duration::from_secs(20), "the child goes on");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn one_that_ends_by_itself_is_an_error_with_what_it_said() {
        let dir = tempfile::tempdir().expect("scratch");
        let mut child = shell("echo no broker >&2; exit 3", dir.path());
        let began = Instant::now();
        let error = loop {
            match child.check() {
                Err(error) => break format!("{error:#}"),
                Ok(()) => assert!(began.elapsed() < Duration::from_secs(20), "it does not end"),
            }
        };
        assert!(error.contains("no broker") && error.contains('3'), "{error}");
        shell("exec sleep 60", dir.path()).kill().expect("killed");
    }
}
