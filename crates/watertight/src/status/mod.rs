//! How a pipeline is, read from its tables and its log: works while it runs and when nothing runs.

mod gather;
mod health_file;
mod render;

pub use gather::{ModelStatus, PartitionStatus, Status, StreamStatus, gather};
pub use health_file::{HealthFile, HealthWriter};
pub use render::render;
