//! The tables of a lake: folders `<schema>/<table>` with a Delta log.

use super::TableName;
use super::listing::{Listing, entry_name};
use super::text::clean;
use crate::finding::{Place, Unable};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The folder of the pipeline's own files.
const OWN_FOLDER: &str = "_watertight";
/// The folder of a table's log.
pub(super) const LOG_FOLDER: &str = "_delta_log";

/// What [`survey`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Tables, by name.
    pub tables: Vec<TableName>,
    /// What symbolic links lead out of the lake: not followed, and so not checked. `schema.*` for a whole schema.
    pub outside: Vec<TableName>,
}

/// The tables of a lake, by name. A table whose log has no version yet, and no file, is none.
///
/// # Errors
/// Where the lake's folder is not there, or can't be read.
pub fn find_tables(lake: &Path) -> Result<Vec<TableName>, Unable> {
    Ok(survey(lake)?.tables)
}

/// As [`find_tables`], with what was not followed.
///
/// # Errors
/// As [`find_tables`].
pub fn survey(lake: &Path) -> Result<Survey, Unable> {
    let root = fs::canonicalize(lake).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unable(format!(
            "there is no lake at {}: give the folder that holds bronze, silver and gold",
            lake.display()
        )),
        io::ErrorKind::NotADirectory => unable(format!(
            "there is no lake at {}: a part of this path is a file; give the folder that holds bronze, silver and gold",
            lake.display()
        )),
        _ => refused(lake, &error),
    })?;
    if !root.is_dir() {
        return Err(unable(format!("{} is no folder: give the folder of the lake", lake.display())));
    }
    let mut survey = Survey::default();
    for schema in folders(&root)? {
        if schema == OWN_FOLDER {
            continue;
        }
        let within = fs::canonicalize(root.join(&schema)).is_ok_and(|real| real.starts_with(&root));
        if !within {
            survey.outside.push(TableName { schema, name: "*".to_owned() });
            continue;
        }
        for name in folders(&root.join(&schema))? {
            let folder = root.join(&schema).join(&name);
            let table = TableName { schema: schema.clone(), name };
            match fs::canonicalize(folder.join(LOG_FOLDER)) {
                Ok(log) if !log.starts_with(&root) => survey.outside.push(table),
                Ok(log) if log.is_dir() && is_table(&folder, &log)? => survey.tables.push(table),
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(refused(&folder, &error)),
            }
        }
    }
    survey.tables.sort();
    survey.outside.sort();
    Ok(survey)
}

/// Whether a lake has a table that is not among these, or one of them a version above the one named. It costs a look at
/// names, and reads no entry.
///
/// # Errors
/// As [`find_tables`].
pub fn has_grown(lake: &Path, known: &BTreeMap<String, u64>) -> Result<bool, Unable> {
    let tables = find_tables(lake)?;
    Ok(tables.iter().any(|table| {
        let next = known.get(&table.to_string()).and_then(|version| version.checked_add(1));
        let log = lake.join(&table.schema).join(&table.name).join(LOG_FOLDER);
        next.is_none_or(|next| log.join(entry_name(next)).symlink_metadata().is_ok())
    }))
}

/// A log without a version is what a process leaves that died while it made the table; with data beside it, it is a
/// log that lost its entries.
fn is_table(folder: &Path, log: &Path) -> Result<bool, Unable> {
    if !Listing::of(log).map_err(|error| refused(log, &error))?.is_empty() {
        return Ok(true);
    }
    let beside = fs::read_dir(folder).map_err(|error| refused(folder, &error))?;
    Ok(beside.flatten().any(|found| found.file_name() != LOG_FOLDER))
}

/// Names of the folders in `folder`, links to folders among them; names that are not UTF-8 name no table.
fn folders(folder: &Path) -> Result<Vec<String>, Unable> {
    let mut names = Vec::new();
    for found in fs::read_dir(folder).map_err(|error| refused(folder, &error))? {
        let found = found.map_err(|error| refused(folder, &error))?;
        if let Ok(name) = found.file_name().into_string()
            && found.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && found.path().is_dir()))
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether an error says that nothing of this name is there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

