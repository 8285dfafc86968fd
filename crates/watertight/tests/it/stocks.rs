//! The example of stocks, in the folder `x`, and generated ticks.

use super::fine;
use std::path::Path;

/// The pipeline file.
pub(super) const FILE: &str = "x/pipeline.yaml";

/// Writes the example.
pub(super) fn init(dir: &Path) {
    fine(dir, &["init", "stocks", "x"]);
}

/// Generates ticks into the example's log.
pub(super) fn produce(dir: &Path, more: &[&str]) {
    let generated = ["produce", "-f", FILE, "--stream", "stock_ticks", "--generate", "stocks"];
    fine(dir, &[&generated[..], more].concat());
}
