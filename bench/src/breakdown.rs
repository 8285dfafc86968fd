//! Where the time of an epoch goes, by the books of its commits.
//!
//! An epoch is from one commit of bronze to the next. Books name the time at which they were put together, right before
//! the log entry is written; so an epoch begins with the entry of its first commit, holds dead letters and silver, and
//! ends with the fetching, the rows and the files of the next commit of bronze. How long an entry took stands in the next
//! append of its table (docs/adr/0015).

use crate::statistics::Spread;
use std::collections::BTreeMap;
use watertight_core::books::{Books, Took};

/// The steps in the order in which they are shown: those that the books know, and what is left.
pub(crate) const STEPS: [&str; 8] = ["fetch", "judge", "fold", "build", "encode", "fsync", "entry", "rest"];

/// Microseconds, as [`STEPS`].
pub(crate) type Epoch = [f64; STEPS.len()];

/// The epochs between these commits of bronze; `beside` holds, by table, the appends of dead letters and silver. Empty
/// where the books tell no times, as those of older versions.
pub(crate) fn epochs(bronze: &[Books], beside: &[Vec<Books>]) -> Vec<Epoch> {
    bronze.windows(2).filter(|pair| !pair[1].took.is_unknown()).map(|pair| epoch(&pair[0], &pair[1], beside)).collect()
}

fn epoch(first: &Books, next: &Books, beside: &[Vec<Books>]) -> Epoch {
    let mut epoch = Epoch::default();
    add(&mut epoch, &next.took, next.took.entry_us_before);
    let during = first.committed_at_us..next.committed_at_us;
    for table in beside {
        for (at, books) in table.iter().enumerate().filter(|(_, books)| during.contains(&books.committed_at_us)) {
            add(&mut epoch, &books.took, table.get(at + 1).and_then(|behind| behind.took.entry_us_before));
        }
    }
    let known: f64 = epoch.iter().sum();
    let all = (next.committed_at_us - first.committed_at_us) as f64;
    epoch[STEPS.len() - 1] = (all - known).max(0.0);
    epoch
}

fn add(epoch: &mut Epoch, took: &Took, entry_us: Option<u64>) {
    let Took { fetch_us, judge_us, fold_us, build_us, write_us, sync_us, entry_us_before: _ } = *took;
    let steps = [fetch_us, judge_us, fold_us, build_us, write_us, sync_us, entry_us];
    for (sum, step) in epoch.iter_mut().zip(steps) {
        *sum += step.unwrap_or_default() as f64;
    }
}

/// The median of each step over these epochs.
pub(crate) fn medians(epochs: &[Epoch]) -> BTreeMap<&'static str, f64> {
    let of = |step: usize| Spread::of(&epochs.iter().map(|epoch| epoch[step]).collect::<Vec<_>>());
    (0..STEPS.len()).filter_map(|step| Some((STEPS[step], of(step)?.median))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(committed_at_us: i64, took: Took) -> Books {
        Books { committed_at_us, took, ..Books::append("p", committed_at_us.to_string()) }
    }

    fn entry(us: u64) -> Took {
        Took { entry_us_before: Some(us), ..Took::default() }
    }

    #[test]
    fn an_epoch_has_the_entry_of_its_first_commit_all_beside_it_and_the_files_of_the_next() {
        let unseen = Took { fetch_us: Some(1_000), write_us: Some(1_000), ..entry(1_000) };
        let files = Took { fetch_us: Some(7), build_us: Some(5), write_us: Some(30), sync_us: Some(40), ..entry(50) };
        let bronze = [books(0, unseen), books(1_000, files)];
        let judged =
            Took { judge_us: Some(11), fold_us: Some(13), write_us: Some(3), sync_us: Some(4), ..entry(9_000) };
        let silver = vec![books(500, judged), books(1_500, entry(60))];
        let letters = vec![books(400, Took { build_us: Some(2), ..Took::default() })];
        let found = epochs(&bronze, &[letters, silver]);
        let known = [7.0, 11.0, 13.0, 7.0, 33.0, 44.0, 110.0];
        assert_eq!(found[0][..7], known);
        assert_eq!(found[0][7], 1_000.0 - known.iter().sum::<f64>());
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn books_without_times_give_no_epoch() {
        assert!(epochs(&[books(0, Took::default()), books(1, Took::default())], &[]).is_empty());
        assert!(epochs(&[books(0, entry(1))], &[]).is_empty());
        assert!(medians(&[]).is_empty());
    }

    #[test]
    fn each_step_has_a_median_of_its_own() {
        let epoch = |us: f64| [us, 10.0 - us, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let medians = medians(&[epoch(1.0), epoch(2.0), epoch(9.0)]);
        assert_eq!((medians["fetch"], medians["judge"], medians["rest"]), (2.0, 8.0, 1.0));
        assert_eq!(medians.len(), STEPS.len());
    }
}
