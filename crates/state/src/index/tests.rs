//! The index against a plain set, with tiny memory so that it spills and merges all the time.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;

fn index_of(recent_keys_max: usize) -> (DuplicateIndex, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (DuplicateIndex::new(IndexOptions { spill_dir: dir.path().to_owned(), recent_keys_max }), dir)
}

/// Spreads a small number over all 128 bits; every fourth one stays as it is, so that one shard gets many.
fn key(n: u64) -> IdKey {
    if n.is_multiple_of(4) {
        return IdKey(u128::from(n));
    }
    let mut x = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    x ^= x >> 67;
    IdKey(x.wrapping_mul(0xBF58_476D_1CE4_E5B9_94D0_49BB_1331_11EB))
}

#[derive(Debug, Clone)]
enum Op {
    Insert(Vec<u64>),
    Mark,
    Commit(usize),
    Rollback(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop::collection::vec(0..3000_u64, 0..120).prop_map(Op::Insert),
        2 => Just(Op::Mark),
        1 => (0..4_usize).prop_map(Op::Commit),
        1 => (0..4_usize).prop_map(Op::Rollback),
    ]
}

fn settled_of(index: &DuplicateIndex) -> HashSet<u128> {
    let mut found = HashSet::new();
    let visited = index.for_each_settled(|keys| {
        for key in keys {
            assert!(found.insert(*key), "visited twice");
        }
        Ok(())
    });
    visited.unwrap();
    assert_eq!(found.len() as u64, index.settled());
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn it_answers_as_a_plain_set_does_whatever_is_marked_undone_or_spilled(
        recent_keys_max in 1..600_usize,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let (mut index, _dir) = index_of(recent_keys_max);
        let mut settled: HashSet<u128> = HashSet::new();
        let mut epochs: Vec<(Mark, Vec<u128>)> = Vec::new();
        for op in ops {
            match op {
                Op::Insert(numbers) => {
                    let keys: Vec<IdKey> = numbers.into_iter().map(key).collect();
                    let mut answers = Vec::new();
                    index.insert_batch(&keys, &mut answers).unwrap();
                    prop_assert_eq!(answers.len(), keys.len());
                    for (key, answer) in keys.iter().zip(answers) {
                        let held = settled.contains(&key.0) || epochs.iter().any(|(_, new)| new.contains(&key.0));
                        prop_assert_eq!(answer, if held { Seen::Duplicate } else { Seen::New });
                        match (held, epochs.last_mut()) {
                            (true, _) => {}
                            (false, Some((_, new))) => new.push(key.0),
                            (false, None) => { settled.insert(key.0); }
                        }
                    }
                }
                Op::Mark => epochs.push((index.mark(), Vec::new())),
                Op::Commit(at) if at < epochs.len() => {
                    let mut done: Vec<(Mark, Vec<u128>)> = epochs.drain(..=at).collect();
                    let expected: Vec<IdKey> = done.iter().flat_map(|(_, new)| new.iter().copied().map(IdKey)).collect();
                    let (mark, _) = done.pop().unwrap();
                    prop_assert_eq!(index.commit(mark).unwrap(), expected.clone());
                    settled.extend(expected.iter().map(|key| key.0));
                    for (stale, _) in done {
                        prop_assert!(matches!(index.rollback(stale), Err(StateError::StaleMark)));
                    }
                }
                Op::Rollback(at) if at < epochs.len() => {
                    let mut undone = epochs.split_off(at);
                    let count: usize = undone.iter().map(|(_, new)| new.len()).sum();
                    let (mark, _) = undone.remove(0);
                    prop_assert_eq!(index.rollback(mark).unwrap(), count as u64);
                }
                Op::Commit(_) | Op::Rollback(_) => {}
            }
            let open: usize = epochs.iter().map(|(_, new)| new.len()).sum();
            prop_assert_eq!(index.len() as usize, settled.len() + open);
        }
        prop_assert_eq!(&settled_of(&index), &settled);
        for n in 0..3000 {
            let held = settled.contains(&key(n).0) || epochs.iter().any(|(_, new)| new.contains(&key(n).0));
            prop_assert_eq!(index.contains(key(n)).unwrap(), held);
        }
    }
}

#[test]
fn a_hundred_thousand_keys_in_little_memory_are_all_found_and_their_neighbours_are_not() {
    let (mut index, _dir) = index_of(2_000);
    for n in 0..100_000_u128 {
        assert_eq!(index.insert(IdKey(n * 7 + (n << 100))).unwrap(), Seen::New);
    }
    assert!(index.spilled >= 98_000, "{}", index.spilled);
    let runs = index.shards.iter().map(|shard| shard.runs.len()).max().unwrap();
    assert!(runs <= 18, "{runs} runs in a shard: merging does not keep up");
    for n in 0..100_000_u128 {
        assert_eq!(index.insert(IdKey(n * 7 + (n << 100))).unwrap(), Seen::Duplicate);
        assert!(!index.contains(IdKey(n * 7 + 1 + (n << 100))).unwrap());
    }
    assert_eq!(index.len(), 100_000);
}

