//! What a state keeps, refuses and gives back.

use super::*;
use crate::gold::engine::{PENDING_BATCHES_MAX, Step, WindowState};

const COUNT: &str = "SELECT window_start, symbol, count(*) AS n, sum(price) AS total, median(mag) AS middle FROM ticks
    GROUP BY window_start, symbol";

fn at(random: &mut Random, time_us: i64) -> RecordBatch {
    let rows = rows(random, 1);
    let mut columns = rows.columns().to_vec();
    let position = rows.schema().index_of("_event_time").unwrap();
    columns[position] = Arc::new(TimestampMicrosecondArray::from(vec![time_us]).with_timezone("UTC"));
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_end_and_not_before() {
    let plan = plan(COUNT);
    let mut random = Random(1);
    let mut state = plan.open();
    assert!(!state.has_closable(i64::MAX));
    state.fold(&at(&mut random, 0)).unwrap();
    state.fold(&at(&mut random, MINUTE)).unwrap();
    assert_eq!(
        (state.open_windows(), state.earliest_end_us(), state.latest_end_us()),
        (2, Some(MINUTE), Some(2 * MINUTE))
    );
    assert!(!state.has_closable(MINUTE - 1));
    assert_eq!(state.close(MINUTE - 1).unwrap().num_rows(), 0);
    assert!(state.has_closable(MINUTE));
    assert_eq!(state.close(MINUTE).unwrap().num_rows(), 1);
    assert_eq!(state.close(MINUTE).unwrap().num_rows(), 0, "a window gives its rows once");
    assert_eq!((state.open_windows(), state.closed_until_us()), (1, MINUTE));
    assert_eq!(state.close_all().unwrap().num_rows(), 1);
    assert_eq!(state.closed_until_us(), 2 * MINUTE);
}

#[test]
fn a_row_of_a_closed_window_breaks_the_state_rather_than_publish_it_twice() {
    let plan = plan(COUNT);
    let mut random = Random(2);
    let mut state = plan.open();
    state.close(MINUTE).unwrap();
    let mut reloaded = WindowState::load(&plan, &state.save().unwrap()).unwrap();
    for state in [&mut state, &mut reloaded] {
        let error = state.fold(&at(&mut random, MINUTE - 1)).unwrap_err();
        assert!(matches!(error, ModelError::WindowClosed { window_end_us: MINUTE, .. }), "{error}");
        assert!(state.is_broken());
        assert!(matches!(state.fold(&at(&mut random, MINUTE)), Err(ModelError::Broken { .. })));
        assert!(matches!(state.close_all(), Err(ModelError::Broken { .. })));
        assert!(matches!(state.save(), Err(ModelError::Broken { .. })));
    }
}

#[test]
fn a_lost_state_rebuilt_from_all_of_silver_gives_the_same_rows() {
    let plan = plan(COUNT);
    let mut random = Random(3);
    let rows = rows(&mut random, 900);
    let watermark = BASE + 5 * MINUTE;
    let mut kept = plan.open();
    kept.fold(&rows).unwrap();
    let closed = kept.close(watermark).unwrap();
    let mut rebuilt = plan.open_after(watermark);
    let folded = rebuilt.fold_open(&rows).unwrap();
    assert!(folded > 0 && folded < rows.num_rows());
    let (kept, rebuilt) = (kept.close_all().unwrap(), rebuilt.close_all().unwrap());
    assert_same(&kept, &rebuilt, "rebuilt");
    assert!(closed.num_rows() > 0 && kept.num_rows() > 0);
}

#[test]
fn many_small_folds_are_merged_and_bounded() {
    let plan = plan(COUNT);
    let mut random = Random(4);
    let rows = rows(&mut random, 3_000);
    let mut state = plan.open();
    for row in 0..3_000 {
        state.fold(&pick(&rows, &[row])).unwrap();
    }
    let groups = state.state_rows();
    assert!(groups < 11 * 6 * 12 + PENDING_BATCHES_MAX + 1, "{groups} rows of partial aggregates");
    assert_same(&state.close_all().unwrap(), &oracle(&plan, COUNT, &rows), "merged");
}

#[test]
fn more_groups_than_pending_rows_are_split_by_window_and_stay_exact() {
    let sql = "SELECT window_start, event_id, count(*) AS n, max(qty) AS q FROM ticks GROUP BY window_start, event_id";
    let plan = plan(sql);
    let mut random = Random(5);
    let rows = rows(&mut random, 90_000);
    let mut state = plan.open();
    for from in (0..90_000).step_by(9_000) {
        state.fold(&rows.slice(from, 9_000)).unwrap();
    }
    let mut out = vec![state.close(BASE + 4 * MINUTE).unwrap()];
    state = WindowState::load(&plan, &state.save().unwrap()).unwrap();
    out.push(state.close_all().unwrap());
    let found = concat_batches(&plan.output_schema(), &out).unwrap();
    assert_same(&found, &oracle(&plan, sql, &rows), "groups");
}

#[test]
fn a_state_beyond_its_bytes_stops_with_advice() {
    let sql = "SELECT window_start, array_agg(event_id ORDER BY event_id) AS a FROM ticks GROUP BY window_start";
    let plan = plan(sql);
    let mut random = Random(6);
    let rows = rows(&mut random, 5_000);
    let mut state = plan.open().with_bytes_max(20_000);
    let error = state.fold(&rows).unwrap_err();
    assert!(matches!(error, ModelError::StateTooLarge { bytes_max: 20_000, .. }), "{error}");
    assert!(state.is_broken());
}

#[test]
fn a_value_that_fails_stops_the_model_and_is_not_in_the_error() {
    let mut random = Random(7);
    let rows = rows(&mut random, 10);
    for (expression, step, told) in [
        ("sum(cast(event_id AS double))", Step::Fold, "Cannot cast string '…' to value of Float64 type"),
        ("sum(1 / (qty - qty))", Step::Fold, "ivide by zero"),
        ("cast(concat('x', count(*)) AS bigint)", Step::Close, "Cannot cast string '…'"),
    ] {
        let plan = plan(&format!("SELECT window_start, {expression} AS a FROM ticks GROUP BY window_start"));
        let mut state = plan.open();
        let error = match state.fold(&rows) {
            Err(error) => error,
            Ok(()) => state.close_all().unwrap_err(),
        };
        let text = error.to_string();
        assert!(matches!(error, ModelError::Failed { step: found, .. } if found == step), "{expression}: {text}");
        assert!(text.contains(told) && !text.contains("e-0"), "{text}");
        assert!(state.is_broken());
        assert!(plan.batch(std::slice::from_ref(&rows)).is_err());
    }
}

#[test]
fn a_panic_inside_becomes_an_error() {
    let failure = crate::sql::guarded(|| -> datafusion::error::Result<()> { panic!("secret") }).unwrap_err();
    assert!(matches!(failure, crate::sql::Failure::Panic));
}

#[test]
fn saved_bytes_of_another_model_or_torn_ones_are_refused() {
    let plan = plan(COUNT);
    let mut random = Random(8);
    let mut state = plan.open();
    state.fold(&rows(&mut random, 200)).unwrap();
    let saved = state.save().unwrap();
    let refused = |plan: &Arc<ModelPlan>, bytes: &[u8]| match WindowState::load(plan, bytes) {
        Err(ModelError::SavedState { why, .. }) => why,
        other => panic!("{:?}", other.map(|state| state.state_rows())),
    };
    let other = super::plan(&COUNT.replace("median(mag)", "avg(mag)"));
    assert!(refused(&other, &saved).contains("another definition"));
    let longer = ModelPlan::new(&ModelDef { window_us: 2 * MINUTE, ..model(COUNT) }, &silver()).unwrap();
    assert!(refused(&longer, &saved).contains("another definition"));
    refused(&plan, &[]);
    refused(&plan, b"not a state");
    for cut in (0..saved.len() - 8).step_by(97) {
        refused(&plan, &saved[..cut]);
    }
}

#[test]
fn rows_of_another_schema_are_refused() {
    let plan = plan(COUNT);
    let mut random = Random(9);
    let rows = rows(&mut random, 3);
    let narrow = rows.project(&[0, 1, 2]).unwrap();
    assert!(matches!(plan.open().fold(&narrow), Err(ModelError::Schema { .. })));
    assert!(matches!(plan.batch(&[narrow]), Err(ModelError::Schema { .. })));
    let out_of_time = at(&mut random, i64::MIN);
    assert!(matches!(plan.open().fold(&out_of_time), Err(ModelError::TimeOutOfRange { .. })));
}

#[test]
fn folding_works_inside_a_tokio_task_whose_budget_is_used_up() {
    let plan = plan("SELECT window_start, array_agg(qty ORDER BY event_id) AS a FROM ticks GROUP BY window_start");
    let mut random = Random(10);
    let rows = rows(&mut random, 500);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let found = runtime.block_on(async {
        let work = tokio::spawn(async move {
            let mut state = plan.open();
            for from in 0..500 {
                state.fold(&rows.slice(from, 1)).unwrap();
            }
            state.close_all().unwrap().num_rows()
        });
        work.await.unwrap()
    });
    assert!(found > 5);
}
