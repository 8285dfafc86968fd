//! Child processes of the demo: started, killed, stopped; never left behind.
//!
//! Contract: nothing here waits without looking at the stop flag that signals raise; it then fails, and dropping ends the
//! children.

use anyhow::{Context as _, bail};
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at a child and at the stop flag.
const NAP: Duration = Duration::from_millis(20);

/// A child process; killed when dropped.
pub(super) struct Child {
    name: &'static str,
    process: std::process::Child,
    said: Option<std::path::PathBuf>,
    stop: Arc<AtomicBool>,
}

impl Child {
    /// Starts this program with other arguments; what it says goes to a file in `dir`.
    pub(super) fn start(name: &'static str, args: &[&str], dir: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let said = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&said).context("could not open a log file")?;
        let mut command = this_program()?;
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let process = command.spawn().with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, process, said: Some(said), stop: Arc::clone(stop) })
    }

    /// Starts this program with other arguments, shown.
    pub(super) fn start_shown(name: &'static str, args: &[&str], stop: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        let mut command = this_program()?;
        let process = command.args(args).stdin(Stdio::null()).spawn();
        let process = process.with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, process, said: None, stop: Arc::clone(stop) })
    }

    /// SIGKILL: no chance to clean anything up.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.must_be_alive()?;
        self.process.kill().with_context(|| format!("could not kill {}", self.name))?;
        self.process.wait().with_context(|| format!("could not wait for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM, then waits: it must end well.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        self.must_be_alive()?;
        let pid = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().context("could not run kill")?;
        if !asked.success() {
            bail!("{} could not be asked to stop", self.name);
        }
        self.wait()
    }

    /// Waits; it must end well.
    pub(super) fn wait(&mut self) -> anyhow::Result<()> {
        let ended = self.end()?;
        if ended.success() { Ok(()) } else { bail!("{} ended with {ended}{}", self.name, self.last_words()) }
    }

    /// Waits, and tells whether it ended well.
    pub(super) fn ended_well(&mut self) -> anyhow::Result<bool> {
        Ok(self.end()?.success())
    }

    /// Fails where it ended by itself.
    fn must_be_alive(&mut self) -> anyhow::Result<()> {
        match self.look()? {
            None => Ok(()),
            Some(ended) => bail!("{} ended with {ended}{}", self.name, self.last_words()),
        }
    }

    /// Waits; fails where it ends by itself meanwhile.
    pub(super) fn must_live_on(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            self.must_be_alive()?;
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(NAP.min(left));
        }
    }

    /// Waits for its end.
    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        loop {
            if let Some(ended) = self.look()? {
                return Ok(ended);
            }
            std::thread::sleep(NAP);
        }
    }

    /// Whether it has ended; fails where the demo is to stop.
    fn look(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.stop.load(Ordering::Relaxed) {
            bail!("stopped by a signal; the demo's processes were ended");
        }
        self.process.try_wait().with_context(|| format!("could not look at {}", self.name))
    }

    fn last_words(&self) -> String {
        let text = self.said.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().last().map_or(String::new(), |line| format!(": {line}"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _already_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("could not find this program's own file")?))
}
