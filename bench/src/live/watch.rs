//! The moment at which a version of a table can be seen by others: when its log entry has its name.

use crate::lake;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watertight_adapters::system::SystemClock;
use watertight_core::books::{Books, CommitKind};
use watertight_core::port::{Clock as _, LakeTable};

/// Between two looks: a moment is known to so much.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A version that was seen.
pub(crate) struct Seen {
    /// When, microseconds since the epoch.
    pub(crate) at_us: i64,
    /// Its books, if it is an append.
    pub(crate) books: Option<Books>,
}

/// The versions of a table, one after the other.
pub(crate) struct Watch {
    table: Box<dyn LakeTable>,
    entries: PathBuf,
    next: u64,
}

impl Watch {
    /// From the version behind the newest on; `None` while there is no such table.
    pub(crate) fn find(lake: &Path, schema_name: &str, table: &str) -> Result<Option<Self>> {
        let entries = lake.join(schema_name).join(table).join("_delta_log");
        let found = lake::find(lake, schema_name, table)?;
        Ok(found.map(|table| {
            let next = table.state().version + 1;
            Self { table, entries, next }
        }))
    }

    /// Waits for the next version; `None` where none came in time.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<Seen>> {
        let entry = self.entries.join(format!("{:020}.json", self.next));
        let began = Instant::now();
        while !entry.exists() {
            if began.elapsed() >= wait {
                return Ok(None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let at_us = SystemClock.now_us();
        self.table.refresh()?;
        let read = self.table.first_commits_after(Some(self.next - 1), 1)?;
        self.next += 1;
        let books = read.into_iter().next().and_then(|commit| commit.books);
        Ok(Some(Seen { at_us, books: books.filter(|books| books.kind == CommitKind::Append) }))
    }
}
