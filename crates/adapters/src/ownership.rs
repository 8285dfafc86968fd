//! Who owns a lake: the pipeline's identity, made once, and the lock that lets one process run it.
//!
//! `<lake>/_watertight/pipeline.json` holds name and uuid; every table carries the uuid too, and a table of another
//! uuid is refused. `<lake>/_watertight/lock` is held with `flock` while a pipeline runs; its text says by whom. The
//! lock is for people: what keeps two writers apart is compare and set on positions.

use crate::folders;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use watertight_core::port::{ErrorKind, Ids, PortError};
use watertight_core::steps::{IDENTITY_NAMES, IDENTITY_RENAME, IDENTITY_SYNC, Steps};

/// The folder of our own files inside a lake; Delta readers never look at it.
pub const OWN_FOLDER: &str = "_watertight";

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    pipeline: String,
    uuid: String,
}

/// The identity of the pipeline that owns a lake.
///
/// # Errors
/// `Stop` where the lake belongs to another pipeline, or the identity is lost while there are tables.
pub fn pipeline_uuid(lake: &Path, pipeline: &str, ids: &dyn Ids, steps: &Steps) -> Result<String, PortError> {
    if let Some(uuid) = known_uuid(lake, pipeline)? {
        // Whoever wrote it may have died before its name was durable.
        let failed = |error| PortError::io("could not make the lake's identity durable", error);
        steps.take(IDENTITY_NAMES, || folders::sync_dir(&lake.join(OWN_FOLDER))).map_err(failed)?;
        return Ok(uuid);
    }
    if let Some(uuid) = uuid_of_tables(lake)? {
        tracing::warn!(lake = %lake.display(), "the lake's identity file was missing; taken from its tables");
        write_identity(lake, pipeline, &uuid, steps)?;
        return Ok(uuid);
    }
    let uuid = ids.fresh();
    write_identity(lake, pipeline, &uuid, steps)?;
    Ok(uuid)
}

/// The uuid in the lake's identity file; `None` where there is no such file.
///
/// # Errors
/// `Stop` where it names another pipeline; `Corrupt` where it cannot be read as one.
pub fn known_uuid(lake: &Path, pipeline: &str) -> Result<Option<String>, PortError> {
    let path = identity_path(lake);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PortError::io(format!("could not read {}", path.display()), error)),
    };
    let identity: Identity = serde_json::from_str(&text).map_err(|error| {
        let advice = "is damaged; delete it: the identity is taken from the tables again";
        PortError::caused(ErrorKind::Corrupt, format!("{} {advice}", path.display()), error)
    })?;
    if identity.pipeline != pipeline {
        let message = format!(
            "the lake {} belongs to pipeline '{}', not to '{pipeline}'; give each pipeline a lake folder of its own",
            lake.display(),
            identity.pipeline
        );
        return Err(PortError::new(ErrorKind::Stop, message));
    }
    Ok(Some(identity.uuid))
}

fn identity_path(lake: &Path) -> PathBuf {
    lake.join(OWN_FOLDER).join("pipeline.json")
}

/// Any table's `watertight.pipeline`, from the first entry of its log.
fn uuid_of_tables(lake: &Path) -> Result<Option<String>, PortError> {
    for schema in ["bronze", "silver", "gold", "ops"] {
        let Ok(tables) = std::fs::read_dir(lake.join(schema)) else { continue };
        for table in tables {
            let table = table.map_err(|e| PortError::io("could not list the lake", e))?;
            let first = table.path().join("_delta_log/00000000000000000000.json");
            let Ok(text) = std::fs::read_to_string(first) else { continue };
            let mut uuids = text.lines().filter_map(|line| {
                let action: serde_json::Value = serde_json::from_str(line).ok()?;
                action["metaData"]["configuration"]["watertight.pipeline"].as_str().map(str::to_owned)
            });
            if let Some(uuid) = uuids.next_back() {
                return Ok(Some(uuid));
            }
        }
    }
    Ok(None)
}

