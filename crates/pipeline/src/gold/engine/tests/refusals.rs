//! What may not be streamed, and the reason that `validate` prints for it.

use super::*;
use watertight_core::schema::SILVER_TOPIC;

const CASES: [(&str, &str); 47] = [
    ("", "one SELECT"),
    ("SELECT 1; SELECT 2", "one SELECT"),
    ("DROP TABLE ticks", "one SELECT"),
    ("INSERT INTO ticks SELECT * FROM ticks", "one SELECT"),
    ("COPY ticks TO 'x.csv'", "one SELECT"),
    ("EXPLAIN SELECT 1", "one SELECT"),
    ("VALUES (1)", "one SELECT"),
    ("SELECT window_start, count(* FROM ticks", "xpected"),
    ("SELECT * FROM ticks", "doesn't aggregate"),
    ("SELECT window_start, price FROM ticks WHERE price > 3", "doesn't aggregate"),
    ("SELECT count(*) AS n FROM ticks", "add GROUP BY window_start"),
    ("SELECT symbol, count(*) AS n FROM ticks GROUP BY symbol", "add GROUP BY window_start"),
    ("SELECT window_end, count(*) AS n FROM ticks GROUP BY window_end", "add GROUP BY window_start"),
    (
        "SELECT date_trunc('hour', window_start) AS window_start, count(*) AS n FROM ticks GROUP BY 1",
        "GROUP BY window_start",
    ),
    ("SELECT _event_time AS window_start, count(*) AS n FROM ticks GROUP BY _event_time", "GROUP BY window_start"),
    ("SELECT count(*) AS n FROM ticks GROUP BY window_start", "not in the SELECT list"),
    ("SELECT window_start AS w, count(*) AS n FROM ticks GROUP BY window_start", "not in the SELECT list"),
    ("SELECT window_start, max(window_end) AS window_end FROM ticks GROUP BY window_start", "not the window's own"),
    ("SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start, symbol", "doesn't select it"),
    (
        "SELECT window_start, count(*) AS n FROM ticks GROUP BY ROLLUP (window_start)",
        "grouping set without window_start",
    ),
    ("SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start ORDER BY n", "ORDER BY has no meaning"),
    ("SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start LIMIT 3", "LIMIT would count"),
    (
        "SELECT a.window_start, count(*) AS n FROM ticks a JOIN ticks b ON a.symbol = b.symbol GROUP BY a.window_start",
        "it joins",
    ),
    ("SELECT a.window_start, count(*) AS n FROM ticks a, ticks b GROUP BY a.window_start", "it joins"),
    (
        "SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start UNION ALL SELECT window_start, 1 FROM ticks",
        "UNION",
    ),
    (
        "SELECT window_start, count(*) AS n FROM (SELECT window_start FROM ticks UNION ALL SELECT window_start FROM ticks) GROUP BY window_start",
        "UNION",
    ),
    (
        "SELECT window_start, count(*) AS n FROM ticks WHERE qty > (SELECT avg(qty) FROM ticks) GROUP BY window_start",
        "sub-query",
    ),
    (
        "SELECT window_start, count(*) AS n FROM ticks WHERE symbol IN (SELECT symbol FROM ticks) GROUP BY window_start",
        "sub-query",
    ),
    (
        "SELECT window_start, max(n) AS m FROM (SELECT window_start, symbol, count(*) AS n FROM ticks GROUP BY window_start, symbol) GROUP BY window_start",
        "aggregates an aggregate",
    ),
    (
        "SELECT window_start, sum(n) OVER (ORDER BY window_start) AS s FROM (SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start)",
        "OVER",
    ),
    ("SELECT window_start, row_number() OVER () AS r, count(*) AS n FROM ticks GROUP BY window_start", "OVER"),
    ("SELECT window_start, sum(random()) AS r FROM ticks GROUP BY window_start", "random() differs at every call"),
    (
        "SELECT window_start, uuid() AS u, count(*) AS n FROM ticks GROUP BY window_start",
        "uuid() differs at every call",
    ),
    (
        "SELECT window_start, count(*) AS n FROM ticks WHERE _event_time > now() GROUP BY window_start",
        "now() depends on when it runs",
    ),
    (
        "SELECT window_start, current_date AS d, count(*) AS n FROM ticks GROUP BY window_start",
        "current_date() depends on when it runs",
    ),
    (
        "SELECT window_start, array_agg(qty) AS a FROM ticks GROUP BY window_start",
        "array_agg() depends on the order of rows",
    ),
    (
        "SELECT window_start, first_value(qty) AS a FROM ticks GROUP BY window_start",
        "first_value() depends on the order",
    ),
    (
        "SELECT window_start, string_agg(symbol, ',') AS a FROM ticks GROUP BY window_start",
        "string_agg() depends on the order",
    ),
    ("SELECT window_start, any_value(qty) AS a FROM ticks GROUP BY window_start", "any_value() takes whichever"),
    ("SELECT window_start, bit_xor(DISTINCT qty) AS a FROM ticks GROUP BY window_start", "bit_xor(DISTINCT"),
    (
        "SELECT window_start, last_value(q ORDER BY t) AS a FROM (SELECT window_start, qty AS q, _event_time AS t FROM ticks) GROUP BY window_start",
        "its sub-select leaves _kafka_partition out",
    ),
    ("SELECT window_start, max(pric) AS a FROM ticks GROUP BY window_start", "Did you mean 'ticks.price'"),
    ("SELECT window_start, maxx(price) AS a FROM ticks GROUP BY window_start", "Did you mean 'max'"),
    (
        "SELECT window_start, count(*) AS n FROM tocks GROUP BY window_start",
        "reads tocks; a streamed model reads its stream only: FROM ticks",
    ),
    ("SELECT window_start, sum(x) AS n FROM (VALUES (1)) AS v(x), ticks GROUP BY window_start", "it joins"),
    ("SELECT window_start, count(*) AS n FROM ticks WHERE qty > $1 GROUP BY window_start", "placeholder $1"),
    ("SELECT window_start, unnest(_quality_flags) AS f, count(*) AS n FROM ticks GROUP BY 1, 2", "UNNEST"),
];

