//! Windows: every planted difference is found, and an untouched gold gives nothing.

use super::super::bounds;
use super::*;

const SILVER: [Tick; 6] = [
    ("A", 10_000, 5, 3, false, 0, 0),
    ("A", 12_000, 1, 9, false, 1, 0),
    ("B", 7, 2, MINUTE - 1, false, 0, 1),
    ("A", 11_000, 4, MINUTE, false, 0, 2),
    ("A", 99_000, 100, 30, true, 1, 1),
    ("C", 1, 1, 2 * MINUTE, true, 0, 3),
];
const GOLD: [Candle; 3] = [(0, "A", 10_000, 12_000, 6, 2), (0, "B", 7, 7, 2, 1), (1, "A", 11_000, 11_000, 4, 1)];

fn faults(found: &Found) -> Vec<(Code, String, String, String)> {
    let (_, kept) = judge(&SILVER, found, &[(0, 4), (1, 2)]);
    told(&kept).into_iter().filter(|(code, ..)| *code != Code::WindowLate).collect()
}

#[test]
fn an_untouched_gold_has_no_fault_and_late_rows_are_noted() {
    let (compared, kept) = judge(&SILVER, &candles(&GOLD, "stream", 1), &[(0, 4), (1, 2)]);
    assert_eq!(compared, 3);
    let late = told(&kept);
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late.iter().all(|(code, ..)| *code == Code::WindowLate));
    assert_eq!(late[0].1, "1970-01-01T00:00:00Z, A");
    assert_eq!(
        late[0].3,
        "1 late row fell in the window, in any of its groups; with all rows: high 1.2000 → 9.9000 (+8.7000), \
         volume 6 → 106 (+100), trades 2 → 3 (+1)"
    );
    assert_eq!(late[1].1, "1970-01-01T00:02:00Z, C");
    assert!(late[1].3.contains("there would be a row: open 0.0001"), "{}", late[1].3);
}

#[test]
fn a_row_that_is_dropped_is_named() {
    let told = faults(&candles(&GOLD[..2], "stream", 1));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1.as_str()), (Code::WindowMissing, "1970-01-01T00:01:00Z, A"));
}

#[test]
fn a_row_that_is_invented_is_named() {
    let mut rows = GOLD.to_vec();
    rows.push((5, "Z", 1, 1, 1, 1));
    let told = faults(&candles(&rows, "stream", 1));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1.as_str()), (Code::WindowExtra, "1970-01-01T00:05:00Z, Z"));
}

#[test]
fn a_row_that_stands_twice_is_named() {
    let mut rows = GOLD.to_vec();
    rows.push(GOLD[1]);
    let told = faults(&candles(&rows, "stream", 1));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1.as_str()), (Code::WindowDoubled, "1970-01-01T00:00:00Z, B"));
}

#[test]
fn a_value_that_is_altered_is_named_with_both_sides() {
    let mut rows = GOLD;
    rows[0].4 = 7;
    let told = faults(&candles(&rows, "stream", 1));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].2.as_str()), (Code::WindowDifferent, "volume"));
    assert_eq!(told[0].3, "the model over silver gives 6, gold has 7");
}

#[test]
fn rows_of_another_version_or_origin_are_named() {
    let told = faults(&candles(&GOLD, "stream", 2));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(code, _, column, _)| *code == Code::WindowDifferent && column == "_model_version"));
    let told = faults(&candles(&GOLD, "nobody", 1));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(_, _, column, _)| column == "_computed_by"));
}

#[test]
fn rows_computed_in_batch_count_late_rows() {
    let told = faults(&candles(&GOLD, "batch", 1));
    let columns: Vec<&str> = told.iter().map(|(_, _, column, _)| column.as_str()).collect();
    assert_eq!(columns, ["high", "volume", "trades"], "as streamed they are wrong: {told:?}");
    let mut rows = GOLD;
    rows[0] = (0, "A", 10_000, 99_000, 106, 3);
    assert!(faults(&candles(&rows, "batch", 1)).is_empty());
}

#[test]
fn rows_of_silver_behind_golds_positions_are_not_expected() {
    let (_, kept) = judge(&SILVER, &candles(&GOLD[..2], "stream", 1), &[(0, 2), (1, 1)]);
    assert!(told(&kept).iter().all(|(code, ..)| *code == Code::WindowLate), "{kept:?}");
    let (_, kept) = judge(&SILVER, &candles(&GOLD, "stream", 1), &[(0, 2), (1, 1)]);
    assert_eq!(kept.counts.get(&Code::WindowExtra), Some(&1), "{kept:?}");
}

#[test]
fn positions_bound_nothing_where_silver_holds_several_lives_of_its_topic() {
    let at = |positions: &[(&str, i64)]| -> BTreeMap<String, i64> {
        positions.iter().map(|(life, position)| (format!("watertight/u/t/{life}"), *position)).collect()
    };
    let one = bounds(&at(&[("i/0", 10), ("i/1", 4)]), &at(&[("i/0", 12), ("i/1", 4)]));
    assert_eq!(one, BTreeMap::from([(0, 10), (1, 4)]));
    // Rows 10..26 of the first life were folded, and written when a record of the second closed their window.
    assert!(bounds(&at(&[("i/0", 10), ("j/0", 4)]), &at(&[("i/0", 26), ("j/0", 4)])).is_empty());
}
