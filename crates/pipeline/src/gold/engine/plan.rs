//! A model's SQL, checked and planned once.

use super::error::{ModelError, Step};
use super::origin::{Origin, aggregates, origin, source_of};
use super::output::Output;
use super::physical::Stages;
use super::rows::{RowsTable, over};
use super::window;
use super::window_state::WindowState;
use super::{refuse, total_order};
use crate::sql::{Failure, Planning, collect, drive, guarded, is_overflow, planning_message, runtime_message, session};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::DFParserBuilder;
use std::sync::Arc;
use watertight_core::schema::ModelDef;

/// A model that may be streamed. Immutable: one plan serves any number of states, on any thread.
#[derive(Debug)]
pub struct ModelPlan {
    name: String,
    identity: String,
    silver: SchemaRef,
    input: SchemaRef,
    window_us: i64,
    window_column: usize,
    stages: Stages,
    batch: Arc<dyn ExecutionPlan>,
    batch_context: Arc<TaskContext>,
    output: Output,
}

impl ModelPlan {
    /// Plans a model over a stream whose silver rows have the schema `silver`.
    ///
    /// # Errors
    /// [`ModelError::Refused`] with every reason that could be found, [`ModelError::Panicked`] if the planner did.
    pub fn new(def: &ModelDef, silver: &Schema) -> Result<Arc<Self>, ModelError> {
        match guarded(|| Ok(Self::plan(def, silver))) {
            Ok(Ok(plan)) => Ok(Arc::new(plan)),
            Ok(Err(reasons)) => Err(ModelError::Refused { model: def.name.clone(), reasons }),
            Err(_) => Err(ModelError::Panicked { model: def.name.clone(), step: Step::Plan }),
        }
    }

    fn plan(def: &ModelDef, silver: &Schema) -> Result<Self, Vec<String>> {
        if def.window_us <= 0 {
            return Err(vec!["its window has no length; give it one, such as '1 min'".to_owned()]);
        }
        let silver = Arc::new(silver.clone());
        let input = window::input_schema(&silver).map_err(|reason| vec![reason])?;
        let streaming = state_with(def, &input, Planning::Streaming).map_err(one)?;
        let logical = logical_plan(def, &silver, &streaming)?;
        let optimized = streaming.optimize(&logical).map_err(one)?;
        let (window_column, key) = key_columns(&optimized)?;
        let output = Output::new(optimized.schema().as_arrow(), key)?;
        let physical = physical_plan(&streaming, &optimized).map_err(one)?;
        let stages = Stages::new(&physical, window_column, streaming.task_ctx()).map_err(one)?;

        let whole = state_with(def, &input, Planning::Batch).map_err(one)?;
        let batch = whole.optimize(&logical).and_then(|plan| physical_plan(&whole, &plan)).map_err(one)?;
        let identity = identity(def, &silver);
        let plan = Self {
            name: def.name.clone(),
            identity,
            silver,
            input,
            window_us: def.window_us,
            window_column,
            stages,
            batch,
            batch_context: whole.task_ctx(),
            output,
        };
        plan.rehearse()?;
        Ok(plan)
    }

    /// Sends one row of NULLs through all stages: an aggregate that DataFusion can't continue from a saved state is
    /// found here, not at the first window. An error that rows of NULL may well cause says nothing.
    fn rehearse(&self) -> Result<(), Vec<String>> {
        let row = window::row_of_nulls(&self.input).map_err(one)?;
        let passed = guarded(|| {
            let state = self.stages.partial(vec![row])?;
            let reduced = self.stages.reduce(state.iter().chain(&state).cloned().collect())?;
            self.output.finish(&self.stages.finish(reduced)?)?;
            Ok(())
        });
        match passed {
            Ok(()) => Ok(()),
            Err(Failure::Panic) => {
                Err(vec!["one of its functions panics; leave out the unusual ones one by one to find it".to_owned()])
            }
            Err(Failure::Error(error)) => match error.find_root() {
                DataFusionError::NotImplemented(_) | DataFusionError::Internal(_) => Err(one(error)),
                _ => Ok(()),
            },
        }
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Window length, µs.
    #[must_use]
    pub fn window_us(&self) -> i64 {
        self.window_us
    }

    /// The model's own columns, in the types in which Delta holds them. `window_start` is among them.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        Arc::clone(self.output.schema())
    }

