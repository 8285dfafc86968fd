//! How far producers' ledgers speak: up to the last line of each partition, and of nothing above.

use super::words;
use serde::{Deserialize, Serialize};

/// Partitions that are named one by one in words; of the others they are counted.
const NAMED_MAX: usize = 8;

/// A ledger, and how far it speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// Its file.
    pub file: String,
    /// The topic that its producer wrote to.
    pub topic: String,
    /// Incarnation of the topic.
    pub incarnation: String,
    /// By partition: those that it has lines of, and those of which bronze has records that no ledger names.
    pub partitions: Vec<LedgerRange>,
}

/// How far a ledger speaks of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRange {
    /// Partition.
    pub partition: i32,
    /// Offset after the last one that it acknowledges; none where it has no line of the partition.
    pub to: Option<i64>,
    /// Records of bronze from there on that no ledger names: sent and never acknowledged, or the ledger lost its end.
    pub above: u64,
    /// Lines below where the stream begins to read: it was not asked for them.
    pub before: u64,
    /// Lines above where bronze had come, and whose records the log has, or bronze has read since: not judged.
    pub ahead: u64,
}

impl LedgerReport {
    /// In a sentence or two.
    pub(super) fn in_words(&self) -> String {
        let one = |range: &LedgerRange| match range.to {
            Some(to) => format!("partition {} below offset {}", range.partition, words::grouped(to.unsigned_abs())),
            None => format!("nothing of partition {}", range.partition),
        };
        let mut named: Vec<String> = self.partitions.iter().take(NAMED_MAX).map(one).collect();
        if self.partitions.len() > NAMED_MAX {
            named.push(format!("{} more partitions", self.partitions.len() - NAMED_MAX));
        }
        let speaks = if named.is_empty() { "nothing".to_owned() } else { named.join(", ") };
        let mut text = format!("ledger {} speaks of {speaks}", words::plain(&self.file));
        let sum = |of: fn(&LedgerRange) -> u64| self.partitions.iter().map(of).fold(0, u64::saturating_add);
        let (above, ahead) = (sum(|range| range.above), sum(|range| range.ahead));
        if above > 0 {
            let records = words::counted(above, "record");
            text.push_str(&format!(
                "; bronze has {records} above that and in no ledger: sent and never acknowledged, or the ledger lost its end"
            ));
        }
        let before = sum(|range| range.before);
        if before > 0 {
            let ids = words::counted(before, "id");
            text.push_str(&format!("; {ids} of it below where the stream begins to read"));
        }
        if ahead > 0 {
            let ids = words::counted(ahead, "id");
            text.push_str(&format!("; {ids} of it above where bronze had come, in the log or read since"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_told_with_where_it_ends_and_what_lies_above() {
        let range = |partition: i32, to: Option<i64>| LedgerRange { partition, to, above: 0, before: 0, ahead: 0 };
        let ledger = |partitions: Vec<LedgerRange>| LedgerReport {
            file: "a\u{1b}.ledger".to_owned(),
            partitions,
            ..LedgerReport::default()
        };
        let words = ledger(vec![range(0, Some(4_970)), range(2, None)]).in_words();
        assert_eq!(words, "ledger a\\u{1b}.ledger speaks of partition 0 below offset 4,970, nothing of partition 2");
        let two =
            vec![LedgerRange { above: 2, ..range(0, Some(5)) }, LedgerRange { above: 1, ahead: 1, ..range(1, None) }];
        let words = ledger(two).in_words();
        assert!(
            words.contains("; bronze has 3 records above that and in no ledger: ") && words.contains("; 1 id of it")
        );
        let words = ledger((0..11).map(|partition| range(partition, Some(1))).collect()).in_words();
        assert!(words.ends_with("partition 7 below offset 1, 3 more partitions"), "{words}");
        assert!(ledger(Vec::new()).in_words().ends_with("speaks of nothing"));
    }
}
