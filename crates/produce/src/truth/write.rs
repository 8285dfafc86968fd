//! Writing the truth's files.

use super::gold::Gold;
use super::{Counts, FORMAT, Fate, Truth, dead_letters_path, gold_path, silver_path, simulate};
use crate::error::ProduceError;
use crate::generate::Plan;
use crate::ledger::Header;
use serde_json::json;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use watertight_core::schema::ModelDef;

/// A silver row's line, until all copies of its event are known.
struct Row {
    sequence: u64,
    partition: i32,
    late: bool,
}

/// Computes the truth of items `0..count` and writes it into `folder`, `truth.json` last.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(
    folder: &Path,
    plan: &Plan,
    header: &Header,
    count: u64,
    models: &[ModelDef],
) -> Result<Counts, ProduceError> {
    fs::create_dir_all(folder).map_err(|error| ProduceError::truth(folder, error))?;
    let _ = fs::remove_file(folder.join("truth.json"));
    let mut counts = Counts { per_partition: vec![0; header.partitions as usize], ..Counts::default() };
    let mut golds: Vec<Gold> = models.iter().map(Gold::new).collect();
    let mut rows = Vec::new();
    let mut elsewhere: HashMap<u64, Vec<i32>> = HashMap::new();
    let mut dead = Lines::create(&dead_letters_path(folder))?;
    let mut failed = Ok(());
    let watermark_us = simulate(plan, &header.start_offsets, count, |seen| {
        counts.records += 1;
        counts.per_partition[seen.partition as usize] += 1;
        match &seen.fate {
            Fate::Silver { event, late } => {
                counts.silver += 1;
                counts.late += u64::from(*late);
                if !late {
                    golds.iter_mut().for_each(|gold| gold.fold(event));
                }
                rows.push(Row { sequence: seen.sequence, partition: seen.partition, late: *late });
            }
            Fate::Duplicate { of, elsewhere: in_another } => {
                counts.duplicates += 1;
                if *in_another {
                    counts.duplicates_elsewhere += 1;
                    let partitions = elsewhere.entry(*of).or_default();
                    if !partitions.contains(&seen.partition) {
                        partitions.push(seen.partition);
                    }
                }
            }
            Fate::DeadLetter { kind } => {
                counts.dead_letters += 1;
                let reasons = plan.reasons(*kind);
                for reason in reasons {
                    *counts.reasons.entry(reason.clone()).or_default() += 1;
                }
                let line = json!({"sequence": seen.sequence, "partition": seen.partition, "offset": seen.offset,
                    "reasons": reasons});
                if failed.is_ok() {
                    failed = dead.line(line.to_string().as_bytes());
                }
            }
        }
    });
    failed.and_then(|()| dead.finish())?;
    write_silver(folder, plan, &rows, &elsewhere)?;
    for gold in &golds {
        let mut lines = Lines::create(&gold_path(folder, &gold.model))?;
        let (mut all, mut closed_rows) = (0, 0);
        for (closed, row) in gold.rows(watermark_us) {
            all += 1;
            closed_rows += u64::from(closed);
            lines.line(row.to_string().as_bytes())?;
        }
        lines.finish()?;
        counts.gold.insert(gold.model.clone(), (all, closed_rows));
    }
    write_json(&folder.join("counts.json"), &counts)?;
    let truth = Truth { format: FORMAT, header: header.clone(), count, models: models.to_vec() };
    write_json(&folder.join("truth.json"), &truth)?;
    Ok(counts)
}

fn write_silver(
    folder: &Path,
    plan: &Plan,
    rows: &[Row],
    elsewhere: &HashMap<u64, Vec<i32>>,
) -> Result<(), ProduceError> {
    let mut lines = Lines::create(&silver_path(folder))?;
    let mut id = Vec::new();
    let mut line = Vec::new();
    for row in rows {
        id.clear();
        line.clear();
        plan.push_id(&mut id, row.sequence);
        // Ids are plain ASCII: nothing is to be escaped. Writing into a vector does not fail.
        let _ = write!(line, "{{\"sequence\":{},\"event_id\":\"", row.sequence);
        line.extend_from_slice(&id);
        let _ = write!(line, "\",\"late\":{},\"partitions\":[{}", row.late, row.partition);
        for partition in elsewhere.get(&row.sequence).into_iter().flatten() {
            let _ = write!(line, ",{partition}");
        }
        line.extend_from_slice(b"]}");
        lines.line(&line)?;
    }
    lines.finish()
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ProduceError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| ProduceError::truth(path, error))?;
    let mut lines = Lines::create(path)?;
    lines.line(&text)?;
    lines.finish()
}

struct Lines {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, ProduceError> {
        let file = File::create(path).map_err(|error| ProduceError::truth(path, error))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::with_capacity(1 << 20, file) })
    }

    fn line(&mut self, text: &[u8]) -> Result<(), ProduceError> {
        let written = self.out.write_all(text).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|error| ProduceError::truth(&self.path, error))
    }

    fn finish(mut self) -> Result<(), ProduceError> {
        let flushed = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        flushed.map_err(|error| ProduceError::truth(&self.path, error))
    }
}