    /// Names of the columns that identify a row: `window_start`, then the groups in the order of GROUP BY.
    ///
    /// With GROUPING SETS, ROLLUP or CUBE, NULL stands both for a missing value and for "all".
    #[must_use]
    pub fn key_columns(&self) -> Vec<&str> {
        self.output.key().iter().map(|&column| self.output.schema().field(column).name().as_str()).collect()
    }

    /// No open windows.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> WindowState {
        WindowState::new(Arc::clone(self), i64::MIN)
    }

    /// No open windows, and those that end at `closed_until_us` (µs since the epoch) or earlier are closed: where
    /// rebuilding from silver begins.
    #[must_use]
    pub fn open_after(self: &Arc<Self>, closed_until_us: i64) -> WindowState {
        WindowState::new(Arc::clone(self), closed_until_us)
    }

    /// Runs the model over all rows at once, with DataFusion's own plan for it.
    ///
    /// `rows` have silver's schema; the result is sorted as the streamed one is.
    ///
    /// # Errors
    /// As [`WindowState::fold`] and [`WindowState::close`].
    pub fn batch(&self, rows: &[RecordBatch]) -> Result<RecordBatch, ModelError> {
        let rows = rows.iter().map(|batch| self.with_windows(batch)).collect::<Result<Vec<_>, _>>()?;
        self.run(Step::Batch, || {
            let rows = collect(&over(&self.batch, rows)?, &self.batch_context)?;
            Ok(self.output.finish(&rows)?)
        })
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn window_column(&self) -> usize {
        self.window_column
    }

    pub(super) fn state_schema(&self) -> &SchemaRef {
        self.stages.state_schema()
    }

    /// Appends the window columns to rows of silver.
    pub(super) fn with_windows(&self, rows: &RecordBatch) -> Result<RecordBatch, ModelError> {
        if let Some(found) = window::difference(&self.silver, &rows.schema()) {
            return Err(ModelError::Schema { model: self.name.clone(), found });
        }
        window::append(rows, &self.input, self.window_us)
            .ok_or_else(|| ModelError::TimeOutOfRange { model: self.name.clone() })
    }

    pub(super) fn partial(&self, rows: RecordBatch) -> Result<Vec<RecordBatch>, ModelError> {
        self.run(Step::Fold, || self.stages.partial(vec![rows]))
    }

    pub(super) fn reduce(&self, state: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ModelError> {
        self.run(Step::Merge, || self.stages.reduce(state))
    }

    pub(super) fn finish(&self, state: Vec<RecordBatch>) -> Result<RecordBatch, ModelError> {
        self.run(Step::Close, || Ok(self.output.finish(&self.stages.finish(state)?)?))
    }

    /// An error of Arrow while state is split; it says nothing about the rows.
    pub(super) fn defect(&self, error: &ArrowError) -> ModelError {
        let message = runtime_message(&DataFusionError::from(ArrowError::ComputeError(error.to_string())));
        ModelError::Failed { model: self.name.clone(), step: Step::Merge, message }
    }

    fn run<T>(&self, step: Step, work: impl FnOnce() -> Result<T, DataFusionError>) -> Result<T, ModelError> {
        guarded(work).map_err(|failure| match failure {
            Failure::Panic => ModelError::Panicked { model: self.name.clone(), step },
            Failure::Error(error) if is_overflow(&error) => ModelError::Overflow { model: self.name.clone(), step },
            Failure::Error(error) => {
                ModelError::Failed { model: self.name.clone(), step, message: runtime_message(&error) }
            }
        })
    }
}

fn one(error: DataFusionError) -> Vec<String> {
    vec![planning_message(&error)]
}

/// Everything that a state's layout and content follow from.
fn identity(def: &ModelDef, silver: &Schema) -> String {
    let columns: Vec<String> =
        silver.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    format!(
        "datafusion {}\nwindow {} µs\nfrom {} ({})\n{}",
        datafusion::DATAFUSION_VERSION,
        def.window_us,
        def.from,
        columns.join(", "),
        def.sql
    )
}

fn state_with(def: &ModelDef, input: &SchemaRef, planning: Planning) -> Result<SessionState, DataFusionError> {
    let state = session(planning)?;
    let table = TableReference::bare(def.from.as_str());
    state.schema_for_ref(table)?.register_table(def.from.clone(), Arc::new(RowsTable(Arc::clone(input))))?;
    Ok(state)
}

/// The plan of the SQL before optimisation, with the order inside aggregates made total.
fn logical_plan(def: &ModelDef, silver: &Schema, state: &SessionState) -> Result<LogicalPlan, Vec<String>> {
    let mut statements =
        DFParserBuilder::new(def.sql.as_str()).build().and_then(|mut parser| parser.parse_statements()).map_err(one)?;
    let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return Err(vec!["a model is one SELECT, and this is none or several statements".to_owned()]);
    };
    if let Some(reason) = refuse::statement(&statement) {
        return Err(vec![reason]);
    }
    let foreign: Vec<String> = state
        .resolve_table_references(&statement)
        .map_err(one)?
        .into_iter()
        .filter(|table| *table != TableReference::bare(def.from.as_str()))
        .map(|table| {
            format!(
                "it reads {table}; a streamed model reads its stream only: FROM {}",
                datafusion::common::utils::quote_identifier(&def.from)
            )
        })
        .collect();
    if !foreign.is_empty() {
        return Err(foreign);
    }
    let plan = drive(state.statement_to_plan(statement)).map_err(one)?;
    let mut reasons = refuse::plan(&plan);
    let plan = total_order::apply(plan, silver, &mut reasons).map_err(one)?;
    if reasons.is_empty() { Ok(plan) } else { Err(reasons) }
}

