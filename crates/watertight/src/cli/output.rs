//! Standard output: written with care, because whoever reads it may go away (`watertight schema | head -1`).

use anyhow::Context as _;
use std::io::{self, Write as _};

/// Writes text to standard output as it is.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Whether an error only says that the reader of our output went away, which is not a failure of ours.
pub(crate) fn reader_is_gone(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}
