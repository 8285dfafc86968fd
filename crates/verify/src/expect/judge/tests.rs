//! Payloads and what must become of them.

mod codes;
mod values;

use super::*;
use crate::expect::definition::Column;
use crate::expect::fixture::stream;

fn judge(definition: &StreamDefinition, payload: &str) -> Judged {
    judge_bytes(definition, Some(payload.as_bytes()))
}

fn judge_bytes(definition: &StreamDefinition, payload: Option<&[u8]>) -> Judged {
    Judge::new(definition).unwrap().judge(&[payload]).unwrap().remove(0)
}

fn reasons(definition: &StreamDefinition, payload: &str) -> Vec<String> {
    match judge(definition, payload).outcome {
        Outcome::DeadLetter(reasons) => reasons,
        Outcome::Row(_) => Vec::new(),
        Outcome::Unjudged(why) => panic!("{payload}: {why}"),
    }
}

fn row(definition: &StreamDefinition, payload: &str) -> ExpectedRow {
    match judge(definition, payload).outcome {
        Outcome::Row(row) => *row,
        other => panic!("{payload}: {other:?}"),
    }
}

/// A stream of `id`, `ts` and `v`.
fn with(column: Column) -> StreamDefinition {
    stream([column])
}
