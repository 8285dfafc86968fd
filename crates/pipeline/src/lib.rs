//! Under construction in this commit's successors.

pub mod checks;
pub mod gold;
mod sql;
