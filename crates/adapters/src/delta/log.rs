//! The `_delta_log` folder: finding, reading and adding versions.
//!
//! Contract: [`LogDir::put`] gives a version its content once and for all, or changes nothing, or says that it
//! doesn't know. It never overwrites and never deletes an entry. A version is read whole: entries are fsynced before
//! they get their name, so a torn one is damage, not a race.

use super::entry::Entry;
use crate::folders::sync_dir;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::steps::{
    DELTA_ENTRY_LINK, DELTA_ENTRY_NAMES, DELTA_ENTRY_SYNC, DELTA_ENTRY_WRITE, DELTA_LOG_NAMES, Steps,
};

/// Prefix of temporary files in the log folder; readers of Delta skip such names.
const TEMP_PREFIX: &str = ".wt-";
/// A temporary file older than this belongs to nobody alive.
const TEMP_AGE_MAX: Duration = Duration::from_secs(3600);

/// The log folder of a table.
#[derive(Debug, Clone)]
pub(super) struct LogDir {
    dir: PathBuf,
    table: String,
    steps: Steps,
}

/// How an attempt to write a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is durable.
    Written,
    /// The version has content already; nothing was changed.
    Taken,
}

/// One checkpoint: its version and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckpointFiles {
    pub version: u64,
    pub paths: Vec<PathBuf>,
}

/// What a look into the folder found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Lowest and highest version with a JSON entry.
    pub versions: Option<(u64, u64)>,
    /// Complete checkpoints, newest first.
    pub checkpoints: Vec<CheckpointFiles>,
    /// Temporary files of ours.
    temps: Vec<PathBuf>,
}

impl LogDir {
    pub(super) fn new(table_root: &Path, table: &str, steps: Steps) -> Self {
        Self { dir: table_root.join("_delta_log"), table: table.to_owned(), steps }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Table name for messages.
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(super) fn path(&self, version: u64) -> PathBuf {
        self.dir.join(format!("{version:020}.json"))
    }

    /// Lists the folder; `None` where there is none. Its names are authoritative: the `_last_checkpoint` hint, which
    /// may be missing, old or torn, is not needed on a local disk.
    pub(super) fn list(&self) -> Result<Option<Listing>, PortError> {
        let what = || format!("listing the Delta log of {}", self.table);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PortError::io(what(), error)),
        };
        let mut listing = Listing::default();
        let mut parts: BTreeMap<(u64, u32), Vec<PathBuf>> = BTreeMap::new();
        for entry in entries {
            let name = entry.map_err(|error| PortError::io(what(), error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            match LogName::parse(name) {
                Some(LogName::Entry(version)) => {
                    let (low, high) = listing.versions.unwrap_or((version, version));
                    listing.versions = Some((low.min(version), high.max(version)));
                }
                Some(LogName::Checkpoint { version, parts: count }) => {
                    parts.entry((version, count)).or_default().push(self.dir.join(name));
                }
                Some(LogName::Temp) => listing.temps.push(self.dir.join(name)),
                None => {}
            }
        }
        for ((version, count), mut paths) in parts.into_iter().rev() {
            if paths.len() == count as usize {
                paths.sort();
                listing.checkpoints.push(CheckpointFiles { version, paths });
            }
        }
        Ok(Some(listing))
    }

    /// Reads a version; `None` where it does not exist.
    ///
    /// # Errors
    /// `Corrupt` where it is torn.
    pub(super) fn read(&self, version: u64) -> Result<Option<Entry>, PortError> {
        let path = self.path(version);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PortError::io(format!("reading {}", path.display()), error)),
        };
        Entry::parse(version, &bytes).map(Some).map_err(|error| {
            PortError::caused(
                error.kind,
                format!(
                    "log entry {} is damaged ({}): nothing is written over it; restore the file from a copy, or, if it \
                     is the newest and never was complete, move it away and start again",
                    path.display(),
                    error.message
                ),
                error,
            )
        })
    }

    /// Reads a version that must exist.
    pub(super) fn read_kept(&self, version: u64) -> Result<Entry, PortError> {
        self.read(version)?.ok_or_else(|| {
            PortError::new(
                ErrorKind::Stop,
                format!(
                    "version {version} of {} is gone from its Delta log: another program cleaned it up; set \
                     delta.enableExpiredLogCleanup=false and restore the entry, or read from a newer version",
                    self.table
                ),
            )
        })
    }

    /// Gives `version` its content: temporary file, fsync, `link`, fsync of the folder. `id` is unique.
    ///
    /// # Errors
    /// `Unknown` from the link on: read the version back. Before it, nothing was changed.
    pub(super) fn put(&self, version: u64, bytes: &[u8], id: &str) -> Result<Put, PortError> {
        let what = || format!("writing version {version} of {}", self.table);
        let temp = self.dir.join(format!("{TEMP_PREFIX}{id}.tmp"));
        self.write_temp(&temp, bytes).map_err(|error| PortError::io(what(), error))?;
        let mut done = false;
        let linked: io::Result<()> = self.steps.take(DELTA_ENTRY_LINK, || {
            fs::hard_link(&temp, self.path(version))?;
            done = true;
            Ok(())
        });
        fs::remove_file(&temp).ok();
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Put::Taken),
            Err(error) if done => return Err(self.unknown(version, PortError::io(what(), error))),
            Err(error) if cannot_link(&error) => {
                let advice = "this file system has no hard links, by which a version is made once and for all; \
                              put the lake on one that has (ext4, xfs, btrfs, zfs)";
                return Err(PortError::caused(ErrorKind::Stop, format!("{}: {advice}", what()), error));
            }
            Err(error) => {
                let error = PortError::io(what(), error);
                // Refusals are answered before anything happens; whatever else is said, the name may be there.
                return Err(if error.kind == ErrorKind::Retry { error } else { self.unknown(version, error) });
            }
        }
        self.steps
            .take(DELTA_ENTRY_NAMES, || sync_dir(&self.dir))
            .map_err(|error| self.unknown(version, PortError::io(what(), error)))?;
        Ok(Put::Written)
    }

    /// Writes a new file and fsyncs it; removes what it wrote where that fails. The folder is not fsynced.
    fn write_temp(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut created = None;
        let written = self
            .steps
            .take(DELTA_ENTRY_WRITE, || {
                let file = OpenOptions::new().write(true).create_new(true).open(path)?;
                created.insert(file).write_all(bytes)
            })
            .and_then(|()| self.steps.take(DELTA_ENTRY_SYNC, || created.as_ref().map_or(Ok(()), |f| f.sync_all())));
        if written.is_err() && created.is_some() {
            fs::remove_file(path).ok();
        }
        written
    }

    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> Result<(), PortError> {
        self.steps
            .take(DELTA_LOG_NAMES, || sync_dir(&self.dir))
            .map_err(|error| PortError::io(format!("syncing the Delta log of {}", self.table), error))
    }

    fn unknown(&self, version: u64, cause: PortError) -> PortError {
        PortError::caused(
            ErrorKind::Unknown,
            format!("whether version {version} of {} is durable is not known: it is read back next", self.table),
            cause,
        )
    }

    /// Removes temporary files that a killed writer left behind an hour ago or longer.
    pub(super) fn clean_temps(&self, listing: &Listing, now_us: i64) {
        let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(now_us).unwrap_or(0));
        for path in &listing.temps {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            if modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > TEMP_AGE_MAX)) {
                fs::remove_file(path).ok();
            }
        }
    }

    /// Takes an unreadable checkpoint out of readers' sight, bytes kept: it is a cache, and the entries it summed up
    /// are there. The hint goes with it: the kernel fails where that names a checkpoint which is not there.
    pub(super) fn set_aside(&self, checkpoint: &CheckpointFiles) {
        let hint = self.dir.join("_last_checkpoint");
        for path in checkpoint.paths.iter().chain(hint.exists().then_some(&hint)) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let aside = self.dir.join(format!(".damaged-{name}"));
            match fs::rename(path, &aside) {
                Ok(()) => tracing::warn!(to = %aside.display(), "an unreadable checkpoint was set aside"),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "an unreadable checkpoint could not be set aside");
                }
            }
        }
    }
}

