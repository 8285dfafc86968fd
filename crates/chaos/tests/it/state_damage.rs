//! State is a cache: whatever happens to its files between two runs costs a warning and some time, and no row.

use crate::story::{Act, LONG, Place, Size};
use std::path::{Path, PathBuf};
use watertight_core::steps;

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Deleted,
    /// Its second half is gone.
    Torn,
    /// Nothing of it is left but its name.
    Emptied,
    /// One bit of its first bytes, where it says what it is.
    HeadFlipped,
    /// One bit in its middle.
    MiddleFlipped,
    /// The byte that holds its version of the format is another one.
    OtherVersion,
    /// It is the file of another pipeline.
    Foreign,
    /// Something was written behind its end.
    Lengthened,
}

const DAMAGES: [Damage; 8] = [
    Damage::Deleted,
    Damage::Torn,
    Damage::Emptied,
    Damage::HeadFlipped,
    Damage::MiddleFlipped,
    Damage::OtherVersion,
    Damage::Foreign,
    Damage::Lengthened,
];

/// Three quarters of the events, so that the windows and ids that are kept matter for the rest.
const FIRST: Size = Size { events: 9_000, rows_max: 100 };

fn state(place: &Place) -> PathBuf {
    place.dir.join("data/lake/_watertight/state")
}

/// The files of states below a folder, without locks; their names are alike in every story.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a state folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if ["base-", "delta-", "blob-"].iter().any(|kind| name(&entry).starts_with(kind)) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// A pipeline that has carried three quarters of its events, with a checkpoint of ids that was appended to.
fn under_way(scratch: &Path, seed: u64) -> Place {
    let place = Place::new(&scratch.join("here"), &scratch.join("aside"), FIRST, seed);
    place.complete(Act::Produce);
    place.complete(Act::CatchUp);
    Place { size: LONG, ..place }
}

fn damage(path: &Path, damage: Damage, foreign: &Path) {
    let mut bytes = std::fs::read(path).expect("there");
    let half = bytes.len() / 2;
    match damage {
        Damage::Deleted => return std::fs::remove_file(path).expect("removed"),
        Damage::Torn => bytes.truncate(half),
        Damage::Emptied => bytes.clear(),
        Damage::HeadFlipped => bytes[1] ^= 0x10,
        Damage::MiddleFlipped => bytes[half] ^= 0x10,
        Damage::OtherVersion => bytes[4] = bytes[4].wrapping_add(1),
        Damage::Foreign => bytes = std::fs::read(foreign).expect("the other pipeline has it too"),
        Damage::Lengthened => bytes.extend_from_slice(b"what is this doing here"),
    }
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn every_damage_to_every_file_of_the_state_costs_a_warning_and_no_row() {
    let elsewhere = tempfile::tempdir().expect("a scratch folder");
    let other = under_way(elsewhere.path(), 52);
    let first = tempfile::tempdir().expect("a scratch folder");
    let kept: Vec<PathBuf> = files(&state(&under_way(first.path(), 51)))
        .iter()
        .map(|path| path.strip_prefix(first.path().join("here")).expect("below").to_owned())
        .collect();
    let kinds = |kind: &str| kept.iter().filter(|path| name(path).starts_with(kind)).count();
    assert!(kinds("base-") > 0 && kinds("delta-") > 0 && kinds("blob-") > 0, "{kept:?}");
    let cases: Vec<(PathBuf, Damage)> =
        kept.iter().flat_map(|path| DAMAGES.map(|damage| (path.clone(), damage))).collect();
    let failed = crate::crash_points::failures(&cases, |(path, what)| {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let place = under_way(scratch.path(), 51);
        damage(&place.dir.join(path), *what, &other.dir.join(path));
        let before = place.said().len();
        place.finish()?;
        let said = place.said().split_off(before);
        let told = said.lines().filter(|line| line.contains("rebuilding") || line.contains("was cut off")).count();
        // A file that is gone is no damage where the rest still makes a whole.
        let quiet = matches!(what, Damage::Deleted);
        if told == 1 || (quiet && told == 0) { Ok(()) } else { Err(format!("said {told} times: {said}")) }
    });
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn without_any_state_the_tables_end_exact_and_its_steps_may_fail_for_ever() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = under_way(scratch.path(), 53);
    std::fs::remove_dir_all(state(&place)).expect("removed");
    place.complete(Act::Produce);
    // No base can be written, by this run and the next: it goes on without one.
    let planted: Vec<String> = (1..20).map(|nth| format!("fail:before:{}:{nth}:5", steps::STATE_BASE_SYNC)).collect();
    for act in [Act::CatchUp, Act::Run] {
        let status = place.once(act, &planted.join(";"));
        assert!(status.success(), "{status}: {}", place.said());
    }
    place.compare().unwrap_or_else(|difference| panic!("{difference}"));
}
