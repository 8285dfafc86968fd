//! The lake as Delta tables on local disk.
//!
//! Layout: `<lake>/<schema>/<table>/_delta_log/<version, 20 digits>.json` and
//! `<lake>/<schema>/<table>/<partition column>=YYYY-MM-DD/part-<version hint>-<uuid>.zstd.parquet`. Protocol reader 1,
//! writer 2: every Delta reader reads them. Entries and data files are written by hand (Delta protocol; Parquet by
//! the `parquet` crate), checkpoints of the log by the Delta kernel in the background.
//!
//! Contract: [`watertight_core::port::Lake`]. The cost of a commit does not grow with the table: a writer keeps its
//! version, positions and schema, and reads only entries it has not seen. Order on disk: data file, its folders,
//! temporary log entry, `link` to its version, `_delta_log`, each fsynced before the next.
//!
//! Never: an entry or a data file is overwritten or deleted; anything is committed above an entry that could not be
//! read, or that another program wrote and that changes rows or definitions.

mod checkpoint;
mod checkpointer;
pub(crate) mod data_file;
mod entry;
mod log;
mod open;
mod read;
pub(crate) mod schema;
mod seen;
mod stats;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use entry::PIPELINE_KEY;
pub use table::DeltaTable;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use watertight_core::port::{Clock, Ids, Lake, LakeTable, PortError, TableSpec};
use watertight_core::steps::Steps;

/// Delta tables below one folder.
#[derive(Clone)]
pub struct DeltaLake {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    steps: Steps,
}

impl DeltaLake {
    /// The lake below `root`, which is made with its first table.
    pub fn open(root: &Path, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self { root, clock, ids, steps: Steps::default() }
    }

    /// Takes every durable step through `steps`.
    #[must_use]
    pub fn with_steps(mut self, steps: Steps) -> Self {
        self.steps = steps;
        self
    }

    /// The folder of a table.
    #[must_use]
    pub fn table_root(&self, schema_name: &str, table: &str) -> PathBuf {
        self.root.join(schema_name).join(table)
    }
}

impl Lake for DeltaLake {
    fn open(&self, spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        Ok(Box::new(open::open(self, spec)?))
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        Ok(open::look(self, schema_name, table)?.map(|table| Box::new(table) as Box<dyn LakeTable>))
    }
}
