//! A commit's account: what was found, by partition, against its books; and the stream's time from commit to commit.
//!
//! Time goes on from commit to commit as it was computed. Where a commit could not be judged whole (a row of bronze is
//! missing, a file is damaged), or its books are gone, it goes on from the watermarks that the books recorded, so that one
//! fault does not make every later row look late.

use super::plan::SilverCommit;
use super::walk::Walk;
use crate::books::{Books, Counts, PartitionTime, Watermarks};
use crate::expect::definition::EventTime;
use crate::expect::time::StreamTime;
use crate::finding::{Code, Findings, Place, Unable};
use std::collections::{BTreeMap, BTreeSet};

/// What time says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) late: bool,
    pub(super) future: bool,
}

/// The stream's time, as far as it is known.
#[derive(Default)]
pub(super) struct Clock {
    time: Option<StreamTime>,
    /// Topic, watermarks and largest event time, as the books of the commit before recorded them.
    recorded: Option<(String, Watermarks, Option<i64>)>,
    begun: bool,
}

impl Clock {
    /// A commit begins under this rule; `lost`: what was before it is not known.
    fn begin(&mut self, rule: Option<&EventTime>, books: &Books, lost: bool) {
        if lost {
            (self.time, self.recorded) = (None, None);
        }
        let Some(rule) = rule else {
            self.time = None;
            return;
        };
        match (&mut self.time, &self.recorded) {
            // The same rule again changes nothing.
            (Some(time), _) => time.redefine(rule),
            (None, Some((topic, recorded, largest_us))) => {
                let mut time = StreamTime::new(rule);
                time.resume(topic, recorded);
                time.resume_largest(*largest_us);
                self.time = Some(time);
            }
            (None, None) if !self.begun && !lost => self.time = Some(StreamTime::new(rule)),
            (None, None) => {}
        }
        self.begun = true;
        if let Some(time) = &mut self.time {
            time.enter(&books.topic, books.watermarks.as_ref().is_some_and(Watermarks::are_by_topic));
            time.begin(&books.decisions);
        }
    }

    /// Takes a record, in the order of its partition's offsets. `times`: log timestamp and time of ingestion.
    pub(super) fn observe(
        &mut self,
        partition: i32,
        offset: i64,
        event_time_us: Option<i64>,
        (timestamp_us, ingested_at_us): (i64, i64),
    ) -> Option<Seen> {
        let seen = self.time.as_mut()?.observe(partition, offset, event_time_us, timestamp_us, ingested_at_us);
        Some(Seen { late: seen.late, future: seen.future })
    }

    /// A record is missing, or its time cannot be known: nothing can be said until the next commit.
    pub(super) fn doubt(&mut self) {
        self.time = None;
        self.begun = true;
    }

    /// A commit ends; gives what was computed, where it is known.
    fn end(&mut self, books: &Books) -> Option<Computed> {
        let time = self.time.as_mut()?;
        time.end(books.watermarks.as_ref());
        let contradictions = time.take_contradictions();
        Some(Computed { watermarks: time.after_commit(), largest_us: time.largest_us(), contradictions })
    }

    /// Goes on from what the books say.
    fn believe(&mut self, books: &Books) {
        self.time = None;
        let recorded = |watermarks| (books.topic.clone(), watermarks, books.largest_event_time_us);
        self.recorded = books.watermarks.clone().map(recorded);
        self.begun = true;
    }

    fn is_known(&self) -> bool {
        self.time.is_some()
    }
}

/// The stream's time after a commit, computed.
struct Computed {
    watermarks: Watermarks,
    largest_us: Option<i64>,
    /// What the recorded decisions contradict.
    contradictions: Vec<String>,
}

/// The commit that is gone through.
pub(super) struct OpenCommit<'a> {
    pub(super) commit: &'a SilverCommit<'a>,
    /// What was found, by partition.
    pub(super) counts: BTreeMap<i32, Counts>,
    /// Every record was there and could be judged.
    pub(super) whole: bool,
}

