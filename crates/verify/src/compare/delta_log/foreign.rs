//! Commits of others: those that changed no row are noted, the others are faults.
//!
//! Whether a rewrite (`dataChange=false`) kept every row is not seen here, but where rows are read.

use super::Check;
use crate::finding::Code;
use crate::lake::text::clean;
use crate::lake::{Commit, Origin};
use std::collections::BTreeSet;

/// Beginning of the application ids of our positions.
const OURS: &str = "watertight/";

pub(super) fn check(check: &Check<'_>) {
    let mut ours: BTreeSet<&str> = BTreeSet::new();
    for commit in &check.table.commits {
        match &commit.origin {
            Origin::Foreign(who) => {
                if check.in_scope(commit) {
                    foreign(check, commit, who, &ours);
                }
            }
            Origin::Ours(books) => {
                ours.extend(commit.txns.iter().map(|(id, _)| id.as_str()));
                if check.in_scope(commit) {
                    own(check, commit, &books.kind);
                }
            }
            Origin::Unreadable(_) => {}
        }
    }
}

fn foreign(check: &Check<'_>, commit: &Commit, who: &str, ours: &BTreeSet<&str>) {
    let place = check.place().at_version(commit.version);
    let added = commit.adds.iter().filter(|add| add.data_change).count();
    let removed = commit.removes.iter().filter(|remove| remove.data_change).count();
    let moved = commit.txns.iter().find(|(id, _)| id.starts_with(OURS) || ours.contains(id.as_str()));
    if added > 0 || removed > 0 {
        let what = format!("{who}: {added} files with rows added, {removed} removed");
        check.findings.add(Code::ForeignChange, place, what);
    } else if let Some((id, version)) = moved {
        let what = format!("{who}: moved the position {} to {version}", clean(id));
        check.findings.add(Code::ForeignChange, place, what);
    } else {
        let (adds, removes) = (commit.adds.len(), commit.removes.len());
        let what = format!("{who}: {removes} files rewritten as {adds}, no row changed by its own account");
        check.findings.add(Code::ForeignCommit, place, what);
    }
}

/// A commit of ours that does what its kind never does is not one of ours.
fn own(check: &Check<'_>, commit: &Commit, kind: &str) {
    let changes = commit.adds.iter().any(|add| add.data_change) || commit.removes.iter().any(|file| file.data_change);
    let what = match kind {
        "append" if !commit.removes.is_empty() => format!("removes {} files", commit.removes.len()),
        "create" | "maintain" if !commit.adds.is_empty() || !commit.removes.is_empty() => {
            format!("adds {} files and removes {}", commit.adds.len(), commit.removes.len())
        }
        "compact" if changes => "changes rows".to_owned(),
        _ => return,
    };
    let what = format!("its books say '{kind}', and it {what}");
    check.findings.add(Code::ForeignChange, check.place().at_version(commit.version), what);
}
