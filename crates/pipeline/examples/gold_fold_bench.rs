//! Cost of the streaming fold: `cargo run -p watertight-pipeline --example gold_fold_bench [BATCHES]`.
//!
//! Folds batches of 10,000 rows of made-up ticks and prints, per model, µs per row of folding and closing, the
//! slowest single fold, and what the open windows weigh.

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::schema::{ModelDef, silver_extra_fields};
use watertight_pipeline::gold::engine::{ModelPlan, WindowState};

const ROWS: usize = 10_000;
const SECOND: i64 = 1_000_000;

const CANDLES: &str = "SELECT window_start, window_end, symbol, count(*) AS ticks, sum(price) AS total,
    min(price) AS low, max(price) AS high, first_value(price ORDER BY _event_time) AS opened,
    last_value(price ORDER BY _event_time) AS closed FROM ticks GROUP BY window_start, window_end, symbol";
const MEDIANS: &str = "SELECT window_start, symbol, median(price) AS middle, count(DISTINCT qty) AS quantities
    FROM ticks GROUP BY window_start, symbol";

/// A model, how many symbols its stream has, how many µs of event time a batch spans, and how far events stray.
struct Case {
    name: &'static str,
    sql: &'static str,
    symbols: u64,
    span_us: i64,
    stray_us: i64,
    delay_us: i64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let batches: i64 = std::env::args().nth(1).map_or(Ok(60), |text| text.parse())?;
    let cases = [
        Case {
            name: "candles, 50 symbols",
            sql: CANDLES,
            symbols: 50,
            span_us: 10 * SECOND,
            stray_us: SECOND,
            delay_us: 2 * SECOND,
        },
        Case {
            name: "candles, 50 symbols, 2 h open",
            sql: CANDLES,
            symbols: 50,
            span_us: 60 * SECOND,
            stray_us: 7_000 * SECOND,
            delay_us: 7_200 * SECOND,
        },
        Case {
            name: "candles, 50k symbols",
            sql: CANDLES,
            symbols: 50_000,
            span_us: 2 * SECOND,
            stray_us: SECOND,
            delay_us: 2 * SECOND,
        },
        Case {
            name: "candles, 50k symbols, 10 min open",
            sql: CANDLES,
            symbols: 50_000,
            span_us: 10 * SECOND,
            stray_us: 600 * SECOND,
            delay_us: 600 * SECOND,
        },
        Case {
            name: "median, count distinct, 50 symbols",
            sql: MEDIANS,
            symbols: 50,
            span_us: 10 * SECOND,
            stray_us: SECOND,
            delay_us: 2 * SECOND,
        },
    ];
    println!(
        "{:36} {:>9} {:>11} {:>10} {:>9} {:>10} {:>9}",
        "model", "µs/row", "with close", "worst fold", "groups", "state", "save"
    );
    for case in &cases {
        run(case, batches)?;
    }
    Ok(())
}

fn run(case: &Case, batches: i64) -> Result<(), Box<dyn std::error::Error>> {
    let def = ModelDef { name: "bench".into(), from: "ticks".into(), window_us: 60 * SECOND, sql: case.sql.into() };
    let plan = ModelPlan::new(&def, &silver())?;
    let mut state: WindowState = plan.open();
    let (mut folding, mut closing, mut worst) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut groups_max, mut bytes_max) = (0, 0);
    let mut seed = 1;
    for batch in 0..batches {
        let rows = rows(case, batch, &mut seed)?;
        let began = Instant::now();
        state.fold(&rows)?;
        let took = began.elapsed();
        folding += took;
        worst = worst.max(took);
        groups_max = groups_max.max(state.state_rows());
        bytes_max = bytes_max.max(state.state_bytes());
        let watermark = batch * case.span_us - case.delay_us;
        let began = Instant::now();
        if state.has_closable(watermark) {
            state.close(watermark)?;
        }
        closing += began.elapsed();
    }
    let began = Instant::now();
    let saved = state.save()?;
    let saving = began.elapsed();
    let began = Instant::now();
    state.close_all()?;
    closing += began.elapsed();
    let rows = (batches as f64) * ROWS as f64;
    println!(
        "{:36} {:9.3} {:11.3} {:7.1} ms {:>9} {:>7} kB {:6.1} ms ({} kB)",
        case.name,
        folding.as_secs_f64() * 1e6 / rows,
        (folding + closing).as_secs_f64() * 1e6 / rows,
        worst.as_secs_f64() * 1e3,
        groups_max,
        bytes_max / 1_000,
        saving.as_secs_f64() * 1e3,
        saved.len() / 1_000
    );
    Ok(())
}

fn silver() -> Schema {
    let mut fields = vec![
        Field::new("event_id", DataType::Utf8, true),
        Field::new("symbol", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(18, 4), true),
        Field::new("qty", DataType::Int64, true),
    ];
    fields.extend(silver_extra_fields());
    Schema::new(fields)
}

fn rows(case: &Case, batch: i64, seed: &mut u64) -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let mut below = |bound: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % bound
    };
    let numbers = |f: &mut dyn FnMut(usize) -> i64| (0..ROWS).map(f).collect::<Vec<i64>>();
    // Never so far back that the window is closed: a fold sees rows on time only.
    let earliest = (batch - 1) * case.span_us - case.delay_us + 60 * SECOND;
    let times = numbers(&mut |row| {
        let now = batch * case.span_us + row as i64 * case.span_us / ROWS as i64;
        (now - below(case.stray_us as u64) as i64).max(earliest)
    });
    let symbols = numbers(&mut |_| below(case.symbols) as i64);
    let prices = numbers(&mut |_| 1_000_000 + below(50_000) as i64);
    let quantities = numbers(&mut |_| below(1_000) as i64);
    let mut flags = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    (0..ROWS).for_each(|_| flags.append(true));
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..ROWS).map(|row| Some(format!("p-{batch}-{row}"))).collect::<StringArray>()),
        Arc::new(symbols.iter().map(|symbol| Some(format!("SYM{symbol}"))).collect::<StringArray>()),
        Arc::new(
            prices.iter().map(|p| Some(i128::from(*p))).collect::<Decimal128Array>().with_precision_and_scale(18, 4)?,
        ),
        Arc::new(Int64Array::from(quantities)),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(BooleanArray::from(vec![false; ROWS])),
        Arc::new(Float64Array::from(vec![0.1; ROWS])),
        Arc::new(flags.finish()),
        Arc::new((0..ROWS).map(|row| Some((row % 4) as i32)).collect::<Int32Array>()),
        Arc::new((0..ROWS).map(|row| Some(batch * ROWS as i64 + row as i64)).collect::<Int64Array>()),
        Arc::new(Int32Array::from(vec![1; ROWS])),
        Arc::new(StringArray::from(vec![None::<&str>; ROWS])),
        Arc::new(Date32Array::from(vec![0; ROWS])),
    ];
    Ok(RecordBatch::try_new(Arc::new(silver()), columns)?)
}
