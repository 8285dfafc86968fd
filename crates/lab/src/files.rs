//! Files that are there whole or not at all, locks between processes, and the ends of logs.
//!
//! Never: an fsync. What a lab writes may be lost with the machine; it must not be half there after a kill.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::LabError;

/// Lines of a log that are repeated in an error: enough for the exception and where it came from.
const TAIL_LINES: usize = 20;
/// Bytes of a log in which they are looked for.
const TAIL_BYTES: u64 = 16 * 1024;

/// Writes a file under another name and renames it, so that nobody ever reads half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), LabError> {
    let beside = path.with_extension("half");
    let failed = || LabError::io(format!("could not write {}", path.display()));
    std::fs::write(&beside, text).map_err(failed())?;
    std::fs::rename(&beside, path).map_err(failed())
}

/// Reads a text; `None` where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, LabError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LabError::io(format!("could not read {}", path.display()))(error)),
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(path).map_err(LabError::io(format!("could not make {}", path.display())))
}

/// Removes a folder and all in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), LabError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LabError::io(format!("could not remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn remove_file(path: &Path) -> Result<(), LabError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LabError::io(format!("could not remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// A lock between processes, held until dropped, or until this process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process holds the lock named by this file.
    pub(crate) fn take(path: &Path) -> Result<Self, LabError> {
        let failed = || LabError::io(format!("could not lock {}", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed())?;
        file.lock().map_err(failed())?;
        Ok(Self { _file: file })
    }
}

/// The last lines of a log, or why they cannot be read.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_or_else(|error| format!("  (it cannot be read: {error})"), |text| last_lines(&text))
}

/// The last lines of what a program wrote, indented.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
