//! One table at one version: its live files, scanned by DataFusion's Parquet source.
//!
//! The partition column (the schema's last) is not in the files; its value comes with each file. A column that a
//! file does not have, because it was added later, reads as NULL. Files that a filter rules out by partition value or
//! by their Delta statistics are not opened.

use crate::prune::{Prunable, prune};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;
use watertight_core::port::{DataFile, ErrorKind, PortError};

/// A table as a statement sees it.
#[derive(Debug)]
pub(crate) struct LakeTableProvider {
    schema: SchemaRef,
    table_schema: TableSchema,
    files: Vec<(PartitionedFile, Prunable)>,
    rows: u64,
}

impl LakeTableProvider {
    /// `columns` has the partition column, a Date32, last; `files` are named relative to `folder`.
    pub(crate) fn new(folder: &Path, columns: SchemaRef, files: &[DataFile]) -> Result<Self, PortError> {
        let Some((partition, in_files)) = columns.fields().split_last() else {
            return Err(PortError::new(ErrorKind::Corrupt, "it has no columns"));
        };
        if *partition.data_type() != DataType::Date32 {
            let text = format!("its partition column {} is no date; it was not made by Watertight", partition.name());
            return Err(PortError::new(ErrorKind::Stop, text));
        }
        let table_schema = TableSchema::builder(Arc::new(Schema::new(in_files.to_vec())))
            .with_table_partition_cols(vec![Arc::clone(partition)])
            .build();
        let mut opened = Vec::with_capacity(files.len());
        for file in files {
            let mut partitioned = PartitionedFile::new("", file.size);
            partitioned.object_meta.location = location(folder, &file.path)?;
            partitioned.partition_values = vec![ScalarValue::Date32(Some(file.partition_days))];
            opened.push((partitioned, Prunable::new(file, partition.name())));
        }
        let rows = files.iter().map(|file| file.rows).sum();
        Ok(Self { schema: columns, table_schema, files: opened, rows })
    }
}

/// Where a file is. A commit names it as a URL relative to the table (so `%20` is a space); one that leads out of the
/// table is refused: nobody should be able to have other files read by writing a log entry.
fn location(folder: &Path, named: &str) -> Result<object_store::path::Path, PortError> {
    let refused = || PortError::new(ErrorKind::Corrupt, "a commit names a file outside the table");
    let path: PathBuf = Url::from_directory_path(folder)
        .ok()
        .and_then(|base| base.join(named).ok())
        .and_then(|url| url.to_file_path().ok())
        .filter(|path| path.starts_with(folder))
        .ok_or_else(refused)?;
    object_store::path::Path::from_absolute_path(&path).map_err(|_| refused())
}

#[async_trait]
impl TableProvider for LakeTableProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters rule out files and row groups; DataFusion applies them to the rows again.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = prune(state, &self.schema, &self.files, filters);
        if kept.is_empty() {
            let projected = match projection {
                Some(indices) => Arc::new(self.schema.project(indices)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        let groups = FileGroup::new(kept).split_files(state.config().target_partitions());
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(usize::try_from(self.rows).unwrap_or(usize::MAX));
        let source = Arc::new(ParquetSource::new(self.table_schema.clone()));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
