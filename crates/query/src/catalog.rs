//! The lake as a catalog, for the time of one statement.
//!
//! Tables are found by listing the lake's folders (`<schema>/<table>/_delta_log`) and opened through the port when a
//! statement names them, once: that is the statement's snapshot. Opening runs on a blocking thread, because adapters
//! block and may bring a runtime of their own.
//!
//! Contract: a table that is there and cannot be had is an error of its own. "There is no such table" is said only where
//! every folder on the way to it could be looked into.

use crate::error::TableUnreadable;
use crate::table::LakeTableProvider;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::TableType;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use watertight_core::port::{ErrorKind, Lake, PortError};

/// Schemas that a lake always has, also while they are empty.
const SCHEMAS: [&str; 4] = ["bronze", "silver", "gold", "ops"];

/// All tables below the root, as (schema, table), sorted. What cannot be listed is left out.
pub(crate) fn list_tables(root: &Path) -> BTreeSet<(String, String)> {
    let mut tables = BTreeSet::new();
    for (schema, folder) in folders(root) {
        for (table, folder) in folders(&folder) {
            if folder.join("_delta_log").is_dir() {
                tables.insert((schema.clone(), table));
            }
        }
    }
    tables
}

fn folders(of: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(of) else { return Vec::new() };
    let named = |entry: std::fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
    entries.flatten().filter_map(named).filter(|(_, path)| path.is_dir()).collect()
}

/// Why a table that is not listed may be there all the same: a folder on the way to its log that cannot be looked into,
/// or a folder of its own without a log.
fn hidden(root: &Path, schema: &str, table: &str) -> Option<PortError> {
    // A quoted name may be anything, and must not lead elsewhere.
    let is_name = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if !is_name(schema) || !is_name(table) {
        return None;
    }
    let refused = |at: &Path, error: io::Error| PortError::io(format!("looking into {}", at.display()), error);
    let folder = root.join(schema).join(table);
    for at in [root, &root.join(schema), &folder] {
        match std::fs::read_dir(at) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(refused(at, error)),
        }
    }
    let log = folder.join("_delta_log");
    match std::fs::metadata(&log) {
        // Made since the lake was listed.
        Ok(about) if about.is_dir() => None,
        Err(error) if error.kind() != io::ErrorKind::NotFound => Some(refused(&log, error)),
        Ok(_) | Err(_) => {
            let what = format!("there is no folder {}: restore it from a backup", log.display());
            Some(PortError::new(ErrorKind::Corrupt, what))
        }
    }
}

/// What one statement sees of the lake.
pub(crate) struct Snapshot {
    lake: Arc<dyn Lake>,
    root: PathBuf,
    listed: BTreeSet<(String, String)>,
    opened: Mutex<BTreeMap<(String, String), Arc<LakeTableProvider>>>,
    missing: Mutex<Option<String>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(lake: Arc<dyn Lake>, root: &Path) -> Arc<Self> {
        Arc::new(Self {
            lake,
            root: root.to_owned(),
            listed: list_tables(root),
            opened: Mutex::default(),
            missing: Mutex::default(),
        })
    }

    /// The tables there are, as `silver.x`.
    pub(crate) fn names(&self) -> Vec<String> {
        self.listed.iter().map(|(schema, table)| format!("{schema}.{table}")).collect()
    }

    /// The first table that was asked for and is not there.
    pub(crate) fn missing(&self) -> Option<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_missing(&self, name: String) {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(name);
    }

    /// The listed table of this name; SQL folds names to lower case, so failing an exact match, one that differs in
    /// case only, if it is the only one.
    fn resolve(&self, schema: &str, table: &str) -> Option<(String, String)> {
        let exact = (schema.to_owned(), table.to_owned());
        if self.listed.contains(&exact) {
            return Some(exact);
        }
        let mut alike = self.listed.iter().filter(|(s, t)| s == schema && t.eq_ignore_ascii_case(table));
        match (alike.next(), alike.next()) {
            (Some(found), None) => Some(found.clone()),
            _ => None,
        }
    }

    /// Opens a table, or gives what was opened before.
    pub(crate) async fn table(
        self: &Arc<Self>,
        schema: &str,
        table: &str,
    ) -> Result<Option<Arc<LakeTableProvider>>, TableUnreadable> {
        let Some(key) = self.resolve(schema, table) else {
            let name = format!("{schema}.{table}");
            if let Some(source) = hidden(&self.root, schema, table) {
                return Err(TableUnreadable { name, source });
            }
            self.note_missing(name);
            return Ok(None);
        };
        if let Some(opened) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(Arc::clone(opened)));
        }
        let (this, wanted) = (Arc::clone(self), key.clone());
        let opening = tokio::task::spawn_blocking(move || this.open(&wanted)).await;
        let name = format!("{}.{}", key.0, key.1);
        let opened = match opening {
            Ok(Ok(Some(opened))) => opened,
            Ok(Ok(None)) => {
                let what = "its Delta log holds no version: run the pipeline, which makes the table, or restore the \
                            log's entries from a backup if they were there";
                return Err(TableUnreadable { name, source: PortError::new(ErrorKind::Corrupt, what) });
            }
            Ok(Err(source)) => return Err(TableUnreadable { name, source }),
            Err(_) => {
                let source = PortError::new(ErrorKind::Bug, "opening it panicked; report this with the table's log");
                return Err(TableUnreadable { name, source });
            }
        };
        let mut held = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(held.entry(key).or_insert(opened))))
    }

    fn open(&self, (schema, table): &(String, String)) -> Result<Option<Arc<LakeTableProvider>>, PortError> {
        let Some(opened) = self.lake.look(schema, table)? else { return Ok(None) };
        let files = opened.live_files()?;
        let folder = self.root.join(schema).join(table);
        LakeTableProvider::new(&folder, opened.columns(), &files).map(|provider| Some(Arc::new(provider)))
    }
}

/// The catalog.
#[derive(Debug)]
pub(crate) struct LakeCatalog(pub(crate) Arc<Snapshot>);

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: BTreeSet<&str> = SCHEMAS.into_iter().collect();
        names.extend(self.0.listed.iter().map(|(schema, _)| schema.as_str()));
        names.into_iter().map(str::to_owned).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        // Any name is a schema, if an empty one: so a table that is not there is reported in one way.
        Some(Arc::new(LakeSchema { snapshot: Arc::clone(&self.0), name: name.to_owned() }))
    }
}

#[derive(Debug)]
struct LakeSchema {
    snapshot: Arc<Snapshot>,
    name: String,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let ours = self.snapshot.listed.iter().filter(|(schema, _)| *schema == self.name);
        ours.map(|(_, table)| table.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = self.snapshot.table(&self.name, name).await;
        let found = found.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(found.map(|table| table as Arc<dyn TableProvider>))
    }

    /// Answered without opening the table: listing them stays quick.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.snapshot.resolve(&self.name, name).is_some()
    }
}
