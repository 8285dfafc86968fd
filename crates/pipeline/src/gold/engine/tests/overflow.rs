//! A number that doesn't fit in its type stops the model, streamed as in batch; one that just fits is exact.

use super::*;
use crate::gold::engine::{Step, WindowState};

/// Rows of one window with these numbers in `qty` and in `price`, a decimal(18, 4) in ten-thousandths.
fn numbers(quantities: &[i64], prices: &[i128]) -> RecordBatch {
    let count = quantities.len().max(prices.len());
    let rows = rows(&mut Random(1), count);
    let mut columns = rows.columns().to_vec();
    let mut set = |name: &str, values: ArrayRef| columns[rows.schema().index_of(name).unwrap()] = values;
    let quantities = (0..count).map(|i| quantities.get(i).copied());
    set("qty", Arc::new(quantities.collect::<Int64Array>()));
    let prices = Decimal128Array::from_iter((0..count).map(|i| prices.get(i).copied()));
    set("price", Arc::new(prices.with_precision_and_scale(18, 4).unwrap()));
    set("_event_time", Arc::new(TimestampMicrosecondArray::from(vec![0; count]).with_timezone("UTC")));
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

/// The result in column `a` of the one window, or the error: row by row, in one fold, over a saved state, in batch.
fn each_way(expression: &str, rows: &RecordBatch) -> Vec<Result<String, ModelError>> {
    let plan = plan(&format!("SELECT window_start, {expression} AS a FROM ticks GROUP BY window_start"));
    let value = |rows: RecordBatch| array_value_to_string(rows.column(1), 0).unwrap();
    let one_by_one = |reload: bool| -> Result<String, ModelError> {
        let mut state = plan.open();
        for row in 0..rows.num_rows() {
            state.fold(&rows.slice(row, 1))?;
            if reload {
                state = WindowState::load(&plan, &state.save()?)?;
            }
        }
        state.close_all().map(value)
    };
    let at_once = || -> Result<String, ModelError> {
        let mut state = plan.open();
        state.fold(rows)?;
        state.close_all().map(value)
    };
    vec![one_by_one(false), one_by_one(true), at_once(), plan.batch(std::slice::from_ref(rows)).map(value)]
}

fn assert_gives(expression: &str, rows: &RecordBatch, expected: &str) {
    for found in each_way(expression, rows) {
        assert_eq!(found.unwrap_or_else(|error| panic!("{expression}: {error}")), expected, "{expression}");
    }
}

fn assert_overflows(expression: &str, rows: &RecordBatch) {
    for found in each_way(expression, rows) {
        let error = match found {
            Ok(value) => panic!("{expression} gives {value}"),
            Err(error) => error,
        };
        let text = error.to_string();
        assert!(matches!(error, ModelError::Overflow { .. }), "{expression}: {text}");
        assert!(text.contains("cast in its SQL to a wider type"), "{text}");
        let advice = ["decimal(38, 0)", "double"].iter().fold(text, |text, part| text.replace(part, ""));
        assert!(!advice.contains(|c: char| c.is_ascii_digit()), "a value in {advice}");
    }
}

const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;
/// A decimal(38, 0) of 38 digits from a quantity below ten.
const LARGE: &str = "cast(qty AS decimal(38, 0)) * cast('10000000000000000000000000000000000000' AS decimal(38, 0))";

#[test]
fn a_sum_of_integers_stops_at_its_bound_and_is_exact_up_to_it() {
    assert_gives("sum(qty)", &numbers(&[MAX - 3, 1, 2], &[]), "9223372036854775807");
    assert_gives("sum(qty)", &numbers(&[MIN + 3, -1, -2], &[]), "-9223372036854775808");
    assert_overflows("sum(qty)", &numbers(&[MAX - 3, 1, 3], &[]));
    assert_overflows("sum(qty)", &numbers(&[MIN + 3, -1, -3], &[]));
    assert_overflows("sum(qty)", &numbers(&[MAX, MAX, 2], &[]));
    assert_overflows("sum(DISTINCT qty)", &numbers(&[MAX, 1, 1], &[]));
    assert_gives("sum(DISTINCT qty)", &numbers(&[MAX - 1, 1, 1], &[]), "9223372036854775807");
    assert_overflows("sum(qty) FILTER (WHERE qty > 0)", &numbers(&[MAX, 1, MIN], &[]));
    assert_gives("sum(cast(qty AS decimal(38, 0)))", &numbers(&[MAX, MAX, MAX], &[]), "27670116110564327421");
}

#[test]
fn a_sum_that_fits_at_the_end_does_not_fail_on_the_way() {
    assert_gives("sum(qty)", &numbers(&[MAX, MAX, MIN, MIN + 3], &[]), "1");
    assert_gives("sum(qty)", &numbers(&[MIN + 3, MIN, MAX, MAX], &[]), "1");
}

#[test]
fn a_sum_of_decimals_stops_at_its_digits_and_is_exact_up_to_them() {
    let sum = format!("sum({LARGE})");
    assert_gives(&sum, &numbers(&[4, 5], &[]), &format!("9{}", "0".repeat(37)));
    assert_overflows(&sum, &numbers(&[5, 5], &[]));
    // Beyond 128 bits, where it would wrap, and back.
    assert_overflows(&sum, &numbers(&[9, 9, 9], &[]));
    assert_gives(&sum, &numbers(&[9, 9, 9, -9, -9], &[]), &format!("9{}", "0".repeat(37)));
    let largest = 10_i128.pow(18) - 1;
    assert_gives("sum(price)", &numbers(&[], &[largest; 20]), "1999999999999999.9980");
    assert_gives("avg(price)", &numbers(&[], &[largest; 20]), "99999999999999.99990000");
}

#[test]
fn arithmetic_on_integers_and_decimals_stops_where_it_would_wrap() {
    for (expression, number) in [
        ("max(qty + 1)", MAX),
        ("min(qty - 1)", MIN),
        ("max(qty * 2)", MAX),
        ("max(-qty)", MIN),
        ("max(qty) + 1", MAX),
        ("count(*) * 9000000000000000000 + sum(qty)", MAX),
        ("max(CASE WHEN qty > 0 THEN qty * 3 ELSE 0 END)", MAX),
        ("sum(cast(qty AS decimal(38, 0)) * cast('100000000000000000000' AS decimal(38, 0)))", MAX),
    ] {
        assert_overflows(expression, &numbers(&[number], &[]));
    }
    assert_overflows("9000000000000000000 * 9 + count(*)", &numbers(&[1], &[]));
    assert_gives("max(qty - 1)", &numbers(&[MIN + 1], &[]), "-9223372036854775808");
    assert_gives("max(qty + NULL)", &numbers(&[MAX], &[]), "");
    assert_gives("max(cast(qty AS double) * 2)", &numbers(&[1 << 20], &[]), "2097152.0");
}

#[test]
fn an_average_does_not_wrap() {
    assert_gives("avg(qty) > 4e18", &numbers(&[1 << 62, 1 << 62, 1 << 62], &[]), "true");
    let average = format!("avg({LARGE})");
    assert_gives(&average, &numbers(&[9, 9, 9, -9, -9, -9], &[]), "0.0000");
}

#[test]
fn groups_computed_by_arithmetic_stay_groups() {
    let sql = "SELECT window_start, qty + 1 AS q, sum(qty * 2) AS a, count(*) AS n FROM ticks
        GROUP BY window_start, qty + 1 HAVING sum(qty) > -100";
    let plan = plan(sql);
    assert_eq!(plan.key_columns(), ["window_start", "q"]);
    for seed in 0..5 {
        let mut random = Random(seed);
        let rows = rows(&mut random, 600);
        assert_same(&streamed(&plan, &rows, &mut random), &oracle(&plan, sql, &rows), sql);
    }
    let inside = "SELECT window_start, qty + 1 AS q, count(*) AS n FROM ticks GROUP BY window_start, ROLLUP (qty + 1)";
    assert!(reasons(&model(inside))[0].contains("compute the column in a sub-select"));
}

#[test]
fn sums_of_both_kinds_over_one_column_stand_beside_one_another() {
    let sql = "SELECT window_start, symbol, sum(qty) AS a, sum(cast(qty + 0 AS decimal(20, 0))) AS b, sum(DISTINCT qty) AS c,
        sum(price) AS d, sum(price * qty) AS e, sum(price * price * price) AS f, avg(price * qty) AS g,
        date_part('epoch', sum(_event_time - window_start)) AS h, date_part('epoch', avg(_event_time - window_start)) AS i
        FROM ticks GROUP BY window_start, symbol";
    let plan = plan(sql);
    for seed in 0..10 {
        let mut random = Random(seed);
        let rows = rows(&mut random, 700);
        let expected = oracle(&plan, sql, &rows);
        assert_same(&streamed(&plan, &rows, &mut random), &expected, "streamed");
        assert_same(&plan.batch(&[rows]).unwrap(), &expected, "batch");
    }
}

#[test]
fn an_overflow_tells_where_it_was_found_and_breaks_the_state() {
    let plan = plan("SELECT window_start, sum(qty) AS a FROM ticks GROUP BY window_start");
    let mut state = plan.open();
    state.fold(&numbers(&[MAX, 1], &[])).unwrap();
    assert!(matches!(state.close_all(), Err(ModelError::Overflow { step: Step::Close, .. })));
    assert!(state.is_broken());
    let error = plan.batch(&[numbers(&[MAX, 1], &[])]).unwrap_err();
    assert!(matches!(error, ModelError::Overflow { step: Step::Batch, .. }), "{error}");
}

#[test]
fn what_has_no_wider_type_is_refused() {
    for (expression, told) in [
        ("sum(arrow_cast(price, 'Decimal256(70, 4)'))", "may overflow unseen"),
        ("avg(arrow_cast(price, 'Decimal256(70, 4)'))", "may overflow unseen"),
    ] {
        let sql = format!("SELECT window_start, cast({expression} AS double) AS a FROM ticks GROUP BY window_start");
        let reasons = reasons(&model(&sql));
        assert!(reasons.iter().any(|reason| reason.contains(told)), "{reasons:?}");
    }
}
