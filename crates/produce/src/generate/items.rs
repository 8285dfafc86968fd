//! Generated items without a log: for whoever sends them by other means, as the benchmark does.

use super::{Item, Plan, PlanError, PlanSpec};

/// The items of a plan, one after the other, without an end.
#[derive(Debug, Clone)]
pub struct Items {
    plan: Plan,
    item: Item,
    next: u64,
}

/// One of them, borrowed until the next is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRef<'a> {
    /// Its number, from 0.
    pub sequence: u64,
    /// The partition its key leads to.
    pub partition: i32,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Payload; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

impl Items {
    /// From the first item on.
    ///
    /// # Errors
    /// Where the stream and the generator don't fit each other.
    pub fn new(spec: PlanSpec) -> Result<Self, PlanError> {
        Ok(Self { plan: Plan::new(spec)?, item: Item::default(), next: 0 })
    }

    /// Makes the next item: what a run of the producer sends under the same number.
    pub fn make(&mut self) -> ItemRef<'_> {
        self.plan.item(self.next, &mut self.item);
        self.next += 1;
        let Item { sequence, partition, key, value, .. } = &self.item;
        ItemRef { sequence: *sequence, partition: *partition, key: key.as_deref(), value: value.as_deref() }
    }
}
