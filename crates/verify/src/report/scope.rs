//! What was looked at, in words: `balanced` is said of that, and of nothing else.

use super::Report;
use super::words;
use crate::request::{Bound, Request};
use serde::{Deserialize, Serialize};

/// What is said of one that read no row.
const NO_ROW: &str =
    "no row was read, so that altered values, duplicates, dead letters, gold and ledgers were not looked at";

/// What was asked to be looked at, as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeReport {
    /// Tables; empty means all.
    pub tables: Vec<String>,
    /// First version or time.
    pub since: Option<String>,
    /// Last version or time.
    pub until: Option<String>,
    /// Partitions; empty means all.
    pub partitions: Vec<i32>,
    /// Whether only metadata, books and statistics were looked at.
    pub quick: bool,
    /// Producers' ledgers.
    pub ledgers: Vec<String>,
}

impl ScopeReport {
    /// The part of the lake that alone was looked at; none where that was all of it.
    fn part(&self) -> Option<String> {
        let mut words: Vec<String> = self.tables.iter().map(|table| words::plain(table)).collect();
        words.extend(self.partitions.iter().map(|partition| format!("partition {partition}")));
        words.extend(self.since.iter().map(|since| format!("since {}", words::plain(since))));
        words.extend(self.until.iter().map(|until| format!("until {}", words::plain(until))));
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// What alone was looked at, in words; none where that was everything.
    pub(super) fn only(&self) -> Option<String> {
        let quick = self.quick.then(|| "the Delta log, books and offsets, and no row".to_owned());
        let words: Vec<String> = self.part().into_iter().chain(quick).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Report {
    /// What a verdict of balanced stands for.
    pub(super) fn balanced(&self) -> String {
        let lost = match self.declared_lost() {
            0 => String::new(),
            lost => format!(", with {} declared lost", words::counted(lost, "offset")),
        };
        match (self.scope.part(), self.scope.quick) {
            (None, false) if lost.is_empty() => "balanced: nothing is lost, doubled or altered".to_owned(),
            (None, false) => format!("balanced{lost}; nothing else is lost, doubled or altered"),
            (None, true) => format!("balanced{lost}, by the Delta log, the books and the offsets; {NO_ROW}"),
            (Some(part), false) => format!("balanced{lost}, as far as it was looked at, and no further: {part}"),
            (Some(part), true) => {
                format!(
                    "balanced{lost}, by the Delta log, the books and the offsets, and no further than {part}; {NO_ROW}"
                )
            }
        }
    }
}

pub(super) fn of(request: &Request) -> ScopeReport {
    let bound = |bound: Bound| match bound {
        Bound::Version(version) => format!("version {version}"),
        Bound::TimeUs(us) => words::instant(us),
    };
    let scope = &request.scope;
    let before = !scope.from_versions.is_empty();
    ScopeReport {
        tables: scope.tables.clone(),
        since: scope.since.map(bound).or_else(|| before.then(|| "what was verified before".to_owned())),
        until: scope.until.map(bound),
        partitions: scope.partitions.clone(),
        quick: scope.quick,
        ledgers: request.ledgers.iter().map(|path| path.display().to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::full;
    use super::*;

    #[test]
    fn balanced_is_said_of_what_was_looked_at_and_all_is_well_of_everything_only() {
        let said = |scope: ScopeReport| Report { scope, ..full() }.balanced();
        let part =
            || ScopeReport { tables: vec!["silver.t".to_owned()], partitions: vec![3], ..ScopeReport::default() };
        assert_eq!(said(ScopeReport::default()), "balanced: nothing is lost, doubled or altered");
        assert_eq!(said(part()), "balanced, as far as it was looked at, and no further: silver.t, partition 3");
        let since = ScopeReport { since: Some("version 4".to_owned()), ..ScopeReport::default() };
        assert_eq!(said(since), "balanced, as far as it was looked at, and no further: since version 4");
        for scope in [part(), ScopeReport::default()] {
            let said = said(ScopeReport { quick: true, ..scope });
            assert!(said.contains("no row was read") && !said.contains("nothing is lost"), "{said}");
        }
    }
}
