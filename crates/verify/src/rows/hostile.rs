//! Bounds on what a crafted file may make the reader do.
//!
//! A footer is gone through by hand before the parquet crate parses it, and the headers of a column's pages before they
//! are unpacked: memory is reserved by the lengths written there. What is beyond a bound here is refused as damaged.
//! Panics of the reader are caught; what cannot be caught (running out of memory or stack) is what the bounds are for.

use super::FileProblem;
use super::thrift::{self, Broken, Tag};
use crate::finding::{Code, Place, Unable};
use crate::guard;
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Most nodes of a file's schema.
const NODES_MAX: u64 = 100_000;
/// Deepest nesting of a file's schema: the crate follows it by recursion.
const NESTING_MAX: usize = 32;
/// Most column chunks (row groups × columns).
const CHUNKS_MAX: i64 = 1_000_000;
/// Longest page, unpacked. Writers cut pages at about a megabyte; a page is longer only where one value is.
const PAGE_BYTES_MAX: u64 = 256 << 20;
/// What the pages of a row group that are open at once may take, one of each column.
const PAGES_BYTES_MAX: u64 = 512 << 20;
/// Most values of a page: ours have at most a row group's million.
const PAGE_VALUES_MAX: i64 = 1 << 24;
/// Values of a repeated column that are believed whatever the number of rows, and more for each row.
const REPEATED_VALUES: u64 = 1 << 25;
const REPEATED_VALUES_PER_ROW: u64 = 64;
/// How much of a page's header is read at first, and at most (it may hold statistics).
const HEADER_BYTES: [usize; 3] = [512, 1 << 16, 1 << 20];
/// Parquet's number for the encoding whose values repeat the beginning of the one before.
const DELTA_BYTE_ARRAY: i64 = 7;
/// Parquet's number for a dictionary page.
const DICTIONARY_PAGE: i64 = 2;

/// A damaged file.
pub(super) fn damaged(what: impl std::fmt::Display) -> FileProblem {
    let mut what = what.to_string();
    let cut = what.char_indices().nth(300).map(|(cut, _)| cut);
    what.truncate(cut.unwrap_or(what.len()));
    FileProblem::Wrong { code: Code::FileUnreadable, what }
}

/// An error of the system; a file that ends too early is damaged.
pub(super) fn io_problem(file: &str, what: &str, error: &io::Error) -> FileProblem {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return damaged(format!("{what}: it ends too early"));
    }
    let place = Place::default().in_file(file);
    let why = format!("{what} failed: {error}; see that the disk and its rights are sound");
    FileProblem::Unable(Unable { place, why })
}

/// Runs what reads foreign bytes; a panic is a damaged file.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, FileProblem> {
    guard::guarded(read).ok_or_else(|| damaged("its bytes make the reader fail: no valid writer made them"))
}

fn words(broken: Broken) -> &'static str {
    match broken {
        Broken::Short => "it ends inside a value",
        Broken::Bad(why) => why,
    }
}

/// Checks a footer's shape before it is parsed.
pub(super) fn check_footer(bytes: &[u8]) -> Result<(), FileProblem> {
    let walked =
        thrift::footer(bytes).map_err(|broken| damaged(format!("its footer is no footer: {}", words(broken))))?;
    let (mut nodes, mut chunks, mut has_children) = (0_u64, 0_i64, false);
    // Children that are still to come, the outermost first.
    let mut open: Vec<i64> = Vec::new();
    for (tag, value) in walked.noted {
        match tag {
            Tag::Element => {
                nodes += 1;
                has_children = false;
                while open.last() == Some(&0) {
                    open.pop();
                }
                if let Some(left) = open.last_mut() {
                    *left -= 1;
                }
            }
            Tag::Children if has_children || !(0..=NODES_MAX.cast_signed()).contains(&value) => {
                return Err(damaged(format!("its footer says that a column has {value} children")));
            }
            Tag::Children if value > 0 => {
                has_children = true;
                open.push(value);
            }
            Tag::RowGroups if value > i64::from(i16::MAX) => {
                return Err(damaged(format!("its footer says that it has {value} row groups")));
            }
            Tag::Columns => chunks = chunks.saturating_add(value),
            _ => {}
        }
        if nodes > NODES_MAX || open.len() > NESTING_MAX || chunks > CHUNKS_MAX {
            return Err(damaged(format!(
                "its footer is beyond what a file of ours could have: {nodes} columns, nested {} deep, {chunks} chunks",
                open.len()
            )));
        }
    }
    Ok(())
}

/// What the pages of a column chunk were seen to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// Bytes of the largest page, unpacked.
    pub(super) largest: u64,
    /// Bytes of all pages, unpacked.
    pub(super) total: u64,
    /// Bytes that one value may have though its row takes fewer: what a dictionary or a shared beginning repeats.
    pub(super) repeats: u64,
}