impl<'a> Walk<'a> {
    /// Ends the commits before this one and begins it.
    pub(super) fn advance_to(&mut self, index: usize) {
        while self.next <= index {
            self.end_commit();
            let Some(commit) = self.commits.get(self.next) else { return };
            self.next += 1;
            if commit.judged {
                self.begin_commit(commit);
            } else {
                self.time.believe(commit.books);
            }
        }
    }

    fn begin_commit(&mut self, commit: &'a SilverCommit<'a>) {
        let definitions = self.ground.definitions;
        // A commit without records has no definition of its own to speak of: the books' is the one in force.
        let definition = definitions.stream(&self.ground.stream.name, commit.books.definition);
        let rule = definition.map(|definition| &definition.event_time);
        self.time.begin(rule, commit.books, commit.follows_a_gap);
        if !self.time.is_known() && definition.is_some() && !commit.books.entries.is_empty() {
            let place = Place::table(&self.ground.silver_name).at_version(commit.version);
            let why = "the watermarks before this commit are not known, so its late flags could not be computed anew";
            self.ground.findings.unable(Unable { place, why: why.to_owned() });
        }
        self.open = Some(OpenCommit { commit, counts: BTreeMap::new(), whole: true });
    }

    /// Compares what was found with the commit's books.
    pub(super) fn end_commit(&mut self) {
        let Some(open) = self.open.take() else { return };
        let books = open.commit.books;
        let computed = self.time.end(books);
        let place = Place::table(&self.ground.silver_name).at_version(open.commit.version);
        let (scope, findings) = (&self.ground.request.scope, self.ground.findings);
        let all = scope.partitions.is_empty();
        if open.whole {
            for entry in books.entries.iter().filter(|entry| scope.has_partition(entry.partition)) {
                let found = open.counts.get(&entry.partition).copied().unwrap_or_default();
                let place = place.clone().of_partition(entry.partition).offsets(entry.from, entry.to);
                counts(&place, &entry.outcome, &found, computed.is_some(), findings);
            }
            if let (Some(computed), Some(recorded)) = (&computed, &books.watermarks) {
                let only = |partition: i32| scope.has_partition(partition);
                compare(&place, recorded, &computed.watermarks, &only, all, findings);
            }
            if let Some(computed) = computed.as_ref().filter(|_| all) {
                largest(&place, books.largest_event_time_us, computed.largest_us, findings);
                for what in &computed.contradictions {
                    findings.add(Code::BooksCount, place.clone(), what.as_str());
                }
            }
        }
        if !open.whole || computed.is_none() || !all {
            self.time.believe(books);
        }
    }
}

/// Compares the largest event time; books of older builds lack it.
fn largest(place: &Place, books: Option<i64>, found: Option<i64>, findings: &Findings) {
    if let Some(us) = books.filter(|us| Some(*us) != found) {
        let found = found.map_or("none".to_owned(), |us| format!("{us} µs"));
        let what = format!("the books say that the largest event time is {us} µs, the records give {found}");
        findings.add(Code::BooksCount, place.clone(), what);
    }
}

/// Compares counts by outcome; of late and future rows only where time is known.
fn counts(place: &Place, books: &Counts, found: &Counts, timed: bool, findings: &Findings) {
    let pairs = [
        ("rows of silver", books.silver, found.silver, true),
        ("duplicates", books.duplicates, found.duplicates, true),
        ("dead letters", books.dead_letters, found.dead_letters, true),
        ("rows with unknown fields", books.unknown_fields, found.unknown_fields, true),
        ("late rows", books.late, found.late, timed),
        ("rows with a time in the future", books.future, found.future, timed),
    ];
    for (of, books, found, known) in pairs {
        if known && books != found {
            let what = format!("the books say {books} {of}, the records give {found}");
            findings.add(Code::BooksCount, place.clone(), what);
        }
    }
}

