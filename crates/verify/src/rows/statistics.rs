//! Statistics of a live file's entry, held against its rows: every bound true, every count of nulls right.
//!
//! Bounds may be wider than the rows need; one that excludes a row makes readers miss it.

use super::bound::{Bound, Side, Value, Writer, extremes, value_at};
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value as Json};

/// The number of rows that statistics tell.
pub(super) fn rows_said(stats: Option<&str>) -> Option<u64> {
    let stats: Json = serde_json::from_str(stats?).ok()?;
    stats.get("numRecords")?.as_u64()
}

/// What the statistics say of one column, and what was seen of it.
struct Column {
    name: String,
    least: Option<Bound>,
    most: Option<Bound>,
    nulls_said: Option<u64>,
    nulls: u64,
}

/// The statistics of one file.
pub(super) struct Statistics {
    columns: Vec<Column>,
    place: Place,
}

impl Statistics {
    /// Reads them; what is no statistics at all is entered.
    pub(super) fn of(
        stats: Option<&str>,
        columns: &SchemaRef,
        writer: Writer,
        place: Place,
        findings: &Findings,
    ) -> Self {
        let mut read = Self { columns: Vec::new(), place };
        let Some(text) = stats.filter(|text| !text.trim().is_empty()) else { return read };
        let Ok(Json::Object(stats)) = serde_json::from_str::<Json>(text) else {
            findings.add(Code::Statistics, read.place.clone(), "the entry's statistics are not a JSON object");
            return read;
        };
        let part = |key: &str| stats.get(key).and_then(Json::as_object);
        let (least, most, nulls) = (part("minValues"), part("maxValues"), part("nullCount"));
        for field in columns.fields() {
            let name = field.name();
            let bound = |values: Option<&Map<String, Json>>, side: Side| {
                let json = values.and_then(|values| values.get(name)).filter(|json| !json.is_null())?;
                match Bound::read(json, field.data_type(), side, writer) {
                    Ok(bound) => bound,
                    Err(()) => {
                        if writer == Writer::Ours {
                            let what = format!("a bound of the entry's statistics is no {}", field.data_type());
                            findings.add(Code::Statistics, read.place.clone().in_column(name), what);
                        }
                        None
                    }
                }
            };
            let (least, most) = (bound(least, Side::Least), bound(most, Side::Most));
            let nulls_said = nulls.and_then(|nulls| nulls.get(name)).and_then(Json::as_u64);
            if least.is_some() || most.is_some() || nulls_said.is_some() {
                read.columns.push(Column { name: name.clone(), least, most, nulls_said, nulls: 0 });
            }
        }
        read
    }

    /// Looks at a batch; `position` tells partition and offset of a row, where the file has them.
    pub(super) fn look(
        &mut self,
        batch: &RecordBatch,
        position: &dyn Fn(usize) -> Option<(i32, i64)>,
        findings: &Findings,
    ) {
        for column in &mut self.columns {
            let Some(array) = batch.column_by_name(&column.name) else { continue };
            column.nulls += array.null_count() as u64;
            let Some((least, most)) = extremes(array) else { continue };
            for (bound, side, extreme) in
                [(&mut column.least, Side::Least, least), (&mut column.most, Side::Most, most)]
            {
                let Some(wrong) = bound.take_if(|bound| bound.excludes(extreme, side)) else { continue };
                let excluded = |row: &usize| value_at(array, *row).is_some_and(|value| wrong.excludes(value, side));
                let row = (0..batch.num_rows()).find(excluded);
                let place = self.place.clone().in_column(&column.name);
                let place = match row.and_then(position) {
                    Some((partition, offset)) => {
                        place.of_partition(partition).offsets(offset, offset.saturating_add(1))
                    }
                    None => place,
                };
                findings.add(Code::Statistics, place, told(&wrong, extreme, side));
            }
        }
    }

    /// Compares the counts of nulls, once all rows were seen.
    pub(super) fn end(self, findings: &Findings) {
        for column in self.columns {
            if let Some(said) = column.nulls_said
                && said != column.nulls
            {
                let what = format!("the entry's statistics say {said} nulls, the file has {}", column.nulls);
                findings.add(Code::Statistics, self.place.clone().in_column(&column.name), what);
            }
        }
    }
}

fn told(bound: &Bound, extreme: Value<'_>, side: Side) -> String {
    let (name, word) = match side {
        Side::Least => ("minimum", "below"),
        Side::Most => ("maximum", "above"),
    };
    let by = match (bound, extreme) {
        (Bound::Exact(bound) | Bound::Rounded(bound), Value::Exact(value)) => format!(", by {}", bound.abs_diff(value)),
        _ => String::new(),
    };
    format!(
        "the entry's statistics say {bound} as {name}, the file has {extreme}, {word} it{by}: readers miss that row"
    )
}