/// Goes through the headers of a column chunk's pages.
pub(super) fn check_chunk(
    file: &File,
    name: &str,
    file_bytes: u64,
    chunk: &ColumnChunkMetaData,
    rows: u64,
) -> Result<Pages, FileProblem> {
    let column = chunk.column_path().string();
    let bad = |what: &str| damaged(format!("column {column}: {what}"));
    let (start, length) = guarded(|| chunk.byte_range())?;
    let end = start.checked_add(length).filter(|end| *end <= file_bytes);
    let end = end.ok_or_else(|| bad("its pages lie beyond the end of the file"))?;
    let repeated = chunk.column_descr().max_rep_level() > 0;
    let values_max =
        if repeated { rows.saturating_mul(REPEATED_VALUES_PER_ROW).saturating_add(REPEATED_VALUES) } else { rows };
    let (mut at, mut values, mut pages) = (start, 0_u64, Pages::default());
    while at < end {
        let page = read_page_header(file, name, at, end).map_err(|problem| match problem {
            FileProblem::Wrong { what, .. } => bad(&what),
            unable @ FileProblem::Unable(_) => unable,
        })?;
        at = at.checked_add(page.header_bytes).and_then(|at| at.checked_add(page.packed)).unwrap_or(u64::MAX);
        if at > end {
            return Err(bad("a page is longer than the bytes that are there"));
        }
        if page.unpacked > PAGE_BYTES_MAX {
            return Err(bad(&format!("a page says that it is {} bytes long, unpacked", page.unpacked)));
        }
        if !page.dictionary {
            values = values.saturating_add(page.values);
        }
        pages.largest = pages.largest.max(page.unpacked);
        pages.total = pages.total.saturating_add(page.unpacked);
        if page.repeats && chunk.column_type() == Type::BYTE_ARRAY {
            pages.repeats = pages.repeats.max(page.unpacked);
        }
    }
    if values > values_max {
        return Err(bad(&format!("its pages say that they hold {values} values, of {rows} rows")));
    }
    Ok(pages)
}

/// Checks that one page of each column fits in memory.
pub(super) fn check_open_pages(pages: &[Pages]) -> Result<(), FileProblem> {
    let open: u64 = pages.iter().map(|pages| pages.largest).fold(0, u64::saturating_add);
    if open > PAGES_BYTES_MAX {
        return Err(damaged(format!("its pages say that {open} bytes are needed to read a row")));
    }
    Ok(())
}

struct PageHeader {
    header_bytes: u64,
    packed: u64,
    unpacked: u64,
    values: u64,
    dictionary: bool,
    repeats: bool,
}

fn read_page_header(file: &File, name: &str, at: u64, end: u64) -> Result<PageHeader, FileProblem> {
    for bytes_max in HEADER_BYTES {
        let there = usize::try_from(end - at).unwrap_or(usize::MAX);
        let mut bytes = vec![0; bytes_max.min(there)];
        file.read_exact_at(&mut bytes, at).map_err(|error| io_problem(name, "reading a page's header", &error))?;
        match thrift::page_header(&bytes) {
            Ok(walked) => return page_header(&walked),
            Err(Broken::Short) if bytes_max < there => {}
            Err(broken) => return Err(damaged(format!("a page's header is none: {}", words(broken)))),
        }
    }
    Err(damaged("a page's header is too long"))
}

fn page_header(walked: &thrift::Walked) -> Result<PageHeader, FileProblem> {
    // Each once at most: where something is said twice, two readers may understand it differently.
    let one = |wanted: Tag| {
        let mut found = walked.noted.iter().filter(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let value = found.next();
        if found.next().is_some() { Err(damaged("a page's header says something twice")) } else { Ok(value) }
    };
    let length = |value: Option<i64>| {
        value.and_then(|value| u64::try_from(value).ok()).ok_or_else(|| damaged("a page's header has no length"))
    };
    let values = one(Tag::Values)?.unwrap_or(0);
    if !(0..=PAGE_VALUES_MAX).contains(&values) {
        return Err(damaged(format!("a page says that it holds {values} values")));
    }
    let dictionary = one(Tag::PageKind)? == Some(DICTIONARY_PAGE);
    let repeats = dictionary || one(Tag::Encoding)? == Some(DELTA_BYTE_ARRAY);
    Ok(PageHeader {
        header_bytes: walked.bytes as u64,
        packed: length(one(Tag::Packed)?)?,
        unpacked: length(one(Tag::Unpacked)?)?,
        values: values.unsigned_abs(),
        dictionary,
        repeats,
    })
}
