//! Which kind of table one is, by its schema and columns.

use crate::lake::Table;

/// The kind of a table: what its rows and books must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `bronze.<stream>`.
    Bronze,
    /// `bronze.<stream>_dlq`.
    DeadLetters,
    /// `silver.<stream>`.
    Silver,
    /// `silver.<stream>_gaps`.
    Gaps,
    /// `gold.<model>`.
    Gold,
    /// `ops.*`, and what else there may be.
    Other,
}

impl Layer {
    /// The kind of this table.
    #[must_use]
    pub fn of(table: &Table) -> Self {
        let has = |column: &str| table.metadata.columns.field_with_name(column).is_ok();
        match table.name.schema.as_str() {
            "bronze" if has("_quality_flags") => Self::DeadLetters,
            "bronze" => Self::Bronze,
            "silver" if has("_event_time") && has("_kafka_offset") => Self::Silver,
            "silver" if has("from_offset") && has("cause") => Self::Gaps,
            "gold" => Self::Gold,
            _ => Self::Other,
        }
    }

    /// The column whose UTC date is the partition column of its row.
    #[must_use]
    pub fn dated_by(self, table: &Table) -> Option<&'static str> {
        let column = match self {
            Self::Bronze | Self::DeadLetters => "_ingested_at",
            Self::Silver => "_event_time",
            Self::Gaps => "declared_at",
            Self::Gold => "window_start",
            Self::Other if table.name.name == "commits" => "copied_at",
            Self::Other if table.name.name == "definitions" => "recorded_at",
            Self::Other => return None,
        };
        table.metadata.columns.field_with_name(column).is_ok().then_some(column)
    }
}
