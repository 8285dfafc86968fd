//! The program at work beside a test, and waiting for what comes of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that anything is waited for: far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child that is killed when the test ends, however.
pub(super) struct Running {
    child: Child,
    err: PathBuf,
}

impl Running {
    /// Starts it. What it prints goes to files in `dir` that are named after the command: `run.out`, `run.err`.
    pub(super) fn start(dir: &Path, arguments: &[&str]) -> Self {
        let file = |ending: &str| dir.join(format!("{}.{ending}", arguments[0]));
        let err = file("err");
        let child = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(arguments)
            .current_dir(dir)
            .env_remove("WATERTIGHT_LOG")
            .stdin(Stdio::null())
            .stdout(File::create(file("out")).expect("made"))
            .stderr(File::create(&err).expect("made"))
            .spawn()
            .expect("the program starts");
        Self { child, err }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard error so far.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub(super) fn is_at_work(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }

    /// Sends a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its exit code, once it has ended by itself.
    pub(super) fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        while self.is_at_work() {
            assert!(began.elapsed() < PATIENCE, "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.wait().expect("it ended").code()
    }

    /// Tells it to stop; gives its exit code.
    pub(super) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `holds` has an answer. Where it has none for too long, what the children in `dir` printed is shown.
pub(super) fn until<T>(dir: &Path, what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = holds() {
            return value;
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "waited in vain: {what}\n{}", printed(dir));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn printed(dir: &Path) -> String {
    let text = |name| fs::read_to_string(dir.join(name)).unwrap_or_default();
    ["run.err", "verify.out", "verify.err"].map(text).concat()
}
