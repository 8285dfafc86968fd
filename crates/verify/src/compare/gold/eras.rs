//! Which version of a model wrote which windows, and which of them are judged.
//!
//! Every append of gold closes the windows that end after what the one before it closed, up to its own
//! `closed_until_us`, by the definition that its books name. That, not `ops.definitions` alone, says by which SQL a
//! window is to be computed: a table that was removed and built again has old windows of the newest version.
//! `in_force_from` is asked where entries of the log are gone, and to see that no commit used a version that another
//! had replaced.

use crate::lake::Table;
use crate::request::Scope;

/// From when on a version of a model is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InForce {
    /// Version.
    pub version: i32,
    /// Windows that end at or before this were written by versions before; `None` where nothing was written yet.
    pub closed_until_us: Option<i64>,
}

/// Windows that end in `after_us..=until_us` and were written by one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Era {
    /// The model's version.
    pub version: i32,
    /// Windows that end after this,
    pub after_us: i64,
    /// and at or before this.
    pub until_us: i64,
}

/// All windows of a table that are closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Closed {
    /// What is judged: ascending, without overlap. Neighbours have different versions, or lie apart.
    pub eras: Vec<Era>,
    /// Instants up to which each append closed windows, with the table's version; ascending.
    pub appends: Vec<(i64, u64)>,
    /// Appends that used a version which another had replaced: table version, used, in force.
    pub outdated: Vec<(u64, i32, i32)>,
}

impl Closed {
    /// Reads them from the table's books.
    pub(super) fn of(gold: &Table, in_force: &[InForce], scope: &Scope) -> Self {
        let mut closed = Self::default();
        let mut before = i64::MIN;
        for commit in &gold.commits {
            let Some((books, until)) =
                commit.books().filter(|_| commit.is_append()).and_then(|books| Some((books, books.closed_until_us?)))
            else {
                continue;
            };
            let first_known = closed.appends.is_empty() && books.follows.is_some();
            closed.appends.push((until, commit.version));
            let latest = latest(in_force, until);
            if let Some(latest) = latest.filter(|latest| *latest > books.definition) {
                closed.outdated.push((commit.version, books.definition, latest));
            }
            if scope.has_version(&gold.name, commit.version, commit.timestamp_us) {
                if first_known {
                    closed.by_definitions(in_force, until, books.definition);
                } else {
                    closed.enter(books.definition, before, until);
                }
            }
            before = before.max(until);
        }
        closed
    }

    /// A former table of this name had closed windows up to then: those behind what this one closed are expected in it all
    /// the same, by the newest version. Where the scope is bounded by versions or times, that is not asked for.
    pub(super) fn expect(&mut self, until_us: i64, in_force: &[InForce], scope: &Scope) {
        let newest = in_force.iter().map(|version| version.version).max();
        if let Some(newest) = newest.filter(|_| scope.since.is_none() && scope.until.is_none()) {
            self.enter(newest, self.until_us().unwrap_or(i64::MIN), until_us);
        }
    }

    /// Windows that end at or before this are written.
    pub(super) fn until_us(&self) -> Option<i64> {
        self.appends.iter().map(|(until, _)| *until).max()
    }

    /// Whether a window that ends then is judged.
    pub(super) fn judges(&self, end_us: i64) -> bool {
        self.eras.iter().any(|era| era.after_us < end_us && end_us <= era.until_us)
    }

    /// The table's version that closed a window which ends then.
    pub(super) fn closed_by(&self, end_us: i64) -> Option<u64> {
        self.appends.iter().find(|(until, _)| *until >= end_us).map(|(_, version)| *version)
    }

    /// The commits before the first known append are gone: what they closed is told apart by the definitions.
    fn by_definitions(&mut self, in_force: &[InForce], until: i64, newest: i32) {
        let mut starts: Vec<(i64, i32)> = in_force
            .iter()
            .filter(|version| version.version <= newest)
            .map(|version| (version.closed_until_us.unwrap_or(i64::MIN), version.version))
            .collect();
        starts.sort_unstable();
        if starts.is_empty() {
            starts.push((i64::MIN, newest));
        }
        for (index, (after, version)) in starts.iter().enumerate() {
            let next = starts.get(index + 1).map_or(until, |(next, _)| (*next).min(until));
            self.enter(*version, *after, next);
        }
    }

    fn enter(&mut self, version: i32, after_us: i64, until_us: i64) {
        if until_us <= after_us {
            return;
        }
        if let Some(last) = self.eras.last_mut()
            && last.version == version
            && last.until_us == after_us
        {
            last.until_us = until_us;
            return;
        }
        self.eras.push(Era { version, after_us, until_us });
    }
}

/// The newest version in force for a window that ends then.
fn latest(in_force: &[InForce], end_us: i64) -> Option<i32> {
    in_force
        .iter()
        .filter(|version| version.closed_until_us.is_none_or(|closed| closed < end_us))
        .map(|version| version.version)
        .max()
}