#[test]
fn keys_that_differ_in_their_lower_half_only_are_told_apart() {
    let (mut index, _dir) = index_of(100);
    for n in 0..5_000 {
        assert_eq!(index.insert(IdKey(n)).unwrap(), Seen::New);
    }
    for n in 0..5_000 {
        assert!(index.contains(IdKey(n)).unwrap());
        assert!(!index.contains(IdKey(n + 5_000)).unwrap());
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_run_is_an_error_and_never_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<u128> = (0..600).map(|n| n * 3).collect();
    let run = Run::write(dir.path(), 7, &keys).unwrap();
    assert_eq!(run.pages(), 3);
    for at in (0..3 * PAGE_BYTES as u64).step_by(13) {
        let mut byte = [0];
        run.file().read_exact_at(&mut byte, at).unwrap();
        run.file().write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        let inside = keys[(at as usize / PAGE_BYTES) * PAGE_KEYS];
        let answer = run.contains(inside, &mut PageCache::new());
        assert!(matches!(answer, Err(StateError::DamagedRun(_))), "byte {at}: {answer:?}");
        run.file().write_all_at(&byte, at).unwrap();
        assert!(run.contains(inside, &mut PageCache::new()).unwrap());
    }
    run.file().set_len(2 * PAGE_BYTES as u64).unwrap();
    assert!(matches!(run.contains(keys[599], &mut PageCache::new()), Err(StateError::DamagedRun(_))));
}

#[test]
fn swapped_pages_and_pages_of_another_run_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<u128> = (0..600).map(|n| n * 3).collect();
    let (one, two) = (Run::write(dir.path(), 1, &keys).unwrap(), Run::write(dir.path(), 2, &keys).unwrap());
    let mut page = [0; PAGE_BYTES];
    one.file().read_exact_at(&mut page, PAGE_BYTES as u64).unwrap();
    one.file().write_all_at(&page, 0).unwrap();
    assert!(matches!(one.contains(0, &mut PageCache::new()), Err(StateError::DamagedRun(_))));
    two.file().read_exact_at(&mut page, PAGE_BYTES as u64).unwrap();
    one.file().write_all_at(&page, PAGE_BYTES as u64).unwrap();
    assert!(matches!(one.contains(keys[300], &mut PageCache::new()), Err(StateError::DamagedRun(_))));
}

#[test]
fn a_page_that_claims_more_keys_than_it_has_room_for_is_an_error_however_good_its_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<u128> = (0..600).map(|n| n * 3).collect();
    let run = Run::write(dir.path(), 1, &keys).unwrap();
    let mut page = [0; PAGE_BYTES];
    run.file().read_exact_at(&mut page, 0).unwrap();
    for (keys, fits) in [(PAGE_KEYS, true), (PAGE_KEYS + 1, false)] {
        page[4..8].copy_from_slice(&(keys as u32).to_le_bytes());
        let checksum = crc32c::crc32c(&page[4..]);
        page[..4].copy_from_slice(&checksum.to_le_bytes());
        run.file().write_all_at(&page, 0).unwrap();
        let answer = run.contains(0, &mut PageCache::new());
        assert_eq!(matches!(answer, Ok(true)), fits, "{keys} keys: {answer:?}");
        assert_eq!(matches!(answer, Err(StateError::DamagedRun(_))), !fits, "{keys} keys: {answer:?}");
    }
}

#[test]
fn a_spill_that_cannot_be_written_leaves_the_set_as_it_was_and_passes_later() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    let mut index = DuplicateIndex::new(IndexOptions { spill_dir: gone.clone(), recent_keys_max: 10 });
    for n in 0..10 {
        index.insert(key(n)).unwrap();
    }
    assert!(matches!(index.insert(key(10)), Err(StateError::Io { .. })));
    assert_eq!(index.len(), 10);
    std::fs::create_dir(&gone).unwrap();
    assert_eq!(index.insert(key(10)).unwrap(), Seen::New);
    assert_eq!(index.len(), 11);
    assert!((0..11).all(|n| index.contains(key(n)).unwrap()));
}

#[test]
fn runs_leave_no_files_behind() {
    let (mut index, dir) = index_of(10);
    for n in 0..1_000 {
        index.insert(key(n)).unwrap();
    }
    assert!(index.spilled > 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
