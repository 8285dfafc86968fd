//! What rests on what: replays traces on the strict disk, and finds what was built on something that may be lost.

use super::model::{At, Change, Disk, Span};
use super::roles::{LOST_AT_EXIT, NAMED_BEFORE_DURABLE, Part, Role, is_temporary, role};
use super::trace::{self, Act, Call, Extent, NEVER};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// What must be durable before what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A file's bytes, before it gets its final name.
    BytesBeforeName,
    /// A table's data files and folders, before an entry is linked.
    DataBeforeEntry,
    /// The names of entries that a thread linked, or that it read of a process before it, before it links the next
    /// one in any table, or writes state. Per thread, as streams and the copying of books interleave.
    EntryBeforeNext,
    /// A partition's segments, its folders and its topic's file, before its mark. It is written under the partition's
    /// lock, so none of them can be another group's.
    LogBeforeMark,
    /// The log, and the ledger's own name, before lines are written; those lines, before the next group is appended or
    /// the producer ends.
    LogBeforeLedger,
    /// Partitions with their marks, and the folders above, before the topic's file.
    PartitionsBeforeTopic,
    /// A base of the state, before what it replaces is removed.
    BaseBeforeRemoval,
    /// Everything, when a process ends well.
    AllAtExit,
}

/// Something built on what may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) rule: Rule,
    /// What may be lost.
    pub(super) path: PathBuf,
    /// Where it was made or written.
    since: At,
    /// Where something was built on it.
    at: At,
    line: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, since, at, line } = self;
        let path = path.display();
        write!(
            f,
            "{rule:?}: {path} (run {} line {}) may be lost at run {} line {}: {line}",
            since.run, since.line, at.run, at.line
        )
    }
}

/// What a story was seen to do, counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) syncs: usize,
    pub(super) entries: usize,
    pub(super) named: BTreeMap<Role, usize>,
    pub(super) written: BTreeMap<Role, usize>,
    pub(super) removed: BTreeMap<Role, usize>,
}

/// The processes of a story, one after the other, on one disk.
pub(super) struct Replay {
    disk: Disk,
    run: usize,
    at: At,
    line: String,
    /// Entries on which each thread builds.
    rests: HashMap<u32, HashSet<PathBuf>>,
    pub(super) findings: Vec<Finding>,
    pub(super) counts: Counts,
}

impl Replay {
    pub(super) fn new(disk: Disk) -> Self {
        let at = At { run: 0, line: 0 };
        let (rests, findings, counts) = (HashMap::new(), Vec::new(), Counts::default());
        Self { disk, run: 0, at, line: String::new(), rests, findings, counts }
    }

    /// The rules that were broken.
    pub(super) fn broken(&self) -> BTreeSet<Rule> {
        self.findings.iter().map(|finding| finding.rule).collect()
    }

