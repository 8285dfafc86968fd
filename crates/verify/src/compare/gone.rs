//! Tables that are gone: what `ops.commits` and `ops.definitions` name must be there.
//!
//! A pipeline makes its `ops` tables before any other, and the tables of a stream or model before it enters the definition;
//! books are copied of tables that are there. So what is named was there. Since a pipeline may make a table while the others
//! are read, the lake is listed once more before one is told.
//!
//! Of a table that was removed and made anew, `ops.commits` keeps the books of the former one (docs/adr/0018). Gold follows
//! from silver: that is a note, and every window that the former one had closed is expected in the new one. What another
//! table held follows from nothing in the lake: there it is the fault that it is.

use super::{Books, Observed, observe};
use crate::books::copies::Former;
use crate::finding::{Code, Findings, Place};
use crate::lake::text::clean;
use crate::lake::{self, Survey, TableName};
use crate::report::Part;
use crate::request::Request;
use std::collections::BTreeMap;

/// The table of copied books.
pub(super) const COMMITS: &str = "ops.commits";
/// Where the pipeline's uuid stands in the settings of a table of ours.
const PIPELINE: &str = "watertight.pipeline";

/// By table: what says that it was there.
type Named = BTreeMap<String, &'static str>;

/// Tells which of the tables that are named are gone, and which were made anew.
pub(super) fn check(
    tables: &BTreeMap<String, Observed>,
    books: &Books,
    request: &Request,
    findings: &Findings,
) -> Part {
    for former in &books.former {
        tell_former(former, findings);
    }
    let named = named(tables, books, request);
    let absent: Vec<_> = named.iter().filter(|(name, _)| !tables.contains_key(*name)).collect();
    let listed = if absent.is_empty() { Ok(Survey::default()) } else { lake::survey(&request.lake) };
    match listed {
        Ok(survey) => {
            for (name, by) in absent.into_iter().filter(|(name, _)| !is_there(&survey, name)) {
                findings.add(Code::TableMissing, Place::table(name), *by);
            }
        }
        Err(unable) => findings.unable(unable),
    }
    let (check, unit, looked_at) = ("tables".to_owned(), "tables".to_owned(), named.len() as u64);
    Part { check, of: "ops".to_owned(), looked_at, unit }
}

fn named(tables: &BTreeMap<String, Observed>, books: &Books, request: &Request) -> Named {
    let mut named = Named::new();
    let by_definition = books.definitions.iter().flat_map(|definitions| definitions.tables());
    for name in by_definition.filter(|name| request.scope.has_table(name)) {
        named.insert(name.clone(), "ops.definitions has a definition that is of it, and there is no such table");
    }
    for name in &books.named {
        named.insert(name.clone(), "ops.commits has books of its commits, and there is no such table");
    }
    // Whatever was asked for: by these two it is judged.
    let ours = tables.iter().filter(|(name, _)| !name.starts_with("ops."));
    if ours.map(|(_, observed)| &observed.table.metadata.configuration).any(|settings| settings.contains_key(PIPELINE))
    {
        for name in [COMMITS, observe::DEFINITIONS] {
            named.insert(name.to_owned(), "a pipeline makes it before any other table, and it is not there");
        }
    }
    named
}

/// Whether a listing has a table, or a link that leads to it.
fn is_there(survey: &Survey, name: &str) -> bool {
    let Some((schema, _)) = name.split_once('.') else { return false };
    let is = |of: &TableName| of.to_string() == name;
    survey.tables.iter().any(is) || survey.outside.iter().any(|of| is(of) || (of.schema == schema && of.name == "*"))
}

