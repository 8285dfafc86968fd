//! Faults of whole tables: folders that are gone, and tables that are not the ones that they were.

use super::{Mutant, Site, mutants};
use crate::expected::{Must, Place, Planted};
use crate::lake_edit::Table;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "table-removed", ["log.table_missing"], removed, "the folder of a table is removed";
    "tables-removed", ["log.table_missing"], all_removed, "every folder but that of ops is removed";
    "ops-table-removed", ["log.table_missing"], ops_removed, "the folder of ops.commits or ops.definitions is removed";
    "gold-table-emptied", ["gold.missing"], emptied, "gold is made anew under another id, and not filled again";
    "table-id-changed", ["books.copy"], id_changed, "the metadata of a table give another id";
};

/// The id of what was never there.
const ANOTHER: &str = "00000000-0000-4000-8000-000000000000";

fn removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let table = site.any_table()?;
    remove(site, &table)
}

fn ops_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let name = site.pick(&["ops.commits", "ops.definitions"]).copied().context("there are two")?;
    let table = site.lake.table(name)?;
    remove(site, &table)
}

fn remove(site: &Site<'_>, table: &Table) -> Result<Option<Planted>> {
    std::fs::remove_dir_all(&table.dir)?;
    let what = format!("removed the folder of {}", table.name);
    Ok(site.planted(table, Must::Table, Place::table(&table.name), what))
}

fn all_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let bronze = site.bronze()?;
    let others: Vec<String> = site.lake.tables()?.into_iter().filter(|name| !name.starts_with("ops.")).collect();
    for name in &others {
        std::fs::remove_dir_all(site.lake.table(name)?.dir)?;
    }
    let what = format!("removed the folders of {}", others.join(", "));
    let planted = site.planted(&bronze, Must::Table, Place::table(&bronze.name), what);
    Ok(planted.map(|planted| others.iter().fold(planted, |planted, name| planted.touching(name))))
}

fn emptied(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(mut table) = site.gold()? else { return Ok(None) };
    if site.file(&table, 1)?.is_none() {
        return Ok(None);
    }
    let Some(mut first) = table.entries.drain(..).find(|entry| entry.version == 0) else { return Ok(None) };
    first.books_mut().context("version 0 has books")?["commit_id"] = json!(ANOTHER);
    let metadata =
        first.lines.iter_mut().find_map(|line| line.get_mut("metaData")).context("version 0 has metadata")?;
    metadata["id"] = json!(ANOTHER);
    std::fs::remove_dir_all(&table.dir)?;
    std::fs::create_dir_all(first.path.parent().context("an entry has a folder")?)?;
    first.save()?;
    let what = format!("{} begins anew, without a row", table.name);
    Ok(site.planted(&table, Must::Window, Place::table(&table.name), what))
}

fn id_changed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let mut table = site.any_table()?;
    for entry in &mut table.entries {
        let metadata: Option<&mut Value> = entry.lines.iter_mut().find_map(|line| line.get_mut("metaData"));
        let Some(metadata) = metadata else { continue };
        metadata["id"] = json!(ANOTHER);
        entry.save()?;
    }
    Ok(site.planted(&table, Must::Table, Place::table(&table.name), "the metadata give another id"))
}
