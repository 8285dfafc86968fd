//! Streamed rows are the same SQL in batch, whatever the boundaries, the order and the restarts.

use super::*;

const MODEL: &str = "SELECT window_start, window_end, symbol,
    count(*) AS events, count(price) AS priced, sum(price) AS total, min(price) AS low, max(price) AS high,
    avg(price) AS mean, avg(mag) AS mean_mag, sum(mag) AS sum_mag, count(DISTINCT qty) AS quantities,
    first_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS opened,
    last_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS closed,
    median(qty) AS middle, median(price) AS middle_price, sum(qty) FILTER (WHERE ok) AS good,
    CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END AS size, max(symbol || '!') AS shout
  FROM ticks WHERE qty <> 3 OR qty IS NULL
  GROUP BY window_start, window_end, symbol
  HAVING count(*) > 1";

#[test]
fn streamed_rows_are_the_same_sql_in_batch() {
    let plan = plan(MODEL);
    let mut closed_early = 0;
    for seed in 0..40 {
        let mut random = Random(seed);
        let count = [0, 1, 30, 300, 1_500][random.below(5) as usize];
        let rows = rows(&mut random, count);
        let expected = oracle(&plan, MODEL, &rows);
        assert_same(&streamed(&plan, &rows, &mut random), &expected, &format!("streamed, seed {seed}"));
        assert_same(&plan.batch(&[rows]).unwrap(), &expected, &format!("batch, seed {seed}"));
        closed_early += usize::from(expected.num_rows() > 0);
    }
    assert!(closed_early > 20, "most seeds give rows");
}

#[test]
fn equal_times_are_no_tie_though_the_sql_leaves_them_open() {
    let open = "SELECT window_start, first_value(event_id ORDER BY _event_time) AS a,
        last_value(event_id ORDER BY _event_time) AS b, last_value(qty ORDER BY _event_time DESC) AS c,
        array_agg(event_id ORDER BY _event_time) AS d, string_agg(event_id, ',' ORDER BY _event_time) AS e,
        nth_value(event_id, 2 ORDER BY _event_time) AS f, first_value(symbol ORDER BY event_id) AS g
        FROM ticks GROUP BY window_start";
    let total = open
        .replace("_event_time)", "_event_time, _kafka_partition, _kafka_offset)")
        .replace("_event_time DESC)", "_event_time DESC, _kafka_partition, _kafka_offset)");
    let plan = plan(open);
    for seed in 0..15 {
        let mut random = Random(seed);
        let rows = rows(&mut random, 800);
        assert_same(&streamed(&plan, &rows, &mut random), &oracle(&plan, &total, &rows), &format!("seed {seed}"));
    }
}

#[test]
fn approximate_percentiles_are_within_two_percent_of_rank() {
    let sql = "SELECT window_start, approx_percentile_cont(mag, 0.5) AS half, approx_percentile_cont(mag, 0.9) AS tail,
        count(mag) AS n FROM ticks GROUP BY window_start";
    let plan = plan(sql);
    for seed in 0..5 {
        let mut random = Random(seed);
        let rows = rows(&mut random, 6_000);
        let found = streamed(&plan, &rows, &mut random);
        let float = |rows: &RecordBatch, name: &str| {
            rows.column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap().clone()
        };
        let (mags, times) = (float(&rows, "mag"), times(&rows));
        let starts = found.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap().clone();
        for row in 0..found.num_rows() {
            let window: Vec<f64> = (0..times.len())
                .filter(|i| times[*i].div_euclid(MINUTE) * MINUTE == starts.value(row) && mags.is_valid(*i))
                .map(|i| mags.value(i))
                .collect();
            assert!(window.len() > 100);
            for (name, quantile) in [("half", 0.5), ("tail", 0.9)] {
                let value = float(&found, name).value(row);
                let rank = window.iter().filter(|mag| **mag <= value).count() as f64 / window.len() as f64;
                assert!((rank - quantile).abs() < 0.02, "seed {seed}, {name}: rank {rank}");
            }
        }
    }
}

#[test]
fn rows_of_one_window_come_sorted_by_window_and_groups_nulls_first() {
    let plan = plan("SELECT count(*) AS n, symbol, window_start FROM ticks GROUP BY symbol, window_start");
    assert_eq!(plan.key_columns(), ["window_start", "symbol"]);
    let mut random = Random(1);
    let rows = rows(&mut random, 500);
    let found = streamed(&plan, &rows, &mut random);
    assert_same(&found, &by_key(&plan, &found), "sorted");
    assert!(found.column(1).is_null(0), "NULL is the first group");
}
