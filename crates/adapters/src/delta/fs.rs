//! Durable file operations on local disk: a name that was answered survives SIGKILL and power loss.
//!
//! Order is everything: bytes are fsynced before their name is made, a name's directory is fsynced after it, and
//! every directory that was made on the way is fsynced into its parent. A file is never overwritten: new files are
//! created exclusively, and a log entry gets its name by `link`, which fails where the name is taken.
//!
//! [`Points`] names the moments around each durable step, so that tests and the chaos lab can fail or kill there.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Before a data file is created.
pub const DATA_CREATE: &str = "delta.data.create";
/// A data file is written, not yet fsynced.
pub const DATA_WRITTEN: &str = "delta.data.written";
/// A data file is fsynced, its directory not yet.
pub const DATA_SYNCED: &str = "delta.data.synced";
/// A data file and its directory are durable.
pub const DATA_DURABLE: &str = "delta.data.durable";
/// Before a log entry's temporary file is written.
pub const ENTRY_CREATE: &str = "delta.entry.create";
/// A log entry's temporary file is fsynced, its version not yet linked.
pub const ENTRY_SYNCED: &str = "delta.entry.synced";
/// A log entry is linked to its version, `_delta_log` not yet fsynced.
pub const ENTRY_LINKED: &str = "delta.entry.linked";
/// A log entry is durable, its answer not yet given.
pub const ENTRY_DURABLE: &str = "delta.entry.durable";

/// All points in the order a commit passes them.
pub const POINTS: [&str; 8] =
    [DATA_CREATE, DATA_WRITTEN, DATA_SYNCED, DATA_DURABLE, ENTRY_CREATE, ENTRY_SYNCED, ENTRY_LINKED, ENTRY_DURABLE];

/// What is called at each named moment; an error it returns is taken as the operating system's.
type Hook = dyn Fn(&'static str) -> io::Result<()> + Send + Sync;

/// The moments around durable steps, with nothing or a test's hook behind them.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<Hook>>);

impl Points {
    /// Calls `hook` at every point.
    pub fn new(hook: impl Fn(&'static str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Passes a point.
    ///
    /// # Errors
    /// What the hook returns.
    pub fn pass(&self, point: &'static str) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(point))
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Points(hooked)" } else { "Points" })
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// The operating system's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a new file and fsyncs it; removes what it wrote where that fails. The directory is not fsynced.
///
/// # Errors
/// `AlreadyExists`, or the operating system's.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        drop(file);
        fs::remove_file(path).ok();
    }
    written
}

/// Directories known to be durable up to a root, so that each is made and fsynced once.
#[derive(Debug)]
pub struct DurableDirs {
    root: PathBuf,
    known: HashSet<PathBuf>,
}

impl DurableDirs {
    /// Directories remembered before all are forgotten: bounds memory, costs an fsync each when passed.
    const KNOWN_MAX: usize = 4096;

    /// `root` and everything above it is made durable with the first directory below it.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, known: HashSet::new() }
    }

    /// Makes `dir` with all its parents, each name fsynced into its parent. A directory met for the first time is
    /// fsynced even where it exists: whoever made it may have been killed before doing so. Paths are absolute.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ensure(&mut self, dir: &Path) -> io::Result<()> {
        if self.known.contains(dir) {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut made = true;
        match (fs::create_dir(dir), parent) {
            (Ok(()), _) => {}
            (Err(error), _) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => made = false,
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                self.ensure(parent)?;
                fs::create_dir(dir).or_else(|error| if dir.is_dir() { Ok(()) } else { Err(error) })?;
            }
            (Err(error), _) => return Err(error),
        }
        if let Some(parent) = parent {
            let below_root = parent.starts_with(&self.root);
            if below_root {
                self.ensure(parent)?;
            }
            // Above the root, folders that were there are none of ours, and may not be readable to us.
            if made || below_root {
                sync_dir(parent)?;
            }
        }
        if self.known.len() >= Self::KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(dir.to_owned());
        Ok(())
    }

    /// Forgets `dir`: somebody removed it.
    pub fn forget(&mut self, dir: &Path) {
        self.known.remove(dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_directories_is_made_once_and_again_after_it_was_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut dirs = DurableDirs::new(scratch.path().join("lake"));
        let deep = scratch.path().join("lake/bronze/t/_event_date=2026-01-01");
        dirs.ensure(&deep).unwrap();
        assert!(deep.is_dir());
        fs::remove_dir(&deep).unwrap();
        dirs.forget(&deep);
        dirs.ensure(&deep).unwrap();
        assert!(deep.is_dir());
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("lake"), b"").unwrap();
        let mut dirs = DurableDirs::new(scratch.path().join("lake"));
        assert!(dirs.ensure(&scratch.path().join("lake/x")).is_err());
        assert!(dirs.ensure(&scratch.path().join("lake")).is_err());
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        write_new(&path, b"one").unwrap();
        assert_eq!(write_new(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
