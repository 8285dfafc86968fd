//! How a pipeline is, read from its tables and its log: works while it runs and when nothing runs.

mod asked;
mod gather;
mod headroom;
mod health_file;
mod progress_line;
mod render;
mod telemetry;
mod verified;

pub(crate) use gather::{Status, gather};
pub(crate) use headroom::{Ages, RetentionWatch};
pub(crate) use health_file::HealthWriter;
pub(crate) use progress_line::ProgressLine;
pub(crate) use render::render;
pub(crate) use verified::Verified;
