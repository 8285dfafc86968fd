//! Whether there is anything to look at: a run that checks nothing must not say that all is well.
//!
//! Refused before anything is judged, and told apart from a lake that balances by its exit code: bounds that leave nothing
//! between them, bounds that no version lies in, a partition that no table has, a ledger where no row is read.

use crate::finding::{Place, Unable};
use crate::lake::{Commit, PositionKey, Table};
use crate::request::{Bound, Request, Scope};
use std::collections::BTreeMap;

/// Refuses what can be nothing, whatever the tables hold.
pub(super) fn check(request: &Request) -> Result<(), Unable> {
    let Scope { since, until, quick, .. } = &request.scope;
    if *quick && !request.ledgers.is_empty() {
        return refused("a ledger is held against rows, and --quick reads none: leave out one of the two");
    }
    let crossed = match (since, until) {
        (Some(Bound::Version(since)), Some(Bound::Version(until))) => since > until,
        (Some(Bound::TimeUs(since)), Some(Bound::TimeUs(until))) => since > until,
        _ => false,
    };
    if crossed {
        refused("--since lies behind --until, so that there is nothing to check: exchange them")
    } else {
        Ok(())
    }
}

/// Refuses bounds and partitions of which the tables that were asked for have nothing. Where none of these could be read,
/// that is what there is to tell.
pub(super) fn check_tables(tables: &BTreeMap<String, Table>, scope: &Scope) -> Result<(), Unable> {
    // The copies of books go on when nothing else does: they are meant only where they are named.
    let is_asked = |name: &str| match scope.tables.is_empty() {
        true => !name.starts_with("ops."),
        false => scope.has_table(name),
    };
    let asked: Vec<&Table> = tables.iter().filter(|(name, _)| is_asked(name)).map(|(_, table)| table).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let bounded = scope.since.is_some() || scope.until.is_some();
    if bounded && !asked.iter().any(|table| within(table, scope).next().is_some()) {
        return refused(
            "no version lies within --since and --until, so that there is nothing to check: give another bound, or none",
        );
    }
    let has = |table: &Table, partition: i32| {
        let is_of = |app_id: &str| PositionKey::parse(app_id).is_some_and(|key| key.partition == partition);
        let in_commit = |commit: &Commit| {
            let entries = commit.books().map_or(&[][..], |books| books.entries.as_slice());
            entries.iter().any(|entry| entry.partition == partition) || commit.txns.iter().any(|(app, _)| is_of(app))
        };
        within(table, scope).any(in_commit) || (!bounded && table.txns.keys().any(|app| is_of(app)))
    };
    for partition in &scope.partitions {
        if !asked.iter().any(|table| has(table, *partition)) {
            let within = if bounded { " within --since and --until" } else { "" };
            let why = format!(
                "no table that was asked for has anything of partition {partition}{within}, so that there is nothing of it \
                 to check"
            );
            return Err(Unable { place: Place::default().of_partition(*partition), why });
        }
    }
    Ok(())
}

/// The commits within the bounds, whatever was verified before.
fn within<'a>(table: &'a Table, scope: &Scope) -> impl Iterator<Item = &'a Commit> {
    table.commits.iter().filter(move |commit| scope.bounds(commit.version, commit.timestamp_us))
}

fn refused(why: &str) -> Result<(), Unable> {
    Err(Unable { place: Place::default(), why: why.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::little_table::{DAY_US, LittleTable, request, rows};

    /// Bronze with two commits of partition 0, and `ops.commits` with four versions.
    fn tables() -> BTreeMap<String, Table> {
        let mut bronze = LittleTable::bronze();
        bronze.append(&rows(0, 0..5));
        bronze.append(&rows(0, 5..9));
        bronze.append(&rows(1, 0..5));
        let mut ops = LittleTable::new("ops", "commits", crate::rows::little_table::bronze_columns(), "_event_date");
        for offset in 0..6 {
            ops.append(&rows(7, offset..offset + 1));
        }
        let named = |table: &Table| (table.name.to_string(), table.clone());
        [named(&bronze.table), named(&ops.table)].into()
    }

    fn why(scope: Scope) -> String {
        check_tables(&tables(), &scope).err().map(|unable| unable.why).unwrap_or_default()
    }

    fn from(first: u64) -> Scope {
        Scope { since: Some(Bound::Version(first)), ..Scope::default() }
    }

    #[test]
    fn bounds_that_leave_nothing_are_refused() {
        let refused = |since, until| {
            let mut request = request();
            (request.scope.since, request.scope.until) = (Some(since), Some(until));
            check(&request).is_err()
        };
        assert!(refused(Bound::Version(5), Bound::Version(4)) && refused(Bound::TimeUs(5), Bound::TimeUs(4)));
        assert!(!refused(Bound::Version(4), Bound::Version(4)) && !refused(Bound::TimeUs(5), Bound::Version(4)));
    }

    #[test]
    fn bounds_that_no_version_lies_in_are_refused() {
        assert_eq!(why(Scope::default()), "");
        assert_eq!(why(from(3)), "");
        assert!(why(from(4)).contains("no version lies within"), "ops.commits alone goes on");
        assert_eq!(why(Scope { tables: vec!["ops.commits".to_owned()], ..from(4) }), "");
        let later = Scope { since: Some(Bound::TimeUs(DAY_US + 1)), ..Scope::default() };
        assert!(why(later).contains("no version lies within"));
        // What was verified before bounds nothing: a round may have nothing new.
        let from_versions = BTreeMap::from([("bronze.orders".to_owned(), 9)]);
        assert_eq!(why(Scope { from_versions, ..Scope::default() }), "");
    }

    #[test]
    fn a_partition_of_which_there_is_nothing_is_refused() {
        let of = |partitions: &[i32], scope: Scope| why(Scope { partitions: partitions.to_vec(), ..scope });
        assert_eq!(of(&[0, 1], Scope::default()), "");
        assert!(of(&[0, 9], Scope::default()).contains("anything of partition 9, so"));
        assert!(of(&[7], Scope::default()).contains("partition 7"), "it is the copier's own");
        assert_eq!(of(&[1], from(3)), "");
        assert!(of(&[0], from(3)).contains("partition 0 within"), "its last commit is version 2");
    }

    #[test]
    fn a_ledger_is_refused_where_no_row_is_read() {
        let mut request = request();
        request.ledgers = vec!["acked".into()];
        assert!(check(&request).is_ok());
        request.scope.quick = true;
        assert!(check(&request).unwrap_err().why.contains("--quick reads none"));
    }

    #[test]
    fn where_no_table_that_was_asked_for_could_be_read_that_is_told_and_not_the_scope() {
        let scope = Scope { partitions: vec![9], tables: vec!["gold.m".to_owned()], ..from(99) };
        assert_eq!(why(scope), "");
    }
}
