//! Silver's commits in order, and the slices in which their ranges are gone through.
//!
//! A slice is what is held in memory at once: the ranges of neighbouring commits, of whichever topics, up to
//! [`SLICE_OFFSETS`] offsets; a commit of up to [`COMMIT_OFFSETS_MAX`] stays whole, so that its files are read once; a
//! larger one is gone through in stretches of a partition. Offsets of a partition keep their order in all cases.

use super::files::{Cover, Range};
use crate::books::Books;
use crate::compare::stream::Stream;
use crate::finding::{Findings, Place, Unable};
use crate::request::Request;
use std::collections::BTreeMap;

/// Offsets of a slice that several commits share, and of a stretch of a large commit: at 400 bytes a record, 100 MB.
const SLICE_OFFSETS: u64 = 250_000;
/// Offsets of a commit that is held whole.
const COMMIT_OFFSETS_MAX: u64 = 500_000;

/// An append of silver.
#[derive(Debug, Clone)]
pub(super) struct SilverCommit<'a> {
    pub(super) version: u64,
    pub(super) books: &'a Books,
    /// Whether it is to be judged: in scope.
    pub(super) judged: bool,
    /// The append before it could not be read, or there is none that was.
    pub(super) follows_a_gap: bool,
}

/// Offsets of a partition that one commit covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Index into the commits.
    pub(super) commit: usize,
    pub(super) partition: i32,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Stretch {
    fn offsets(&self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.from)).unwrap_or(0)
    }
}

/// Stretches that are gone through together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) stretches: Vec<Stretch>,
}

impl Slice {
    /// By incarnation, the ranges of each partition, joined.
    pub(super) fn wanted<'c>(&self, commits: &[SilverCommit<'c>]) -> BTreeMap<&'c str, BTreeMap<i32, Vec<Range>>> {
        let mut wanted: BTreeMap<&'c str, BTreeMap<i32, Vec<Range>>> = BTreeMap::new();
        for stretch in &self.stretches {
            let Some(commit) = commits.get(stretch.commit) else { continue };
            let books: &'c Books = commit.books;
            let of_life = wanted.entry(books.incarnation.as_str()).or_default();
            of_life.entry(stretch.partition).or_default().push((stretch.from, stretch.to));
        }
        for ranges in wanted.values_mut().flat_map(BTreeMap::values_mut) {
            ranges.sort_unstable();
            ranges.dedup_by(|next, range| {
                let joins = next.0 <= range.1;
                if joins {
                    range.1 = range.1.max(next.1);
                }
                joins
            });
        }
        wanted
    }

    pub(super) fn offsets(&self) -> u64 {
        self.stretches.iter().map(Stretch::offsets).fold(0, u64::saturating_add)
    }
}

/// The appends of silver whose books can be read, oldest first, those whose entries were cleaned up by their copies. Of others
/// in the log it is said that they cannot be checked. The flag says whether there are, or may have been, others.
pub(super) fn silver_commits<'a>(
    stream: &'a Stream<'_>,
    request: &Request,
    findings: &Findings,
) -> (Vec<SilverCommit<'a>>, bool) {
    let (table, _) = stream.silver;
    let (mut commits, mut gap) = cleaned_up(stream, request);
    let mut any_unreadable = gap || commits.iter().any(|commit| commit.follows_a_gap);
    let mut expected = table.commits.first().map_or(0, |commit| commit.version);
    for commit in &table.commits {
        let unreadable = matches!(commit.origin, crate::lake::Origin::Unreadable(_));
        let copy = stream.copies.get(&commit.version).filter(|_| unreadable);
        // An entry that is gone may have been an append.
        gap |= commit.version != expected;
        expected = commit.version.saturating_add(1);
        let Some(books) = commit.books().or(copy) else {
            if unreadable {
                (gap, any_unreadable) = (true, true);
                let place = Place::table(&table.name.to_string()).at_version(commit.version);
                let why = "the books of the commit cannot be read, so its rows could not be compared with bronze; \
                           restore the entry, or ops.commits, which has a copy";
                findings.unable(Unable { place, why: why.to_owned() });
            }
            continue;
        };
        if books.kind != "append" {
            continue;
        }
        let judged = request.scope.has_version(&table.name, commit.version, commit.timestamp_us);
        commits.push(SilverCommit { version: commit.version, books, judged, follows_a_gap: gap });
        gap = false;
    }
    (commits, any_unreadable)
}

