//! The folder in which inputs are kept from one measurement to the next, and in which runs take place.
//!
//! Contract: what is kept is made whole under another name and renamed, so that half an input is never measured. One
//! measurement at a time: two would measure each other. What an earlier one left behind when it was killed is removed.
//! Everything here can be deleted while nothing runs.

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RUN_PREFIX: &str = "run-";
const MAKING_PREFIX: &str = "making-";

/// The folder, held.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    /// Held with `flock` as long as this lives.
    _lock: File,
}

impl Cache {
    /// Opens `$WATERTIGHT_CACHE/bench`, by default `~/.cache/watertight/bench`.
    pub(crate) fn open() -> Result<Self> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = named("WATERTIGHT_CACHE").or_else(|| named("HOME").map(|home| home.join(".cache/watertight")));
        let base =
            base.context("neither WATERTIGHT_CACHE nor HOME is set; set WATERTIGHT_CACHE to a folder for inputs")?;
        Self::open_at(&base.join("bench"))
    }

    /// Opens a folder, which is made where there is none.
    pub(crate) fn open_at(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).with_context(|| format!("{} is no path", root.display()))?;
        std::fs::create_dir_all(&root).with_context(|| format!("could not make {}", root.display()))?;
        let path = root.join("lock");
        let lock = File::create(&path).with_context(|| format!("could not make {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another watertight-bench is at work in {}; wait for it: two would measure each other",
                root.display()
            );
        }
        let cache = Self { root, _lock: lock };
        cache.remove_left_behind()?;
        Ok(cache)
    }

    /// What `make` puts into the folder it is given, made once and kept under `name`.
    pub(crate) fn made(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let kept = self.root.join(name);
        if kept.is_dir() {
            return Ok(kept);
        }
        let making = self.root.join(format!("{MAKING_PREFIX}{name}"));
        std::fs::create_dir(&making).with_context(|| format!("could not make {}", making.display()))?;
        make(&making)?;
        std::fs::rename(&making, &kept).with_context(|| format!("could not rename {}", making.display()))?;
        Ok(kept)
    }

    /// Whether `name` is there already.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.root.join(name).is_dir()
    }

    /// A fresh folder for one run, removed when dropped. On the same file system as the inputs.
    pub(crate) fn scratch(&self) -> Result<TempDir> {
        let made = tempfile::Builder::new().prefix(RUN_PREFIX).tempdir_in(&self.root);
        made.with_context(|| format!("could not make a folder in {}", self.root.display()))
    }

    fn remove_left_behind(&self) -> Result<()> {
        let failed = || format!("could not tidy up {}; delete it", self.root.display());
        for entry in std::fs::read_dir(&self.root).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let name = entry.file_name();
            let ours = |name: &str| name.starts_with(RUN_PREFIX) || name.starts_with(MAKING_PREFIX);
            if name.to_str().is_some_and(ours) {
                std::fs::remove_dir_all(entry.path()).with_context(failed)?;
            }
        }
        Ok(())
    }
}

/// Bytes of all files below `folder`.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let failed = || format!("could not look through {}", folder.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let metadata = entry.metadata().with_context(failed)?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Copies `from`, a folder of files and folders, to `to`, which must not exist.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("could not copy {} to {}", from.display(), to.display());
    std::fs::create_dir(to).with_context(failed)?;
    for entry in std::fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().with_context(failed)?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_made_once_and_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("scratch");
        let cache = Cache::open_at(dir.path()).expect("opens");
        let half = cache.made("input", |folder| {
            std::fs::write(folder.join("half"), "x")?;
            bail!("interrupted")
        });
        assert!(half.is_err() && !cache.has("input"));
        drop(cache);
        let cache = Cache::open_at(dir.path()).expect("opens again");
        let made = cache.made("input", |folder| {
            std::fs::write(folder.join("whole"), "12345")?;
            Ok(())
        });
        let made = made.expect("made");
        assert!(made.join("whole").is_file() && !made.join("half").exists());
        let again = cache.made("input", |_| bail!("made twice")).expect("kept");
        assert_eq!((again, folder_bytes(&made).expect("counted")), (made, 5));
    }

    #[test]
    fn only_one_measurement_at_a_time_and_killed_ones_are_tidied_up() {
        let dir = tempfile::tempdir().expect("scratch");
        let cache = Cache::open_at(dir.path()).expect("opens");
        let killed = cache.scratch().expect("made").keep();
        let second = Cache::open_at(dir.path()).expect_err("held");
        assert!(second.to_string().contains("another watertight-bench"), "{second}");
        drop(cache);
        let _cache = Cache::open_at(dir.path()).expect("free again");
        assert!(!killed.exists());
    }

    #[test]
    fn a_folder_is_copied_with_everything_below_it() {
        let dir = tempfile::tempdir().expect("scratch");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("a/b")).expect("made");
        std::fs::write(from.join("a/b/c"), "12345").expect("written");
        copy_folder(&from, &to).expect("copied");
        assert_eq!(std::fs::read_to_string(to.join("a/b/c")).expect("there"), "12345");
        assert!(copy_folder(&from, &to).is_err(), "an existing one is not mixed with");
    }
}
