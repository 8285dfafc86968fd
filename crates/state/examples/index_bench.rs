//! Times the duplicate index and its checkpoint: `cargo run -p watertight-state --example index_bench -- 1000000`.
//!
//! For each number of random keys: ns per insert, ns per lookup of a duplicate and of a new key, the longest batch of
//! 10,000, resident memory; then writing a base, loading it, and memory after that.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::error::Error;
use std::time::{Duration, Instant};
use watertight_core::steps::Steps;
use watertight_state::{DuplicateIndex, IdKey, IndexOptions, Load, Seen, StateFolder, StateIdentity, StateStore};

fn resident_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn per_key(elapsed: Duration, keys: u64) -> f64 {
    elapsed.as_nanos() as f64 / keys as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let counts: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    for count in if counts.is_empty() { vec![1_000_000, 10_000_000] } else { counts } {
        measure(count)?;
    }
    Ok(())
}

fn measure(count: u64) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(".")?;
    let mut index = DuplicateIndex::new(IndexOptions::new(dir.path()));
    let mut random = SmallRng::seed_from_u64(7);
    let mut batch: Vec<IdKey> = Vec::new();
    let mut answers = Vec::new();
    let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..count / 10_000 {
        batch.clear();
        batch.extend((0..10_000).map(|_| IdKey(random.random())));
        answers.clear();
        let mark = index.mark();
        let start = Instant::now();
        index.insert_batch(&batch, &mut answers)?;
        index.commit(mark)?;
        spent += start.elapsed();
        longest = longest.max(start.elapsed());
        assert!(answers.iter().all(|seen| *seen == Seen::New));
    }
    println!(
        "{count} keys: {:.0} ns/insert, longest batch of 10,000 {:.1} ms, resident {} MiB, peak {} MiB",
        per_key(spent, count),
        longest.as_secs_f64() * 1e3,
        resident_mib("VmRSS"),
        resident_mib("VmHWM")
    );

    let mut again = SmallRng::seed_from_u64(7);
    let looked_up = count.min(1_000_000);
    let start = Instant::now();
    for _ in 0..looked_up {
        assert!(index.contains(IdKey(again.random()))?);
    }
    println!("  {:.0} ns per duplicate found", per_key(start.elapsed(), looked_up));

    let identity = StateIdentity { pipeline: "bench".into(), what: "bench.ids".into(), format: 1 };
    let mut store = StateStore::open(&StateFolder { path: dir.path().to_owned(), steps: Steps::default() }, identity)?;
    let start = Instant::now();
    store.write_base(Some(1), &index)?;
    println!("  base written in {:.2} s", start.elapsed().as_secs_f64());
    drop(index);
    let start = Instant::now();
    match store.load(&IndexOptions::new(dir.path()))? {
        Load::Loaded(loaded) => {
            let seconds = start.elapsed().as_secs_f64();
            assert_eq!(loaded.index.len(), count);
            println!("  loaded in {seconds:.2} s, resident {} MiB", resident_mib("VmRSS"));
        }
        Load::Rebuild(reason) => return Err(reason.into()),
    }
    Ok(())
}