/// Compares watermarks; the stream's only where all partitions were gone through.
fn compare(
    place: &Place,
    recorded: &Watermarks,
    computed: &Watermarks,
    only: &dyn Fn(i32) -> bool,
    all: bool,
    findings: &Findings,
) {
    let text = |us: Option<i64>| us.map_or("none".to_owned(), |us| format!("{us} µs"));
    if all && recorded.stream_us != computed.stream_us {
        let what = format!(
            "the books say that the stream's watermark is {}, the records give {}",
            text(recorded.stream_us),
            text(computed.stream_us)
        );
        findings.add(Code::BooksCount, place.clone(), what);
    }
    let partitions: BTreeSet<(&str, i32)> = recorded.keys().chain(computed.keys()).collect();
    for (topic, partition) in partitions.into_iter().filter(|(_, partition)| only(*partition)) {
        // A partition that had no record and no decision yet may stand in the books, or not.
        let of = |watermarks: &Watermarks| watermarks.of(topic, partition).unwrap_or_default();
        let (books, found): (PartitionTime, PartitionTime) = (of(recorded), of(computed));
        if books != found {
            let idle = |time: &PartitionTime| if time.idle { ", idle" } else { "" };
            let whose = if topic.is_empty() { String::new() } else { format!(" in topic {topic}") };
            let what = format!(
                "the books say that the partition's watermark{whose} is {}{}, the records give {}{}",
                text(books.watermark_us),
                idle(&books),
                text(found.watermark_us),
                idle(&found)
            );
            findings.add(Code::BooksCount, place.clone().of_partition(partition), what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermarks(stream_us: Option<i64>, partitions: &[(i32, Option<i64>, bool)]) -> Watermarks {
        let time = |(p, watermark_us, idle): &(i32, Option<i64>, bool)| {
            (*p, PartitionTime { watermark_us: *watermark_us, idle: *idle })
        };
        Watermarks { stream_us, partitions: partitions.iter().map(time).collect(), ..Watermarks::default() }
    }

    fn found(recorded: &Watermarks, computed: &Watermarks, all: bool) -> Vec<(Option<i32>, String)> {
        let findings = Findings::default();
        compare(&Place::table("silver.t"), recorded, computed, &|partition| partition != 9, all, &findings);
        findings.into_kept().findings.into_iter().map(|found| (found.place.partition, found.what)).collect()
    }

    #[test]
    fn watermarks_that_differ_are_named_with_both_sides() {
        let books = watermarks(Some(5), &[(0, Some(5), false), (1, None, false), (9, Some(1), false)]);
        assert!(found(&books, &watermarks(Some(5), &[(0, Some(5), false)]), true).is_empty());
        let told = found(&books, &watermarks(Some(4), &[(0, Some(5), true)]), true);
        assert_eq!(told.iter().map(|(partition, _)| *partition).collect::<Vec<_>>(), [None, Some(0)]);
        assert!(told[0].1.contains("is 5 µs") && told[0].1.ends_with("give 4 µs"), "{told:?}");
        assert!(told[1].1.ends_with("5 µs, idle"), "{told:?}");
        assert!(found(&books, &watermarks(Some(4), &[(0, Some(5), false)]), false).is_empty());
    }

    #[test]
    fn counts_that_differ_are_named_and_late_rows_only_where_time_is_known() {
        let books = Counts { silver: 7, late: 1, ..Counts::default() };
        let other = Counts { silver: 6, duplicates: 1, ..Counts::default() };
        for (timed, wanted) in [(true, 3), (false, 2)] {
            let findings = Findings::default();
            counts(&Place::default(), &books, &other, timed, &findings);
            counts(&Place::default(), &books, &books, timed, &findings);
            assert_eq!(findings.count(Code::BooksCount), wanted);
        }
    }
}
