//! Checkpoints: round trips, and every kind of damage at every place.

mod forged;

use super::*;
use crate::{DuplicateIndex, IdKey, IndexOptions};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Set = BTreeSet<u128>;

fn identity() -> StateIdentity {
    StateIdentity {
        pipeline: "018f3c1e-0000-7000-8000-000000000001".into(),
        what: "silver.ticks.ids".into(),
        format: 1,
    }
}

fn folder(dir: &Path) -> StateFolder {
    StateFolder { path: dir.to_owned(), steps: Steps::default() }
}

fn options(dir: &Path) -> IndexOptions {
    IndexOptions { spill_dir: dir.to_owned(), recent_keys_max: 50 }
}

fn open(dir: &Path) -> StateStore {
    StateStore::open(&folder(dir), identity()).unwrap()
}

fn set_of(index: &DuplicateIndex) -> Set {
    let mut found = Set::new();
    let visited = index.for_each_settled(|keys| {
        found.extend(keys);
        Ok(())
    });
    visited.unwrap();
    found
}

fn loaded(dir: &Path) -> Result<(Option<u64>, Set), Rebuild> {
    match open(dir).load(&options(dir)).unwrap() {
        Load::Loaded(loaded) => Ok((loaded.upto, set_of(&loaded.index))),
        Load::Rebuild(reason) => Err(reason),
    }
}

fn index_with(dir: &Path, keys: impl IntoIterator<Item = u128>) -> DuplicateIndex {
    let mut index = DuplicateIndex::new(options(dir));
    for key in keys {
        index.insert(IdKey(key)).unwrap();
    }
    index
}

fn ids(keys: std::ops::Range<u128>) -> Vec<IdKey> {
    keys.map(IdKey).collect()
}

/// A base at version 3 with keys 0..5, then versions 4 (5..8), 5 (none), 7 (8..12) in two deltas if `rotate`.
fn small(dir: &Path, rotate: bool) -> Vec<(Option<u64>, Set)> {
    let mut store = open(dir);
    store.write_base(Some(3), &index_with(dir, 0..5)).unwrap();
    store.append_ids(Some(3), 4, &ids(5..8)).unwrap();
    if rotate {
        drop(store.compact().unwrap().unwrap()); // begun, never run: as after a crash
    }
    store.append_ids(Some(4), 5, &[]).unwrap();
    store.append_ids(Some(5), 7, &ids(8..12)).unwrap();
    [(3, 5), (4, 8), (5, 8), (7, 12)].map(|(upto, end)| (Some(upto), (0..end).collect())).to_vec()
}

fn state_files(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join(identity().what);
    let mut files: Vec<PathBuf> =
        names(&folder).unwrap().into_iter().filter(|name| name != "lock").map(|name| folder.join(name)).collect();
    files.sort();
    files
}

#[test]
fn what_was_appended_is_loaded_at_its_version() {
    for rotate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let states = small(dir.path(), rotate);
        assert_eq!(loaded(dir.path()), Ok(states[3].clone()));
        let mut store = open(dir.path());
        assert!(matches!(store.load(&options(dir.path())).unwrap(), Load::Loaded(Loaded { cut: None, .. })));
        store.append_ids(Some(7), 8, &ids(12..20)).unwrap();
        store.compact().unwrap().unwrap().run().unwrap();
        assert_eq!(state_files(dir.path()).len(), 1);
        store.append_ids(Some(8), 9, &ids(20..21)).unwrap();
        drop(store);
        assert_eq!(loaded(dir.path()), Ok((Some(9), (0..21).collect())));
    }
}

#[test]
fn every_flipped_byte_gives_an_older_version_or_a_rebuild_and_never_another_set() {
    for rotate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let states = small(dir.path(), rotate);
        for path in state_files(dir.path()) {
            let good = std::fs::read(&path).unwrap();
            for at in 0..good.len() {
                for flip in [0x01, 0x80, 0xFF] {
                    let mut bad = good.clone();
                    bad[at] ^= flip;
                    std::fs::write(&path, &bad).unwrap();
                    match loaded(dir.path()) {
                        Ok(state) => {
                            assert!(
                                states[..3].contains(&state),
                                "{} byte {at} ^ {flip:#x}: {state:?}",
                                path.display()
                            );
                        }
                        Err(reason) => assert!(!matches!(reason, Rebuild::Missing), "{reason}"),
                    }
                }
            }
            std::fs::write(&path, &good).unwrap();
        }
        assert_eq!(loaded(dir.path()), Ok(states[3].clone()));
    }
}

