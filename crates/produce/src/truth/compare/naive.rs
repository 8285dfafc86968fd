//! A pipeline as one would write it in an afternoon: decodes the bytes with serde_json, keeps everything in maps, and
//! builds the tables. It shares nothing with the truth's simulation, which reads no bytes.

use super::cell::Number;
use crate::fixtures::{FakeLake, FakeLog};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use watertight_core::schema::{ColumnType, ModelDef, StreamDef};

/// In which order the partitions' records are taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// A few of each partition in turn.
    InTurn,
    /// One partition after the other, the last one first.
    LastFirst,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct SilverRow {
    pub(super) at: Row,
    pub(super) id: String,
    time_us: i64,
    pub(super) late: bool,
    pub(super) json: Value,
}

#[derive(Debug, Clone)]
pub(super) struct GoldRow {
    pub(super) start_us: i64,
    pub(super) group: String,
    pub(super) values: Vec<(&'static str, i128)>,
}

/// The tables' rows, open to planted faults.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) bronze: Vec<Row>,
    pub(super) silver: Vec<SilverRow>,
    pub(super) dead: Vec<(Row, Vec<String>)>,
    pub(super) gold: Vec<GoldRow>,
}

pub(super) fn run(log: &FakeLog, stream: &StreamDef, model: &ModelDef, order: Order) -> Tables {
    let state = log.state();
    let mut rows = Vec::new();
    for (partition, records) in state.partitions.iter().enumerate() {
        for (offset, record) in records.iter().enumerate() {
            let (partition, offset) = (partition as i32, offset as i64);
            rows.push(Row { partition, offset, key: record.key.clone(), value: record.value.clone() });
        }
    }
    match order {
        Order::InTurn => rows.sort_by_key(|row| (row.offset / 7, row.partition, row.offset)),
        Order::LastFirst => rows.sort_by_key(|row| (-row.partition, row.offset)),
    }
    let mut tables = Tables { bronze: rows.clone(), ..Tables::default() };
    let mut ids = HashSet::new();
    let mut largest: BTreeMap<i32, i64> = BTreeMap::new();
    for row in rows {
        let json = match object(row.value.as_deref()) {
            Ok(json) => json,
            Err(reason) => {
                tables.dead.push((row, vec![reason.to_owned()]));
                continue;
            }
        };
        let time: Option<jiff::Timestamp> = json.get("ts").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let time_us = time.map(|time| time.as_microsecond());
        let watermark = largest.get(&row.partition).map(|largest| largest - stream.event_time.watermark_delay_us);
        let late = matches!((time_us, watermark), (Some(time), Some(watermark)) if time < watermark);
        if let Some(time) = time_us {
            let largest = largest.entry(row.partition).or_insert(time);
            *largest = time.max(*largest);
        }
        let reasons = reasons(stream, &json);
        if !reasons.is_empty() {
            tables.dead.push((row, reasons));
            continue;
        }
        let id = json["event_id"].as_str().expect("valid events have one").to_owned();
        if ids.insert(id.clone()) {
            let time_us = time_us.expect("valid events have one");
            tables.silver.push(SilverRow { at: row, id, time_us, late, json });
        }
    }
    tables.gold = gold(&tables.silver, model);
    tables
}

fn object(value: Option<&[u8]>) -> Result<Value, &'static str> {
    let value = value.ok_or("tombstone")?;
    if value.is_empty() {
        return Err("empty");
    }
    let text = std::str::from_utf8(value).map_err(|_| "not_utf8")?;
    let json: Value = serde_json::from_str(text).map_err(|_| "invalid_json")?;
    if json.is_object() { Ok(json) } else { Err("not_an_object") }
}

fn reasons(stream: &StreamDef, json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for column in &stream.columns {
        let value = json.get(&column.path[0]).unwrap_or(&Value::Null);
        let flaw = match column.kind {
            _ if value.is_null() => match column.name.as_str() {
                "event_id" => Some("missing_event_id".to_owned()),
                "ts" => Some("missing_event_time".to_owned()),
                name => column.required.then(|| format!("missing:{name}")),
            },
            ColumnType::String | ColumnType::Timestamp(_) => {
                (!value.is_string()).then(|| format!("type:{}", column.name))
            }
            ColumnType::Struct(_) => (!value.is_object()).then(|| format!("type:{}", column.name)),
            _ if !value.is_number() => Some(format!("type:{}", column.name)),
            ColumnType::Decimal { scale, .. } => {
                let text = value.to_string();
                let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
                (digits > usize::from(scale)).then(|| format!("precision:{}", column.name))
            }
            ColumnType::Int | ColumnType::Long => value.as_i64().is_none().then(|| format!("range:{}", column.name)),
            _ => None,
        };
        found.extend(flaw);
    }
    if !found.is_empty() {
        return found;
    }
    for check in &stream.checks {
        let words: Vec<&str> = check.sql.split(' ').collect();
        let (value, bound) = (json.get(words[0]).and_then(Value::as_f64), words[2].parse::<f64>().expect("a number"));
        let passes = value.is_none_or(|value| match words[1] {
            ">" => value > bound,
            ">=" => value >= bound,
            "<=" => value <= bound,
            _ => value < bound,
        });
        if !passes {
            found.push(format!("check:{}", check.name));
        }
    }
    found
}

