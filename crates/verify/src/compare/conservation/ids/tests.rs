use super::*;

fn record(id: u128, commit: u32, partition: i32, offset: i64, flags: u8) -> IdRecord {
    IdRecord { id, commit, partition, offset, flags }
}

fn at(commit: u32, partition: i32, offset: i64) -> Position {
    Position { commit, partition, offset }
}

fn faults(records: &[IdRecord]) -> Vec<Fault> {
    let mut records = records.to_vec();
    let mut faults = Vec::new();
    judge_all(&mut records, &mut faults);
    faults
}

#[test]
fn the_first_valid_record_as_the_only_row_is_right() {
    let both = VALID | SILVER;
    assert_eq!(faults(&[record(1, 0, 0, 5, both), record(1, 0, 0, 9, VALID), record(1, 3, 2, 0, VALID)]), []);
    assert_eq!(faults(&[record(1, 0, 0, 5, VALID), record(1, 0, 1, 9, both)]), [], "one commit, two partitions");
    assert_eq!(faults(&[record(1, 0, 0, 5, both), record(2, 0, 0, 6, both)]), []);
    assert_eq!(faults(&[record(1, 4, 0, 5, VALID), record(1, 2, 3, 7, SILVER)]), [], "a row from before `since`");
    assert_eq!(faults(&[]), []);
}

#[test]
fn a_valid_record_without_a_row_is_lost_at_its_first_position() {
    let found = faults(&[record(7, 2, 0, 11, VALID), record(7, 1, 3, 90, VALID), record(8, 0, 0, 0, VALID | SILVER)]);
    assert_eq!(found, [Fault::Lost(at(1, 3, 90))]);
}

#[test]
fn what_is_told_already_or_cannot_be_seen_is_not_lost() {
    assert_eq!(faults(&[record(7, 0, 0, 1, VALID | TOLD), record(7, 0, 0, 2, VALID)]), []);
    assert_eq!(faults(&[record(7, 0, 0, 1, VALID), record(7, 0, 0, 2, VALID | UNSEEN)]), [Fault::Unseen(at(0, 0, 1))]);
}

#[test]
fn a_record_whose_row_may_be_one_of_a_life_that_was_not_judged_is_not_lost() {
    let elsewhere = record(7, NO_COMMIT, 0, 5, ELSEWHERE);
    assert_eq!(faults(&[record(7, 3, 1, 9, VALID), elsewhere]), []);
    assert_eq!(faults(&[elsewhere]), [], "it is no row and no record");
    let rows = [record(7, 3, 1, 9, VALID | SILVER), record(7, 4, 1, 12, SILVER), elsewhere];
    assert_eq!(faults(&rows), [Fault::Doubled(vec![at(3, 1, 9), at(4, 1, 12)], 2)]);
}

#[test]
fn two_rows_of_an_id_are_one_finding_with_their_positions() {
    let rows: Vec<_> = (0..7).map(|n| record(7, n, 0, i64::from(n) * 10, SILVER)).collect();
    let first: Vec<_> = (0..5).map(|n| at(n, 0, i64::from(n) * 10)).collect();
    assert_eq!(faults(&rows), [Fault::Doubled(first, 7)]);
}

#[test]
fn a_duplicate_kept_instead_of_the_first_is_named_with_both() {
    let (row, dup) = (VALID | SILVER, VALID);
    assert_eq!(
        faults(&[record(7, 0, 0, 5, dup), record(7, 0, 0, 9, row)]),
        [Fault::NotFirst { kept: at(0, 0, 9), first: at(0, 0, 5) }]
    );
    assert_eq!(
        faults(&[record(7, 0, 3, 900, dup), record(7, 1, 0, 9, row)]),
        [Fault::NotFirst { kept: at(1, 0, 9), first: at(0, 3, 900) }]
    );
}

#[test]
fn a_row_that_no_commit_covers_is_doubled_but_not_out_of_order() {
    let found = faults(&[record(7, 0, 0, 5, VALID | SILVER), record(7, NO_COMMIT, 0, 6, SILVER)]);
    assert_eq!(found, [Fault::Doubled(vec![at(0, 0, 5), at(NO_COMMIT, 0, 6)], 2)]);
    assert_eq!(faults(&[record(7, NO_COMMIT, 0, 6, SILVER), record(7, 0, 0, 5, VALID)]), []);
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let one = record(u128::MAX - 3, NO_COMMIT, i32::MIN, i64::MIN + 1, VALID | UNSEEN);
    let mut bytes = Vec::new();
    one.write(&mut bytes);
    assert_eq!((bytes.len(), IdRecord::read(&bytes)), (IdRecord::BYTES, one));
}

#[test]
fn condensing_leaves_every_verdict_as_it_was() {
    let mut groups = Vec::new();
    for seed in 0..400_u64 {
        let draw = |n: u64, below: u64| {
            (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd6e8_feb8_6659_fd93))
                .rotate_left((n % 63) as u32)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
                >> 20
                & (below - 1)
        };
        let flags = [VALID, VALID, VALID, VALID | UNSEEN, VALID | TOLD, VALID | SILVER, SILVER, VALID];
        for n in 0..12 {
            let few = if seed % 4 == 0 { 2 } else { 8 };
            let flags = flags.get(draw(n * 5 + 3, few) as usize).copied().unwrap_or(VALID);
            groups.push(record(
                u128::from(seed),
                draw(n * 5, 4) as u32,
                draw(n * 5 + 1, 2) as i32,
                draw(n * 5 + 2, 64) as i64,
                flags,
            ));
        }
    }
    let whole = faults(&groups);
    assert!(whole.iter().any(|fault| matches!(fault, Fault::Lost(_))));
    assert!(whole.iter().any(|fault| matches!(fault, Fault::NotFirst { .. })));
    // In two parts, as a bucket that is read chunk by chunk.
    let (mut early, mut late) = (Vec::new(), Vec::new());
    groups.iter().enumerate().for_each(|(n, one)| if n % 3 == 0 { early.push(*one) } else { late.push(*one) });
    IdRecord::condense(&mut early);
    early.append(&mut late);
    IdRecord::condense(&mut early);
    assert!(early.len() < groups.len());
    let few = |fault: &Fault| match fault {
        Fault::Doubled(positions, _) => Fault::Doubled(positions.clone(), 0),
        other => other.clone(),
    };
    assert_eq!(faults(&early).iter().map(few).collect::<Vec<_>>(), whole.iter().map(few).collect::<Vec<_>>());
}
