//! Gold: each window and group once, with the right values; numbers exactly, floats to 1e-9 relative.

use super::GoldScope;
use super::cell::{Number, number_at, text_at, time_us_at};
use super::expected::each_line;
use super::report::Check;
use crate::error::ProduceError;
use crate::truth::gold_path;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use watertight_core::port::Lake;
use watertight_core::schema::ModelDef;

struct Wanted {
    closed: bool,
    values: Vec<(String, Number)>,
    seen: bool,
}

/// Columns that name a group in one of the standard models.
const GROUPS: [&str; 3] = ["symbol", "customer_id", "type"];

pub(super) fn check(lake: &dyn Lake, model: &ModelDef, folder: &Path, scope: GoldScope) -> Result<Check, ProduceError> {
    let path = gold_path(folder, &model.name);
    let mut wanted: BTreeMap<(i64, String), Wanted> = BTreeMap::new();
    let mut group_column = GROUPS[0];
    let mut damaged = 0_u64;
    each_line(&path, |row: Map<String, Value>| {
        group_column = GROUPS.into_iter().find(|name| row.contains_key(*name)).unwrap_or(GROUPS[0]);
        match read(&row, group_column) {
            Some((key, row)) => drop(wanted.insert(key, row)),
            None => damaged += 1,
        }
    })?;
    if damaged > 0 {
        return Err(ProduceError::truth(&path, format!("{damaged} lines are no rows of gold")));
    }
    let must = |row: &Wanted| row.closed || scope == GoldScope::All;
    let mut check = Check::new(format!("gold {}", model.name), wanted.values().filter(|row| must(row)).count() as u64);
    let there = super::each_batch(lake, "gold", &model.name, &[], |batch| {
        for row in 0..batch.num_rows() {
            check.found += 1;
            let (start, group) = (time_us_at(batch, "window_start", row), text_at(batch, group_column, row));
            let (Some(start), Some(group)) = (start, group) else {
                check.fault("rows without window_start or group", || group_column.to_owned());
                continue;
            };
            let name = || format!("{start} {group}");
            let Some(wanted) = wanted.get_mut(&(start, group.to_owned())) else {
                check.fault("rows too many", name);
                continue;
            };
            if std::mem::replace(&mut wanted.seen, true) {
                check.fault("rows twice", name);
                continue;
            }
            for (column, value) in &wanted.values {
                if !number_at(batch, column, row).is_some_and(|found| found.equals(value)) {
                    check.fault("values wrong", || format!("{column} of {start} {group}"));
                }
            }
        }
        Ok(())
    })?;
    if !there && check.expected > 0 {
        check.fault("table missing", || format!("gold.{}", model.name));
        return Ok(check);
    }
    for ((start, group), _) in wanted.iter().filter(|(_, row)| must(row) && !row.seen) {
        check.fault("rows missing", || format!("{start} {group}"));
    }
    Ok(check)
}

fn read(row: &Map<String, Value>, group_column: &str) -> Option<((i64, String), Wanted)> {
    let start = row.get("window_start_us")?.as_i64()?;
    let group = row.get(group_column)?.as_str()?.to_owned();
    let closed = row.get("closed")?.as_bool()?;
    let others = row
        .iter()
        .filter(|(name, _)| !["window_start", "window_start_us", "closed", group_column].contains(&name.as_str()));
    let values = others.map(|(name, value)| Some((name.clone(), Number::parse(value.as_str()?)?)));
    let values = values.collect::<Option<Vec<_>>>()?;
    Some(((start, group), Wanted { closed, values, seen: false }))
}
