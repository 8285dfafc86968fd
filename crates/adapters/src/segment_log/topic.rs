//! A topic's own file, and how topics are made, grown and removed.
//!
//! Contract: `topic.json` is replaced whole (temporary file, fsync, rename, folder fsync) under the root's lock; a
//! folder without it is no topic. A recreated topic has another incarnation, and a tag made of it stands in every
//! block, so that bytes of another life are never taken for its own.

use super::Inner;
use super::disk::{Locking, Wait, lock};
use super::mark::Mark;
use super::partition::{LOCK_FILE, MARK_FILE};
use crate::folders::sync_dir;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use watertight_core::port::{ErrorKind, PortError, TopicInfo};
use watertight_core::steps::{
    LOG_PARTITION_NAMES, LOG_PARTITION_SYNC, LOG_TOPIC_FILE_NAMES, LOG_TOPIC_FILE_RENAME, LOG_TOPIC_FILE_SYNC,
    LOG_TOPIC_NAMES, LOG_TOPIC_REMOVE, LOG_TOPIC_REMOVE_NAMES, Steps,
};

const TOPIC_FILE: &str = "topic.json";
/// Names with `~` cannot be topics.
const ROOT_LOCK_FILE: &str = "lock~";
const REMOVED_PREFIX: &str = "removed~";
const FORMAT: u32 = 1;
/// Each partition is a folder and a few open files.
const PARTITIONS_MAX: i32 = 10_000;

#[derive(Debug, Serialize, Deserialize)]
struct TopicFile {
    format: u32,
    incarnation: String,
    partitions: i32,
    created_us: i64,
}

/// Checks a topic's name against Kafka's allow-list, which also makes it safe as a folder's name.
pub(super) fn check_name(topic: &str) -> Result<(), PortError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=249).contains(&topic.len()) && topic != "." && topic != ".." && topic.chars().all(allowed) {
        return Ok(());
    }
    Err(PortError::new(
        ErrorKind::Stop,
        "a topic's name has 1 to 249 letters, digits, `.`, `_` or `-`, and is not `.` or `..`",
    ))
}

/// The tag of an incarnation, as blocks and marks carry it.
pub(super) fn tag_of(incarnation: &str) -> u32 {
    crc32c::crc32c(incarnation.as_bytes())
}

/// Makes the names on the way to a topic's file durable: it may have been made by a process that died before that.
pub(super) fn settle_names(inner: &Inner, topic: &str) -> io::Result<()> {
    inner.steps.take(LOG_TOPIC_FILE_NAMES, || sync_dir(&inner.root.join(topic)))?;
    inner.steps.take(LOG_TOPIC_NAMES, || sync_dir(&inner.root))
}

/// Reads a topic's file; `None` where there is no such topic.
pub(super) fn read_topic(root: &Path, topic: &str) -> Result<Option<TopicInfo>, PortError> {
    check_name(topic)?;
    Ok(read_file(root, topic)?.map(|file| info(topic, file)))
}

