//! A stream's gaps: `silver.<stream>_gaps` lists each stretch of offsets that was declared lost, once, and no other.
//!
//! Silver's books name the stretches that its commits pass over as lost (older ones name none, and nothing is asked for
//! them); each has its rows. What the rows say is declared in bronze's books too, which may be ahead of silver. The table
//! is made with its first row: where nothing was lost there is none.

use super::continuity::{Range, merge, without};
use super::stream::Stream;
use crate::books::{Books, Cause};
use crate::finding::{Code, Findings, Place};
use crate::lake::{Commit, LiveFile, Origin, Table};
use crate::report::Part;
use crate::request::Request;
use crate::rows::facts::place_of;
use crate::rows::{DataFile, FileProblem};
use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use std::collections::BTreeMap;

/// Incarnation of the topic, partition, cause.
type Key = (String, i32, Cause);
/// Ranges of offsets, in order.
type Lost = BTreeMap<Key, Vec<Range>>;

/// Name of the table.
#[must_use]
pub(super) fn name(stream: &str) -> String {
    format!("silver.{stream}_gaps")
}

/// Holds a stream's gaps against the books of its silver and its bronze. `gaps` is the table, where it is there and can
/// be read.
pub(super) fn check(stream: &Stream<'_>, gaps: Option<&Table>, request: &Request, findings: &Findings) -> Option<Part> {
    let (bronze, silver, name) = (stream.bronze.0, stream.silver.0, name(&stream.name));
    if !request.scope.has_table(&name) {
        return None;
    }
    let judged = |commit: &Commit| request.scope.has_version(&silver.name, commit.version, commit.timestamp_us);
    let expected = declared(silver, &judged, request);
    let Some(table) = gaps else {
        // One that is there and could not be read was told where that was tried.
        if !request.lake.join("silver").join(format!("{}_gaps", stream.name)).exists() {
            tell_missing(&name, &expected, &Lost::new(), findings);
        }
        return None;
    };
    let rows = Rows::read(table, findings)?;
    let found = rows.by_key(request, findings);
    tell_missing(&name, &expected, &found, findings);
    if is_whole(bronze) {
        tell_undeclared(&name, &found, &declared(bronze, &|_| true, request), findings);
    }
    Some(Part { check: "gaps".to_owned(), of: name, looked_at: rows.0.len() as u64, unit: "rows".to_owned() })
}

/// What the books of a table's commits declare lost.
fn declared(table: &Table, judged: &dyn Fn(&Commit) -> bool, request: &Request) -> Lost {
    let mut lost = Lost::new();
    let appends = table.commits.iter().filter(|commit| commit.is_append() && judged(commit));
    for Books { incarnation, entries, .. } in appends.filter_map(Commit::books) {
        for entry in entries.iter().filter(|entry| request.scope.has_partition(entry.partition)) {
            let gaps = entry.gaps.iter().filter(|gap| gap.cause != Cause::NoRecord && gap.from < gap.to);
            for gap in gaps {
                let key = (incarnation.clone(), entry.partition, gap.cause);
                lost.entry(key).or_default().push((gap.from, gap.to));
            }
        }
    }
    lost.values_mut().for_each(|ranges| ranges.sort_unstable());
    lost
}

/// Whether all that a table's books ever declared can be read.
fn is_whole(table: &Table) -> bool {
    let unreadable = |commit: &Commit| matches!(commit.origin, Origin::Unreadable(_));
    let dense = (0..).zip(&table.commits).all(|(number, commit)| commit.version == number);
    table.checkpoint.is_none() && dense && !table.commits.iter().any(unreadable)
}

/// Tells what is declared in `said`, and not in `by`.
fn differ(said: &Lost, by: &Lost, mut tell: impl FnMut(&Key, Range)) {
    let none = Vec::new();
    for (key, ranges) in said {
        let others = by.get(key).unwrap_or(&none);
        for range in without(&merge(ranges.iter().copied()), &merge(others.iter().copied())) {
            tell(key, range);
        }
    }
}

fn tell_missing(name: &str, expected: &Lost, found: &Lost, findings: &Findings) {
    differ(expected, found, |(_, partition, cause), (from, to)| {
        let place = Place::table(name).of_partition(*partition).offsets(from, to);
        let what = format!(
            "silver's books declare that {} offsets are lost ({}), and no row says so",
            from.abs_diff(to),
            word(*cause)
        );
        findings.add(Code::BooksCount, place, what);
    });
}

fn tell_undeclared(name: &str, found: &Lost, declared: &Lost, findings: &Findings) {
    differ(found, declared, |(incarnation, partition, cause), (from, to)| {
        let place = Place::table(name).of_partition(*partition).offsets(from, to);
        let what = format!(
            "rows say that {} offsets of incarnation {incarnation} are lost ({}), and bronze's books do not declare it",
            from.abs_diff(to),
            word(*cause)
        );
        findings.add(Code::BooksRange, place, what);
    });
}