/// The appends of silver that a checkpoint stands for, by the copies of their books; and whether the last of all those
/// commits is lacking.
fn cleaned_up<'a>(stream: &'a Stream<'_>, request: &Request) -> (Vec<SilverCommit<'a>>, bool) {
    let (table, _) = stream.silver;
    let (mut commits, mut gap, mut next) = (Vec::new(), false, 0);
    let Some(at) = table.checkpoint else { return (commits, gap) };
    // Their files are known as the checkpoint's, and are looked at with it.
    let judged = request.scope.has_version(&table.name, at, 0);
    let foreign = stream.foreign.range(..=at).map(|version| (*version, None));
    let mut known: BTreeMap<u64, Option<&Books>> = foreign.collect();
    known.extend(stream.copies.range(..=at).map(|(version, books)| (*version, Some(books))));
    for (version, books) in known {
        gap |= version != next;
        next = version.saturating_add(1);
        if let Some(books) = books.filter(|books| books.kind == "append") {
            commits.push(SilverCommit { version, books, judged, follows_a_gap: gap });
            gap = false;
        }
    }
    (commits, gap || next <= at)
}

/// What silver's commits cover, by index.
pub(super) fn cover(commits: &[SilverCommit<'_>]) -> Cover {
    let mut cover = Cover::default();
    for (index, commit) in commits.iter().enumerate() {
        for entry in &commit.books.entries {
            let number = u32::try_from(index).unwrap_or(super::ids::NO_COMMIT - 1);
            cover.add(&commit.books.incarnation, entry.partition, (entry.from, entry.to), number);
        }
    }
    cover.settle();
    cover
}

/// The slices of what is judged, in the order of commits.
pub(super) fn slices(commits: &[SilverCommit<'_>], request: &Request) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for (index, commit) in commits.iter().enumerate().filter(|(_, commit)| commit.judged) {
        let entries = commit.books.entries.iter().filter(|entry| request.scope.has_partition(entry.partition));
        let stretch =
            |e: &crate::books::Entry| Stretch { commit: index, partition: e.partition, from: e.from, to: e.to };
        let stretches: Vec<Stretch> = entries.map(stretch).filter(|stretch| stretch.from < stretch.to).collect();
        let whole = Slice { stretches };
        let offsets = whole.offsets();
        if offsets == 0 {
            continue;
        }
        if offsets > COMMIT_OFFSETS_MAX {
            let stretches = whole.stretches.iter().flat_map(|stretch| parts(*stretch));
            slices.extend(stretches.map(|stretch| Slice { stretches: vec![stretch] }));
            continue;
        }
        match slices.last_mut() {
            Some(last) if last.offsets().saturating_add(offsets) <= SLICE_OFFSETS => {
                last.stretches.extend(whole.stretches);
            }
            _ => slices.push(whole),
        }
    }
    slices
}

/// A stretch in parts of at most [`SLICE_OFFSETS`].
fn parts(stretch: Stretch) -> impl Iterator<Item = Stretch> {
    let mut at = stretch.from;
    std::iter::from_fn(move || {
        (at < stretch.to).then(|| {
            let from = at;
            at = at.saturating_add(SLICE_OFFSETS as i64).min(stretch.to);
            Stretch { from, to: at, ..stretch }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Entry;
    use crate::request::Scope;
    use crate::rows::TableFacts;
    use crate::rows::little_table::{LittleTable, bronze_columns, rows};
    use std::path::PathBuf;

    fn request(partitions: Vec<i32>) -> Request {
        Request {
            lake: PathBuf::new(),
            scope: Scope { partitions, ..Scope::default() },
            ledgers: Vec::new(),
            scratch: PathBuf::new(),
            memory_bytes_max: 0,
            threads: 1,
            now_us: 0,
        }
    }

    fn books(incarnation: &str, entries: &[(i32, i64, i64)]) -> Books {
        let entry = |(partition, from, to): &(i32, i64, i64)| Entry {
            partition: *partition,
            from: *from,
            to: *to,
            outcome: crate::books::Counts::default(),
            checksum: String::new(),
            gaps: Vec::new(),
        };
        Books { incarnation: incarnation.to_owned(), entries: entries.iter().map(entry).collect(), ..Books::default() }
    }

    fn commits(books: &[Books]) -> Vec<SilverCommit<'_>> {
        let commit = |(version, books)| SilverCommit { version, books, judged: true, follows_a_gap: false };
        (1..).zip(books).map(commit).collect()
    }

    #[test]
    fn small_commits_share_a_slice_whichever_life_of_a_topic_they_are_of() {
        let books = [
            books("i", &[(0, 0, 10), (1, 0, 5)]),
            books("i", &[(0, 10, 20)]),
            books("i", &[]),
            books("j", &[(0, 0, 7)]),
        ];
        let commits = commits(&books);
        let slices = slices(&commits, &request(Vec::new()));
        assert_eq!((slices.len(), slices[0].offsets()), (1, 32));
        let of_i = BTreeMap::from([(0, vec![(0, 20)]), (1, vec![(0, 5)])]);
        let of_j = BTreeMap::from([(0, vec![(0, 7)])]);
        assert_eq!(slices[0].wanted(&commits), BTreeMap::from([("i", of_i), ("j", of_j)]));
        assert_eq!(slices[0].stretches.iter().map(|s| s.commit).collect::<Vec<_>>(), [0, 0, 1, 3]);
    }

    #[test]
    fn appends_whose_entries_were_cleaned_up_are_known_by_the_copies_of_their_books() {
        let of = |schema: &str, name: &str| LittleTable::new(schema, name, bronze_columns(), "_event_date");
        let (bronze, mut silver, letters) = (LittleTable::bronze(), of("silver", "orders"), of("bronze", "orders_dlq"));
        for from in [0, 10, 20] {
            silver.append(&rows(0, from..from + 10));
        }
        let copied = silver.clean_up(2);
        let facts = TableFacts::new();
        let known_with = |foreign: &[u64], lacking: &[u64]| {
            let books = copied.iter().filter(|((_, version), _)| !lacking.contains(version));
            let books = books.filter_map(|((_, version), copy)| Some((*version, copy.books.clone()?))).collect();
            let tables = ((&bronze.table, &facts), (&silver.table, &facts), (&letters.table, &facts));
            let stream = Stream::new("orders", tables.0, tables.1, tables.2).with_copies(books);
            let stream = stream.with_foreign(foreign.iter().copied().collect());
            let (commits, others) = silver_commits(&stream, &request(Vec::new()), &Findings::default());
            let told = |commit: &SilverCommit<'_>| (commit.version, commit.judged, commit.follows_a_gap);
            (commits.iter().map(told).collect::<Vec<_>>(), others)
        };
        let known = |lacking: &[u64]| known_with(&[], lacking);
        let others_commit = (vec![(2, true, false), (3, true, false)], false);
        assert_eq!(known_with(&[1], &[1]), others_commit, "version 1 is another program's");
        assert_eq!(known_with(&[0], &[0]), known(&[]), "so is the first");
        assert_eq!(known(&[]), (vec![(1, true, false), (2, true, false), (3, true, false)], false));
        assert_eq!(known(&[1]), (vec![(2, true, true), (3, true, false)], true));
        assert_eq!(known(&[2]), (vec![(1, true, false), (3, true, true)], true));
        assert_eq!(known(&[0, 1, 2]), (vec![(3, true, true)], true));
    }

    #[test]
    fn a_large_commit_is_gone_through_in_parts_that_cover_it_exactly() {
        let books = [books("i", &[(0, 5, 600_005), (1, 0, 3)])];
        let slices = slices(&commits(&books), &request(Vec::new()));
        let ranges: Vec<_> = slices.iter().flat_map(|s| &s.stretches).map(|s| (s.partition, s.from, s.to)).collect();
        assert_eq!(ranges, [(0, 5, 250_005), (0, 250_005, 500_005), (0, 500_005, 600_005), (1, 0, 3)]);
        assert!(slices.iter().all(|slice| slice.offsets() <= SLICE_OFFSETS));
    }

    #[test]
    fn a_range_that_claims_all_offsets_makes_no_overflow_and_other_partitions_are_left_out() {
        let books = [books("i", &[(0, i64::MIN, i64::MIN + 9), (3, 0, 4)])];
        let slices = slices(&commits(&books), &request(vec![3]));
        assert_eq!(slices.iter().map(|s| s.stretches.len()).sum::<usize>(), 1);
        assert_eq!(Stretch { commit: 0, partition: 0, from: i64::MIN, to: i64::MAX }.offsets(), i64::MAX as u64);
    }
}