#[test]
fn where_silver_names_the_topic_of_a_row_the_order_of_rows_begins_with_it() {
    let mut fields = silver().fields().to_vec();
    fields.push(Arc::new(Field::new(SILVER_TOPIC, DataType::Utf8, true)));
    let by_topic = Schema::new(fields);
    let from = |columns: &str| {
        format!(
            "SELECT window_start, last_value(q ORDER BY t) AS a FROM \
             (SELECT window_start, qty AS q, _event_time AS t, {columns} FROM ticks) GROUP BY window_start"
        )
    };
    let position = from("_kafka_partition, _kafka_offset");
    assert!(ModelPlan::new(&model(&position), &silver()).is_ok());
    let refused = ModelPlan::new(&model(&position), &by_topic).unwrap_err().to_string();
    assert!(refused.contains("its sub-select leaves _kafka_topic out"), "{refused}");
    let whole = from("_kafka_topic, _kafka_partition, _kafka_offset");
    assert!(ModelPlan::new(&model(&whole), &by_topic).is_ok());
}

#[test]
fn what_cannot_be_streamed_is_refused_with_its_reason() {
    for (sql, expected) in CASES {
        let reasons = reasons(&model(sql));
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{sql}\n  {reasons:#?}\n  {expected}");
    }
}

#[test]
fn columns_that_delta_cannot_hold_are_refused_with_advice() {
    for (columns, expected) in [
        ("count(*)", "name it with AS"),
        ("max(price)", "name it with AS"),
        ("max(price) AS \"a b\"", "name it with AS"),
        ("max(price) AS _mine", "keeps for its own columns"),
        ("max(price) AS n, min(price) AS n", "have the same name"),
        ("max(qty) AS a, min(qty) AS \"A\"", "two columns are named A"),
        ("NULL AS a, count(*) AS n", "NULL alone has no type"),
        ("max(_event_time) - min(_event_time) AS a", "length of time"),
        ("interval '1 day' AS a, count(*) AS n", "length of time"),
        ("max(cast(_event_time AS time)) AS a", "time of day"),
        ("max(arrow_cast(price, 'Decimal256(60, 4)')) AS a", "does not fit"),
    ] {
        let reasons = reasons(&model(&format!("SELECT window_start, {columns} FROM ticks GROUP BY window_start")));
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{columns}: {reasons:?}");
    }
}

#[test]
fn all_reasons_are_given_at_once() {
    let reasons = reasons(&model(
        "SELECT window_start, first_value(qty) AS a, sum(random()) AS b FROM ticks GROUP BY window_start ORDER BY 1 LIMIT 1",
    ));
    assert_eq!(reasons.len(), 4, "{reasons:?}");
}

#[test]
fn a_stream_or_window_that_cannot_be_used_is_refused() {
    let count = "SELECT window_start, count(*) AS n FROM ticks GROUP BY window_start";
    let endless = ModelDef { window_us: 0, ..model(count) };
    assert!(reasons(&endless)[0].contains("no length"));
    let taken = Schema::new(vec![Field::new("window_start", DataType::Int64, true)]);
    let error = ModelPlan::new(&model(count), &taken).unwrap_err();
    assert!(error.to_string().contains("rename that in the stream"), "{error}");
    let timeless = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    assert!(ModelPlan::new(&model(count), &timeless).unwrap_err().to_string().contains("no _event_time"));
}

#[test]
fn a_stream_with_capitals_is_read_by_its_quoted_name() {
    let quoted = ModelDef {
        from: "Ticks".into(),
        ..model("SELECT window_start, count(*) AS n FROM \"Ticks\" GROUP BY window_start")
    };
    assert!(ModelPlan::new(&quoted, &silver()).is_ok());
    let bare = ModelDef { sql: quoted.sql.replace('"', ""), ..quoted };
    assert!(reasons(&bare)[0].contains("FROM \"Ticks\""));
}
