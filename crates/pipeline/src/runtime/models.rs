//! The models of one stream: opened, fed behind silver, set aside where they fail, opened again where that may pass.
//!
//! Contract: nothing that happens to a model holds its stream up or stops it. A failure of a passing kind (a gold table
//! that cannot be written, an answer that was lost, another worker's commit) drops the stage with all it holds and shows
//! WAITING with the reason; the stream's loop opens it again, with backoff, from what its table says by then: what was
//! unknown is resolved by reading. It catches up from silver, and because a table's newest books say up to which instant
//! windows are written, and a commit is made only upon the append it follows, no window is written twice. (Rows that were
//! staged without a commit stay as orphan files.) Any other failure stops the model for good.

use super::commit::{CommitFailure, Committer};
use super::health::{Condition, Part};
use super::identity::StreamIdentity;
use super::start::{Starter, Upto};
use crate::feed::utc_day;
use crate::gold::engine::ModelPlan;
use crate::gold::{Covers, GoldStage, keeps_its_window, model_table_schema};
use crate::ops::{DefinitionKind, InForceFrom};
use crate::silver::{SilverCommit, SilverStage};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use watertight_core::books::CommitKind;
use watertight_core::port::{DataFile, ErrorKind, PortError};
use watertight_core::schema::{GOLD_PARTITION, ModelDef};

/// First pause before a model is opened again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause: catching up reads silver on the stream's thread, which must not be all that it does.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A model at work, set aside for a while, or stopped by its own failure.
enum Model {
    Running(Box<GoldStage>),
    Waiting { since: Instant, pause: Duration, error: String },
    Failed,
}

struct One {
    def: ModelDef,
    part: Part,
    model: Model,
}

/// All models of a stream.
pub(super) struct Models {
    all: Vec<One>,
    /// Silver's positions when the stream was started: from when a new version of a model is said to be in force.
    from: BTreeMap<i32, i64>,
}

/// What a model is opened from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub starter: &'a Starter<'a>,
    pub identity: &'a StreamIdentity,
    pub silver: &'a SilverStage,
}

impl Models {
    pub(super) fn open(source: Source<'_>) -> Self {
        let Starter { setup, def: stream, .. } = source.starter;
        let from = source.silver.positions();
        let open = |def: &ModelDef| {
            let part = Part::Model(def.name.clone());
            One { def: def.clone(), model: source.open(def, &part, &from, PAUSE_FIRST), part }
        };
        let all = setup
            .models
            .iter()
            .filter(|model| setup.upto == Upto::Gold && model.from == stream.name)
            .map(open)
            .collect();
        Self { all, from }
    }

    /// Gives a silver commit to the models that are at work.
    pub(super) fn feed(&mut self, starter: &Starter<'_>, commit: &SilverCommit) {
        for One { part, model, .. } in &mut self.all {
            let Model::Running(stage) = model else { continue };
            if let Err(error) = feed(stage, commit, &starter.committer(part.clone())) {
                *model = set_aside(starter, part, &error, PAUSE_FIRST);
            }
        }
    }

