//! Failures of the disk at every durable step, and what is left behind.

use crate::contract::lake::{DeltaBench, LakeBench, request, rows_of, some_rows, spec, step};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use watertight_core::port::{CommitOutcome, ErrorKind};
use watertight_core::steps::Moment::{After, Before};
use watertight_core::steps::{
    DELTA_DATA_NAMES, DELTA_DATA_SYNC, DELTA_DATA_WRITE, DELTA_ENTRY_LINK, DELTA_ENTRY_NAMES, DELTA_ENTRY_SYNC,
    DELTA_ENTRY_WRITE, Moment,
};

const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

const STAGE: [(&str, Moment); 6] = [
    (DELTA_DATA_WRITE, Before),
    (DELTA_DATA_WRITE, After),
    (DELTA_DATA_SYNC, Before),
    (DELTA_DATA_SYNC, After),
    (DELTA_DATA_NAMES, Before),
    (DELTA_DATA_NAMES, After),
];
const BEFORE_THE_LINK: [(&str, Moment); 5] = [
    (DELTA_ENTRY_WRITE, Before),
    (DELTA_ENTRY_WRITE, After),
    (DELTA_ENTRY_SYNC, Before),
    (DELTA_ENTRY_SYNC, After),
    (DELTA_ENTRY_LINK, Before),
];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_full_read_only_or_forbidden_disk_leaves_nothing_torn_and_passes() {
    for code in [ENOSPC, EROFS, EACCES] {
        for point in STAGE {
            let bench = DeltaBench::new();
            let mut table = bench.lake().open(&spec()).unwrap();
            *bench.fail_at.lock().unwrap() = Some((point, code));
            assert_eq!(table.stage(3, &some_rows(0, 2, 3)).unwrap_err().kind, ErrorKind::Retry, "{point:?}");
            assert!(names(&bench.table_root().join("_event_date=1970-01-04")).is_empty(), "{point:?}");
            assert!(table.stage(3, &some_rows(0, 2, 3)).is_ok());
        }
        for point in BEFORE_THE_LINK {
            let bench = DeltaBench::new();
            let mut table = bench.lake().open(&spec()).unwrap();
            let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
            let asked = request("a", vec![step(0, None, 2)], vec![file]);
            *bench.fail_at.lock().unwrap() = Some((point, code));
            assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Retry, "{point:?}");
            assert_eq!(names(&bench.log()), ["00000000000000000000.json"], "{point:?}");
            assert_eq!(table.commit(&asked).unwrap(), CommitOutcome::Committed(1));
        }
    }
}

#[test]
fn a_failure_from_the_link_on_is_unknown_and_is_resolved_by_reading_back() {
    let link = (DELTA_ENTRY_LINK, Before);
    let behind = [(DELTA_ENTRY_LINK, After), (DELTA_ENTRY_NAMES, Before), (DELTA_ENTRY_NAMES, After)];
    for (point, made) in [(link, false)].into_iter().chain(behind.map(|point| (point, true))) {
        for code in [EIO, ENOSPC] {
            if !made && code == ENOSPC {
                continue; // a refusal before the link: nothing to resolve
            }
            let bench = DeltaBench::new();
            let mut table = bench.lake().open(&spec()).unwrap();
            let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
            let asked = request("a", vec![step(0, None, 2)], vec![file]);
            *bench.fail_at.lock().unwrap() = Some((point, code));
            let error = table.commit(&asked).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unknown, "{point:?}");
            assert_eq!(table.state().version, 0, "what is unknown is not taken for done");
            let expected = if made { CommitOutcome::AlreadyCommitted(1) } else { CommitOutcome::Committed(1) };
            assert_eq!(table.commit(&asked).unwrap(), expected, "{point:?}");
            assert_eq!(rows_of(table.as_ref(), &[]), some_rows(0, 2, 3));
            assert_eq!(names(&bench.log()).len(), 2, "no temporary file is left");
        }
    }
}

#[test]
fn an_unknown_commit_that_another_overtook_is_fenced() {
    let bench = DeltaBench::new();
    let mut table = bench.lake().open(&spec()).unwrap();
    let asked = request("a", vec![step(0, None, 2)], vec![]);
    *bench.fail_at.lock().unwrap() = Some(((DELTA_ENTRY_LINK, Before), EIO));
    assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Unknown);
    let mut other = bench.lake().open(&spec()).unwrap();
    other.commit(&request("b", vec![step(0, None, 1)], vec![])).unwrap();
    assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Fenced);
}

#[test]
fn temporary_files_of_the_dead_are_ignored_and_removed_when_old() {
    let bench = DeltaBench::new();
    bench.lake().open(&spec()).unwrap();
    let (old, new) = (bench.log().join(".wt-old.tmp"), bench.log().join(".wt-new.tmp"));
    fs::write(&old, b"{\"add\"").unwrap();
    fs::write(&new, b"{\"add\"").unwrap();
    #[expect(clippy::disallowed_methods, reason = "a file is dated back")]
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(bench.lake().open(&spec()).unwrap().state().version, 0);
    assert!(!old.exists() && new.exists());
}

#[test]
fn a_folder_that_somebody_removed_is_made_again() {
    let bench = DeltaBench::new();
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(0, 2, 3)).unwrap();
    fs::remove_file(bench.table_root().join(&file.path)).unwrap();
    fs::remove_dir(bench.table_root().join("_event_date=1970-01-04")).unwrap();
    assert!(table.stage(3, &some_rows(0, 2, 3)).is_ok());
}
