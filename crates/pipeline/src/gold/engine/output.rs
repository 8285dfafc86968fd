//! The columns that a model writes: their names, the types that Delta can hold, and the order of rows.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use std::collections::HashSet;
use std::sync::Arc;
use watertight_core::schema::{check_name, utc_timestamp};

/// A model's own columns.
#[derive(Debug)]
pub(super) struct Output {
    schema: SchemaRef,
    key: Vec<usize>,
}

impl Output {
    /// Normalises the columns that the SQL gives; `key` are the positions of the window's start and of the groups.
    ///
    /// # Errors
    /// Every column whose name or type a Delta table can't have, with what to write instead.
    pub(super) fn new(columns: &Schema, key: Vec<usize>) -> Result<Self, Vec<String>> {
        let mut reasons = Vec::new();
        let mut seen = HashSet::new();
        let mut fields = Vec::new();
        for field in columns.fields() {
            let name = field.name();
            if let Err(error) = check_name(name) {
                reasons.push(format!("column {name}: {error}; name it with AS"));
            } else if !seen.insert(name.to_ascii_lowercase()) {
                reasons.push(format!("two columns are named {name} (case does not count); name one of them with AS"));
            }
            match delta_type(field.data_type()) {
                Ok(kind) if can_cast_types(field.data_type(), &kind) => {
                    let window = matches!(name.as_str(), "window_start" | "window_end");
                    fields.push(Field::new(name, kind, !window));
                }
                Ok(kind) => reasons.push(format!("column {name}: {} cannot become {kind}", field.data_type())),
                Err(why) => reasons.push(format!("column {name}: {why}")),
            }
        }
        if reasons.is_empty() { Ok(Self { schema: Arc::new(Schema::new(fields)), key }) } else { Err(reasons) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn key(&self) -> &[usize] {
        &self.key
    }

    /// Casts rows to the output's types and sorts them by the key, then by the other columns.
    ///
    /// # Errors
    /// A value that its type in Delta can't hold (an unsigned number above 2⁶³−1, a timestamp out of range).
    pub(super) fn finish(&self, rows: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let mut batches = Vec::with_capacity(rows.len());
        for batch in rows {
            let columns = batch
                .columns()
                .iter()
                .zip(self.schema.fields())
                .map(|(column, field)| cast_with_options(column, field.data_type(), &strict))
                .collect::<Result<Vec<ArrayRef>, _>>()?;
            batches.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        }
        let rows = arrow::compute::concat_batches(&self.schema, &batches)?;
        self.sorted(rows)
    }

    fn sorted(&self, rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if rows.num_rows() < 2 {
            return Ok(rows);
        }
        let others = (0..rows.num_columns()).filter(|column| !self.key.contains(column));
        let order: Vec<usize> = self.key.iter().copied().chain(others).collect();
        // Rows of one model nearly always differ in their key: the other columns are compared only if they don't.
        for columns in [&order[..self.key.len()], &order[..]] {
            let sort = columns.iter().map(|&c| SortField::new(rows.column(c).data_type().clone())).collect();
            let arrays: Vec<ArrayRef> = columns.iter().map(|&c| Arc::clone(rows.column(c))).collect();
            let encoded = RowConverter::new(sort)?.convert_columns(&arrays)?;
            let mut indices: Vec<u32> = (0..rows.num_rows() as u32).collect();
            indices.sort_by(|&a, &b| encoded.row(a as usize).cmp(&encoded.row(b as usize)));
            let tied = indices.windows(2).any(|pair| encoded.row(pair[0] as usize) == encoded.row(pair[1] as usize));
            if !tied || columns.len() == order.len() {
                return take_record_batch(&rows, &UInt32Array::from(indices));
            }
        }
        Ok(rows)
    }
}

/// The type in which Delta's protocol 1/2 holds values of `kind`, or why it can't.
fn delta_type(kind: &DataType) -> Result<DataType, String> {
    Ok(match kind {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32 => kind.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(..) => utc_timestamp(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => match u8::try_from(*s) {
            Ok(scale) if *p <= 38 && scale <= *p => DataType::Decimal128(*p, *s),
            _ => return Err(format!("decimal({p},{s}) does not fit in Delta's decimals; cast it to decimal(38,s)")),
        },
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", delta_type(item.data_type())?, true)))
        }
        DataType::Struct(fields) => {
            let mut kept = Vec::new();
            for field in fields {
                check_name(field.name()).map_err(|error| format!("its field {}: {error}", field.name()))?;
                kept.push(Field::new(field.name(), delta_type(field.data_type())?, true));
            }
            DataType::Struct(Fields::from(kept))
        }
        DataType::Dictionary(_, value) => delta_type(value)?,
        DataType::Null => return Err("NULL alone has no type; cast it".to_owned()),
        DataType::Interval(_) | DataType::Duration(_) => {
            return Err("Delta has no type for a length of time; use date_part('epoch', …) for seconds".to_owned());
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return Err("Delta has no type for a time of day; cast it to a string".to_owned());
        }
        other => return Err(format!("Delta has no type for {other}; cast it")),
    })
}