/// Names of the topics, in order, without internal ones. A folder without a topic's file is none.
pub(super) fn list_topics(root: &Path) -> Result<Vec<String>, PortError> {
    let failed = |e| PortError::io("cannot list the topics of the log", e);
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
        let is_topic = check_name(&name).is_ok() && root.join(&name).join(TOPIC_FILE).is_file();
        if is_topic && !name.starts_with("__") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn info(topic: &str, file: TopicFile) -> TopicInfo {
    TopicInfo { name: topic.to_owned(), incarnation: file.incarnation, partitions: file.partitions }
}

fn read_file(root: &Path, topic: &str) -> Result<Option<TopicFile>, PortError> {
    let bytes = match fs::read(root.join(topic).join(TOPIC_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(PortError::io(format!("cannot read the file of topic {topic}"), error)),
    };
    let file: TopicFile = serde_json::from_slice(&bytes).map_err(|e| {
        let message = format!("{TOPIC_FILE} of topic {topic} is damaged; restore it from a backup");
        PortError::caused(ErrorKind::Corrupt, message, e)
    })?;
    if file.format != FORMAT {
        let message = format!("topic {topic} has format {}, this program knows {FORMAT}; use a newer one", file.format);
        return Err(PortError::new(ErrorKind::Stop, message));
    }
    Ok(Some(file))
}

/// Makes a topic or adds partitions to it.
pub(super) fn create_topic(inner: &Inner, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
    check_name(topic)?;
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        let message = format!("topic {topic} cannot have {partitions} partitions; choose 1 to {PARTITIONS_MAX}");
        return Err(PortError::new(ErrorKind::Stop, message));
    }
    let failed = |e| PortError::io(format!("cannot make topic {topic}"), e);
    with_root_lock(inner, || {
        let (file, present) = match read_file(&inner.root, topic)? {
            Some(file) if file.partitions >= partitions => return Ok(info(topic, file)),
            Some(file) => {
                let present = file.partitions;
                (TopicFile { partitions, ..file }, present)
            }
            None => {
                let incarnation = inner.ids.fresh();
                let created_us = inner.clock.now_us();
                (TopicFile { format: FORMAT, incarnation, partitions, created_us }, 0)
            }
        };
        let path = inner.root.join(topic);
        make_dir(&path, &inner.root, &inner.steps).map_err(failed)?;
        for partition in present..partitions {
            make_partition(&path, partition, tag_of(&file.incarnation), &inner.steps).map_err(failed)?;
        }
        replace_file(&path, &file, &inner.steps).map_err(failed)?;
        Ok(info(topic, file))
    })
}

/// Removes a topic with all its records; false where there was none.
pub(super) fn remove_topic(inner: &Inner, topic: &str) -> Result<bool, PortError> {
    check_name(topic)?;
    let failed = |e| PortError::io(format!("cannot remove topic {topic}"), e);
    with_root_lock(inner, || {
        let Some(file) = read_file(&inner.root, topic)? else { return Ok(false) };
        let aside = inner.root.join(format!("{REMOVED_PREFIX}{:08x}", tag_of(&file.incarnation)));
        remove_dir(&aside).map_err(failed)?;
        inner.steps.take(LOG_TOPIC_REMOVE, || fs::rename(inner.root.join(topic), &aside)).map_err(failed)?;
        inner.steps.take(LOG_TOPIC_REMOVE_NAMES, || sync_dir(&inner.root)).map_err(failed)?;
        remove_dir(&aside).map_err(failed)?;
        Ok(true)
    })
}

fn with_root_lock<T>(inner: &Inner, work: impl FnOnce() -> Result<T, PortError>) -> Result<T, PortError> {
    let failed = |e| PortError::io("cannot lock the folder of the log", e);
    let path = inner.root.join(ROOT_LOCK_FILE);
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
    match lock(&file, Wait::Block).map_err(failed)? {
        Locking::Held(_flock) => work(),
        Locking::Busy => Err(PortError::new(ErrorKind::Retry, "the folder of the log is locked; try again")),
    }
}

fn make_partition(topic_path: &Path, partition: i32, tag: u32, steps: &Steps) -> io::Result<()> {
    let path: PathBuf = topic_path.join(partition.to_string());
    refuse_records(&path)?;
    // Left by an attempt that died before the topic's file named it: it holds nothing that was acked.
    remove_dir(&path)?;
    make_dir(&path, topic_path, steps)?;
    File::create(path.join(LOCK_FILE))?;
    let mut mark = File::create(path.join(MARK_FILE))?;
    mark.write_all(&Mark::EMPTY.encode(tag))?;
    steps.take(LOG_PARTITION_SYNC, || mark.sync_all())?;
    steps.take(LOG_PARTITION_NAMES, || sync_dir(&path))
}

/// A partition that no topic's file names and that holds segments is no leftover: its topic's file was lost.
fn refuse_records(partition: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(partition) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        if Path::new(&entry?.file_name()).extension().is_some_and(|ending| ending == "seg") {
            let message = format!(
                "{} holds records, but the topic's file {TOPIC_FILE} does not name it: nothing is made anew over them; \
                 restore that file from a backup, or move the topic's folder away to begin a new topic",
                partition.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(())
}

fn replace_file(path: &Path, file: &TopicFile, steps: &Steps) -> io::Result<()> {
    let temporary = path.join("topic.json.new");
    let mut out = File::create(&temporary)?;
    serde_json::to_writer(&mut out, file)?;
    out.write_all(b"\n")?;
    steps.take(LOG_TOPIC_FILE_SYNC, || out.sync_all())?;
    steps.take(LOG_TOPIC_FILE_RENAME, || fs::rename(&temporary, path.join(TOPIC_FILE)))?;
    steps.take(LOG_TOPIC_FILE_NAMES, || sync_dir(path))
}

fn make_dir(path: &Path, parent: &Path, steps: &Steps) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => steps.take(LOG_TOPIC_NAMES, || sync_dir(parent)),
    }
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