/// Whether the file system knows no hard links at all.
fn cannot_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) || error.kind() == io::ErrorKind::Unsupported
}

/// A name in the log folder that means something to us.
#[derive(Debug, PartialEq, Eq)]
enum LogName {
    Entry(u64),
    Checkpoint { version: u64, parts: u32 },
    Temp,
}

impl LogName {
    fn parse(name: &str) -> Option<Self> {
        if name.starts_with(TEMP_PREFIX) {
            return Some(Self::Temp);
        }
        let (version, rest) = name.split_at_checked(20)?;
        if !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let version = version.parse().ok()?;
        match rest {
            ".json" => Some(Self::Entry(version)),
            ".checkpoint.parquet" => Some(Self::Checkpoint { version, parts: 1 }),
            _ => {
                let part = rest.strip_prefix(".checkpoint.")?.strip_suffix(".parquet")?;
                let (number, count) = part.split_once('.')?;
                let (number, parts): (u32, u32) = (number.parse().ok()?, count.parse().ok()?);
                (1..=parts).contains(&number).then_some(Self::Checkpoint { version, parts })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let log = LogDir::new(scratch.path(), "silver.ticks", Steps::default());
        fs::create_dir(log.dir()).unwrap();
        assert_eq!(log.put(0, b"one", "a").unwrap(), Put::Written);
        assert_eq!(log.put(0, b"two", "b").unwrap(), Put::Taken);
        assert_eq!(fs::read(log.path(0)).unwrap(), b"one");
        let temp = log.dir().join(format!("{TEMP_PREFIX}c.tmp"));
        fs::write(&temp, b"another's").unwrap();
        assert!(log.put(1, b"two", "c").is_err());
        assert_eq!((fs::read(&temp).unwrap(), log.path(1).exists()), (b"another's".to_vec(), false));
    }

    #[test]
    fn only_names_of_the_protocol_are_taken_for_entries_and_checkpoints() {
        let parse = |name: &str| LogName::parse(name);
        assert_eq!(parse("00000000000000000012.json"), Some(LogName::Entry(12)));
        assert_eq!(
            parse("00000000000000000100.checkpoint.parquet"),
            Some(LogName::Checkpoint { version: 100, parts: 1 })
        );
        assert_eq!(
            parse("00000000000000000100.checkpoint.0000000001.0000000002.parquet"),
            Some(LogName::Checkpoint { version: 100, parts: 2 })
        );
        assert_eq!(parse(".wt-abc.tmp"), Some(LogName::Temp));
        for other in ["_last_checkpoint", "12.json", "00000000000000000012.json.tmp", "x", "0000000000000000001é.json"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
