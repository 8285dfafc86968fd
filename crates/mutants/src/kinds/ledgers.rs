//! Faults between ledgers and tables: ids that nobody has, ids that nobody sent, other positions.

use super::{Mutant, Site, find, mutants};
use crate::expected::{Must, Place, Planted};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "ledger-id-nobody-has", ["ledger.missing", "ledger.position"], nobody_has,
        "a ledger names an id that is in no table";
    "ledger-line-removed", ["ledger.extra"], line_removed, "an id of the tables is in no ledger";
    "ledger-position", ["ledger.position"], position, "a ledger gives another offset for an id";
    "ledger-partition", ["ledger.position", "ledger.missing", "ledger.extra"], partition, "a ledger gives another partition for an id";
};

/// A line of a ledger: sequence, id, partition, offset.
struct Line {
    ledger: PathBuf,
    number: usize,
    fields: Vec<String>,
}

/// Lines whose id comes once in all ledgers, and has its row of silver at the line's position.
fn lines(site: &mut Site<'_>) -> Result<Option<Line>> {
    let mut by_id: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for ledger in &site.ledgers {
        let text = std::fs::read_to_string(ledger).with_context(|| format!("{} cannot be read", ledger.display()))?;
        for (number, line) in text.lines().enumerate().skip(1) {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            if let Some(id) = fields.get(1).filter(|_| fields.len() >= 4) {
                let line = Line { ledger: ledger.clone(), number, fields: fields.clone() };
                by_id.entry(id.clone()).or_default().push(line);
            }
        }
    }
    let mut single: Vec<Line> = by_id.into_values().filter(|lines| lines.len() == 1).flatten().collect();
    let silver = site.silver()?;
    for _ in 0..50 {
        let numbers: Vec<usize> = (0..single.len()).collect();
        let Some(at) = site.pick(&numbers).copied() else { return Ok(None) };
        let line = single.swap_remove(at);
        let (Ok(partition), Ok(offset)) = (line.fields[2].parse::<i32>(), line.fields[3].parse::<i64>()) else {
            continue;
        };
        if find(&silver, (partition, offset))?.is_some() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Puts another line in its place, or none.
fn replace(line: &Line, by: Option<&[String]>) -> Result<()> {
    let text = std::fs::read_to_string(&line.ledger)?;
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    match by {
        Some(fields) => all[line.number] = fields.join("\t"),
        None => drop(all.remove(line.number)),
    }
    std::fs::write(&line.ledger, all.join("\n") + "\n")?;
    Ok(())
}

fn planted(site: &Site<'_>, id: &str, what: &str) -> Option<Planted> {
    let expected = crate::expected::Expected::new(site.mutant.codes, Must::Event, Place::default().event(id));
    let names = ["bronze.{}", "silver.{}", "bronze.{}_dlq"].map(|name| name.replace("{}", &site.stream));
    Some(Planted {
        kind: site.mutant.name,
        what: format!("{what}: {id}"),
        expected: vec![expected],
        // Nothing but the ledger was touched, but a finding about an id names the table where it is missing or found.
        touched: names.to_vec(),
    })
}

fn nobody_has(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(line) = lines(site)? else { return Ok(None) };
    let id = format!("{}-nobody", line.fields[1]);
    let text = std::fs::read_to_string(&line.ledger)?;
    let sequence = text.lines().skip(1).filter_map(|line| line.split('\t').next()?.parse::<u64>().ok()).max();
    let next = sequence.unwrap_or(0) + 1;
    let more = format!("{next}\t{id}\t{}\t{}\n", line.fields[2], line.fields[3]);
    std::fs::write(&line.ledger, text + &more)?;
    Ok(planted(site, &id, "the ledger names"))
}

fn line_removed(site: &mut Site<'_>) -> Result<Option<Planted>> {
    let Some(line) = lines(site)? else { return Ok(None) };
    replace(&line, None)?;
    let position = (line.fields[2].parse().context("a partition")?, line.fields[3].parse().context("an offset")?);
    let planted = planted(site, &line.fields[1], "no ledger names");
    let codes = site.mutant.codes;
    Ok(planted.map(|planted| planted.or(codes, Must::Offset, Place::default().offset(position))))
}

fn position(site: &mut Site<'_>) -> Result<Option<Planted>> {
    moved(site, 3, "the ledger gives another offset")
}

fn partition(site: &mut Site<'_>) -> Result<Option<Planted>> {
    moved(site, 2, "the ledger gives another partition")
}

fn moved(site: &mut Site<'_>, field: usize, what: &str) -> Result<Option<Planted>> {
    let Some(line) = lines(site)? else { return Ok(None) };
    let mut fields = line.fields.clone();
    let old: i64 = fields[field].parse().context("a number")?;
    fields[field] = (old + 1).to_string();
    replace(&line, Some(&fields))?;
    let place = |fields: &[String]| -> Result<Place> {
        let (partition, offset) = (fields[2].parse().context("a partition")?, fields[3].parse().context("an offset")?);
        Ok(Place::default().offset((partition, offset)))
    };
    // Of two sides, either may be named, by the id or by the position.
    let (told, kept, codes) = (place(&fields)?, place(&line.fields)?, site.mutant.codes);
    let planted = planted(site, &line.fields[1], what);
    Ok(planted.map(|planted| planted.or(codes, Must::Offset, told).or(codes, Must::Offset, kept)))
}
