//! Faults in gold: windows missing, invented, doubled and wrong.

use super::{Mutant, Site, Victim, mutants};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::Table;
use crate::lake_edit::rows::{self, Cell};
use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use rand::Rng as _;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "gold-decimal-digit", ["gold.different"], decimal, "the last digit of a decimal is changed: a cent";
    "gold-number", ["gold.different"], number, "a count or sum is off by one";
    "gold-double", ["gold.different"], double, "a floating-point number is changed";
    "gold-row-dropped", ["gold.missing"], dropped, "a row of gold is removed";
    "gold-row-extra", ["gold.extra"], extra, "a row is added for a group that the window does not have";
    "gold-row-doubled", ["gold.doubled"], doubled, "a row of gold stands twice";
    "gold-window-not-closed", ["gold.extra"], not_closed, "a row is added for a window that is not closed";
    "gold-window-moved", ["gold.missing", "gold.extra"], moved, "a row is given to another window";
    "gold-group-renamed", ["gold.missing", "gold.extra"], renamed, "a row is given to another group";
    "gold-model-version", ["gold.different", "gold.extra", "definitions.missing"], model_version,
        "a row names another version of the model";
};

/// Text columns that the model grouped by.
fn groups(rows: &RecordBatch) -> Vec<String> {
    let fields = rows.schema_ref().fields().iter();
    let texts = fields.filter(|field| *field.data_type() == DataType::Utf8 && !field.name().starts_with('_'));
    texts.map(|field| field.name().clone()).collect()
}

/// The window and groups of a row, as text.
fn window(rows: &RecordBatch, row: usize) -> String {
    let start = rows::whole(rows, "window_start", row).map(rows::instant).unwrap_or_default();
    let named = groups(rows).into_iter().filter_map(|column| rows::text(rows, &column, row));
    std::iter::once(start).chain(named).collect::<Vec<_>>().join(", ")
}

fn place(table: &Table, window: &str) -> Place {
    Place::table(&table.name).window(window)
}

fn victim(
    site: &mut Site<'_>,
    rows_min: usize,
    fits: impl Fn(&RecordBatch, usize) -> bool,
) -> Result<Option<(Table, Victim)>> {
    let Some(table) = site.gold()? else { return Ok(None) };
    let victim = site.row(&table, rows_min, fits)?;
    Ok(victim.map(|victim| (table, victim)))
}

/// Alters a value that the model computed.
fn computed(
    site: &mut Site<'_>,
    is: impl Fn(&DataType) -> bool,
    alter: impl Fn(&Cell) -> Option<Cell>,
) -> Result<Option<Planted>> {
    let columns = |rows: &RecordBatch, row: usize| -> Vec<String> {
        let fields = rows.schema_ref().fields().iter().filter(|field| is(field.data_type()));
        let names = fields.map(|field| field.name().clone()).filter(|name| !name.starts_with('_'));
        names.filter(|name| alter(&rows::get(rows, name, row)).is_some()).collect()
    };
    let Some((mut table, victim)) = victim(site, 1, |rows, row| !columns(rows, row).is_empty())? else {
        return Ok(None);
    };
    let names = columns(&victim.rows, victim.row);
    let Some(column) = site.pick(&names).cloned() else { return Ok(None) };
    let Some(cell) = alter(&victim.cell(&column)) else { return Ok(None) };
    table.rewrite(&victim.live, &victim.with(&column, &cell)?, &[&column])?;
    let window = window(&victim.rows, victim.row);
    let what = format!("altered {column} of {window}");
    Ok(site.planted(&table, Must::Window, place(&table, &window).column(&column), what))
}

fn next(cell: &Cell) -> Option<Cell> {
    match cell {
        Cell::Whole(value) => Some(Cell::Whole(value + 1)),
        _ => None,
    }
}

fn decimal(site: &mut Site<'_>) -> Result<Option<Planted>> {
    computed(site, |kind| matches!(kind, DataType::Decimal128(..)), next)
}