#[test]
fn every_truncation_and_every_addition_gives_a_version_that_was() {
    for rotate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let states = small(dir.path(), rotate);
        for path in state_files(dir.path()) {
            let good = std::fs::read(&path).unwrap();
            for length in 0..good.len() {
                std::fs::write(&path, &good[..length]).unwrap();
                if let Ok(state) = loaded(dir.path()) {
                    assert!(states[..3].contains(&state), "{} cut at {length}: {state:?}", path.display());
                }
            }
            for more in [vec![0; 1], vec![0; 4096], vec![0xFF; 100], good.clone(), good[good.len() - 40..].to_vec()] {
                std::fs::write(&path, [good.clone(), more].concat()).unwrap();
                if let Ok(state) = loaded(dir.path()) {
                    assert!(states.contains(&state), "{}: {state:?}", path.display());
                }
            }
            std::fs::remove_file(&path).unwrap();
            if let Ok(state) = loaded(dir.path()) {
                assert!(states[..3].contains(&state), "{} removed: {state:?}", path.display());
            }
            std::fs::write(&path, &good).unwrap();
        }
    }
}

#[test]
fn after_a_torn_tail_appending_goes_on_from_the_version_that_was_loaded() {
    for rotate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path(), rotate);
        for path in state_files(dir.path()).into_iter().filter(|path| path.to_string_lossy().contains("delta-")) {
            let good = std::fs::read(&path).unwrap();
            for length in (0..good.len()).step_by(3) {
                let files: Vec<_> =
                    state_files(dir.path()).into_iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
                std::fs::write(&path, &good[..length]).unwrap();
                let mut store = open(dir.path());
                let Load::Loaded(was) = store.load(&options(dir.path())).unwrap() else { panic!("the base is whole") };
                let mut expected = set_of(&was.index);
                let compacted = if length % 2 == 0 { store.compact().unwrap() } else { None };
                store.append_ids(was.upto, 100, &ids(1000..1003)).unwrap();
                expected.extend(1000..1003);
                if let Some(job) = compacted {
                    job.run().unwrap();
                }
                drop(store);
                assert_eq!(loaded(dir.path()), Ok((Some(100), expected)), "cut at {length}");
                remove_where(&dir.path().join(identity().what), |name| name != "lock").unwrap();
                for (file, bytes) in files {
                    std::fs::write(file, bytes).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_base_behind_which_its_compaction_died_at_any_step_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let states = small(dir.path(), false);
    let old: Vec<_> = state_files(dir.path()).into_iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
    let mut store = open(dir.path());
    store.load(&options(dir.path())).unwrap();
    store.compact().unwrap().unwrap().run().unwrap();
    drop(store);
    // Died before removing what was replaced: both generations are there.
    for (file, bytes) in &old {
        std::fs::write(file, bytes).unwrap();
    }
    assert_eq!(loaded(dir.path()), Ok(states[3].clone()));
    // The new base damaged, the old files still there: the old ones count.
    let new = dir.path().join(identity().what).join("base-2");
    let good = std::fs::read(&new).unwrap();
    std::fs::write(&new, &good[..good.len() - 1]).unwrap();
    assert_eq!(loaded(dir.path()), Ok(states[3].clone()));
    // Died before the rename.
    std::fs::rename(&new, new.with_extension("tmp")).unwrap();
    assert_eq!(loaded(dir.path()), Ok(states[3].clone()));
    assert!(!new.with_extension("tmp").exists());
}

#[test]
fn state_of_another_pipeline_thing_format_or_layout_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path(), false);
    let load_as = |identity: StateIdentity| {
        let mut store = StateStore::open(&folder(dir.path()), identity).unwrap();
        match store.load(&options(dir.path())).unwrap() {
            Load::Rebuild(reason) => reason,
            Load::Loaded(loaded) => panic!("{loaded:?}"),
        }
    };
    let other = StateIdentity { pipeline: "other".into(), ..identity() };
    assert_eq!(load_as(other), Rebuild::OtherPipeline(identity().pipeline));
    assert_eq!(load_as(StateIdentity { format: 2, ..identity() }), Rebuild::OtherFormat(1));
    std::fs::rename(dir.path().join("silver.ticks.ids"), dir.path().join("silver.trades.ids")).unwrap();
    let moved = StateIdentity { what: "silver.trades.ids".into(), ..identity() };
    assert_eq!(load_as(moved.clone()), Rebuild::OtherState(identity().what));
    let base = dir.path().join("silver.trades.ids/base-1");
    let mut bytes = std::fs::read(&base).unwrap();
    bytes[7] = b'9';
    std::fs::write(&base, bytes).unwrap();
    assert_eq!(load_as(moved), Rebuild::OtherLayout("base-1".into()));
}

