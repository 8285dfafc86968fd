//! The items of a plan, one after the other.

use super::Plan;
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;

/// Items from a first one up to a last one.
pub(crate) struct Generated<'a> {
    plan: &'a Plan,
    next: u64,
    end: u64,
}

impl<'a> Generated<'a> {
    pub(crate) fn new(plan: &'a Plan, next: u64, end: u64) -> Self {
        Self { plan, next, end }
    }
}

impl ItemSource for Generated<'_> {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        if self.next >= self.end {
            return Ok(Pull::End);
        }
        self.plan.item(self.next, &mut drawn.item);
        drawn.time_us = Some(self.plan.schedule.latest_us(self.next));
        self.next += 1;
        Ok(Pull::Item)
    }
}