fn scaled(json: &Value, name: &str, scale: u32) -> i128 {
    match Number::parse(&json[name].to_string()) {
        Some(Number::Exact { mantissa, scale: own }) => mantissa * 10_i128.pow(scale - own),
        _ => panic!("{name} is a number"),
    }
}

/// Gathers each window's rows, then computes from the whole list.
fn gold(silver: &[SilverRow], model: &ModelDef) -> Vec<GoldRow> {
    let mut windows: BTreeMap<(i64, String), Vec<&SilverRow>> = BTreeMap::new();
    for row in silver.iter().filter(|row| !row.late) {
        let start = row.time_us - row.time_us.rem_euclid(model.window_us);
        let group = ["symbol", "customer_id", "type"].into_iter().find_map(|name| row.json.get(name));
        let group = group.and_then(Value::as_str).expect("a group").to_owned();
        windows.entry((start, group)).or_default().push(row);
    }
    let row = |((start_us, group), mut rows): ((i64, String), Vec<&SilverRow>)| {
        rows.sort_by_key(|row| row.time_us);
        let all = |name, scale| rows.iter().map(move |row| scaled(&row.json, name, scale)).collect::<Vec<_>>();
        let count = rows.len() as i128;
        let values = if rows[0].json.get("symbol").is_some() {
            let prices = all("price", 4);
            vec![
                ("open", prices[0]),
                ("high", *prices.iter().max().expect("not empty")),
                ("low", *prices.iter().min().expect("not empty")),
                ("close", prices[prices.len() - 1]),
                ("volume", all("volume", 0).iter().sum()),
                ("trades", count),
            ]
        } else if rows[0].json.get("customer_id").is_some() {
            let errors = all("status", 0).iter().filter(|&&status| status >= 500).count();
            vec![("requests", count), ("errors", errors as i128), ("bytes", all("bytes", 0).iter().sum())]
        } else {
            vec![("events", count), ("amount", all("amount", 2).iter().sum())]
        };
        GoldRow { start_us, group, values }
    };
    windows.into_iter().map(row).collect()
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn texts(rows: impl Iterator<Item = Vec<String>>) -> ArrayRef {
    let field = Field::new("element", DataType::Utf8, true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in rows {
        row.iter().for_each(|text| lists.values().append_value(text));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn declared(kind: &ColumnType, name: &str, rows: &[Value]) -> ArrayRef {
    let value = |json: &Value| json.get(name).filter(|value| !value.is_null()).cloned();
    let text = |json: &Value| value(json).and_then(|value| value.as_str().map(str::to_owned));
    match kind {
        ColumnType::String => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        ColumnType::Int => Arc::new(rows.iter().map(|r| Some(value(r)?.as_i64()? as i32)).collect::<Int32Array>()),
        ColumnType::Long => Arc::new(rows.iter().map(|row| value(row)?.as_i64()).collect::<Int64Array>()),
        ColumnType::Double => Arc::new(rows.iter().map(|row| value(row)?.as_f64()).collect::<Float64Array>()),
        ColumnType::Decimal { precision, scale } => {
            let exact = |row: &Value| value(row).map(|_| scaled(row, name, u32::from(*scale)));
            let array = rows.iter().map(exact).collect::<Decimal128Array>();
            Arc::new(array.with_precision_and_scale(*precision, *scale as i8).expect("fits"))
        }
        ColumnType::Timestamp(_) => times(
            rows.iter()
                .map(|row| text(row).expect("a time").parse::<jiff::Timestamp>().expect("valid").as_microsecond()),
        ),
        ColumnType::Struct(fields) => {
            let inner: Vec<Value> = rows.iter().map(|row| value(row).unwrap_or_default()).collect();
            let parts = fields
                .iter()
                .map(|(name, kind)| (Arc::new(Field::new(name, kind.arrow(), true)), declared(kind, name, &inner)));
            Arc::new(StructArray::from(parts.collect::<Vec<_>>()))
        }
        other => panic!("no fixture declares {other:?}"),
    }
}

/// The rows as tables, several files each.
pub(super) fn lake(tables: &Tables, stream: &StreamDef, model: &ModelDef) -> FakeLake {
    let mut lake = FakeLake::default();
    let mut add = |name: String, batch: RecordBatch| {
        let half = batch.num_rows() / 2;
        let halves = vec![batch.slice(0, half), batch.slice(half, batch.num_rows() - half)];
        lake.0.insert(name, halves);
    };
    let batch = |columns: Vec<(&str, ArrayRef)>| RecordBatch::try_from_iter(columns).expect("columns fit");
    let places = |rows: &[&Row]| -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("_kafka_partition", Arc::new(rows.iter().map(|row| Some(row.partition)).collect::<Int32Array>())),
            ("_kafka_offset", Arc::new(rows.iter().map(|row| Some(row.offset)).collect::<Int64Array>())),
        ]
    };
    let payloads =
        |rows: &[&Row]| -> ArrayRef { Arc::new(rows.iter().map(|row| row.value.as_deref()).collect::<BinaryArray>()) };
    let rows: Vec<&Row> = tables.bronze.iter().collect();
    let mut columns = places(&rows);
    columns.push(("_log_incarnation", Arc::new(StringArray::from(vec!["first"; rows.len()]))));
    columns.push(("_key", Arc::new(rows.iter().map(|row| row.key.as_deref()).collect::<BinaryArray>())));
    columns.push(("_raw_value", payloads(&rows)));
    add(format!("bronze.{}", stream.name), batch(columns));
    let rows: Vec<&Row> = tables.dead.iter().map(|(row, _)| row).collect();
    let mut columns = places(&rows);
    columns.push(("_raw_value", payloads(&rows)));
    columns.push(("_quality_flags", texts(tables.dead.iter().map(|(_, reasons)| reasons.clone()))));
    add(format!("bronze.{}_dlq", stream.name), batch(columns));
    add(format!("silver.{}", stream.name), batch(silver_columns(&tables.silver, stream, &places)));
    let mut columns: Vec<(&str, ArrayRef)> = vec![("window_start", times(tables.gold.iter().map(|row| row.start_us)))];
    let group = match stream.name.as_str() {
        "stock_ticks" => "symbol",
        "api_usage" => "customer_id",
        _ => "type",
    };
    columns.push((group, Arc::new(tables.gold.iter().map(|row| Some(row.group.as_str())).collect::<StringArray>())));
    for (index, (name, _)) in tables.gold[0].values.iter().enumerate() {
        let values = tables.gold.iter().map(|row| Some(row.values[index].1));
        let scale = match *name {
            "open" | "high" | "low" | "close" => 4,
            "amount" => 2,
            _ => 0,
        };
        let array: ArrayRef = match scale {
            0 => Arc::new(values.map(|value| value.map(|value| value as i64)).collect::<Int64Array>()),
            _ => Arc::new(values.collect::<Decimal128Array>().with_precision_and_scale(28, scale).expect("fits")),
        };
        columns.push((name, array));
    }
    add(format!("gold.{}", model.name), batch(columns));
    lake
}

fn silver_columns<'a>(
    silver: &[SilverRow],
    stream: &'a StreamDef,
    places: &dyn Fn(&[&Row]) -> Vec<(&'static str, ArrayRef)>,
) -> Vec<(&'a str, ArrayRef)> {
    let rows: Vec<&Row> = silver.iter().map(|row| &row.at).collect();
    let mut columns: Vec<(&str, ArrayRef)> = places(&rows);
    let json: Vec<Value> = silver.iter().map(|row| row.json.clone()).collect();
    for column in &stream.columns {
        let array = match column.name.as_str() {
            "event_id" => Arc::new(silver.iter().map(|row| Some(row.id.as_str())).collect::<StringArray>()) as ArrayRef,
            _ => declared(&column.kind, &column.path[0], &json),
        };
        columns.push((&column.name, array));
    }
    columns.push(("_event_time", times(silver.iter().map(|row| row.time_us))));
    columns.push(("_is_late_arriving", Arc::new(silver.iter().map(|row| Some(row.late)).collect::<BooleanArray>())));
    let extra = json.iter().map(|row| {
        let mut members = row.as_object().expect("an object").clone();
        stream.columns.iter().for_each(|column| drop(members.remove(&column.path[0])));
        (!members.is_empty()).then(|| Value::Object(members).to_string())
    });
    columns.push(("_extra", Arc::new(extra.collect::<StringArray>())));
    columns
}