fn tell_former(former: &Former, findings: &Findings) {
    let id = former.id.as_deref().map_or_else(|| "its id is not known".to_owned(), |id| format!("id {}", clean(id)));
    let of = format!("ops.commits has books of another table of this name ({id}) up to version {}", former.version);
    let place = Place::table(&former.table);
    if former.table.starts_with("gold.") {
        findings.add(Code::TableAnew, place, format!("{of}: it was removed, and made anew from silver"));
    } else {
        let what = format!("{of}: it was removed, and of what it held nothing in the lake tells");
        findings.add(Code::TableMissing, place, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::definition::Definitions;
    use crate::finding::Finding;
    use crate::rows::little_table::{LittleTable, codes, found, request};
    use std::collections::BTreeSet;

    fn observed(names: &[&str]) -> BTreeMap<String, Observed> {
        let table = |name: &&str| {
            let (schema, of) = name.split_once('.').expect("schema.table");
            let columns = crate::rows::little_table::bronze_columns();
            let table = LittleTable::new(schema, of, columns, "_event_date").table;
            ((*name).to_owned(), Observed { table, facts: None })
        };
        names.iter().map(table).collect()
    }

    fn books(named: &[&str], former: Vec<Former>) -> Books {
        let named: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let (definitions, absent) = (Some(Definitions::default()), observe::Absent::default());
        Books { copies: BTreeMap::new(), former, named, definitions, absent }
    }

    /// What is told of these tables in an empty lake, in which folders of others may be.
    fn told(seen: &[&str], books: &Books, folders: &[&str], asked: &[&str]) -> (u64, Vec<Finding>) {
        let lake = tempfile::tempdir().unwrap();
        for table in folders {
            let log = lake.path().join(table).join("_delta_log");
            std::fs::create_dir_all(&log).unwrap();
            std::fs::write(log.join("00000000000000000000.json"), "{}").unwrap();
        }
        let mut request = request();
        request.lake = lake.path().to_owned();
        request.scope.tables = asked.iter().map(|table| (*table).to_owned()).collect();
        let findings = Findings::default();
        let part = check(&observed(seen), books, &request, &findings);
        (part.looked_at, found(findings))
    }

    fn places(findings: &[Finding]) -> Vec<&str> {
        findings.iter().filter_map(|finding| finding.place.table.as_deref()).collect()
    }

    const OPS: [&str; 2] = ["ops.commits", "ops.definitions"];

    #[test]
    fn a_table_that_the_copies_name_and_that_is_gone_is_a_fault() {
        let all = [&OPS[..], &["bronze.t", "gold.m"]].concat();
        let named = books(&["bronze.t", "gold.m"], Vec::new());
        assert_eq!(told(&all, &named, &[], &[]), (4, vec![]));
        let (looked_at, findings) = told(&all[..3], &named, &[], &[]);
        assert_eq!((looked_at, codes(&findings), places(&findings)), (4, vec![Code::TableMissing], vec!["gold.m"]));
        let (_, findings) = told(&OPS, &named, &[], &[]);
        assert_eq!(places(&findings), ["bronze.t", "gold.m"], "also where nothing else is left");
    }

    #[test]
    fn a_table_that_is_there_by_now_or_behind_a_link_is_not_gone() {
        let named = books(&["gold.m"], Vec::new());
        assert_eq!(told(&OPS, &named, &["gold/m"], &[]).1, []);
        let survey = |table: &str| {
            let (schema, name) = table.split_once('.').expect("schema.table");
            let outside = vec![TableName { schema: schema.to_owned(), name: name.to_owned() }];
            Survey { outside, ..Survey::default() }
        };
        assert!(is_there(&survey("gold.*"), "gold.m") && is_there(&survey("gold.m"), "gold.m"));
        assert!(!is_there(&survey("gold.n"), "gold.m") && !is_there(&survey("silver.*"), "gold.m"));
    }

    #[test]
    fn without_the_ops_tables_no_table_of_a_pipeline_is_judged_whatever_was_asked_for() {
        let nothing = books(&[], Vec::new());
        for asked in [Vec::new(), vec!["gold.m"]] {
            let (_, findings) = told(&["gold.m"], &nothing, &[], &asked);
            assert_eq!((codes(&findings), places(&findings)), (vec![Code::TableMissing; 2], OPS.to_vec()));
        }
        assert_eq!(told(&["ops.commits"], &nothing, &[], &[]).1, [], "no table but that");
    }

    #[test]
    fn gold_that_was_made_anew_is_noted_and_any_other_table_is_a_fault() {
        let former = |table: &str| Former {
            table: table.to_owned(),
            id: Some("a-1".to_owned()),
            version: 7,
            closed_until_us: BTreeMap::new(),
        };
        let all = [&OPS[..], &["bronze.t", "gold.m"]].concat();
        let (_, findings) = told(&all, &books(&[], vec![former("gold.m"), former("bronze.t")]), &[], &[]);
        assert_eq!(codes(&findings), [Code::TableMissing, Code::TableAnew]);
        assert_eq!(places(&findings), ["bronze.t", "gold.m"]);
        assert!(findings[1].what.contains("(id a-1) up to version 7"), "{}", findings[1].what);
    }
}