fn number(site: &mut Site<'_>) -> Result<Option<Planted>> {
    computed(site, |kind| *kind == DataType::Int64, next)
}

fn double(site: &mut Site<'_>) -> Result<Option<Planted>> {
    computed(
        site,
        |kind| *kind == DataType::Float64,
        |cell| match cell {
            Cell::Real(value) if value.is_finite() => Some(Cell::Real(value + value.abs().max(1.0) / 1000.0)),
            _ => None,
        },
    )
}

fn dropped(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 2, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.dropped()?, &[])?;
    let window = window(&victim.rows, victim.row);
    Ok(site.planted(&table, Must::Window, place(&table, &window), format!("dropped {window}")))
}

fn doubled(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.doubled()?, &[])?;
    let window = window(&victim.rows, victim.row);
    Ok(site.planted(&table, Must::Window, place(&table, &window), format!("doubled {window}")))
}

/// The row with its group renamed; `None` where the model groups by windows alone.
fn regrouped(victim: &Victim) -> Result<Option<RecordBatch>> {
    let Some(column) = groups(&victim.rows).into_iter().next() else { return Ok(None) };
    let Cell::Text(text) = victim.cell(&column) else { return Ok(None) };
    rows::set(&victim.alone(), &column, 0, &Cell::Text(format!("{text}-else"))).map(Some)
}

fn extra(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    let Some(row) = regrouped(&victim)? else { return Ok(None) };
    table.rewrite(&victim.live, &rows::joined(&victim.rows, &row)?, &["*"])?;
    let window = window(&row, 0);
    Ok(site.planted(&table, Must::Window, place(&table, &window), format!("invented {window}")))
}

fn renamed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    let Some(row) = regrouped(&victim)? else { return Ok(None) };
    replaced(site, &mut table, &victim, &row)
}

/// Puts `row` in the place of the victim.
fn replaced(site: &Site<'_>, table: &mut Table, victim: &Victim, row: &RecordBatch) -> Result<Option<Planted>> {
    table.rewrite(&victim.live, &rows::joined(&victim.dropped()?, row)?, &["*"])?;
    let (old, new) = (window(&victim.rows, victim.row), window(row, 0));
    let planted = site.planted(table, Must::Window, place(table, &old), format!("{old} is now {new}"));
    let codes = site.mutant.codes;
    Ok(planted.map(|planted| planted.or(codes, Must::Window, place(table, &new))))
}

/// The row moved by whole days.
fn later(victim: &Victim, days: i128) -> Result<RecordBatch> {
    let mut row = victim.alone();
    for column in ["window_start", "window_end"] {
        if let Cell::Whole(us) = victim.cell(column) {
            row = rows::set(&row, column, 0, &Cell::Whole(us + days * 86_400_000_000))?;
        }
    }
    Ok(row)
}

fn not_closed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    let days = site.rng.random_range(400..4_000);
    let row = later(&victim, days)?;
    table.rewrite(&victim.live, &rows::joined(&victim.rows, &row)?, &["*"])?;
    let window = window(&row, 0);
    Ok(site.planted(&table, Must::Window, place(&table, &window), format!("invented {window}")))
}

fn moved(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    let row = later(&victim, -400)?;
    replaced(site, &mut table, &victim, &row)
}

fn model_version(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some((mut table, victim)) = victim(site, 1, |_, _| true)? else { return Ok(None) };
    table.rewrite(&victim.live, &victim.with("_model_version", &Cell::Whole(99))?, &["_model_version"])?;
    let window = window(&victim.rows, victim.row);
    let planted = site.planted(&table, Must::Window, place(&table, &window), format!("version 99 for {window}"));
    let missing = Place::table(&table.name);
    Ok(planted.map(|planted| planted.or(&["definitions.missing"], Must::Table, missing)))
}
