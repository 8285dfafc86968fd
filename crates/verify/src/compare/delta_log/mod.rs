//! The Delta log held against the files it names, and each version against the one before.
//!
//! [`crate::lake::Table::observe`] has entered what can be seen in the log alone. Here: every live file is there and as
//! long as its entry says (`files`), files that no version names (`orphans`), definitions that do not follow from
//! the ones before (`evolution`), commits of others (`foreign`). No data file is opened.

mod evolution;
mod files;
mod foreign;
mod orphans;
#[cfg(test)]
mod tests;

use crate::finding::{Findings, Place};
use crate::lake::{Commit, Table};
use crate::report::Part;
use crate::request::Request;

/// Checks a table's log against its folder.
///
/// The scope limits which versions get findings; what they follow from is always the whole log.
pub fn check(table: &Table, request: &Request, findings: &Findings) -> Part {
    let check = Check { table, request, findings, name: table.name.to_string() };
    files::check(&check);
    orphans::check(&check);
    evolution::check(&check);
    foreign::check(&check);
    let looked_at = table.commits.iter().filter(|commit| check.in_scope(commit)).count();
    Part {
        check: "Delta log".to_owned(),
        of: check.name,
        looked_at: u64::try_from(looked_at).unwrap_or(u64::MAX),
        unit: "versions".to_owned(),
    }
}

/// What all checks of a table share.
struct Check<'a> {
    table: &'a Table,
    request: &'a Request,
    findings: &'a Findings,
    name: String,
}

impl Check<'_> {
    fn in_scope(&self, commit: &Commit) -> bool {
        self.request.scope.has_version(&self.table.name, commit.version, commit.timestamp_us)
    }

    fn place(&self) -> Place {
        Place::table(&self.name)
    }
}