    /// Replays the trace of one process that ran in `cwd`; `ended_well` is whether it said so. Where it died within a
    /// write, `sizes` tells what became of it.
    pub(super) fn play(&mut self, text: &str, cwd: &Path, ended_well: bool, sizes: &dyn Fn(&Path) -> u64) {
        self.run += 1;
        self.rests.clear();
        let calls = trace::parse(text, cwd);
        let lines: Vec<&str> = text.lines().collect();
        let ends = calls.iter().filter(|call| call.end != NEVER).map(|call| (call.end, true, call));
        let mut moments: Vec<(usize, bool, &Call)> =
            calls.iter().map(|call| (call.begin, false, call)).chain(ends).collect();
        moments.sort_by_key(|(line, is_end, _)| (*line, *is_end));
        for (line, is_end, call) in moments {
            self.at = At { run: self.run, line };
            lines.get(line - 1).copied().unwrap_or_default().clone_into(&mut self.line);
            let span =
                Span { begin: At { run: self.run, line: call.begin }, end: At { run: self.run, line: call.end } };
            match &call.act {
                Act::Synced { path } if is_end && self.is_ours(path) => {
                    self.counts.syncs += 1;
                    self.disk.sync(path, span.begin);
                }
                Act::Synced { .. } => {}
                Act::Wrote { path, .. } if !is_end && call.end == NEVER => {
                    let size = sizes(path);
                    if self.is_ours(path) && size > self.disk.size(path) {
                        self.disk.write(path, Extent::UpTo(size), span);
                    }
                }
                act if !is_end => self.begins(call.thread, act, span),
                _ => {}
            }
        }
        if ended_well {
            self.line = "the end".to_owned();
            self.ends();
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(self.disk.root())
    }

    fn find(&mut self, rule: Rule, path: &Path, since: At) {
        let (path, line) = (path.to_owned(), self.line.clone());
        self.findings.push(Finding { rule, path, since, at: self.at, line });
    }

    /// Finds what of a path may be lost: its name, its bytes.
    fn need(&mut self, rule: Rule, path: &Path) {
        let loose = [self.disk.loose_name(path), self.disk.loose_bytes(path)];
        for since in loose.into_iter().flatten() {
            self.find(rule, path, since);
        }
    }

    fn need_chain(&mut self, rule: Rule, path: &Path) {
        for part in self.disk.loose_chain(path) {
            self.need(rule, &part);
        }
    }

    fn begins(&mut self, thread: u32, act: &Act, span: Span) {
        match act {
            Act::Opened { path, makes, empties } if self.is_ours(path) => {
                self.opened(thread, path, (*makes, *empties), span);
            }
            Act::Made { path } if self.is_ours(path) => self.disk.make(path, span),
            Act::Wrote { path, extent } if self.is_ours(path) => {
                self.before_write(thread, path);
                self.disk.write(path, *extent, span);
            }
            Act::Cut { path, length } if self.is_ours(path) => self.disk.cut(path, *length, span),
            Act::Linked { from, to } if self.is_ours(to) => {
                self.before_name(thread, from, to);
                self.disk.link(from, to, span);
                if role(to) == Role::Entry {
                    self.rests.entry(thread).or_default().insert(to.clone());
                }
            }
            Act::Renamed { from, to } if self.is_ours(to) => {
                self.before_name(thread, from, to);
                self.disk.rename(from, to, span);
            }
            Act::Removed { path } if self.is_ours(path) => {
                self.before_removal(path);
                self.disk.remove(path, span);
            }
            _ => {}
        }
    }

    fn opened(&mut self, thread: u32, path: &Path, (makes, empties): (bool, bool), span: Span) {
        // One that is not known was made by a call that the process did not live to end.
        self.disk.make(path, span);
        if empties {
            self.disk.cut(path, 0, span);
        }
        // Entries of this run count for the thread that linked them only: another one may read an entry in the moment
        // before its name is synced, as the copying of the books does.
        let left = self.disk.loose_name(path).is_some_and(|since| since.run < self.run);
        if left && !makes && role(path) == Role::Entry {
            self.rests.entry(thread).or_default().insert(path.to_owned());
        }
    }

    fn before_name(&mut self, thread: u32, from: &Path, to: &Path) {
        let role = role(to);
        *self.counts.named.entry(role).or_default() += 1;
        let exempt = NAMED_BEFORE_DURABLE.iter().any(|(kind, _)| *kind == role);
        if let Some(since) = self.disk.loose_bytes(from).filter(|_| !exempt) {
            self.find(Rule::BytesBeforeName, to, since);
        }
        match role {
            Role::Entry => {
                self.counts.entries += 1;
                self.before_entry(to);
                self.before_next(thread);
            }
            Role::Topic => self.before_topic(from, to),
            _ => {}
        }
    }

    fn before_entry(&mut self, entry: &Path) {
        let rule = Rule::DataBeforeEntry;
        let Some(log) = entry.parent() else { return };
        let Some(table) = log.parent() else { return };
        self.need_chain(rule, log);
        let of_table = |path: &PathBuf| path.starts_with(table) && !path.starts_with(log) && path != table;
        for (path, change, since) in self.disk.all_loose_names() {
            // A file that a process left which died is named by nobody; a folder of it may be used again.
            let used = since.run == self.run || self.disk.holds_something_of(&path, self.run);
            if change == Change::Made && of_table(&path) && used {
                self.find(rule, &path, since);
            }
        }
        for (path, since) in self.disk.all_loose_bytes() {
            if of_table(&path) && since.run == self.run {
                self.find(rule, &path, since);
            }
        }
    }

    fn before_next(&mut self, thread: u32) {
        let Some(rests) = self.rests.get(&thread) else { return };
        let loose: Vec<(PathBuf, At)> = (self.disk.all_loose_names().into_iter())
            .filter(|(path, change, _)| *change == Change::Made && rests.contains(path))
            .map(|(path, _, since)| (path, since))
            .collect();
        for (path, since) in loose {
            self.find(Rule::EntryBeforeNext, &path, since);
        }
    }

    fn before_topic(&mut self, from: &Path, topic: &Path) {
        let Some(folder) = topic.parent() else { return };
        self.need_chain(Rule::PartitionsBeforeTopic, folder);
        for path in self.disk.below(folder) {
            let loose = [self.disk.loose_name(&path), self.disk.loose_bytes(&path)];
            if path != from && loose.into_iter().flatten().any(|since| since.run == self.run) {
                self.need(Rule::PartitionsBeforeTopic, &path);
            }
        }
    }

    fn before_write(&mut self, thread: u32, path: &Path) {
        let kind = role(path);
        *self.counts.written.entry(kind).or_default() += 1;
        match kind {
            Role::StateDelta | Role::StateCache => self.before_next(thread),
            Role::Mark => self.before_mark(path),
            Role::Ledger => {
                for segment in self.segments(self.disk.root()) {
                    self.need(Rule::LogBeforeLedger, &segment);
                }
                for part in self.disk.loose_chain(path) {
                    if let Some(since) = self.disk.loose_name(&part) {
                        self.find(Rule::LogBeforeLedger, &part, since);
                    }
                }
            }
            Role::Segment => {
                let names = self.disk.below(self.disk.root()).into_iter();
                for ledger in names.filter(|name| role(name) == Role::Ledger).collect::<Vec<_>>() {
                    self.need(Rule::LogBeforeLedger, &ledger);
                }
            }
            _ => {}
        }
    }

    /// Segments with bytes: one without holds nothing that could be lost.
    fn segments(&self, folder: &Path) -> Vec<PathBuf> {
        let holds = |path: &PathBuf| role(path) == Role::Segment && self.disk.size(path) > 0;
        self.disk.below(folder).into_iter().filter(holds).collect()
    }

    fn before_mark(&mut self, mark: &Path) {
        let Some(partition) = mark.parent() else { return };
        self.need_chain(Rule::LogBeforeMark, partition);
        let segments = self.segments(partition);
        for segment in &segments {
            self.need(Rule::LogBeforeMark, segment);
        }
        if !segments.is_empty() {
            self.need(Rule::LogBeforeMark, &partition.with_file_name("topic.json"));
        }
    }

    fn before_removal(&mut self, path: &Path) {
        let role_of = role(path);
        *self.counts.removed.entry(role_of).or_default() += 1;
        let Some(folder) = path.parent() else { return };
        if matches!(role_of, Role::StateBase | Role::StateDelta) {
            let bases = self.disk.below(folder).into_iter().filter(|other| role(other) == Role::StateBase);
            for base in bases.collect::<Vec<_>>() {
                self.need(Rule::BaseBeforeRemoval, &base);
            }
        }
    }

    fn ends(&mut self) {
        let rule = |path: &Path| if role(path) == Role::Ledger { Rule::LogBeforeLedger } else { Rule::AllAtExit };
        for (path, change, since) in self.disk.all_loose_names() {
            let base_gone = role(&path) == Role::StateBase && change == Change::Gone;
            let may = LOST_AT_EXIT.iter().any(|(kind, part, _)| *kind == role(&path) && *part == Part::Both);
            if !may && !base_gone && !self.is_left_over(&path, change, since) {
                self.find(rule(&path), &path, since);
            }
        }
        for (path, since) in self.disk.all_loose_bytes() {
            let may = LOST_AT_EXIT.iter().any(|(kind, ..)| *kind == role(&path));
            if !may && !self.is_left_over(&path, Change::Made, since) {
                self.find(rule(&path), &path, since);
            }
        }
    }

    /// What a process left that died before: removals, temporary names, data files and their folders, which nothing
    /// names; and a base of the state, which is a cache, and is made durable before anything it replaces goes.
    fn is_left_over(&self, path: &Path, change: Change, since: At) -> bool {
        let table = |folder: &Path| self.disk.is_there(&folder.join("_delta_log")).then(|| folder.join("_delta_log"));
        let log = path.ancestors().skip(1).find_map(table);
        let data = log.is_some_and(|log| !path.starts_with(log));
        let unnamed = change == Change::Gone || is_temporary(path) || data;
        since.run < self.run && (unnamed || role(path) == Role::StateBase)
    }
}
