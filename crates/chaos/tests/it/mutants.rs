//! Who checks the checker: faults planted in lakes of the real program, and lakes that nobody touched.
//!
//! Unset, `WATERTIGHT_SOAK_MINUTES` gives the short form of `make test`; set, campaigns go on with fresh seeds for that
//! long: each kind once in ten lakes of its own, and over again.

use std::path::Path;
use std::time::{Duration, Instant};
use watertight_mutants::{Campaign, Figures};

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
    let minutes: Option<u64> = std::env::var("WATERTIGHT_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let Some(minutes) = minutes else {
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
