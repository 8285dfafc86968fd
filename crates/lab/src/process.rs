//! A process, named so that it cannot be mistaken for a later one that got the same number.
//!
//! Contract: a number and the moment the process began (field 22 of /proc/PID/stat, clock ticks since the machine
//! started). A process that has ended counts as gone, also while nobody has taken note of its end (a zombie): in a
//! container the first process may never do so.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::LabError;

/// How long a killed process may take to be gone: the system frees its memory and closes its files first.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A process of this machine, as long as it has not been started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the machine started.
    pub began: u64,
}

impl ProcessId {
    /// The living process of this number; `None` if there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let began = living_since(&stat)?;
        Some(Self { pid, began })
    }

    /// Whether exactly this process runs, or is paused.
    #[must_use]
    pub fn runs(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Waits until every thread of a process that was sent SIGSTOP stands still: the call that sends it does not.
    ///
    /// # Errors
    /// When it goes on running.
    pub(crate) fn await_paused(self) -> Result<(), LabError> {
        let asked = Instant::now();
        while self.runs() && !self.is_paused() {
            if asked.elapsed() > GONE_WITHIN {
                let message = format!("process {} goes on although it was sent SIGSTOP", self.pid);
                return Err(LabError::Refused(message));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    fn is_paused(self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else { return false };
        // A thread that ends meanwhile has no line any more.
        threads.flatten().all(|thread| {
            let line = std::fs::read_to_string(thread.path().join("stat")).ok();
            line.as_deref().and_then(state).is_none_or(|state| state == "T")
        })
    }

    /// Ends exactly this process with SIGKILL and waits until it is gone. One that is gone already is fine.
    ///
    /// # Errors
    /// The system's, for example where it belongs to another user.
    pub fn end(self) -> Result<(), LabError> {
        let failed = |error: Errno| LabError::io(format!("could not end process {}", self.pid))(error.into());
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        // Looked at once more: from here on the handle cannot mean another process, whatever becomes of the number.
        if !self.runs() {
            return Ok(());
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(failed(error)),
        }
        let asked = Instant::now();
        while self.runs() {
            if asked.elapsed() > GONE_WITHIN {
                let message = format!("process {} did not end after SIGKILL; is its disk stuck?", self.pid);
                return Err(LabError::Refused(message));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

/// The state of the process or thread of this line of a `stat` file.
fn state(stat: &str) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().next()
}

/// When the process of this line of /proc/PID/stat began; `None` if it has ended or the line is none.
fn living_since(stat: &str) -> Option<u64> {
    // The program's name stands in parentheses and may hold any character: what follows the last one counts.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    // The state is field 3, the beginning field 22.
    let began = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(began)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number_and_from_a_dead_one() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.runs());
        let earlier = ProcessId { began: process.began - 1, ..process };
        assert!(!earlier.runs());
        earlier.end().unwrap();
        assert!(process.runs(), "another process of the same number was ended");
        process.end().unwrap();
        assert!(!process.runs(), "a zombie counts as running");
        assert!(!child.wait().unwrap().success());
        process.end().unwrap();
    }

    #[test]
    fn a_process_is_paused_when_all_its_threads_stand_still() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(!process.is_paused());
        rustix::process::kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        process.await_paused().unwrap();
        assert!(process.runs() && process.is_paused());
        process.end().unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = |name: &str, state: &str| {
            format!("7 ({name}) {state} 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 3333104 5 6 7")
        };
        assert_eq!(living_since(&line("a) S 9 (b", "S")), Some(3_333_104));
        assert_eq!(living_since(&line("java", "T")), Some(3_333_104));
        assert_eq!(living_since(&line("java", "Z")), None);
        assert_eq!(living_since("7 (java) S 1"), None);
    }
}
