//! Conservation: every record of bronze is exactly one of a row of silver, a duplicate of one, a dead letter; and nothing
//! else is in silver or among the dead letters. Row by row, not by counts.
//!
//! [`check`] goes through silver's appends in the order of versions. [`plan`] cuts what their books cover into slices that
//! fit in memory; [`read`] brings the rows of the three tables at those positions; [`judges`] says what must become of
//! each record, [`record`] what became of it, [`row`] and [`letter`] compare; [`commit`] holds the sums and watermarks
//! against the books. The ids of all valid records and rows go to buckets and are judged at the end ([`ids`]): whether a
//! valid record without a row is a duplicate or lost is known only then. [`rest`] looks at what no commit covers.
//!
//! Versions that are out of scope are not gone through; the ids of their rows are read all the same, unless the scope says
//! that new ids are held against each other only ([`crate::request::Ids`]): then a valid record without a row is counted
//! as the duplicate that it may be, and told as nothing.
//!
//! What lies above silver's position is not judged: a pipeline that runs, or was stopped, is behind bronze there. Dead
//! letters may be one commit ahead of silver. It never says of what could not be read that it is lost, nor that it is fine.

mod columns;
mod commit;
mod files;
mod ids;
mod judges;
mod letter;
mod plan;
mod read;
mod record;
mod rest;
mod row;
mod runs;
mod told;
mod walk;

pub(super) use columns::{id_texts, positions, typed};
pub(super) use runs::ranges;

use super::stream::Stream;
use crate::expect::definition::Definitions;
use crate::finding::{Findings, Place, Unable};
use crate::report::Part;
use crate::request::{Progress, Request};
use arrow::array::Array;
use columns::BronzeRows;
use files::{Cover, incarnations, sources};
use std::sync::Arc;
use walk::Walk;

/// What stays the same throughout.
struct Ground<'a> {
    stream: &'a Stream<'a>,
    definitions: &'a Definitions,
    request: &'a Request,
    findings: &'a Findings,
    silver_name: String,
    letters_name: String,
}

/// A record of bronze, and where it is.
struct At<'r> {
    silver: &'r str,
    letters: &'r str,
    /// Silver's version that covers it.
    version: u64,
    /// The definition in force.
    definition: i32,
    /// The topic that silver's row names; none where watermarks are not by topic.
    topic: Option<&'r str>,
    partition: i32,
    offset: i64,
    bronze: &'r BronzeRows,
    row: usize,
}

impl At<'_> {
    /// The log's timestamp.
    fn timestamp_us(&self) -> i64 {
        let times = &self.bronze.timestamp;
        if times.is_null(self.row) { 0 } else { times.value(self.row) }
    }

    /// Its place in a table.
    fn place(&self, table: &str, file: &str) -> Place {
        let place = Place::table(table).in_file(file).of_partition(self.partition);
        let place = place.offsets(self.offset, self.offset.saturating_add(1));
        if table == self.silver { place.at_version(self.version) } else { place }
    }
}

/// Checks a stream: the parts "conservation" (rows of bronze) and "uniqueness" (ids).
///
/// Findings and what could not be checked go to `findings`. Where ledgers are to be checked, the ids and positions of
/// records are kept in the stream for [`super::ledgers::check`].
#[must_use]
pub fn check(
    stream: &Stream<'_>,
    definitions: &Definitions,
    request: &Request,
    progress: &dyn Progress,
    findings: &Findings,
) -> Vec<Part> {
    let (silver_name, letters_name) = (stream.silver.0.name.to_string(), stream.dead_letters.0.name.to_string());
    let ground = Ground { stream, definitions, request, findings, silver_name, letters_name };
    let (mut rows, mut ids) = (0, 0);
    if let Err(unable) = run(&ground, progress, &mut rows, &mut ids) {
        findings.unable(unable);
    }
    let part = |check: &str, looked_at: u64, unit: &str| Part {
        check: check.to_owned(),
        of: ground.silver_name.clone(),
        looked_at,
        unit: unit.to_owned(),
    };
    vec![part("conservation", rows, "rows"), part("uniqueness", ids, "ids")]
}

fn run(ground: &Ground<'_>, progress: &dyn Progress, rows: &mut u64, ids: &mut u64) -> Result<(), Unable> {
    let Ground { stream, request, .. } = ground;
    let (commits, any_unreadable) = plan::silver_commits(stream, request, ground.findings);
    let (by_version, only) = incarnations(&commits);
    // Commits of a log that was cleaned up, and that nobody knows, may be of another life.
    let only = only.filter(|_| !(any_unreadable && stream.silver.0.checkpoint.is_some()));
    // A checkpoint does not tell which of its files were whose.
    let is_known = |version: u64| stream.silver.0.checkpoint.is_none_or(|at| at < version);
    let of_silver =
        |version: u64| by_version.get(&version).filter(|_| is_known(version)).or(only.as_ref()).map(Arc::clone);
    let in_rows = |_: u64| -> Option<Arc<str>> { None };
    let files = [
        sources(stream.bronze, request, &in_rows),
        sources(stream.silver, request, &of_silver),
        sources(stream.dead_letters, request, &in_rows),
    ];
    let slices = plan::slices(&commits, request);
    let total = slices.iter().map(plan::Slice::offsets).fold(0, u64::saturating_add);
    let mut judged = Cover::default();
    let (mut done, part) = (0_u64, format!("conservation {}", ground.silver_name));
    let mut walk = Walk::new(ground, &commits, files);
    for slice in &slices {
        progress.at(&part, done, total);
        walk.slice(slice)?;
        done = done.saturating_add(slice.offsets());
        *rows = walk.looked_at;
        for stretch in &slice.stretches {
            let number = u32::try_from(stretch.commit).unwrap_or(ids::NO_COMMIT - 1);
            if let Some(commit) = commits.get(stretch.commit) {
                judged.add(&commit.books.incarnation, stretch.partition, (stretch.from, stretch.to), number);
            }
        }
    }
    walk.advance_to(commits.len().saturating_sub(1));
    walk.end_commit();
    walk.tell_unseen();
    progress.at(&part, total, total);
    judged.settle();
    let cover = plan::cover(&commits);
    rest::silver(&mut walk, &judged, &cover, any_unreadable)?;
    rest::letters(&mut walk, &cover, any_unreadable)?;
    walk.runs.flush();
    let Walk { ids: records, known, silver, .. } = walk;
    if let Some(known) = known {
        stream.keep(known);
    }
    *ids = told::tell(ground, &commits, &silver.0, records)?;
    Ok(())
}
