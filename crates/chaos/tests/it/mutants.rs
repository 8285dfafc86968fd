//! Who checks the checker: faults planted in lakes of the real program, and lakes that nobody touched.
//!
//! Unset, `WATERTIGHT_SOAK_MINUTES` gives the short form of `make test`; set, campaigns go on with fresh seeds for that
//! long: each kind once in ten lakes of its own, and over again.

use crate::story::soak_minutes;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watertight_mutants::campaign::Of;
use watertight_mutants::story::Story;
use watertight_mutants::{Campaign, Figures, Show, kinds};

/// Runs at once.
const THREADS: usize = 2;

fn campaign(scratch: &Path, seed: u64, lakes: usize, bases: usize, each: usize) -> Figures {
    let campaign = Campaign {
        program: env!("CARGO_BIN_EXE_watertight-planted").into(),
        seed,
        lakes,
        bases,
        each,
        kinds: Vec::new(),
        threads: THREADS,
        scratch: scratch.to_owned(),
        keep_missed: false,
    };
    campaign.run().unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
}

#[test]
fn each_planted_fault_is_found_with_its_code_and_place() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let Some(minutes) = soak_minutes() else {
        let figures = campaign(scratch.path(), 1_000, 6, 6, 2);
        assert!(figures.good(), "{figures}");
        return;
    };
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut seed, mut lakes, mut faults) = (u64::from(std::process::id()) * 1_000, 0, 0);
    while Instant::now() < until {
        let figures = campaign(scratch.path(), seed, 10, 8, 1);
        assert!(figures.good(), "seed {seed}: {figures}");
        lakes += figures.untouched.lakes;
        faults += figures.kinds.iter().map(|kind| kind.caught).sum::<usize>();
        println!("planted faults: {faults} of {} kinds, all caught; {lakes} lakes without", figures.kinds.len());
        seed += 10;
    }
}

#[test]
fn untouched_lakes_give_no_finding() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let figures = campaign(scratch.path(), 2_000, 20, 0, 0);
    assert!(figures.good() && figures.untouched.lakes == 20, "{figures}");
}

#[test]
fn a_fault_of_ones_choice_is_shown_with_what_names_it_and_only_in_tables_that_balance() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_watertight-planted"));
    let story = Story::make(&program, 3_001, &scratch.path().join("story")).expect("a story");
    let pipeline = story.dir.join("pipeline.yaml");
    let (lake, ledgers) = (story.lake, story.ledgers);
    let show = Show { program, pipeline, lake, ledgers, seed: 1, report_shown: false };
    let mutant = kinds::named("bronze-row-dropped-books-too").expect("a kind");
    let mut said: Vec<u8> = Vec::new();
    let named = show.run(mutant, &mut said).expect("shown");
    let said = String::from_utf8(said).expect("text");
    assert!(named, "{said}");
    for part in [
        "before: verify finds no fault in ",
        "planted bronze-row-dropped-books-too: ",
        "verify must say rows.unfounded at silver.",
        "named: rows.unfounded at silver.",
    ] {
        assert!(said.contains(part), "'{part}' is missing in\n{said}");
    }
    let verified = watertight_mutants::campaign::verify(&show.program, Of::Pipeline(&show.pipeline), &show.ledgers)
        .expect("verified");
    let codes: Vec<&str> = verified.faults().map(|finding| finding.code.as_str()).collect();
    assert!(codes.contains(&"ledger.missing"), "{codes:?}");
    assert!(!codes.contains(&"ledger.extra"), "the row of silver has an id that a ledger names: {codes:?}");
    let refused = show.run(mutant, &mut Vec::<u8>::new()).expect_err("there is a fault already");
    assert!(refused.to_string().contains("do not balance as they are"), "{refused:#}");
}
