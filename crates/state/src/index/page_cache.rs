//! A small cache of checked pages: a burst of repeated old ids costs one read, not one each.
//!
//! Direct-mapped: a page has one slot, the newer page wins. The operating system's page cache does the rest.

use super::run::{PAGE_BYTES, Page, Run};
use crate::StateError;

/// Slots of 4 KiB: 1 MiB, what a second level of processor cache holds.
const SLOTS: usize = 256;

#[derive(Debug)]
struct Slot {
    run: u32,
    page_no: u32,
    page: Box<Page>,
}

/// The cache; slots are allocated as they are used.
#[derive(Debug)]
pub(super) struct PageCache {
    slots: Vec<Option<Slot>>,
}

impl PageCache {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// The page, read and checked where it is not here. A page that fails its check is never kept.
    pub(super) fn get(&mut self, run: &Run, page_no: usize) -> Result<&Page, StateError> {
        let (run_id, number) = (run.id(), page_no as u32);
        let mixed = u64::from(run_id).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(number));
        let entry = &mut self.slots[(mixed % SLOTS as u64) as usize];
        let fits = entry.as_ref().is_some_and(|slot| slot.run == run_id && slot.page_no == number);
        if !fits {
            let mut page = entry.take().map_or_else(|| Box::new([0; PAGE_BYTES]), |slot| slot.page);
            run.read_page(page_no, &mut page)?;
            *entry = Some(Slot { run: run_id, page_no: number, page });
        }
        Ok(&entry.as_ref().expect("the slot was filled above").page)
    }
}
