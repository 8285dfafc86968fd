//! The few calls by which the log changes a disk, so that tests can make each of them fail.
//!
//! Contract: an answer is given as the operating system gave it; nothing is retried but interrupted calls. Files are
//! opened relative to their folder's descriptor: a folder that was removed and made anew is never mixed up with it.

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::path::Path;

/// Writes, syncs and cuts.
pub(super) trait Disk: Send + Sync {
    /// Writes all slices at byte `at`. On failure: how many bytes were written, and why no more.
    fn write(&self, file: &File, slices: &[&[u8]], at: u64) -> Result<(), (u64, io::Error)>;
    /// Makes a file's bytes durable.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Makes a folder's entries durable.
    fn sync_dir(&self, dir: &File) -> io::Result<()>;
    /// Cuts a file, and makes that durable.
    fn cut(&self, file: &File, len: u64) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OsDisk;

/// Slices per call: the kernel's own limit (`IOV_MAX`).
const SLICES_MAX: usize = 1024;

impl Disk for OsDisk {
    fn write(&self, file: &File, slices: &[&[u8]], at: u64) -> Result<(), (u64, io::Error)> {
        let mut written = 0_u64;
        let mut slices: Vec<IoSlice<'_>> = slices.iter().map(|s| IoSlice::new(s)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let now = rest.len().min(SLICES_MAX);
            match rustix::io::pwritev(file, &rest[..now], at + written) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    written += n as u64;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err((written, error.into())),
            }
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, dir: &File) -> io::Result<()> {
        dir.sync_all()
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)?;
        file.sync_all()
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// To be read; it must exist.
    Read,
    /// To be read and written; it must exist.
    Write,
    /// To be read and written; it is made where it does not exist.
    Make,
}

/// Opens a file of a folder.
pub(super) fn open_in(dir: &File, name: &str, how: Open) -> io::Result<File> {
    let flags = match how {
        Open::Read => OFlags::RDONLY,
        Open::Write => OFlags::RDWR,
        Open::Make => OFlags::RDWR | OFlags::CREATE,
    };
    Ok(rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?.into())
}

/// Removes a file of a folder.
pub(super) fn remove_in(dir: &File, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
}

/// The names in a folder, without `.` and `..`, in no order.
pub(super) fn names_in(dir: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir.as_fd())? {
        if let Ok(name) = entry?.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Whether `path` still names the folder (or file) that is open as `file`.
pub(super) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = rustix::fs::fstat(file)?;
    match rustix::fs::stat(path) {
        Ok(there) => Ok(there.st_ino == here.st_ino && there.st_dev == here.st_dev),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether to wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until it is free.
    Block,
    /// Not at all.
    Try,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub(super) enum Locking<'a> {
    /// Held until dropped.
    Held(Flock<'a>),
    /// Another process (or another log in this one) holds it.
    Busy,
}

/// An exclusive `flock`, let go of when dropped (and by the kernel when the process dies).
#[derive(Debug)]
pub(super) struct Flock<'a>(&'a File);

impl Drop for Flock<'_> {
    fn drop(&mut self) {
        // The lock belongs to the open file: failing to let go of it means that it is not held.
        let _ = rustix::fs::flock(self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock of an open lock file.
pub(super) fn lock(file: &File, wait: Wait) -> io::Result<Locking<'_>> {
    let operation = match wait {
        Wait::Block => FlockOperation::LockExclusive,
        Wait::Try => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(Locking::Held(Flock(file))),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Locking::Busy),
            Err(error) => return Err(error.into()),
        }
    }
}
