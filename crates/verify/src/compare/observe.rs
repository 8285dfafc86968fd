//! Which tables are looked at, and in which order: a pipeline may commit to them meanwhile.
//!
//! Contract: of two tables of which one follows the other, the one that follows is read first. A table that is read later
//! may only be ahead of it, and what lies ahead is never judged ("not yet in silver"). The other way round silver would
//! have rows without a record, and gold rows of nothing. So: the copies of the books first, then gold, silver, dead
//! letters, bronze; the definitions last, as they are entered before anything is committed under them.

use super::is_bronze;
use crate::finding::{Findings, Place, Unable};
use crate::lake::{self, Logs, Survey, Table, TableName};
use crate::request::Request;
use std::collections::{BTreeMap, BTreeSet};

/// The table of definitions, by which everything is judged.
pub(super) const DEFINITIONS: &str = "ops.definitions";

/// What was seen.
pub(super) struct Seen {
    /// By name.
    pub(super) tables: BTreeMap<String, Table>,
    /// Of what is not among them: why.
    pub(super) absent: Absent,
}

/// Why a table is not at hand.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// Tables that are there and could not be read.
    unread: BTreeSet<String>,
    /// What symbolic links lead out of the lake; `schema.*` for a whole schema.
    outside: BTreeSet<String>,
}

impl Absent {
    /// Whether it is there and could not be read.
    pub(super) fn is_unread(&self, table: &str) -> bool {
        self.unread.contains(table)
    }

    /// Whether a link out of the lake stands in its place, or in that of its schema.
    fn is_outside(&self, table: &str) -> bool {
        let schema = table.split_once('.').map_or(table, |(schema, _)| schema);
        self.outside.contains(table) || self.outside.contains(&format!("{schema}.*"))
    }

    /// In words, behind the table's name.
    pub(super) fn why(&self, table: &str) -> &'static str {
        if self.is_unread(table) {
            "could not be read"
        } else if self.is_outside(table) {
            "lies behind a symbolic link out of the lake's folder"
        } else {
            "is not there: restore it from a backup"
        }
    }
}

/// All tables in scope and those that judging them needs. A table that cannot be read, one that lies outside the lake's
/// folder, and a stream that lacks one of its tables are entered as what could not be checked.
pub(super) fn observe(request: &Request, logs: &mut Logs, findings: &Findings) -> Result<Seen, Unable> {
    let Survey { mut tables, outside } = complete_survey(request)?;
    if tables.is_empty() && outside.is_empty() {
        let lake = request.lake.display();
        let why = format!("there is no table in {lake}: give the folder that holds bronze, silver and gold");
        return Err(Unable { place: Place::default(), why });
    }
    let named = |of: &[TableName], asked: &str| of.iter().any(|name| name.to_string() == asked);
    for asked in &request.scope.tables {
        if !named(&tables, asked) && !named(&outside, asked) {
            let why = format!("there is no table {asked} in {}", request.lake.display());
            return Err(Unable { place: Place::table(asked), why });
        }
    }
    outside.iter().filter(|name| is_asked_for(request, name)).for_each(|name| tell_outside(name, findings));
    let names: BTreeSet<String> = tables.iter().map(ToString::to_string).collect();
    tables.sort_by_key(rank);
    let outside = outside.iter().map(ToString::to_string).collect();
    let mut seen = Seen { tables: BTreeMap::new(), absent: Absent { unread: BTreeSet::new(), outside } };
    for name in tables.into_iter().filter(|name| is_needed(request, name)) {
        match logs.observe(&request.lake, &name, findings) {
            Ok(table) => {
                seen.tables.insert(name.to_string(), table);
            }
            Err(unable) => {
                findings.unable(unable);
                seen.absent.unread.insert(name.to_string());
            }
        }
    }
    tell_incomplete(&names, &seen, request, findings);
    Ok(seen)
}

/// The tables of the lake. Where a stream seems to lack one, they are listed once more: a pipeline makes a stream's
/// tables one after another, bronze first, and a listing taken meanwhile may have the last and not the first.
fn complete_survey(request: &Request) -> Result<Survey, Unable> {
    let survey = lake::survey(&request.lake)?;
    let names: BTreeSet<String> = survey.tables.iter().map(ToString::to_string).collect();
    let lacks = streams(&names).iter().any(|stream| tables_of(stream).iter().any(|name| !names.contains(name)));
    if lacks { lake::survey(&request.lake) } else { Ok(survey) }
}

/// The place of a table in the order of reading.
fn rank(name: &TableName) -> u8 {
    match (name.schema.as_str(), name.name.as_str()) {
        ("ops", "commits") => 0,
        ("gold", _) => 2,
        ("silver", _) => 3,
        ("bronze", _) if !is_bronze(name) => 4,
        ("bronze", _) => 5,
        ("ops", "definitions") => 6,
        _ => 1,
    }
}

