//! Checks over single rows, batches and rows that cannot be evaluated.

use super::*;
use arrow::array::{Decimal128Array, Float64Array, Int64Array, StringArray};
use watertight_core::schema::{
    Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, TimestampForm,
};

fn stream(checks: &[(&str, &str)]) -> StreamDef {
    let column = |name: &str, kind| Column { name: name.into(), kind, required: false, path: vec![name.into()] };
    StreamDef {
        name: "ticks".into(),
        topic: "ticks".into(),
        topics: None,
        partitions: 1,
        event_id: EventIdRule::Column("event_id".into()),
        event_time: EventTimeRule {
            column: "ts".into(),
            watermark_delay_us: 0,
            future_tolerance_us: 0,
            idle_after_us: 0,
            not_before_us: 0,
            not_after_us: 1,
        },
        columns: vec![
            column("event_id", ColumnType::String),
            column("price", ColumnType::Decimal { precision: 18, scale: 4 }),
            column("qty", ColumnType::Long),
            column("mag", ColumnType::Double),
            column("bidPrice", ColumnType::Double),
            column("ts", ColumnType::Timestamp(TimestampForm::Rfc3339)),
        ],
        checks: checks.iter().map(|(name, sql)| Check { name: (*name).into(), sql: (*sql).into() }).collect(),
        payload: PayloadLimits { bytes_max: 1, depth_max: 1, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    }
}

/// Rows of (event_id, price in ten-thousandths, qty).
fn rows(values: &[(&str, Option<i128>, Option<i64>)]) -> RecordBatch {
    let schema = Checks::new(&stream(&[])).unwrap().schema;
    let n = values.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(values.iter().map(|v| v.0))),
        Arc::new(values.iter().map(|v| v.1).collect::<Decimal128Array>().with_precision_and_scale(18, 4).unwrap()),
        Arc::new(values.iter().map(|v| v.2).collect::<Int64Array>()),
        Arc::new(Float64Array::from(vec![Some(1.0); n])),
        Arc::new(Float64Array::from(vec![None; n])),
        arrow::array::new_null_array(schema.field(5).data_type(), n),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

fn failed(checks: &Checks, rows: &RecordBatch) -> Vec<(usize, Vec<String>)> {
    let found = checks.evaluate(rows).unwrap();
    found.into_iter().map(|f| (f.row, f.checks.iter().map(ToString::to_string).collect())).collect()
}

#[test]
fn a_failing_row_is_named_with_its_checks_in_order_and_null_passes() {
    let checks = Checks::new(&stream(&[
        ("positive_price", "price > 0"),
        ("small", "qty <= 10 AND price < 100.5"),
        ("both", "(price IS NULL) = (qty IS NULL)"),
    ]))
    .unwrap();
    let rows = rows(&[
        ("a", Some(1), Some(1)),
        ("b", Some(0), Some(11)),
        ("c", None, None),
        ("d", None, Some(2)),
        ("e", Some(1_005_000), Some(10)),
        ("f", Some(1_004_999), Some(10)),
    ]);
    assert_eq!(
        failed(&checks, &rows),
        [
            (1, vec!["positive_price".to_owned(), "small".to_owned()]),
            (3, vec!["both".to_owned()]),
            (4, vec!["small".to_owned()]),
        ]
    );
    assert_eq!(failed(&checks, &rows.slice(0, 0)), []);
    assert_eq!(failed(&checks, &rows.slice(3, 2)), [(0, vec!["both".to_owned()]), (1, vec!["small".to_owned()])]);
}

#[test]
fn a_constant_check_fails_every_row_or_none() {
    let three = rows(&[("a", None, None), ("b", None, None), ("c", None, None)]);
    let constant = |sql| failed(&Checks::new(&stream(&[("c", sql)])).unwrap(), &three).len();
    assert_eq!((constant("1 > 2"), constant("1 < 2"), constant("cast(NULL AS boolean)")), (3, 0, 0));
}

#[test]
fn a_row_that_cannot_be_evaluated_fails_and_its_neighbours_do_not() {
    let checks = Checks::new(&stream(&[
        ("number", "cast(event_id AS bigint) > 0"),
        ("ratio", "100 / qty > 1"),
        ("guarded", "qty <> 0 AND 100 / qty > 1"),
    ]))
    .unwrap();
    let mut values = vec![("5", Some(1), Some(2)); 1_000];
    values[17] = ("x", Some(1), Some(2));
    values[500] = ("7", Some(1), Some(0));
    values[999] = ("-1", Some(1), None);
    assert_eq!(
        failed(&checks, &rows(&values)),
        [
            (17, vec!["number".to_owned()]),
            (500, vec!["ratio".to_owned(), "guarded".to_owned()]),
            (999, vec!["number".to_owned()]),
        ]
    );
}

#[test]
fn a_row_whose_number_does_not_fit_fails_and_its_neighbours_do_not() {
    // Wrapped around, all three would pass: the product and the sum of 3, the negation of the least number.
    let checks = Checks::new(&stream(&[
        ("product", "qty * 9000000000000000000 > 0"),
        ("sum", "qty + 9223372036854775807 <> 5"),
        ("negation", "-qty < 0"),
    ]))
    .unwrap();
    let mut values = vec![("e", Some(1), Some(0)); 300];
    values[7].2 = Some(3);
    values[200].2 = Some(i64::MIN);
    values[299].2 = None;
    let found: Vec<_> =
        failed(&checks, &rows(&values)).into_iter().filter(|(row, _)| values[*row].2 != Some(0)).collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(found, [(7, names(&["product", "sum"])), (200, names(&["product", "negation"]))]);
    let one = Checks::new(&stream(&[("product", "qty * 9000000000000000000 >= 0")])).unwrap();
    assert_eq!(failed(&one, &rows(&values)), [(7, names(&["product"])), (200, names(&["product"]))]);
}

#[test]
fn what_a_row_gives_does_not_depend_on_its_batch() {
    let checks = Checks::new(&stream(&[
        ("and_error", "qty > 0 AND 10 / qty > 2"),
        ("or_error", "qty = 0 OR 10 / qty > 2"),
        ("null_and_error", "price > 1 AND 10 / qty > 2"),
        ("case_error", "CASE WHEN qty = 0 THEN true ELSE 10 / qty > 2 END"),
        ("coalesce_error", "coalesce(price > 1, 10 / qty > 2)"),
    ]))
    .unwrap();
    let mut seed = 7_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for _ in 0..200 {
        let n = 1 + below(30) as usize;
        // Shares from none to nearly all: DataFusion chooses its way of evaluating AND and OR by them.
        let (zeroes, nulls) = (below(10), below(10));
        let values: Vec<_> = (0..n)
            .map(|_| {
                let price = (below(10) >= nulls).then(|| i128::from(below(30_000)));
                let qty = (below(10) >= nulls / 2).then(|| if below(10) < zeroes { 0 } else { below(8) as i64 - 2 });
                ("e", price, qty)
            })
            .collect();
        let batch = rows(&values);
        let alone: Vec<_> =
            (0..n).flat_map(|row| failed(&checks, &batch.slice(row, 1)).into_iter().map(move |f| (row, f.1))).collect();
        assert_eq!(failed(&checks, &batch), alone, "{values:?}");
    }
}

#[test]
fn unusable_checks_are_refused_all_at_once_with_their_names() {
    for (sql, expected) in [
        ("pric > 0", "Did you mean 'price'"),
        ("price", "it is decimal(18, 4), not true or false"),
        ("NULL", "not true or false"),
        ("price > 'abc'", "a constant in it cannot be used"),
        ("qty > 1 / 0", "a constant in it cannot be used"),
        ("_event_time > 0", "unknown column '_event_time'"),
        ("sum(price) > 0", "aggregates rows"),
        ("qty IN (SELECT 1)", "sub-query"),
        ("(SELECT true)", "sub-query"),
        ("ts < now()", "depends on when it runs"),
        ("random() < 2", "differs at every call"),
        ("row_number() OVER () > 0", "OVER"),
        ("price > $1", "placeholder $1"),
        ("bidPrice > 0", "double quotes"),
        ("qty > 9000000000000000000 * 9", "a constant in it cannot be used"),
        ("price >", "not valid SQL: "),
        ("", "not valid SQL: "),
        ("price > 0; drop", "not valid SQL: "),
    ] {
        match Checks::new(&stream(&[("fine", "qty > 0"), ("c", sql)])) {
            Err(CheckError::Refused { reasons, .. }) => {
                assert!(reasons.iter().any(|r| r.why.contains(expected)), "{sql}: {reasons:?}");
                assert!(reasons.iter().all(|r| r.check.as_deref() == Some("c")), "{sql}: {reasons:?}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    let error = Checks::new(&stream(&[("a", "x > 0"), ("b", "y > 0")])).unwrap_err().to_string();
    assert!(error.contains("check 'a'") && error.contains("check 'b'"), "{error}");
    assert!(Checks::new(&stream(&[("q", "\"bidPrice\" > 0")])).is_ok());
}

#[test]
fn rows_with_other_columns_are_refused() {
    let checks = Checks::new(&stream(&[("c", "qty > 0")])).unwrap();
    let rows = rows(&[("a", None, None)]).project(&[0, 1]).unwrap();
    assert!(matches!(checks.evaluate(&rows), Err(CheckError::Schema { .. })));
}