fn unable(why: String) -> Unable {
    Unable { place: Place::default(), why }
}

fn refused(path: &Path, error: &io::Error) -> Unable {
    let path = clean(&path.display().to_string());
    unable(format!("{path} can't be read ({error}): run verify as a user who may, and look at the disk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lake: &Path, table: &str) {
        let log = lake.join(table).join(LOG_FOLDER);
        fs::create_dir_all(&log).unwrap();
        fs::write(log.join("00000000000000000000.json"), b"{}").unwrap();
    }

    #[test]
    fn tables_are_found_by_name_and_nothing_else_is() {
        let scratch = tempfile::tempdir().unwrap();
        let lake = scratch.path();
        for table in ["silver/ticks", "bronze/ticks", "_watertight/state"] {
            log(lake, table);
        }
        fs::create_dir_all(lake.join("bronze/being_made/_delta_log")).unwrap();
        fs::create_dir_all(lake.join("bronze/no_table/x")).unwrap();
        fs::write(lake.join("bronze/file"), b"").unwrap();
        let names: Vec<String> = find_tables(lake).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["bronze.ticks", "silver.ticks"]);
    }

    #[test]
    fn a_log_that_lost_its_entries_is_still_a_table() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("bronze/ticks/_delta_log")).unwrap();
        fs::create_dir_all(scratch.path().join("bronze/ticks/_event_date=2026-11-25")).unwrap();
        assert_eq!(find_tables(scratch.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_link_out_of_the_lake_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (lake, elsewhere) = (scratch.path().join("lake"), scratch.path().join("elsewhere"));
        log(&elsewhere, "s/t");
        log(&lake, "bronze/own");
        std::os::unix::fs::symlink(elsewhere.join("s/t"), lake.join("bronze/lured")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("s"), lake.join("gold")).unwrap();
        std::os::unix::fs::symlink(lake.join("bronze/own"), lake.join("bronze/within")).unwrap();
        let survey = survey(&lake).unwrap();
        let names = |of: &[TableName]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&survey.tables), ["bronze.own", "bronze.within"]);
        assert_eq!(names(&survey.outside), ["bronze.lured", "gold.*"]);
    }

    #[test]
    fn a_lake_has_grown_with_a_table_that_is_not_known_or_the_next_version_of_one_that_is() {
        let scratch = tempfile::tempdir().unwrap();
        log(scratch.path(), "bronze/ticks");
        let grown = |known: &[(&str, u64)]| {
            let known = known.iter().map(|(table, version)| ((*table).to_owned(), *version)).collect();
            has_grown(scratch.path(), &known).unwrap()
        };
        assert!(grown(&[]) && !grown(&[("bronze.ticks", 0)]) && !grown(&[("bronze.ticks", 0), ("gold.gone", 7)]));
        fs::write(scratch.path().join("bronze/ticks/_delta_log/00000000000000000001.json"), b"{}").unwrap();
        assert!(grown(&[("bronze.ticks", 0)]) && !grown(&[("bronze.ticks", 1)]));
        assert!(has_grown(&scratch.path().join("nowhere"), &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_lake_that_is_not_there_is_no_finding_but_unable_with_advice() {
        let scratch = tempfile::tempdir().unwrap();
        let why = find_tables(&scratch.path().join("nowhere")).unwrap_err().why;
        assert!(why.contains("no lake at") && why.contains("give the folder"), "{why}");
        fs::write(scratch.path().join("file"), b"").unwrap();
        assert!(find_tables(&scratch.path().join("file")).unwrap_err().why.contains("is no folder"));
        let why = find_tables(&scratch.path().join("file/lake")).unwrap_err().why;
        assert!(why.contains("a part of this path is a file"), "{why}");
    }
}