    /// Opens again those whose pause is over.
    pub(super) fn open_again(&mut self, source: Source<'_>) {
        for One { def, part, model } in &mut self.all {
            let Model::Waiting { since, pause, .. } = model else { continue };
            if since.elapsed() >= *pause {
                let longer = (*pause * 2).min(PAUSE_MAX);
                *model = source.open(def, part, &self.from, longer);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn any_waits(&self) -> bool {
        self.all.iter().any(|one| matches!(one.model, Model::Waiting { .. }))
    }

    /// The end of input to declare so that every window that is open closes. Where only times that are not believed
    /// (`largest_us` is the largest that is) and that have not come yet keep one open, it is left open and named: closing
    /// it would make everything late that comes until then.
    pub(super) fn end_of_input_us(&self, largest_us: Option<i64>, now_us: i64) -> Option<i64> {
        let mut end_us = None;
        for One { def, model, .. } in &self.all {
            let Model::Running(stage) = model else { continue };
            let Some(latest_us) = stage.state().latest_end_us() else { continue };
            let believed_us = largest_us.map(|time_us| window_end(time_us, def.window_us));
            if believed_us.max(Some(now_us)) >= Some(latest_us) {
                end_us = end_us.max(Some(latest_us));
                continue;
            }
            tracing::warn!(
                model = def.name,
                latest_window_end_us = latest_us,
                closed_until_us = believed_us,
                "windows that only events with a time in the future have opened (flagged future_event_time in silver) are \
                 left open; they close when the stream's watermark gets there"
            );
            end_us = end_us.max(believed_us);
        }
        end_us
    }

    /// Enters as failed what is still waited for when a run ends that was to leave nothing undone.
    pub(super) fn give_up(&mut self, starter: &Starter<'_>) {
        for One { part, model, .. } in &mut self.all {
            let Model::Waiting { error, .. } = model else { continue };
            let error = format!("not done when the run ended, and caught up at the next start: {error}");
            tracing::error!(%part, error, "the model is behind");
            starter.health.set(part, Condition::Failed { error });
            *model = Model::Failed;
        }
    }

    /// The run ends: saves the open windows, which cover silver up to `silver_version`. What waits is left behind.
    pub(super) fn end(&mut self, starter: &Starter<'_>, silver_version: u64) {
        for One { part, model, .. } in &mut self.all {
            match model {
                Model::Running(stage) => {
                    stage.save(silver_version);
                    starter.health.set(part, Condition::Done);
                }
                Model::Waiting { error, .. } => {
                    tracing::warn!(%part, error, "left behind, because a stop was asked for; it catches up at the next start");
                }
                Model::Failed => {}
            }
        }
    }
}

fn feed(stage: &mut GoldStage, commit: &SilverCommit, committer: &Committer<'_>) -> Result<(), CommitFailure> {
    let mut watch = committer.stopwatch();
    for (_, rows) in &commit.rows {
        stage.fold(rows)?;
    }
    stage.note_folded(watch.lap_us());
    if let Some(watermark_us) = commit.watermark_us {
        stage.close(watermark_us, &commit.positions, committer)?;
    }
    stage.save_if_due(commit.version);
    Ok(())
}

/// Notes a model's failure, loudly; bronze, silver and the other models go on.
fn set_aside(starter: &Starter<'_>, part: &Part, error: &CommitFailure, pause: Duration) -> Model {
    let said = match error {
        CommitFailure::Port(error) => error.chain(),
        other => other.to_string(),
    };
    let passing = match error {
        CommitFailure::Stopped => true,
        CommitFailure::Imbalance(_) => false,
        CommitFailure::Port(error) => matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown | ErrorKind::Fenced),
    };
    if passing {
        tracing::warn!(%part, error = said, "the model waits for this to pass, then catches up from silver");
        starter.health.set(part, Condition::Waiting { error: said.clone() });
        return Model::Waiting { since: Instant::now(), pause, error: said };
    }
    tracing::error!(%part, error = said, "the model stopped; it catches up from silver once it is fixed and the pipeline restarted");
    starter.health.set(part, Condition::Failed { error: said });
    Model::Failed
}

/// End of the window that `time_us` is in.
fn window_end(time_us: i64, window_us: i64) -> i64 {
    time_us.div_euclid(window_us).saturating_add(1).saturating_mul(window_us)
}

impl Source<'_> {
    /// Opens a model and lets it catch up; where that fails for now, `pause` goes by before the next attempt.
    fn open(self, def: &ModelDef, part: &Part, from: &BTreeMap<i32, i64>, pause: Duration) -> Model {
        let starter = self.starter;
        match self.caught_up(def, from, &starter.committer(part.clone())) {
            Ok(stage) => {
                starter.health.set(part, Condition::Running);
                Model::Running(Box::new(stage))
            }
            Err(error) => set_aside(starter, part, &error, pause),
        }
    }

    fn caught_up(
        self,
        def: &ModelDef,
        from: &BTreeMap<i32, i64>,
        committer: &Committer<'_>,
    ) -> Result<GoldStage, CommitFailure> {
        let Self { starter, silver, .. } = self;
        let plan = ModelPlan::new(def, &silver.table().columns())
            .map_err(|e| PortError::caused(ErrorKind::Stop, format!("model {}: {e}", def.name), e))?;
        let table = starter.open(committer, "gold", &def.name, model_table_schema(&plan), GOLD_PARTITION)?;
        let newest = table.state().last_append.as_ref();
        keeps_its_window(def, newest, |version| {
            let definitions = starter.definitions.lock().unwrap_or_else(PoisonError::into_inner);
            definitions.text(DefinitionKind::Model, &def.name, version).map(str::to_owned)
        })?;
        let mut identity = self.identity.clone();
        let from = InForceFrom {
            incarnation: &self.identity.incarnation,
            positions: from,
            others: &BTreeMap::new(),
            closed_until_us: newest.and_then(|books| books.closed_until_us),
        };
        identity.definition = starter.version(DefinitionKind::Model, &def.name, def, from, committer)?;
        let version = silver.table().state().version;
        let (mut stage, covers) = GoldStage::open(table, identity, &plan, &starter.state_folder(), version)?;
        match covers {
            Covers::Version(upto) => continue_windows(&mut stage, def, silver, upto, committer)?,
            Covers::Nothing => rebuild_windows(&mut stage, def, silver, committer)?,
        }
        Ok(stage)
    }
}

/// Folds what silver got after the checkpoint was made.
fn continue_windows(
    stage: &mut GoldStage,
    def: &ModelDef,
    silver: &SilverStage,
    upto: u64,
    committer: &Committer<'_>,
) -> Result<(), CommitFailure> {
    let table = silver.table();
    if upto < table.state().version {
        for commit in table.commits_after(Some(upto))? {
            let append = commit.books.as_ref().is_some_and(|books| books.kind == CommitKind::Append);
            for file in commit.files.iter().filter(|_| append) {
                let batches = table.read(file, &[])?.collect::<Result<Vec<_>, _>>()?;
                stage.refold(&batches, def.window_us)?;
            }
        }
    }
    stage.settle()?;
    match silver.time().stream_us() {
        Some(watermark_us) => stage.close(watermark_us, &silver.positions_of_all_lives(), committer),
        None => Ok(()),
    }
}

/// Folds the rows of silver whose windows are not closed, day by day, closing what can be closed on the way. A stop ends
/// it: nothing is committed, and the next start does it again.
fn rebuild_windows(
    stage: &mut GoldStage,
    def: &ModelDef,
    silver: &SilverStage,
    committer: &Committer<'_>,
) -> Result<(), CommitFailure> {
    let table = silver.table();
    let first_day = stage.closed_until_us().map(|closed| utc_day(closed.saturating_sub(def.window_us)));
    let mut days: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
    for file in table.live_files()? {
        if first_day.is_none_or(|first| file.partition_days >= first) {
            days.entry(file.partition_days).or_default().push(file);
        }
    }
    let watermark_us = silver.time().stream_us();
    let (mut staged, mut rows) = (Vec::new(), 0);
    let (mut done, of) = (0, days.values().flatten().map(|file| file.rows).sum());
    for (day, files) in days {
        if committer.stop.requested() {
            return Err(CommitFailure::Stopped);
        }
        for file in files {
            committer.note_rebuilding(done, of);
            let batches = table.read(&file, &[])?.collect::<Result<Vec<_>, _>>()?;
            stage.refold(&batches, def.window_us)?;
            done += file.rows;
        }
        let day_end_us = (i64::from(day) + 1).saturating_mul(86_400_000_000);
        if let Some(watermark_us) = watermark_us {
            let (files, count) = stage.close_staged(watermark_us.min(day_end_us), committer)?;
            staged.extend(files);
            rows += count;
        }
    }
    committer.note_rebuilding(of, of);
    match watermark_us {
        Some(watermark_us) if !staged.is_empty() => {
            stage.commit(staged, rows, watermark_us, &silver.positions_of_all_lives(), committer)
        }
        _ => Ok(()),
    }
}
