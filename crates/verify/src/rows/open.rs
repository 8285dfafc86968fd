//! Opening a live file: where it is, that it is what its entry says, and that its columns fit the table's.

use super::fit::{self, Fitted};
use super::hostile::{check_footer, damaged, guarded, io_problem};
use super::{FOOTER_BYTES_MAX, FileProblem};
use crate::finding::Code;
use crate::lake::{LiveFile, Table};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// Parquet's first and last four bytes.
const MAGIC: &[u8; 4] = b"PAR1";

/// What opening a file gave.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) columns: Vec<Fitted>,
    pub(super) rows: u64,
}

/// Opens a file and holds it against its entry.
pub(super) fn open(table: &Table, live: &LiveFile) -> Result<Opened, FileProblem> {
    let name = &live.add.path;
    let path = place(&table.folder, name)?;
    let file = File::open(&path).map_err(|error| missing_or(name, "opening it", &error))?;
    let bytes = file.metadata().map_err(|error| io_problem(name, "asking for its size", &error))?.len();
    if bytes != live.add.size {
        let what = format!("the entry says {} bytes, the file has {bytes}", live.add.size);
        return Err(FileProblem::Wrong { code: Code::FileSize, what });
    }
    check_footer(&footer(&file, name, bytes)?)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = guarded(|| ArrowReaderMetadata::load(&file, options))?
        .map_err(|error| damaged(format!("its footer cannot be read: {error}")))?;
    let rows = rows(&metadata)?;
    if let Some(said) = super::statistics::rows_said(live.add.stats.as_deref())
        && said != rows
    {
        let what = format!("the entry says {said} rows, the file holds {rows}");
        return Err(FileProblem::Wrong { code: Code::FileRows, what });
    }
    let known = &table.metadata;
    let columns =
        fit::columns(metadata.schema(), &known.columns, &known.partition_columns, &live.add.partition_values)?;
    Ok(Opened { file, path: name.clone(), bytes, metadata, columns, rows })
}

/// Where the file is; refused where that is outside the table's folder, by its path or through a link.
fn place(folder: &Path, name: &str) -> Result<PathBuf, FileProblem> {
    let escapes =
        || FileProblem::Wrong { code: Code::PathEscapes, what: "the path leads out of the table's folder".to_owned() };
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || name.contains('\0') {
        return Err(escapes());
    }
    let path = folder.join(name);
    let real = path.canonicalize().map_err(|error| missing_or(name, "finding it", &error))?;
    let folder = folder.canonicalize().map_err(|error| missing_or(name, "finding its table's folder", &error))?;
    if !real.starts_with(&folder) {
        return Err(escapes());
    }
    // Something else than a file may never end when it is read.
    let is_file = real.metadata().map_err(|error| missing_or(name, "finding it", &error))?.is_file();
    if !is_file {
        let what = "what is there is not a file".to_owned();
        return Err(FileProblem::Wrong { code: Code::FileMissing, what });
    }
    Ok(real)
}

fn missing_or(name: &str, what: &str, error: &io::Error) -> FileProblem {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            FileProblem::Wrong { code: Code::FileMissing, what: "the table names it, and it is not there".to_owned() }
        }
        _ => io_problem(name, what, error),
    }
}

/// The footer's bytes, within their bound.
fn footer(file: &File, name: &str, bytes: u64) -> Result<Vec<u8>, FileProblem> {
    let read = |length: usize, at: u64| {
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, at).map_err(|error| io_problem(name, "reading its footer", &error))?;
        Ok::<_, FileProblem>(buffer)
    };
    let least = 12;
    if bytes < least {
        return Err(damaged(format!("it has {bytes} bytes, which is too short for a Parquet file")));
    }
    let tail = read(8, bytes - 8)?;
    let (length, magic) = tail.split_at(4);
    if magic != MAGIC || read(4, 0)? != MAGIC {
        return Err(damaged("it does not begin and end as a Parquet file does"));
    }
    let length = length.iter().rev().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
    if length > bytes - least || length > FOOTER_BYTES_MAX {
        let most = FOOTER_BYTES_MAX.min(bytes - least);
        return Err(damaged(format!("it says that its footer has {length} bytes, at most {most} could be")));
    }
    let at = bytes - 8 - length;
    read(usize::try_from(length).unwrap_or(usize::MAX), at)
}

fn rows(metadata: &ArrowReaderMetadata) -> Result<u64, FileProblem> {
    let said = metadata.metadata().file_metadata().num_rows();
    let mut rows = 0_i64;
    for group in metadata.metadata().row_groups() {
        let more = rows.checked_add(group.num_rows()).filter(|_| group.num_rows() >= 0);
        rows = more.ok_or_else(|| damaged("a row group says that it has a number of rows that cannot be"))?;
    }
    if rows != said {
        return Err(damaged(format!("its footer says {said} rows, its row groups {rows}")));
    }
    Ok(rows.unsigned_abs())
}
