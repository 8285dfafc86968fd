//! Of which table of a name the copies are: one that was removed and made anew has another id, and versions from 0 again.
//!
//! A row says by `table_id` which table it is of (docs/adr/0018). Older rows do not: they are of the table that is there
//! where one of its commits is among them, else of the one whose copies go on where they end, else of the one that the
//! copier took over where they end and that had no commit since, else of a table that is no more. Copies are held against
//! the table that is there; of a former one it is only said that it was there, and how far it had come. That the copies of
//! each reach without a hole up to the version that the copier's position names is checked here.

use super::{CopiedBooks, Copies, NAME};
use crate::finding::{Code, Findings, Place, Unable};
use crate::lake::text::clean;
use crate::lake::{PositionKey, Table};
use crate::request::Request;
use std::collections::btree_map::Entry as At;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The id of the table that copies are of; `None` where the row does not say.
type Life = Option<String>;
/// Copies of one table by version.
type Versions = BTreeMap<u64, Arc<CopiedBooks>>;
/// Copies by the table's name, and by life.
pub(super) type ByLife = BTreeMap<String, BTreeMap<Life, Versions>>;
/// By the table's name, and by the incarnation of the copier's position: the version after the last one copied.
pub(super) type Reached = BTreeMap<String, BTreeMap<String, u64>>;

/// The incarnation of positions from before rows had ids.
const UNNAMED: &str = "versions";

/// What `ops.commits` has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Copied {
    /// Of the tables that are there.
    pub copies: Copies,
    /// Of tables that are there no more, and of whose name another one is.
    pub former: Vec<Former>,
    /// Every table that it names.
    pub named: BTreeSet<String>,
}

/// A table that was removed, and of whose name another one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its name.
    pub table: String,
    /// Its id, where the copies say it.
    pub id: Option<String>,
    /// Its newest version that was copied.
    pub version: u64,
    /// Gold: up to which instant (microseconds) it had closed windows, by the version of the model that did.
    pub closed_until_us: BTreeMap<i32, i64>,
}

impl Former {
    fn of(table: &str, id: Life, versions: &Versions) -> Self {
        let mut closed_until_us: BTreeMap<i32, i64> = BTreeMap::new();
        for books in versions.values().filter_map(|copied| copied.books.as_ref()) {
            if let Some(until) = books.closed_until_us {
                let known = closed_until_us.entry(books.definition).or_insert(until);
                *known = (*known).max(until);
            }
        }
        let version = versions.keys().next_back().copied().unwrap_or(0);
        Self { table: table.to_owned(), id, version, closed_until_us }
    }
}

/// How far the copier says that it has come, of the tables in scope.
pub(super) fn reached(ops_commits: &Table, request: &Request) -> Reached {
    let mut reached = Reached::new();
    for (app_id, next) in &ops_commits.txns {
        let Some(key) = PositionKey::parse(app_id) else { continue };
        let table = key.topic.strip_prefix("ops.commits:").filter(|table| request.scope.has_table(table));
        if let Some(table) = table {
            let next = u64::try_from(*next).unwrap_or(0);
            reached.entry(table.to_owned()).or_default().insert(key.incarnation, next);
        }
    }
    reached
}

/// Takes the copies of the tables that are there out of all that was read. Where it was not `whole`, nothing is said of
/// what it lacks.
pub(super) fn told_apart(
    mut copies: ByLife,
    reached: &Reached,
    whole: bool,
    tables: &BTreeMap<String, &Table>,
    findings: &Findings,
) -> Copied {
    for name in reached.keys() {
        copies.entry(name.clone()).or_default();
    }
    let (mut copied, nowhere) = (Copied::default(), BTreeMap::new());
    for (name, mut lives) in copies {
        let table = tables.get(&name).copied();
        let reached = reached.get(&name).unwrap_or(&nowhere);
        let unnamed = settle_unnamed(&name, &mut lives, reached, table, findings);
        if whole {
            check_reach((&name, table), &lives, &unnamed, reached, findings);
        }
        if let Some(table) = table {
            copied.take(&name, lives, table, findings);
        }
        copied.named.insert(name);
    }
    copied
}

