//! The rows of `ops.commits`, kept from one look at a lake to the next.
//!
//! Contract: a file whose rows were read is not read again while it is live, and is the one that was read (inode, length and
//! times). All that follows from the rows is told anew each time, so that a look with kept rows finds what one without them
//! finds. Where one of the files is gone or another, all are read again.
//! Never: rows are kept where something was found in reading them; they are read, and told, again. No more is held than a
//! look holds by itself.

use super::lives::ByLife;
use super::read_file;
use crate::finding::Findings;
use crate::lake::{Stamp, Table};
use crate::request::Request;
use std::collections::BTreeMap;

/// What was read of `ops.commits`.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The tables that were in scope: of others, no rows are kept.
    tables: Vec<String>,
    files: BTreeMap<String, Stamp>,
    rows: ByLife,
    /// Files that were read, over all looks.
    pub(super) files_read: u64,
}

impl Kept {
    /// The rows of all live files, and whether all could be read.
    pub(super) fn with_new(&mut self, table: &Table, request: &Request, findings: &Findings) -> (ByLife, bool) {
        let before = std::mem::take(self);
        self.files_read = before.files_read;
        let (mut files, mut rows) = match before.holds(table, request) {
            true => (before.files, before.rows),
            false => (BTreeMap::new(), ByLife::new()),
        };
        let (found_before, mut whole, mut stamped) = (findings.total(), true, true);
        for (path, file) in &table.live {
            if files.contains_key(path) {
                continue;
            }
            let stamp = Stamp::of(&table.folder.join(path));
            whole &= read_file(table, file, request, &mut rows, findings);
            self.files_read = self.files_read.saturating_add(1);
            match stamp {
                Some(stamp) => {
                    files.insert(path.clone(), stamp);
                }
                None => stamped = false,
            }
        }
        if whole && stamped && findings.total() == found_before {
            self.tables.clone_from(&request.scope.tables);
            (self.files, self.rows) = (files, rows.clone());
        }
        (rows, whole)
    }

    /// Whether what is kept is of this table as it is, and of the tables in scope.
    fn holds(&self, table: &Table, request: &Request) -> bool {
        let same = |(path, stamp): (&String, &Stamp)| {
            table.live.contains_key(path) && Stamp::of(&table.folder.join(path)).as_ref() == Some(stamp)
        };
        self.tables == request.scope.tables && self.files.iter().all(same)
    }
}
