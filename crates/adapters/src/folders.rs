//! Folders that survive power loss: made with their parents, every name fsynced into the folder above.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use watertight_core::steps::{FOLDER_MAKE, FOLDER_NAMES, Steps};

/// Makes the names in a folder durable.
///
/// # Errors
/// The operating system's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a folder with all its parents, durably. Those that exist are made durable too, up to the first that may not
/// be looked into: whoever made them may have died before that.
///
/// # Errors
/// The operating system's.
pub fn make(folder: &Path, steps: &Steps) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|above| above.is_dir()).map(Path::to_owned);
    DurableDirs::new(folder.clone(), steps.clone()).ensure(&folder)?;
    for parent in there.iter().flat_map(|there| there.ancestors().skip(1)) {
        match steps.take(FOLDER_NAMES, || sync_dir(parent)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            other => other?,
        }
    }
    Ok(())
}

/// Folders known to be durable up to a root, so that each is made and fsynced once.
#[derive(Debug)]
pub struct DurableDirs {
    root: PathBuf,
    known: HashSet<PathBuf>,
    steps: Steps,
}

impl DurableDirs {
    /// Folders remembered before all are forgotten: bounds memory, costs an fsync each when passed.
    const KNOWN_MAX: usize = 4096;

    /// `root`, its own name, and all that has to be made above it, is made durable with the first folder below it.
    #[must_use]
    pub fn new(root: PathBuf, steps: Steps) -> Self {
        Self { root, known: HashSet::new(), steps }
    }

    /// Makes `dir` with all its parents, each name fsynced into its parent. A folder met for the first time is
    /// fsynced even where it exists: whoever made it may have been killed before doing so. Paths are absolute.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ensure(&mut self, dir: &Path) -> io::Result<()> {
        if self.known.contains(dir) {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut made = !dir.is_dir();
        if made {
            if let Some(parent) = parent {
                self.ensure(parent)?;
            }
            match self.steps.take(FOLDER_MAKE, || fs::create_dir(dir)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !dir.is_dir() {
                        return Err(no_folder(dir));
                    }
                    made = false;
                }
                other => other?,
            }
        }
        if let Some(parent) = parent {
            let ours = dir.starts_with(&self.root);
            if parent.starts_with(&self.root) {
                self.ensure(parent)?;
            }
            // Above the root, folders that were there are none of ours, and may not be readable to us.
            if made {
                self.steps.take(FOLDER_NAMES, || sync_dir(parent))?;
            } else if ours {
                match self.steps.take(FOLDER_NAMES, || sync_dir(parent)) {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied && dir == self.root => {}
                    other => other?,
                }
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

/// "File exists" is all that the system says of a folder's path that leads through a file.
fn no_folder(dir: &Path) -> io::Error {
    let what = format!("{} is there and is not a folder: move it away, or name another folder", dir.display());
    io::Error::new(io::ErrorKind::NotADirectory, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use watertight_core::steps::{Course, Moment};

    #[test]
    fn a_path_through_a_file_names_the_file() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("data");
        fs::write(&file, "").unwrap();
        for folder in [file.clone(), file.join("lake/_watertight")] {
            let refused = make(&folder, &Steps::default()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
            let wanted = format!("{} is there and is not a folder", file.display());
            assert!(refused.to_string().starts_with(&wanted), "{refused}");
        }
    }

    #[test]
    fn a_chain_of_directories_is_made_once_and_again_after_it_was_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut dirs = DurableDirs::new(scratch.path().join("lake"), Steps::default());
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
        let mut dirs = DurableDirs::new(scratch.path().join("lake"), Steps::default());
        assert!(dirs.ensure(&scratch.path().join("lake/x")).is_err());
        assert!(dirs.ensure(&scratch.path().join("lake")).is_err());
    }

    #[test]
    fn every_new_folder_is_made_durable_in_its_parent_and_the_root_even_where_it_exists() {
        let scratch = tempfile::tempdir().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&taken);
        let steps = Steps::new(move |step, moment| {
            if moment == Moment::After {
                seen.lock().unwrap().push(step);
            }
            Ok(Course::Take)
        });
        let above = scratch.path().ancestors().count() - 1;
        make(&scratch.path().join("a/b"), &steps).unwrap();
        let taken_now = std::mem::take(&mut *taken.lock().unwrap());
        assert_eq!(taken_now[..4], [FOLDER_MAKE, FOLDER_NAMES, FOLDER_MAKE, FOLDER_NAMES]);
        assert_eq!(taken_now[4..], vec![FOLDER_NAMES; above]);
        make(&scratch.path().join("a/b"), &steps).unwrap();
        assert_eq!(taken.lock().unwrap().len(), above + 3, "whoever made it may have died before saying so");
    }
}