fn write_identity(lake: &Path, pipeline: &str, uuid: &str, steps: &Steps) -> Result<(), PortError> {
    let path = identity_path(lake);
    let failed = |error| PortError::io(format!("could not write {}", path.display()), error);
    let folder = lake.join(OWN_FOLDER);
    folders::make(&folder, steps).map_err(failed)?;
    let temporary = folder.join("pipeline.json.tmp");
    let identity = Identity { pipeline: pipeline.to_owned(), uuid: uuid.to_owned() };
    let text = serde_json::to_string(&identity)
        .map_err(|e| PortError::caused(ErrorKind::Bug, "the identity could not be written as JSON", e))?;
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    steps.take(IDENTITY_SYNC, || file.sync_all()).map_err(failed)?;
    steps.take(IDENTITY_RENAME, || std::fs::rename(&temporary, &path)).map_err(failed)?;
    steps.take(IDENTITY_NAMES, || folders::sync_dir(&folder)).map_err(failed)
}

/// The right to run a lake's pipeline, held until dropped (or until the process dies, however).
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock, or says who holds it.
    ///
    /// # Errors
    /// `Fenced` where another process runs this pipeline.
    pub fn take(lake: &Path, steps: &Steps) -> Result<Self, PortError> {
        let path = lake.join(OWN_FOLDER).join("lock");
        let failed = |error| PortError::io(format!("could not lock {}", path.display()), error);
        folders::make(lake, steps).and_then(|()| folders::make(&lake.join(OWN_FOLDER), steps)).map_err(failed)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        let mut locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        // Whoever only asks for the holder has the lock for a moment too.
        for _ in 0..20 {
            if locked != Err(rustix::io::Errno::WOULDBLOCK) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        }
        if let Err(error) = locked {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            let holder = named_holder(&mut file);
            let message = format!("the pipeline of lake {} is being run by {holder}; stop it first", lake.display());
            return Err(PortError::new(ErrorKind::Fenced, message));
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        write!(file, "process {}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Who runs the lake's pipeline now; `None` when nobody does.
    #[must_use]
    pub fn holder(lake: &Path) -> Option<String> {
        let mut file = File::open(lake.join(OWN_FOLDER).join("lock")).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Some(named_holder(&mut file)),
            _ => None,
        }
    }
}

fn named_holder(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => holder.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemIds;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let lake = tempfile::tempdir().expect("scratch");
        let first = pipeline_uuid(lake.path(), "market", &SystemIds, &Steps::default()).expect("made");
        assert_eq!(pipeline_uuid(lake.path(), "market", &SystemIds, &Steps::default()).expect("read"), first);
    }

    #[test]
    fn a_lake_of_another_pipeline_is_refused_by_name() {
        let lake = tempfile::tempdir().expect("scratch");
        pipeline_uuid(lake.path(), "market", &SystemIds, &Steps::default()).expect("made");
        let error = pipeline_uuid(lake.path(), "weather", &SystemIds, &Steps::default()).expect_err("another's");
        assert!(error.message.contains("belongs to pipeline 'market'"), "{error}");
    }

    #[test]
    fn a_lost_identity_file_is_taken_from_the_tables() {
        let lake = tempfile::tempdir().expect("scratch");
        let log = lake.path().join("bronze/ticks/_delta_log");
        std::fs::create_dir_all(&log).expect("made");
        let action = r#"{"metaData":{"configuration":{"watertight.pipeline":"u-1"}}}"#;
        std::fs::write(log.join("00000000000000000000.json"), action).expect("written");
        assert_eq!(pipeline_uuid(lake.path(), "market", &SystemIds, &Steps::default()).expect("found"), "u-1");
    }

    #[test]
    fn a_second_runner_is_told_who_runs() {
        let lake = tempfile::tempdir().expect("scratch");
        let held = RunLock::take(lake.path(), &Steps::default()).expect("free");
        let error = RunLock::take(lake.path(), &Steps::default()).expect_err("held");
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(RunLock::holder(lake.path()).is_some());
        drop(held);
        assert_eq!(RunLock::holder(lake.path()), None);
        RunLock::take(lake.path(), &Steps::default()).expect("free again");
    }
}
