//! Where in a segment an offset is: a sparse index in memory, rebuilt at will by walking headers.
//!
//! Contract: it only ever says where to begin looking; what is found there is checked like everything else.

use super::partition::{Partition, locked};
use super::scan::{Stretch, Window};
use std::io;

/// Bytes of a segment per entry: a seek walks at most this far.
const ENTRY_BYTES: u64 = 256 << 10;

/// What is known of one segment.
#[derive(Debug)]
pub(super) struct SegmentIndex {
    /// First offset and byte of some blocks, ascending.
    entries: Vec<(i64, u64)>,
    /// Byte behind the last block seen.
    seen: u64,
    /// Offset behind its last record.
    seen_offset: i64,
    /// Largest record timestamp seen.
    max_time_ms: Option<i64>,
}

impl SegmentIndex {
    fn new(base: i64) -> Self {
        Self { entries: Vec::new(), seen: 0, seen_offset: base, max_time_ms: None }
    }

    /// Walks on over the headers until `offset` is covered or the stretch ends.
    fn extend(&mut self, stretch: &Stretch<'_>, offset: i64) -> io::Result<()> {
        let mut window = Window::for_headers();
        while self.seen_offset <= offset {
            let Some(header) = window.next_header(stretch, self.seen)? else { break };
            let due = self.entries.last().is_none_or(|(_, at)| header.position >= at + ENTRY_BYTES);
            if due && !header.opening {
                self.entries.push((header.first_offset, header.position));
            }
            if !header.opening {
                self.max_time_ms = self.max_time_ms.max(Some(header.max_time_ms));
            }
            self.seen = header.position + header.block_len();
            self.seen_offset = self.seen_offset.max(header.end_offset());
        }
        Ok(())
    }
}

impl Partition {
    /// A byte of the segment `base` from which walking forward meets `offset`.
    pub(super) fn place_of(&self, base: i64, stretch: &Stretch<'_>, offset: i64) -> io::Result<u64> {
        if offset <= base {
            return Ok(0);
        }
        let mut indexes = locked(&self.indexes);
        let index = indexes.entry(base).or_insert_with(|| SegmentIndex::new(base));
        index.extend(stretch, offset)?;
        let above = index.entries.partition_point(|(first, _)| *first <= offset);
        Ok(above.checked_sub(1).map_or(0, |at| index.entries[at].1))
    }

    /// The largest record timestamp of a closed segment; `None` where no block's header can be read.
    pub(super) fn max_time_ms(&self, base: i64, stretch: &Stretch<'_>) -> io::Result<Option<i64>> {
        let mut indexes = locked(&self.indexes);
        let index = indexes.entry(base).or_insert_with(|| SegmentIndex::new(base));
        index.extend(stretch, i64::MAX)?;
        Ok(index.max_time_ms)
    }
}
