use super::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    hash: u64,
    number: u32,
}

impl Record for Pair {
    const BYTES: usize = 12;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let hash = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        Self { hash, number: u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")) }
    }

    fn spread(&self) -> u64 {
        self.hash
    }

    /// The smallest number of each hash.
    fn condense(records: &mut Vec<Self>) {
        records.sort_unstable();
        records.dedup_by_key(|record| record.hash);
    }
}

/// Evenly spread, and the same in each run.
fn mixed(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn drained(buckets: Buckets<Pair>, calls: &mut usize, most: &mut usize) -> BTreeMap<u64, Vec<u32>> {
    let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    let mut each = |records: &mut Vec<Pair>| {
        *calls += 1;
        *most = (*most).max(records.len());
        let mut here: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for record in records.iter() {
            here.entry(record.hash).or_default().push(record.number);
        }
        for (hash, numbers) in here {
            assert!(groups.insert(hash, numbers).is_none(), "records of one hash came in two calls");
        }
        Ok(())
    };
    buckets.drain(&mut each).expect("the disk works");
    groups
}

#[test]
fn what_is_put_in_comes_back_group_by_group_whatever_the_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    for (memory, spills) in [(1 << 20, false), (4096, true), (0, true)] {
        let mut buckets = Buckets::new(folder.path(), memory);
        for number in 0..3000_u32 {
            buckets.push(Pair { hash: mixed(u64::from(number % 1000)), number }).expect("the disk works");
        }
        assert_eq!(buckets.len(), 3000);
        assert_eq!(buckets.buckets.iter().any(|bucket| bucket.spilled > 0), spills, "memory {memory}");
        let (mut calls, mut most) = (0, 0);
        let mut groups = drained(buckets, &mut calls, &mut most);
        assert_eq!(groups.len(), 1000);
        for number in 0..1000_u32 {
            let mut numbers = groups.remove(&mixed(u64::from(number))).expect("there");
            numbers.sort_unstable();
            assert_eq!(numbers, [number, number + 1000, number + 2000]);
        }
        if spills {
            assert!(most * Pair::BYTES <= memory.max(MEMORY_BYTES_MIN) / 2, "{most} records at once");
        }
    }
}

#[test]
fn a_bucket_that_is_too_large_is_divided_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut buckets = Buckets::new(folder.path(), 1024);
    // All in one bucket of the first level, spread over those of the second.
    for number in 0..2000_u64 {
        buckets.push(Pair { hash: mixed(number) >> 6, number: number as u32 }).expect("the disk works");
    }
    let (mut calls, mut most) = (0, 0);
    let groups = drained(buckets, &mut calls, &mut most);
    assert_eq!(groups.len(), 2000);
    assert!(calls > 10 && most * Pair::BYTES <= 512, "{calls} calls, {most} records at once");
}

#[test]
fn one_hash_a_hundred_thousand_times_is_condensed_and_needs_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut buckets = Buckets::new(folder.path(), 4096);
    for number in (0..100_000_u32).rev() {
        buckets.push(Pair { hash: 7, number }).expect("the disk works");
    }
    buckets.push(Pair { hash: u64::MAX, number: 5 }).expect("the disk works");
    let (mut calls, mut most) = (0, 0);
    let groups = drained(buckets, &mut calls, &mut most);
    let first = groups[&7].iter().min();
    assert_eq!(first, Some(&0), "the record that matters is still there");
    assert!(most < 100_000, "{most} records at once");
    assert_eq!(groups[&u64::MAX], [5]);
}

#[test]
fn nothing_is_left_in_the_scratch_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut buckets = Buckets::new(folder.path(), 1024);
    for number in 0..1000_u64 {
        buckets.push(Pair { hash: mixed(number), number: 0 }).expect("the disk works");
    }
    drop(buckets);
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[test]
fn a_scratch_folder_that_is_not_there_is_said_and_not_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut buckets = Buckets::new(&folder.path().join("none"), 1024);
    let mut pushed = (0..1000_u64).map(|number| buckets.push(Pair { hash: mixed(number), number: 0 }));
    let unable = pushed.find_map(Result::err).expect("it cannot be written");
    assert!(unable.why.contains("none"), "{unable}");
}

#[test]
fn what_the_caller_cannot_do_ends_the_drain() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut buckets = Buckets::new(folder.path(), 1024);
    for number in 0..1000_u64 {
        buckets.push(Pair { hash: mixed(number), number: 0 }).expect("the disk works");
    }
    let mut calls = 0;
    let refused = buckets.drain(&mut |_| {
        calls += 1;
        Err(Unable { place: Place::default(), why: "no".to_owned() })
    });
    assert_eq!((refused.map_err(|unable| unable.why), calls), (Err("no".to_owned()), 1));
}