fn word(cause: Cause) -> &'static str {
    match cause {
        Cause::NoRecord => "no record",
        Cause::Damaged => "damaged",
        Cause::Retention => "retention",
    }
}

/// A row, and where it stands.
struct Row {
    incarnation: String,
    partition: i32,
    range: Range,
    cause: Option<Cause>,
    place: Place,
}

/// All rows of the table.
struct Rows(Vec<Row>);

impl Rows {
    /// `None` where not all of it can be read: a file that cannot was told when the files were read.
    fn read(table: &Table, findings: &Findings) -> Option<Self> {
        let mut rows = Vec::new();
        for file in table.live.values() {
            match read_file(table, file, &mut rows) {
                Ok(true) => {}
                Ok(false) => {
                    let what = "the columns are not those of a stream's gaps";
                    findings.add(Code::FileSchema, place_of(table, file), what);
                    return None;
                }
                Err(FileProblem::Unable(mut unable)) => {
                    unable.place = place_of(table, file);
                    findings.unable(unable);
                    return None;
                }
                Err(FileProblem::Wrong { .. }) => return None,
            }
        }
        Some(Self(rows))
    }

    /// The ranges by what they are of; rows that are none, or that repeat others, are told.
    fn by_key(&self, request: &Request, findings: &Findings) -> Lost {
        let mut rows: Vec<&Row> = self.0.iter().filter(|row| request.scope.has_partition(row.partition)).collect();
        rows.sort_by_key(|row| (&row.incarnation, row.partition, row.cause, row.range));
        let mut found = Lost::new();
        for Row { incarnation, partition, range, cause, place } in rows {
            let place = place.clone().of_partition(*partition).offsets(range.0, range.1);
            let Some(cause) = cause.filter(|_| 0 <= range.0 && range.0 < range.1) else {
                findings.add(Code::BooksRange, place, "a row says no range of offsets, or no cause that there is");
                continue;
            };
            let ranges = found.entry((incarnation.clone(), *partition, cause)).or_default();
            if ranges.last().is_some_and(|before| range.0 < before.1) {
                findings.add(Code::BooksCount, place, "its offsets stand in another row too");
            }
            ranges.push(*range);
        }
        found
    }
}

/// Whether the file has our columns.
fn read_file(table: &Table, file: &LiveFile, rows: &mut Vec<Row>) -> Result<bool, FileProblem> {
    let columns = ["_log_incarnation", "_kafka_partition", "from_offset", "to_offset", "cause"];
    for batch in DataFile::open(table, file)?.batches(&columns) {
        let batch = batch?;
        let Some(Columns { incarnation, partition, from, to, cause }) = Columns::of(&batch) else { return Ok(false) };
        for row in 0..batch.num_rows() {
            rows.push(Row {
                incarnation: incarnation.value(row).to_owned(),
                partition: partition.value(row),
                range: (from.value(row), to.value(row)),
                cause: match cause.value(row) {
                    "damaged" => Some(Cause::Damaged),
                    "retention" => Some(Cause::Retention),
                    _ => None,
                },
                place: place_of(table, file),
            });
        }
    }
    Ok(true)
}

