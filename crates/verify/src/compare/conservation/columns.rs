//! A batch's columns, found by name and brought to one type once, so that no row pays for it.
//!
//! Never assumes that a foreign file has the column, the type, or no nulls: what does not fit is said as text.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use std::sync::Arc;

/// A column of this name and type.
///
/// # Errors
/// Says what is wrong with it.
pub(in crate::compare) fn typed<T: Array + Clone + 'static>(
    batch: &RecordBatch,
    name: &str,
    kind: &DataType,
) -> Result<T, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("there is no column {name}"))?;
    let column = match column.data_type() == kind {
        true => Arc::clone(column),
        false => cast(column, kind).map_err(|error| format!("column {name} cannot be read as {kind}: {error}"))?,
    };
    let typed = column.as_any().downcast_ref::<T>().cloned();
    typed.ok_or_else(|| format!("column {name} cannot be read as {kind}"))
}

/// µs, UTC.
pub(super) fn timestamps(batch: &RecordBatch, name: &str) -> Result<TimestampMicrosecondArray, String> {
    typed(batch, name, &DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))))
}

/// A list of texts.
#[derive(Debug, Clone)]
pub(super) struct TextLists {
    list: ListArray,
    texts: StringArray,
}

impl TextLists {
    fn of(batch: &RecordBatch, name: &str) -> Result<Self, String> {
        let column = batch.column_by_name(name).ok_or_else(|| format!("there is no column {name}"))?;
        let list = column.as_list_opt::<i32>().ok_or_else(|| format!("column {name} is no list"))?.clone();
        let texts = cast(list.values(), &DataType::Utf8).map_err(|error| format!("column {name}: {error}"))?;
        let texts = texts.as_string_opt::<i32>().ok_or_else(|| format!("column {name} is no list of texts"))?.clone();
        Ok(Self { list, texts })
    }

    /// The texts of a row; `None` where the list, or one of them, is null.
    pub(super) fn texts(&self, row: usize) -> Option<impl Iterator<Item = &str>> {
        if self.list.is_null(row) {
            return None;
        }
        let offsets = self.list.value_offsets();
        let bound = |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok());
        let (from, to) = (bound(row)?, bound(row + 1)?.min(self.texts.len()));
        let all_there = (from..to).all(|index| self.texts.is_valid(index));
        all_there.then(move || (from..to).map(move |index| self.texts.value(index)))
    }

    /// Whether a row holds exactly these.
    pub(super) fn are<'a>(&self, row: usize, wanted: impl Iterator<Item = &'a str>) -> bool {
        self.texts(row).is_some_and(|texts| texts.eq(wanted))
    }
}

/// What rows of a table are compared by.
pub(super) trait Columns: Sized + Send {
    /// The columns read; empty: all.
    const NAMES: &'static [&'static str];

    /// Whether rows name their incarnation.
    const HAS_INCARNATION: bool;

    /// Finds the columns of a batch of this file; `settled`: the incarnation of its rows is known.
    fn of(batch: &RecordBatch, file: &Arc<str>, settled: bool) -> Result<Self, String>;
}

/// Rows of bronze.
#[derive(Debug)]
pub(super) struct BronzeRows {
    pub(super) topic: StringArray,
    pub(super) timestamp: TimestampMicrosecondArray,
    pub(super) key: BinaryArray,
    pub(super) value: BinaryArray,
    pub(super) ingested_at: TimestampMicrosecondArray,
}

impl Columns for BronzeRows {
    const NAMES: &'static [&'static str] = &[
        "_kafka_topic",
        "_kafka_partition",
        "_kafka_offset",
        "_log_incarnation",
        "_kafka_timestamp",
        "_key",
        "_raw_value",
        "_ingested_at",
    ];
    const HAS_INCARNATION: bool = true;

    fn of(batch: &RecordBatch, _: &Arc<str>, _: bool) -> Result<Self, String> {
        Ok(Self {
            topic: typed(batch, "_kafka_topic", &DataType::Utf8)?,
            timestamp: timestamps(batch, "_kafka_timestamp")?,
            key: typed(batch, "_key", &DataType::Binary)?,
            value: typed(batch, "_raw_value", &DataType::Binary)?,
            ingested_at: timestamps(batch, "_ingested_at")?,
        })
    }
}

