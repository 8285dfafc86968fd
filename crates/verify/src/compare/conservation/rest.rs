//! What the walk did not meet: rows of commits outside the scope, whose ids are known all the same, and rows and dead
//! letters that no commit covers, which nobody wrote by the books.

use super::columns::{id_texts, positions, typed};
use super::files::{Cover, Source, in_scope};
use super::ids::{ELSEWHERE, IdRecord, NO_COMMIT, SILVER};
use super::read::open;
use super::walk::Walk;
use crate::finding::{Code, Place, Unable};
use crate::request::Ids;
use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;

/// What stands beside positions in the message where books are missing.
const BOOKS_MISSING: &str = "rows that no readable commit covers could not be compared: books of commits are missing";

/// Rows of silver that were not judged: their ids are entered; those that no commit covers are told.
///
/// # Errors
/// When the scratch folder fails.
pub(super) fn silver(walk: &mut Walk<'_>, judged: &Cover, cover: &Cover, any_unreadable: bool) -> Result<(), Unable> {
    let table = walk.ground.stream.silver.0;
    let request = walk.ground.request;
    // Among themselves, new rows are held against new files only; those may have rows that no commit covers.
    let is_asked =
        |source: &&Source<'_>| request.scope.ids == Ids::All || in_scope(table, source.file.version, request);
    let sources = walk.silver.0.iter().filter(|source| !source.is_within(judged)).filter(is_asked);
    let sources: Vec<Source<'_>> = sources.cloned().collect();
    let mut outside = Outside { any_unreadable, told: false };
    for source in &sources {
        let place = Place::table(&walk.ground.silver_name).in_file(source.path);
        let batches = match open(table, source, &["event_id", "_kafka_partition", "_kafka_offset"]) {
            Ok(batches) => batches,
            Err(why) => {
                walk.ground.findings.unable(Unable { place, why });
                continue;
            }
        };
        for batch in batches {
            let read = batch.map_err(|problem| problem.to_string());
            let read = read.and_then(|batch| Ok((id_texts(&batch)?, positions(&batch)?)));
            let (ids, (partitions, offsets)) = match read {
                Ok(read) => read,
                Err(why) => {
                    walk.ground.findings.unable(Unable { place: place.clone(), why });
                    break;
                }
            };
            for row in 0..ids.len() {
                let (partition, offset) = (partitions.value(row), offsets.value(row));
                if number(judged, source, partition, offset).is_some() {
                    let any = source.incarnation.is_none() && ids.is_valid(row);
                    if any && cover.lives(partition, offset) > judged.lives(partition, offset) {
                        let id = ids.value(row).as_bytes();
                        walk.ids.push(IdRecord::new(id, NO_COMMIT, partition, offset, ELSEWHERE))?;
                    }
                    continue;
                }
                let commit = number(cover, source, partition, offset);
                if commit.is_none() {
                    let what = "silver has a row that no commit covers";
                    outside.tell(walk, Code::RowUnfounded, &place, (partition, offset), what);
                }
                let id = if ids.is_null(row) { "" } else { ids.value(row) };
                let commit = commit.unwrap_or(NO_COMMIT);
                walk.ids.push(IdRecord::new(id.as_bytes(), commit, partition, offset, SILVER))?;
            }
        }
        walk.runs.flush();
    }
    Ok(())
}

/// Dead letters that neither silver's commits nor their own table's cover.
///
/// # Errors
/// None today; as [`silver`].
pub(super) fn letters(walk: &mut Walk<'_>, silver: &Cover, any_unreadable: bool) -> Result<(), Unable> {
    let table = walk.ground.stream.dead_letters.0;
    let mut cover = silver.clone();
    let mut any_unreadable = any_unreadable || table.checkpoint.is_some();
    for commit in &table.commits {
        any_unreadable |= matches!(commit.origin, crate::lake::Origin::Unreadable(_));
        let Some(books) = commit.books().filter(|books| books.kind == "append") else { continue };
        for entry in &books.entries {
            cover.add(&books.incarnation, entry.partition, (entry.from, entry.to), 0);
        }
    }
    cover.settle();
    let sources: Vec<Source<'_>> = walk.letters.0.iter().filter(|source| !source.is_within(&cover)).cloned().collect();
    let mut outside = Outside { any_unreadable, told: false };
    for source in &sources {
        let place = Place::table(&walk.ground.letters_name).in_file(source.path);
        let read = open(table, source, &["_kafka_partition", "_kafka_offset", "_log_incarnation"]);
        let batches = match read {
            Ok(batches) => batches,
            Err(why) => {
                walk.ground.findings.unable(Unable { place, why });
                continue;
            }
        };
        for batch in batches {
            let found = batch.map_err(|problem| problem.to_string()).and_then(|batch| uncovered(&batch, &cover));
            match found {
                Ok(found) => {
                    for position in found {
                        let what = "there is a dead letter that no commit covers";
                        outside.tell(walk, Code::DeadLetterUnfounded, &place, position, what);
                    }
                }
                Err(why) => {
                    walk.ground.findings.unable(Unable { place: place.clone(), why });
                    break;
                }
            }
        }
        walk.runs.flush();
    }
    Ok(())
}

/// Positions of a batch that are not covered.
fn uncovered(batch: &RecordBatch, cover: &Cover) -> Result<Vec<(i32, i64)>, String> {
    let (partitions, offsets) = positions(batch)?;
    let incarnations: StringArray = typed(batch, "_log_incarnation", &DataType::Utf8)?;
    let of = |row: usize| if incarnations.is_null(row) { "" } else { incarnations.value(row) };
    let position = |row: usize| (partitions.value(row), offsets.value(row));
    let is_outside = |row: &usize| {
        let (partition, offset) = position(*row);
        cover.commit(of(*row), partition, offset).is_none()
    };
    Ok((0..batch.num_rows()).filter(is_outside).map(position).collect())
}

/// The commit that covers a row of silver.
fn number(cover: &Cover, source: &Source<'_>, partition: i32, offset: i64) -> Option<u32> {
    match &source.incarnation {
        Some(incarnation) => cover.commit(incarnation, partition, offset),
        None => cover.commit_of_any(partition, offset),
    }
}

/// Tells of rows outside every commit; where books are missing they may be those commits', and that is said once.
struct Outside {
    any_unreadable: bool,
    told: bool,
}

impl Outside {
    fn tell(
        &mut self,
        walk: &mut Walk<'_>,
        code: Code,
        place: &Place,
        (partition, offset): (i32, i64),
        what: &'static str,
    ) {
        if !walk.ground.request.scope.has_partition(partition) {
            return;
        }
        if !self.any_unreadable {
            walk.runs.add(code, place, partition, offset, what);
        } else if !self.told {
            self.told = true;
            walk.ground.findings.unable(Unable { place: place.clone(), why: BOOKS_MISSING.to_owned() });
        }
    }
}
