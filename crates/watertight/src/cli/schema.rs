//! `watertight schema`: the JSON Schema of the pipeline file.

use super::{Exit, output};

pub(super) fn execute() -> anyhow::Result<Exit> {
    output::print(&watertight_config::json_schema())?;
    Ok(Exit::Fine)
}