/// Dead letters.
#[derive(Debug)]
pub(super) struct LetterRows {
    pub(super) file: Arc<str>,
    pub(super) topic: StringArray,
    pub(super) timestamp: TimestampMicrosecondArray,
    pub(super) key: BinaryArray,
    pub(super) value: BinaryArray,
    pub(super) reasons: TextLists,
    pub(super) definition: Int32Array,
    pub(super) ingested_at: TimestampMicrosecondArray,
}

impl Columns for LetterRows {
    const NAMES: &'static [&'static str] = &[
        "_kafka_topic",
        "_kafka_partition",
        "_kafka_offset",
        "_log_incarnation",
        "_kafka_timestamp",
        "_key",
        "_raw_value",
        "_quality_flags",
        "_schema_version",
        "_ingested_at",
    ];
    const HAS_INCARNATION: bool = true;

    fn of(batch: &RecordBatch, file: &Arc<str>, _: bool) -> Result<Self, String> {
        Ok(Self {
            file: Arc::clone(file),
            topic: typed(batch, "_kafka_topic", &DataType::Utf8)?,
            timestamp: timestamps(batch, "_kafka_timestamp")?,
            key: typed(batch, "_key", &DataType::Binary)?,
            value: typed(batch, "_raw_value", &DataType::Binary)?,
            reasons: TextLists::of(batch, "_quality_flags")?,
            definition: typed(batch, "_schema_version", &DataType::Int32)?,
            ingested_at: timestamps(batch, "_ingested_at")?,
        })
    }
}

/// Rows of silver.
#[derive(Debug)]
pub(super) struct SilverRows {
    pub(super) file: Arc<str>,
    /// Whether their incarnation is known.
    pub(super) settled: bool,
    /// All columns, in the table's order.
    pub(super) batch: RecordBatch,
    pub(super) event_id: StringArray,
    pub(super) event_time: TimestampMicrosecondArray,
    pub(super) late: BooleanArray,
    pub(super) delay: Float64Array,
    pub(super) flags: TextLists,
    pub(super) definition: Int32Array,
    /// Only in a stream that reads several topics, or once did.
    pub(super) topic: Option<StringArray>,
    pub(super) extra: StringArray,
    pub(super) date: Date32Array,
}

impl Columns for SilverRows {
    const NAMES: &'static [&'static str] = &[];
    const HAS_INCARNATION: bool = false;

    fn of(batch: &RecordBatch, file: &Arc<str>, settled: bool) -> Result<Self, String> {
        Ok(Self {
            file: Arc::clone(file),
            settled,
            batch: batch.clone(),
            event_id: id_texts(batch)?,
            event_time: timestamps(batch, "_event_time")?,
            late: typed(batch, "_is_late_arriving", &DataType::Boolean)?,
            delay: typed(batch, "_arrival_delay_seconds", &DataType::Float64)?,
            flags: TextLists::of(batch, "_quality_flags")?,
            definition: typed(batch, "_schema_version", &DataType::Int32)?,
            topic: batch
                .column_by_name("_kafka_topic")
                .map(|_| typed(batch, "_kafka_topic", &DataType::Utf8))
                .transpose()?,
            extra: typed(batch, "_extra", &DataType::Utf8)?,
            date: typed(batch, "_event_date", &DataType::Date32)?,
        })
    }
}

/// The ids of silver's rows as texts: text as it is, bytes in hexadecimal, numbers as they are printed.
pub(in crate::compare) fn id_texts(batch: &RecordBatch) -> Result<StringArray, String> {
    let column: &ArrayRef = batch.column_by_name("event_id").ok_or("there is no column event_id")?;
    if !matches!(column.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView) {
        return typed(batch, "event_id", &DataType::Utf8);
    }
    let bytes: BinaryArray = typed(batch, "event_id", &DataType::Binary)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(bytes.iter().map(|bytes| bytes.map(hex)).collect())
}

/// Partition and offset of each row.
pub(in crate::compare) fn positions(batch: &RecordBatch) -> Result<(Int32Array, Int64Array), String> {
    let partitions = typed(batch, "_kafka_partition", &DataType::Int32)?;
    Ok((partitions, typed(batch, "_kafka_offset", &DataType::Int64)?))
}
