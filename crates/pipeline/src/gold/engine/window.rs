//! The window of a row.
//!
//! Windows are `[start, start + length)`, aligned to the epoch, computed by floor division in whole microseconds:
//! the same before and after 1970, and in no time zone but UTC.

use arrow::array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use std::sync::Arc;
use watertight_core::schema::utc_timestamp;

/// The column that holds a window's first microsecond.
pub(super) const START: &str = "window_start";
/// The column that holds the first microsecond after a window.
pub(super) const END: &str = "window_end";
/// Silver's column of event times.
const EVENT_TIME: &str = "_event_time";

/// Silver's columns and the window's two, those last.
pub(super) fn input_schema(silver: &Schema) -> Result<SchemaRef, String> {
    for name in [START, END] {
        if silver.field_with_name(name).is_ok() {
            return Err(format!("its stream has a column {name} of its own; rename that in the stream"));
        }
    }
    match silver.field_with_name(EVENT_TIME) {
        Ok(field) if *field.data_type() == utc_timestamp() => {}
        _ => return Err(format!("its stream's silver has no {EVENT_TIME} in microseconds UTC")),
    }
    let mut fields = silver.fields().to_vec();
    fields.extend([START, END].map(|name| Arc::new(Field::new(name, utc_timestamp(), false))));
    Ok(Arc::new(Schema::new(fields)))
}

/// What differs in names and types between two schemas; nullability and metadata don't count.
pub(super) fn difference(expected: &Schema, found: &Schema) -> Option<String> {
    if expected.fields().len() != found.fields().len() {
        return Some(format!("{} columns instead of {}", found.fields().len(), expected.fields().len()));
    }
    expected.fields().iter().zip(found.fields()).find_map(|(e, f)| {
        let same = e.name() == f.name() && e.data_type() == f.data_type();
        (!same).then(|| format!("{} {} instead of {} {}", f.name(), f.data_type(), e.name(), e.data_type()))
    })
}

/// Appends the window columns. `None` if an event time is NULL or its window has no bounds in 64 bits, or if a
/// column that can't be NULL is.
pub(super) fn append(rows: &RecordBatch, input: &SchemaRef, length_us: i64) -> Option<RecordBatch> {
    let times = rows.column_by_name(EVENT_TIME)?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    if times.null_count() > 0 {
        return None;
    }
    let mut starts = Vec::with_capacity(times.len());
    let mut ends = Vec::with_capacity(times.len());
    for time in times.values() {
        let start = start(*time, length_us)?;
        starts.push(start);
        ends.push(start.checked_add(length_us)?);
    }
    let mut columns = rows.columns().to_vec();
    for values in [starts, ends] {
        columns.push(Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")));
    }
    RecordBatch::try_new(Arc::clone(input), columns).ok()
}

/// The first microsecond of the window that `time` is in.
pub(super) fn start(time_us: i64, length_us: i64) -> Option<i64> {
    time_us.div_euclid(length_us).checked_mul(length_us)
}

/// The values of a column of timestamps; empty if it is none.
pub(super) fn micros(column: &ArrayRef) -> &[i64] {
    column.as_any().downcast_ref::<TimestampMicrosecondArray>().map_or(&[], |times| times.values())
}

/// One row with NULL wherever it may be, and a default value elsewhere.
pub(super) fn row_of_nulls(input: &Schema) -> Result<RecordBatch, DataFusionError> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef, DataFusionError> {
        match field.data_type() {
            DataType::Timestamp(..) if !field.is_nullable() => {
                Ok(Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")))
            }
            kind if field.is_nullable() => Ok(new_null_array(kind, 1)),
            // Names inside lists and structs are the schema's, not the default's.
            kind => Ok(arrow::compute::cast(&ScalarValue::new_default(kind)?.to_array()?, kind)?),
        }
    };
    let columns = input.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::new(input.clone()), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_is_in_the_window_that_begins_before_it() {
        for (time, length, expected) in
            [(0, 60, 0), (59, 60, 0), (60, 60, 60), (-1, 60, -60), (-60, 60, -60), (-61, 60, -120)]
        {
            assert_eq!(start(time, length), Some(expected), "{time}");
        }
        assert_eq!(start(i64::MIN, 60), None);
    }
}