fn physical_plan(state: &SessionState, optimized: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    // The planner wants a plan of its own: a builder copies it.
    let plan = LogicalPlanBuilder::from(optimized.clone()).build()?;
    drive(state.query_planner().create_physical_plan(&plan, state))
}

/// Where the window's start stands among the groups, and which columns of the result are the key.
fn key_columns(plan: &LogicalPlan) -> Result<(usize, Vec<usize>), Vec<String>> {
    let aggregates = aggregates(plan);
    let [aggregate] = aggregates.as_slice() else {
        return Err(vec![format!("it aggregates {} times; a streamed model does so once", aggregates.len())]);
    };
    let groups = grouping_set_to_exprlist(&aggregate.group_expr).map_err(one)?;
    let source = |group: &usize| source_of(&aggregate.input, groups[*group]);
    let Some(window) = (0..groups.len()).find(|group| source(group) == Some(window::START)) else {
        return Err(vec!["it doesn't group by the window; add GROUP BY window_start".to_owned()]);
    };
    let names: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let group_of = |column: usize| match origin(plan, column) {
        Origin::Aggregate(group) if group < groups.len() => Some(group),
        _ => None,
    };
    let mut reasons = Vec::new();
    for name in [window::START, window::END] {
        if let Some(column) = names.iter().position(|found| *found == name)
            && group_of(column).and_then(|group| source(&group)) != Some(name)
        {
            reasons.push(format!("its column {name} is not the window's own; group by {name} and select it as it is"));
        }
    }
    if !names.contains(&window::START) {
        reasons.push("window_start is not in the SELECT list; gold's rows are known by it".to_owned());
    }
    let mut key = Vec::new();
    for group in std::iter::once(window).chain((0..groups.len()).filter(|group| *group != window)) {
        match (0..names.len()).find(|column| group_of(*column) == Some(group)) {
            Some(column) => key.push(column),
            // One window has one end: it tells no rows apart.
            None if group == window || source(&group) == Some(window::END) => {}
            None => reasons.push(format!(
                "it groups by {} but doesn't select it, so that a window's rows could not be told apart; select it",
                groups[group].human_display()
            )),
        }
    }
    if reasons.is_empty() { Ok((window, key)) } else { Err(reasons) }
}