/// Whether a table is looked at: asked for, one of `ops`, or of the stream or model that was asked for.
fn is_needed(request: &Request, name: &TableName) -> bool {
    request.scope.has_table(&name.to_string()) || name.schema == "ops" || !request.scope.quick
}

/// Whether a table, or a whole schema (`gold.*`), has to do with what was asked for.
fn is_asked_for(request: &Request, name: &TableName) -> bool {
    let of_schema = |table: &String| table.split_once('.').is_some_and(|(schema, _)| schema == name.schema);
    request.scope.has_table(&name.to_string()) || (name.name == "*" && request.scope.tables.iter().any(of_schema))
}

/// The place is the link: it is no table of this lake.
fn tell_outside(name: &TableName, findings: &Findings) {
    let link = if name.name == "*" { name.schema.clone() } else { format!("{}/{}", name.schema, name.name) };
    let why = "a symbolic link leads out of the lake's folder; it is not followed, so nothing there was checked: move what \
               it leads to into the lake";
    findings.unable(Unable { place: Place::default().in_file(&link), why: why.to_owned() });
}

/// The streams that the tables are of.
fn streams(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names.iter().filter(|name| !is_of_gaps(name, names)).filter_map(|name| stream_of(name)).collect()
}

/// Whether a table of silver has the gaps of a stream, and is not one of a stream that is called so.
fn is_of_gaps(table: &str, names: &BTreeSet<String>) -> bool {
    let stream = table.strip_prefix("silver.").and_then(|name| name.strip_suffix("_gaps"));
    let has = |stream: &str| names.contains(&format!("bronze.{stream}"));
    stream.is_some_and(|stream| has(stream) && !has(&format!("{stream}_gaps")))
}

fn stream_of(table: &str) -> Option<&str> {
    match table.split_once('.')? {
        ("bronze", name) => Some(name.strip_suffix("_dlq").unwrap_or(name)),
        ("silver", name) => Some(name),
        _ => None,
    }
}

/// The tables of a stream.
fn tables_of(stream: &str) -> [String; 3] {
    [format!("bronze.{stream}"), format!("bronze.{stream}_dlq"), format!("silver.{stream}")]
}

