//! Why a model is refused, or stops.

use std::fmt;

/// What a model was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its SQL was planned.
    Plan,
    /// Rows of silver were folded into its state.
    Fold,
    /// Partial aggregates of open windows were merged.
    Merge,
    /// Windows were closed.
    Close,
    /// Its SQL was run over all rows at once.
    Batch,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "planning its SQL",
            Self::Fold => "folding rows",
            Self::Merge => "merging partial aggregates",
            Self::Close => "closing windows",
            Self::Batch => "running over all rows",
        })
    }
}

/// An error of one model. It concerns that model alone: bronze, silver and the other models go on.
///
/// No variant holds a row's value: errors go to `status` and to logs.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The definition can't be streamed. `validate` prints every reason; the definition must change.
    #[error("model '{model}' cannot be streamed: {}", reasons.join("; "))]
    Refused {
        /// The model.
        model: String,
        /// Each thing that is wrong, with what to do about it. Never empty.
        reasons: Vec<String>,
    },
    /// The SQL failed over these rows (a cast, a division by zero). The same rows fail again: the SQL
    /// or the stream's checks must change; the model then catches up from silver.
    #[error("model '{model}' failed while {step}: {message}; change its SQL (try_cast, nullif) or the stream's checks")]
    Failed {
        /// The model.
        model: String,
        /// What it was doing.
        step: Step,
        /// DataFusion's message without values.
        message: String,
    },
    /// A sum, a difference or a product has more digits than its type. The same rows fail again: the SQL must change;
    /// the model then catches up from silver.
    #[error(
        "model '{model}' stopped while {step}: a number is larger than its type holds, and is not published wrapped around; cast in its SQL to a wider type before adding up or multiplying, such as cast(x AS decimal(38, 0)) or cast(x AS double)"
    )]
    Overflow {
        /// The model.
        model: String,
        /// What it was doing.
        step: Step,
    },
    /// DataFusion panicked. The state is as before the call, but counts as broken.
    #[error("model '{model}' panicked while {step}; simplify its SQL, and report it with the SQL")]
    Panicked {
        /// The model.
        model: String,
        /// What it was doing.
        step: Step,
    },
    /// The caller's rows don't have the schema that the model was planned for. A defect of the caller.
    #[error("model '{model}' was given rows of another schema: {found}")]
    Schema {
        /// The model.
        model: String,
        /// What differs.
        found: String,
    },
    /// An event time so near the ends of time that its window has no bounds.
    #[error("model '{model}' was given an event time whose window cannot be represented")]
    TimeOutOfRange {
        /// The model.
        model: String,
    },
    /// A row belongs to a window that was closed before. Folding it would publish the window twice.
    #[error(
        "model '{model}' was given a row of the window that ended at {window_end_us} µs, but windows are closed up to {closed_until_us} µs; late rows must be left out before the fold"
    )]
    WindowClosed {
        /// The model.
        model: String,
        /// End of the row's window, µs since the epoch.
        window_end_us: i64,
        /// Windows that end here or earlier are closed, µs since the epoch.
        closed_until_us: i64,
    },
    /// The open windows' partial aggregates take more memory than allowed, even after merging.
    #[error(
        "model '{model}' holds {bytes} bytes in open windows, more than {bytes_max}; group by fewer values, shorten the window or the watermark, or replace median, count(distinct) and array_agg by approximate ones"
    )]
    StateTooLarge {
        /// The model.
        model: String,
        /// Bytes held.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// An earlier call on this state failed. Rebuild the state from silver.
    #[error("model '{model}' stopped at an earlier error; its open windows must be rebuilt from silver")]
    Broken {
        /// The model.
        model: String,
    },
    /// A saved state can't be used: rebuild the state from silver.
    #[error("saved state of model '{model}' cannot be used: {why}; its open windows are rebuilt from silver")]
    SavedState {
        /// The model.
        model: String,
        /// What is wrong with it.
        why: String,
    },
}
