//! A fault at every single call of the lake, one run for each: refused, and done with its answer lost.
//!
//! `Refresh` is not here: a run opens its tables and from then on reads through its commits; it never refreshes.

use super::lives::{tables_of_one_life, three_lives, wrong_tables};
use super::scene::Scene;
use watertight_adapters::memory::lake::{LakeCall, LakeFault};
use watertight_core::port::ErrorKind;

/// Strikes call after call until there is none left to strike. `calls_min`: as many there are at least.
fn struck_at_every(call: LakeCall, calls_min: usize) {
    let expected = tables_of_one_life();
    let faults = [
        ("refused", LakeFault::reject(call, ErrorKind::Retry)),
        ("done, its answer lost", LakeFault::lose_answer(call)),
    ];
    let mut troubles = Vec::new();
    for (what, fault) in faults {
        let mut skip = 0;
        loop {
            let scene = Scene::new();
            scene.lake.script(fault.clone().after(skip));
            let mut found = three_lives(&scene);
            if scene.lake.faults_left() > 0 {
                break;
            }
            found.extend(wrong_tables(&scene, &expected));
            troubles.extend(found.into_iter().map(|trouble| format!("{call:?} {skip} {what}: {trouble}")));
            skip += 1;
        }
        assert!(skip >= calls_min, "{call:?} was struck {skip} times only");
    }
    assert!(troubles.is_empty(), "{} troubles\n{}", troubles.len(), troubles.join("\n"));
}

#[test]
fn any_opening_of_a_table_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LakeCall::Open, 18); // Six tables, three lives.
}

#[test]
fn any_look_at_a_table_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LakeCall::Look, 15); // Five tables, of which one is not there; three copies of the books.
}

#[test]
fn a_lost_answer_or_a_refusal_at_any_staging_leaves_the_tables_as_they_would_have_been() {
    struck_at_every(LakeCall::Stage, 16);
}

#[test]
fn a_lost_answer_or_a_refusal_at_any_commit_leaves_the_tables_as_they_would_have_been() {
    struck_at_every(LakeCall::Commit, 16);
}

#[test]
fn any_reading_of_commits_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LakeCall::CommitsAfter, 10); // The books, and what the third life catches up with.
}

#[test]
fn any_listing_of_files_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LakeCall::LiveFiles, 5); // The definitions in each life, ids and windows where they are rebuilt.
}

#[test]
fn any_reading_of_a_file_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LakeCall::Read, 5);
}