/// Gives the copies that name no id to the table that they are of; returns which that is.
fn settle_unnamed(
    name: &str,
    lives: &mut BTreeMap<Life, Versions>,
    reached: &BTreeMap<String, u64>,
    table: Option<&Table>,
    findings: &Findings,
) -> Life {
    let unnamed = lives.remove(&None)?;
    let next = unnamed.keys().next_back().map(|last| last.saturating_add(1));
    let is_here = |table: &&Table| {
        let named = lives.get(&Some(table.metadata.id.clone()));
        // Where the log does not go back to these versions, its own copies of them tell that these are another's.
        let own_go_back = || named.and_then(first_of).is_some_and(|first| next.is_some_and(|next| first < next));
        is_of(&unnamed, table).unwrap_or_else(|| !own_go_back())
    };
    let here = table.filter(is_here).map(|table| table.metadata.id.clone());
    let goes_on = |(_, versions): &(&Life, &Versions)| first_of(versions) == next;
    // The copier moves the position of a table that it takes over also where nothing of it is new.
    let has_none = |id: &String| lives.get(&Some(id.clone())).is_none_or(BTreeMap::is_empty);
    let taken_over = |(id, to): &(&String, &u64)| *id != UNNAMED && Some(**to) == next && has_none(id);
    let gone_on = || lives.iter().find(goes_on).and_then(|(life, _)| life.clone());
    let only_reached = || reached.iter().find(taken_over).map(|(id, _)| id.clone());
    let Some(id) = here.or_else(gone_on).or_else(only_reached) else {
        lives.insert(None, unnamed);
        return None;
    };
    let life = Some(id);
    let named = lives.entry(life.clone()).or_default();
    for (version, copied) in unnamed {
        match named.entry(version) {
            At::Vacant(free) => {
                free.insert(copied);
            }
            At::Occupied(_) => {
                let what = format!("{name} {version} is there twice, with the table's id and without");
                findings.add(Code::BooksCopy, Place::table(NAME), what);
            }
        }
    }
    life
}

/// The oldest version.
fn first_of(versions: &Versions) -> Option<u64> {
    versions.keys().next().copied()
}

/// Whether one of the table's commits is among the copies; `None` where they have no version in common.
fn is_of(versions: &Versions, table: &Table) -> Option<bool> {
    let same = table.commits.iter().filter_map(|commit| {
        let (own, copy) = (commit.books()?, versions.get(&commit.version)?.books.as_ref()?);
        Some(own.commit_id == copy.commit_id)
    });
    same.reduce(|one, other| one || other)
}

/// The copier's own positions say up to which version each table was copied: all versions up to there have copies, and
/// no other has. Where the log was cleaned up before it was copied, its oldest versions may have none: that is not known.
fn check_reach(
    (name, table): (&str, Option<&Table>),
    lives: &BTreeMap<Life, Versions>,
    unnamed: &Life,
    reached: &BTreeMap<String, u64>,
    findings: &Findings,
) {
    let mut ends: BTreeMap<Life, u64> = lives.keys().map(|life| (life.clone(), 0)).collect();
    for (incarnation, next) in reached {
        let life = if incarnation == UNNAMED { unnamed.clone() } else { Some(incarnation.clone()) };
        let end = ends.entry(life).or_default();
        *end = (*end).max(*next);
    }
    let nothing = Versions::new();
    for (life, next) in ends {
        let versions = lives.get(&life).unwrap_or(&nothing);
        let below = versions.range(..next).count() as u64;
        let at = table.filter(|table| life.as_ref() == Some(&table.metadata.id)).and_then(|table| table.checkpoint);
        let oldest = first_of(versions).filter(|first| below > 0 && below.saturating_add(*first) == next);
        let uncopied = oldest.filter(|first| *first > 0 && at.is_some_and(|at| *first <= at.saturating_add(1)));
        if let Some(first) = uncopied {
            let why = format!(
                "the books of {name} below version {first} are neither in its Delta log, which was cleaned up, nor in \
                 ops.commits, so that nothing tells what these commits did: restore its oldest entries"
            );
            findings.unable(Unable { place: Place::table(NAME), why });
        } else if below < next {
            let mut there = versions.keys().copied();
            // The first number that the sorted versions pass over.
            let first = (0..next).find(|version| there.next() != Some(*version)).unwrap_or(0);
            let missing = next - below;
            let what =
                format!("{name} is copied up to version {next}, but {missing} versions below lack, the first {first}");
            findings.add(Code::BooksCopy, Place::table(NAME), what);
        }
        if let Some((beyond, _)) = versions.range(next..).next() {
            let what = format!("{name} is copied up to version {next}, but there is a copy of version {beyond}");
            findings.add(Code::BooksCopy, Place::table(NAME), what);
        }
    }
}

impl Copied {
    /// Takes the copies of one name: those of the table that is there, and what is known of former ones.
    fn take(&mut self, name: &str, lives: BTreeMap<Life, Versions>, table: &Table, findings: &Findings) {
        for (life, versions) in lives {
            let here = life.as_deref() == Some(table.metadata.id.as_str());
            if !here && is_of(&versions, table) != Some(true) {
                if !versions.is_empty() {
                    self.former.push(Former::of(name, life, &versions));
                }
                continue;
            }
            if !here {
                let (said, is) = (clean(life.as_deref().unwrap_or("none")), clean(&table.metadata.id));
                let what = format!("ops.commits has commits of it under the id {said}, the table's id is {is}");
                findings.add(Code::BooksCopy, Place::table(name), what);
            }
            for (version, copied) in versions {
                self.copies.entry((name.to_owned(), version)).or_insert(copied);
            }
        }
    }
}
