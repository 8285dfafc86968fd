//! Folders of servers that a process owns, removed with them; what a killed process left is removed by the next one.
//!
//! Contract: the folder's name holds the owner's number and beginning, so one whose owner is gone is known for sure.
//! A test that fails keeps its folder, with the logs in it, until the next lab begins.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::process::ProcessId;
use crate::{LabError, files};

/// A folder that is removed when dropped, unless its thread panics.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder of this process below `parent`, after removing those of processes that are gone.
    pub(crate) fn make(parent: &Path) -> Result<Self, LabError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        files::make_folder(parent)?;
        sweep(parent)?;
        let Some(own) = ProcessId::of(std::process::id()) else {
            return Err(LabError::Refused("/proc does not know this process; is it mounted?".to_owned()));
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}-{}-{number}", own.pid, own.began));
        files::make_folder(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("lab: the servers' logs are kept in {} until the next lab begins", self.path.display());
        } else if let Err(error) = files::remove_folder(&self.path) {
            eprintln!("lab: {}", error.in_full());
        }
    }
}

fn sweep(parent: &Path) -> Result<(), LabError> {
    let failed = || LabError::io(format!("could not list {}", parent.display()));
    for entry in std::fs::read_dir(parent).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if let Some(owner) = entry.file_name().to_str().and_then(owner)
            && !owner.runs()
        {
            // One that resists, say because another process sweeps too, is left to the next sweep.
            let _ = files::remove_folder(&entry.path());
        }
    }
    Ok(())
}

/// Whose folder it is, by its name; `None` for names that are none of ours.
fn owner(name: &str) -> Option<ProcessId> {
    let mut parts = name.split('-');
    let (pid, began, number) = (parts.next()?, parts.next()?, parts.next()?);
    let _: u64 = number.parse().ok()?;
    parts.next().is_none().then_some(())?;
    Some(ProcessId { pid: pid.parse().ok()?, began: began.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_are_gone_are_swept_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let own = ProcessId::of(std::process::id()).unwrap();
        let gone = parent.path().join(format!("{}-{}-1", own.pid, own.began - 1));
        let foreign = parent.path().join("notes");
        std::fs::create_dir_all(gone.join("broker-1")).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        let first = Scratch::make(parent.path()).unwrap();
        let second = Scratch::make(parent.path()).unwrap();
        assert!(!gone.exists() && foreign.exists() && first.path().exists() && second.path().exists());
        let path = first.path().to_path_buf();
        drop(first);
        assert!(!path.exists() && second.path().exists());
    }
}