/// Says which streams cannot be compared because one of their tables is not there, or could not be read. A pipeline makes
/// all three before it commits a record, so that only a stream that has just begun may lack silver.
fn tell_incomplete(names: &BTreeSet<String>, seen: &Seen, request: &Request, findings: &Findings) {
    for stream in streams(names) {
        let tables = tables_of(stream);
        let (outside, lacking): (Vec<&str>, Vec<&str>) = tables
            .iter()
            .map(String::as_str)
            .filter(|name| !names.contains(*name))
            .partition(|name| seen.absent.is_outside(name));
        let needed = tables.iter().map(String::as_str).chain([DEFINITIONS]);
        let unread: Vec<&str> = needed.filter(|name| seen.absent.is_unread(name)).collect();
        let has_rows = |name: &&String| {
            let table = seen.tables.get(name.as_str());
            table.is_some_and(|table| !table.live.is_empty() || table.commits.iter().any(lake::Commit::is_append))
        };
        let mut there = tables.iter().filter(|name| names.contains(*name));
        let begun = there.clone().any(|name| name.starts_with("silver.") || has_rows(&name));
        let asked = tables.iter().any(|name| request.scope.has_table(name));
        let Some(at) = there.next_back().filter(|_| begun && asked) else { continue };
        let why = match (lacking.as_slice(), outside.as_slice(), unread.as_slice()) {
            ([], [], []) => continue,
            ([], [], unread) => format!("as {} could not be read", unread.join(" and ")),
            // What to do about the link is told with the link.
            ([], outside, _) => {
                format!("as a symbolic link stands in the place of {}", outside.join(" and "))
            }
            (lacking, _, _) => format!("as it lacks {}: restore it from a backup", lacking.join(" and ")),
        };
        let why = format!("the stream's rows could not be compared, {why}");
        findings.unable(Unable { place: Place::table(at), why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::little_log::LittleLog;
    use crate::rows::little_table::request;

    fn whys(little: &LittleLog, tables: &[&str]) -> Result<Vec<(Option<String>, String)>, Unable> {
        let mut request = request();
        request.lake = little.lake().to_owned();
        request.scope.tables = tables.iter().map(|table| (*table).to_owned()).collect();
        let findings = Findings::default();
        observe(&request, &mut Logs::default(), &findings)?;
        let place = |place: Place| place.table.or(place.file);
        Ok(findings.into_kept().unable.into_iter().map(|unable| (place(unable.place), unable.why)).collect())
    }

    #[test]
    fn what_follows_another_table_is_read_before_it() {
        let mut names: Vec<TableName> =
            ["bronze.t", "bronze.t_dlq", "gold.m", "ops.commits", "ops.definitions", "silver.t", "theirs.x"]
                .iter()
                .filter_map(|name| name.split_once('.'))
                .map(|(schema, name)| TableName { schema: schema.to_owned(), name: name.to_owned() })
                .collect();
        names.sort_by_key(rank);
        let order: Vec<String> = names.iter().map(ToString::to_string).collect();
        let wanted = ["ops.commits", "theirs.x", "gold.m", "silver.t", "bronze.t_dlq", "bronze.t", "ops.definitions"];
        assert_eq!(order, wanted);
    }

    #[test]
    fn a_stream_that_lacks_a_table_cannot_be_checked_and_is_passed_over_where_it_was_not_asked_for() {
        let little = LittleLog::plain();
        let told = whys(&little, &[]).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0.as_deref(), Some("silver.ticks"));
        assert!(told[0].1.contains("lacks bronze.ticks and bronze.ticks_dlq:"), "{told:?}");
        assert_eq!(whys(&little, &["silver.ticks"]).unwrap().len(), 1);
        std::fs::create_dir_all(little.lake().join("gold")).unwrap();
        std::fs::rename(little.folder(), little.lake().join("gold/ticks")).unwrap();
        assert!(whys(&little, &["gold.ticks"]).unwrap().is_empty());
        assert!(whys(&LittleLog::empty(), &[]).is_err(), "a lake without a table is not fine");
        assert!(whys(&little, &["gold.other"]).is_err());
    }

    #[test]
    fn a_stream_of_which_a_table_cannot_be_read_is_not_compared() {
        let little = LittleLog::plain();
        for table in ["bronze/ticks", "bronze/ticks_dlq", "ops/definitions"] {
            let log = little.lake().join(table).join("_delta_log");
            std::fs::create_dir_all(&log).unwrap();
            std::fs::write(log.join("00000000000000000000.json"), "{").unwrap();
        }
        let told = whys(&little, &[]).unwrap();
        let of_stream: Vec<&str> = told
            .iter()
            .filter(|(place, _)| place.as_deref() == Some("silver.ticks"))
            .map(|(_, why)| why.as_str())
            .collect();
        let wanted = "as bronze.ticks and bronze.ticks_dlq and ops.definitions could not be read";
        assert!(of_stream.len() == 1 && of_stream[0].ends_with(wanted), "{told:?}");
    }

    #[test]
    fn what_lies_behind_a_link_is_not_said_to_be_missing() {
        for link in ["bronze/ticks", "bronze"] {
            let (little, elsewhere) = (LittleLog::plain(), LittleLog::plain());
            std::fs::create_dir_all(little.lake().join("bronze")).unwrap();
            if link == "bronze" {
                std::fs::remove_dir(little.lake().join("bronze")).unwrap();
            } else {
                let log = little.lake().join("bronze/ticks_dlq/_delta_log");
                std::fs::create_dir_all(&log).unwrap();
                std::fs::copy(little.entry_path(0), log.join("00000000000000000000.json")).unwrap();
            }
            std::os::unix::fs::symlink(elsewhere.folder(), little.lake().join(link)).unwrap();
            let told = whys(&little, &[]).unwrap();
            let of_stream: Vec<_> = told.iter().filter(|(place, _)| place.as_deref() == Some("silver.ticks")).collect();
            assert!(
                of_stream.len() == 1 && of_stream[0].1.contains("a symbolic link stands in the place of"),
                "{told:?}"
            );
            assert!(told.len() == 2 && told.iter().all(|(_, why)| !why.contains("backup")), "{told:?}");
        }
    }

    #[test]
    fn a_table_behind_a_link_out_of_the_lake_cannot_be_checked() {
        let (little, elsewhere) = (LittleLog::plain(), LittleLog::plain());
        std::fs::create_dir_all(little.lake().join("gold")).unwrap();
        std::os::unix::fs::symlink(elsewhere.folder(), little.lake().join("gold/lured")).unwrap();
        std::fs::rename(little.folder(), little.lake().join("gold/own")).unwrap();
        let told = whys(&little, &[]).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0.as_deref(), Some("gold/lured"));
        assert!(told[0].1.contains("leads out of the lake's folder"), "{told:?}");
        assert!(whys(&little, &["gold.own"]).unwrap().is_empty());
        assert_eq!(whys(&little, &["gold.lured"]).unwrap().len(), 1);
    }
}