/// The columns of a batch.
struct Columns<'a> {
    incarnation: &'a StringArray,
    partition: &'a Int32Array,
    from: &'a Int64Array,
    to: &'a Int64Array,
    cause: &'a StringArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let long = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let partition = batch.column_by_name("_kafka_partition")?.as_primitive_opt::<Int32Type>()?;
        Some(Self {
            incarnation: text("_log_incarnation")?,
            partition,
            from: long("from_offset")?,
            to: long("to_offset")?,
            cause: text("cause")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Declared;
    use crate::finding::Finding;
    use crate::rows::TableFacts;
    use crate::rows::little_table::{DAY_US, LIFE, LittleTable, codes, found, request, rows, utc};
    use arrow::array::{ArrayRef, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    const LOST: Declared = Declared { from: 3, to: 7, cause: Cause::Retention };

    /// A table whose first commit covers 0..10, and declares [`LOST`] if it is to.
    fn table(schema: &str, lost: bool) -> LittleTable {
        let mut little = LittleTable::bronze();
        little.table.name.schema = schema.to_owned();
        let kept = [rows(0, 0..3), rows(0, 7..10)].concat();
        let mut books = little.books(&kept, &[]);
        books.entries[0].outcome.lost = 4;
        books.entries[0].gaps = if lost { vec![LOST] } else { Vec::new() };
        little.commit(Origin::Ours(Box::new(books)), Vec::new(), &[]);
        little
    }

    /// The table of gaps with these rows: partition, range, cause.
    fn gaps(rows: &[(i32, i64, i64, &str)]) -> LittleTable {
        let column = |name: &str, kind: DataType| Field::new(name, kind, false);
        let fields = vec![
            column("_kafka_topic", DataType::Utf8),
            column("_kafka_partition", DataType::Int32),
            column("_log_incarnation", DataType::Utf8),
            column("from_offset", DataType::Int64),
            column("to_offset", DataType::Int64),
            column("cause", DataType::Utf8),
            column("declared_at", utc()),
        ];
        let mut all = fields.clone();
        all.push(column("_declared_date", DataType::Date32));
        let mut little = LittleTable::new("silver", "orders_gaps", Arc::new(Schema::new(all)), "_declared_date");
        let text = |of: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..rows.len()).map(of)))
        };
        let times = TimestampMicrosecondArray::from_value(DAY_US, rows.len()).with_timezone("UTC");
        let arrays: Vec<ArrayRef> = vec![
            text(&|_| "orders".to_owned()),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.0))),
            text(&|_| LIFE.to_owned()),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
            text(&|row| rows[row].3.to_owned()),
            Arc::new(times),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("rows of gaps");
        let add = little.write(&batch, &format!(r#"{{"numRecords":{}}}"#, rows.len()));
        let books = little.books(&[], &[]);
        little.commit(Origin::Ours(Box::new(books)), vec![add], &[]);
        little
    }

    fn checked(bronze: &LittleTable, silver: &LittleTable, gaps: Option<&LittleTable>) -> Vec<Finding> {
        let (none, findings) = (TableFacts::new(), Findings::default());
        let stream = Stream::new("orders", (&bronze.table, &none), (&silver.table, &none), (&bronze.table, &none));
        check(&stream, gaps.map(|gaps| &gaps.table), &request(), &findings);
        found(findings)
    }

    #[test]
    fn what_silver_passed_over_as_lost_has_its_row_and_more_than_one_may_tell_it() {
        let (bronze, silver) = (table("bronze", true), table("silver", true));
        assert_eq!(checked(&bronze, &silver, Some(&gaps(&[(0, 3, 7, "retention")]))), []);
        assert_eq!(checked(&bronze, &silver, Some(&gaps(&[(0, 5, 7, "retention"), (0, 3, 5, "retention")]))), []);
        assert_eq!(checked(&table("bronze", false), &table("silver", false), None), [], "nothing was lost");
        assert_eq!(checked(&bronze, &table("silver", false), None), [], "books from before silver named them");
    }

    #[test]
    fn a_row_that_is_missing_altered_invented_or_doubled_is_told_with_its_offsets() {
        let (bronze, silver) = (table("bronze", true), table("silver", true));
        let told = |rows: &[(i32, i64, i64, &str)]| -> Vec<(Code, Option<i32>, Option<(i64, i64)>)> {
            let findings = checked(&bronze, &silver, Some(&gaps(rows)));
            findings.into_iter().map(|found| (found.code, found.place.partition, found.place.offsets)).collect()
        };
        let of = |code, partition, from, to| (code, Some(partition), Some((from, to)));
        assert_eq!(told(&[(0, 3, 6, "retention")]), [of(Code::BooksCount, 0, 6, 7)]);
        assert_eq!(told(&[(0, 3, 8, "retention")]), [of(Code::BooksRange, 0, 7, 8)]);
        let (whole, again) = ((0, 3, 7, "retention"), (0, 4, 5, "retention"));
        assert_eq!(told(&[whole, again]), [of(Code::BooksCount, 0, 4, 5)]);
        assert_eq!(told(&[whole, (1, 0, 2, "damaged")]), [of(Code::BooksRange, 1, 0, 2)]);
        assert_eq!(told(&[whole, (0, 9, 9, "retention")]), [of(Code::BooksRange, 0, 9, 9)]);
        let other_cause = told(&[(0, 3, 7, "damaged")]);
        assert_eq!(other_cause, [of(Code::BooksRange, 0, 3, 7), of(Code::BooksCount, 0, 3, 7)]);
    }

    #[test]
    fn a_table_that_is_gone_is_told_and_rows_ahead_of_silver_are_not() {
        let (bronze, silver) = (table("bronze", true), table("silver", true));
        let findings = checked(&bronze, &silver, None);
        assert_eq!(codes(&findings), [Code::BooksCount]);
        assert_eq!(findings[0].place.table.as_deref(), Some("silver.orders_gaps"));
        assert_eq!(checked(&bronze, &table("silver", false), Some(&gaps(&[(0, 3, 7, "retention")]))), []);
    }
}
