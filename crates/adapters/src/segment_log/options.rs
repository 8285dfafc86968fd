//! Settings of the segment log, as plain data. Nothing here touches a disk.

use watertight_core::port::{ErrorKind, PortError};

/// How a block's records are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// As they are.
    None,
    /// LZ4 block format: fast enough to cost less than the bytes it saves.
    #[default]
    Lz4,
    /// Zstandard, level 1: smaller, about a third of LZ4's speed.
    Zstd,
}

/// Settings of a [`super::SegmentLog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentLogOptions {
    /// A segment is closed when it has reached this many bytes; retention works in whole segments.
    pub segment_bytes: u64,
    /// Codec of new blocks; blocks of every codec are read, also side by side.
    pub codec: Codec,
}

impl Default for SegmentLogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, codec: Codec::Lz4 }
    }
}

impl SegmentLogOptions {
    /// Checks the bounds: a segment has 4 KiB to 64 GiB.
    pub(super) fn check(&self) -> Result<(), PortError> {
        if (4 << 10..=64 << 30).contains(&self.segment_bytes) {
            return Ok(());
        }
        Err(PortError::new(
            ErrorKind::Stop,
            format!("segment_bytes is {}; choose a size from 4 KiB to 64 GiB", self.segment_bytes),
        ))
    }
}
