use super::*;
use crate::expect::fixture::{check, column, stream};

/// Rows of (price in cents, qty).
type Row = (Option<i128>, Option<i64>);

fn planned(checks: &[(&str, &str)]) -> Result<Checks, String> {
    let price = ColumnType::Decimal { precision: 38, scale: 2 };
    let mut definition = stream([column("price", price), column("qty", ColumnType::Long)]);
    definition.checks = checks.iter().map(|(name, sql)| check(name, sql)).collect();
    Checks::new(&definition)
}

fn failed(checks: &[(&str, &str)], rows: &[Row]) -> Vec<Vec<String>> {
    let row = |(price, qty): &Row| {
        let price = price.map_or(Value::Null, Value::Decimal);
        [Value::Text("7".to_owned()), Value::Instant(0), price, qty.map_or(Value::Null, Value::Integer)]
    };
    let rows: Vec<[Value; 4]> = rows.iter().map(row).collect();
    let rows: Vec<&[Value]> = rows.iter().map(|row| row.as_slice()).collect();
    planned(checks).unwrap().failing(&rows).unwrap()
}

#[test]
fn a_failing_row_has_its_checks_in_order_and_null_passes() {
    let checks = [("positive", "price > 0"), ("small", "qty <= 10 AND price < 100.5"), ("id", "id = '7'")];
    let rows = [(Some(100), Some(1)), (Some(0), Some(11)), (None, None), (Some(10_050), Some(10))];
    let expected: [&[&str]; 4] = [&[], &["check:positive", "check:small"], &[], &["check:small"]];
    assert_eq!(failed(&checks, &rows), expected);
    assert_eq!(failed(&checks, &[]), Vec::<Vec<String>>::new());
}

#[test]
fn a_row_that_cannot_be_evaluated_fails_and_its_neighbours_do_not() {
    let checks =
        [("ratio", "100 / qty > 1"), ("either", "qty = 0 OR 100 / qty > 1"), ("guarded", "qty <> 0 AND 100 / qty > 1")];
    let mut rows = vec![(None, Some(2)); 300];
    rows[17].1 = Some(0);
    rows[18].1 = Some(1_000);
    let found = failed(&checks, &rows);
    assert_eq!(found[17], ["check:ratio", "check:guarded"]);
    assert_eq!(found[18], ["check:ratio", "check:either", "check:guarded"]);
    assert_eq!(found.iter().filter(|reasons| !reasons.is_empty()).count(), 2);
}

#[test]
fn a_number_that_does_not_fit_fails_where_it_would_wrap_around() {
    // Wrapped around, all of these would pass.
    let checks = [
        ("product", "qty * 9000000000000000000 >= 0"),
        ("sum", "qty + 9223372036854775807 <> 5"),
        ("negation", "-qty <> 5"),
    ];
    let mut rows = vec![(None, Some(0)); 40];
    rows[7].1 = Some(3);
    rows[20].1 = Some(i64::MIN);
    rows[39].1 = None;
    let found = failed(&checks, &rows);
    assert_eq!(found[7], ["check:product", "check:sum"]);
    assert_eq!(found[20], ["check:product", "check:negation"]);
    assert_eq!(found.iter().filter(|reasons| !reasons.is_empty()).count(), 2);
}

#[test]
fn a_decimal_with_more_digits_than_its_type_fails() {
    // The sum has 39 digits, and 128 bits hold it.
    let much = 6 * 10_i128.pow(37);
    let found = failed(&[("sum", "price + price <> 0")], &[(Some(much), None), (Some(1), None), (None, None)]);
    assert_eq!(found, [vec!["check:sum".to_owned()], vec![], vec![]]);
}

#[test]
fn checks_that_cannot_be_planned_are_named() {
    for sql in ["pric > 0", "price", "price >", "price > 0; drop"] {
        let error = planned(&[("fine", "qty > 0"), ("c", sql)]).unwrap_err();
        assert!(error.starts_with("check 'c' cannot be planned: "), "{sql}: {error}");
    }
}