#[test]
fn a_delta_of_another_history_is_not_taken_for_ours() {
    // Behind a base of another number of keys, and of as many at another version.
    for (upto, keys) in [(3, 6), (2, 5)] {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let states = small(one.path(), false);
        let mut store = open(two.path());
        store.write_base(Some(upto), &index_with(two.path(), 0..keys)).unwrap();
        store.append_ids(Some(upto), 4, &ids(50..60)).unwrap();
        drop(store);
        let name = "silver.ticks.ids/delta-1";
        std::fs::copy(two.path().join(name), one.path().join(name)).unwrap();
        assert_eq!(loaded(one.path()), Ok(states[0].clone()), "behind version {upto} of {keys} keys");
    }
}

#[test]
fn appends_that_would_leave_a_hole_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(matches!(store.append_ids(None, 1, &[]), Err(StateError::NoBase)));
    store.write_base(None, &index_with(dir.path(), [])).unwrap();
    assert!(matches!(store.append_ids(Some(1), 2, &[]), Err(StateError::NotNext { .. })));
    store.append_ids(None, 1, &ids(0..3)).unwrap();
    assert!(matches!(store.append_ids(Some(1), 1, &[]), Err(StateError::Backwards { .. })));
    assert!(matches!(StateStore::open(&folder(dir.path()), identity()), Err(StateError::InUse(_))));
    assert_eq!(store.upto(), Some(1));
    drop(store);
    assert_eq!(loaded(dir.path()), Ok((Some(1), (0..3).collect())));
}

#[test]
fn an_epoch_of_many_blocks_counts_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.write_base(None, &index_with(dir.path(), [])).unwrap();
    store.append_ids(None, 1, &ids(0..10_000)).unwrap();
    drop(store);
    let roomy = IndexOptions::new(dir.path());
    let upto = |dir: &Path| match open(dir).load(&roomy).unwrap() {
        Load::Loaded(loaded) => (loaded.upto, loaded.index.len()),
        Load::Rebuild(reason) => panic!("{reason}"),
    };
    assert_eq!(upto(dir.path()), (Some(1), 10_000));
    let delta = dir.path().join("silver.ticks.ids/delta-1");
    let length = std::fs::metadata(&delta).unwrap().len();
    File::options().write(true).open(&delta).unwrap().set_len(length - 1).unwrap();
    assert_eq!(upto(dir.path()), (None, 0));
}

