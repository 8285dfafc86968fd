//! The checkpoint is kept whatever happens to its folder, and never claims ids that it lacks.

use super::*;
use arrow::datatypes::{DataType, Field, Schema};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use watertight_adapters::memory::lake::MemoryLake;
use watertight_core::port::{Lake, TableSpec};
use watertight_core::steps::{Course, STATE_BASE_WRITE, STATE_DELTA_WRITE, Steps};

const NO_SPACE: i32 = 28;

fn silver() -> Box<dyn LakeTable> {
    let columns =
        vec![Field::new("event_id", DataType::Utf8, true), Field::new("_event_date", DataType::Date32, false)];
    let spec = TableSpec {
        schema_name: "silver".into(),
        table: "s".into(),
        columns: Arc::new(Schema::new(columns)),
        partition_column: "_event_date".into(),
        pipeline: "p".into(),
    };
    MemoryLake::default().open(&spec).expect("a new table")
}

fn folder(dir: &TempDir, steps: Steps) -> StateFolder {
    StateFolder { path: dir.path().join("state"), steps }
}

/// A way to take steps of which `which` fails while the flag is set.
fn failing(which: &'static str) -> (Steps, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&full);
    let steps = Steps::new(move |step, _| {
        if step == which && flag.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(NO_SPACE));
        }
        Ok(Course::Take)
    });
    (steps, full)
}

/// An epoch that brings the id of that number, and becomes the version of that number.
fn commit(known: &mut KnownIds, version: u64) {
    let key = known.hasher().hash(&version.to_le_bytes());
    known.index.insert(key).expect("in memory");
    known.committed(version, &[key]);
}

/// What a start would find: the version covered, and those of the ids of versions `1..=9` that are there.
fn kept(folder: &StateFolder) -> (Option<u64>, Vec<u64>) {
    let identity = StateIdentity { pipeline: "p".into(), what: "silver.s.ids".into(), format: FORMAT };
    let mut store = StateStore::open(folder, identity).expect("nobody else has it");
    let options = IndexOptions::new(store.dir());
    let Load::Loaded(mut loaded) = store.load(&options).expect("readable") else { return (None, Vec::new()) };
    let hasher = IdHasher::new("p");
    let there = (1..=9_u64).filter(|n| loaded.index.contains(hasher.hash(&n.to_le_bytes())).expect("in memory"));
    let there = there.collect();
    (loaded.upto, there)
}

#[test]
fn a_state_folder_that_is_deleted_while_running_is_made_anew() {
    let dir = TempDir::new().expect("a folder");
    let folder = folder(&dir, Steps::default());
    let mut known = KnownIds::open(&folder, "p", "s", silver().as_ref(), &|_, _| ()).expect("an empty index");
    commit(&mut known, 1);
    std::fs::remove_dir_all(&folder.path).expect("it is there");
    commit(&mut known, 2);
    commit(&mut known, 3);
    drop(known);
    assert_eq!(kept(&folder), (Some(3), vec![1, 2, 3]));
}

#[test]
fn ids_whose_append_failed_are_in_the_checkpoint_before_it_claims_a_later_version() {
    let dir = TempDir::new().expect("a folder");
    let (steps, full) = failing(STATE_DELTA_WRITE);
    let folder = folder(&dir, steps);
    let mut known = KnownIds::open(&folder, "p", "s", silver().as_ref(), &|_, _| ()).expect("an empty index");
    commit(&mut known, 1);
    full.store(true, Ordering::SeqCst);
    commit(&mut known, 2);
    full.store(false, Ordering::SeqCst);
    commit(&mut known, 3);
    drop(known);
    assert_eq!(kept(&folder), (Some(3), vec![1, 2, 3]));
}

#[test]
fn a_checkpoint_that_cannot_be_written_at_the_start_stops_nothing_and_is_written_later() {
    let dir = TempDir::new().expect("a folder");
    let (steps, full) = failing(STATE_BASE_WRITE);
    let folder = folder(&dir, steps);
    full.store(true, Ordering::SeqCst);
    let mut known = KnownIds::open(&folder, "p", "s", silver().as_ref(), &|_, _| ()).expect("it is a cache");
    commit(&mut known, 1);
    full.store(false, Ordering::SeqCst);
    commit(&mut known, 2);
    assert!(known.base_failed.is_some(), "not tried again at every commit");
    known.base_failed = None; // As if the time were over.
    commit(&mut known, 3);
    drop(known);
    assert_eq!(kept(&folder), (Some(3), vec![1, 2, 3]));
}