#[test]
fn blobs_come_back_as_saved_and_no_damage_passes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.load_blob("windows").unwrap(), Blob::Rebuild(Rebuild::Missing));
    assert!(matches!(store.save_blob("../x", 1, b""), Err(StateError::Name(_))));
    for (upto, size) in [(1, 0), (2, 1), (3, 300), (4, PAYLOAD_BYTES_MAX), (5, PAYLOAD_BYTES_MAX * 2 + 17)] {
        let bytes: Vec<u8> = (0..size).map(|n| (n * 7) as u8).collect();
        store.save_blob("windows", upto, &bytes).unwrap();
        assert_eq!(store.load_blob("windows").unwrap(), Blob::Loaded { upto, bytes });
    }
    store.save_blob("windows", 9, b"forty-two bytes of something or other here").unwrap();
    let path = store.dir().join("blob-windows");
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(store.load_blob("windows").unwrap(), Blob::Rebuild(_)), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(matches!(store.load_blob("windows").unwrap(), Blob::Rebuild(_)), "cut at {at}");
    }
    std::fs::write(&path, [good.clone(), vec![0]].concat()).unwrap();
    assert!(matches!(store.load_blob("windows").unwrap(), Blob::Rebuild(_)));
    std::fs::write(&path, &good).unwrap();
    std::fs::rename(&path, store.dir().join("blob-other")).unwrap();
    assert!(matches!(store.load_blob("other").unwrap(), Blob::Rebuild(_)));
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<u16>),
    Fenced(Vec<u16>),
    Reopen,
    Compact,
    CompactLater,
    Base,
    Tear(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(any::<u16>(), 0..80);
    prop_oneof![
        8 => keys().prop_map(Step::Commit),
        2 => keys().prop_map(Step::Fenced),
        2 => Just(Step::Reopen),
        1 => Just(Step::Compact),
        1 => Just(Step::CompactLater),
        1 => Just(Step::Base),
        2 => (1..2000_u64).prop_map(Step::Tear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn through_commits_fences_compactions_tears_and_reopens_the_set_is_that_of_its_version(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let dir = tempfile::tempdir().unwrap();
        // The set at each version: what the table would say. Kept through tears: versions are never rewritten.
        let mut history: Vec<(Option<u64>, Set)> = vec![(None, Set::new())];
        let mut version = 0;
        let mut store = open(dir.path());
        let mut index = DuplicateIndex::new(options(dir.path()));
        store.write_base(None, &index).unwrap();
        let mut later = None;
        for step in steps {
            match step {
                Step::Commit(keys) | Step::Fenced(keys) if keys.is_empty() => {}
                Step::Fenced(keys) => {
                    let mark = index.mark();
                    for key in keys {
                        index.insert(IdKey(u128::from(key) << 112)).unwrap();
                    }
                    index.rollback(mark).unwrap();
                }
                Step::Commit(keys) => {
                    let (after, mut set) = history.last().cloned().unwrap();
                    let mark = index.mark();
                    for key in keys {
                        index.insert(IdKey(u128::from(key) << 112)).unwrap();
                    }
                    let new = index.commit(mark).unwrap();
                    version += 1;
                    store.append_ids(after, version, &new).unwrap();
                    set.extend(new.iter().map(|key| key.0));
                    history.push((Some(version), set));
                }
                Step::Compact => if let Some(job) = store.compact().unwrap() { job.run().unwrap(); },
                Step::CompactLater => later = store.compact().unwrap().or(later),
                Step::Base => {
                    let upto = history.last().unwrap().0;
                    store.write_base(upto, &index).unwrap();
                }
                Step::Reopen | Step::Tear(_) => {
                    // A job outlives its store and holds the lock; it may find its files replaced.
                    if let Some(job) = later.take() { drop(CompactionJob::run(job)); }
                    drop(store);
                    let mut deltas: Vec<PathBuf> = state_files(dir.path());
                    deltas.retain(|path| path.to_string_lossy().contains("delta-"));
                    let torn = match (&step, deltas.last()) {
                        (Step::Tear(bytes), Some(path)) => {
                            let length = std::fs::metadata(path).unwrap().len();
                            File::options().write(true).open(path).unwrap().set_len(length.saturating_sub(*bytes)).unwrap();
                            true
                        }
                        _ => false,
                    };
                    store = open(dir.path());
                    let Load::Loaded(loaded) = store.load(&options(dir.path())).unwrap() else { panic!("rebuild") };
                    let at = history.iter().position(|(upto, _)| *upto == loaded.upto).unwrap();
                    prop_assert!(torn || at + 1 == history.len());
                    prop_assert_eq!(set_of(&loaded.index), history[at].1.clone());
                    history.truncate(at + 1);
                    index = loaded.index;
                }
            }
        }
    }
}
