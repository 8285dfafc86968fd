//! The tables about the tables: definitions with their history, and the books copied out of the Delta logs.
//!
//! Both are derived: a copy that is behind is completed at the next turn from the tables themselves.

mod commits;
mod definitions;

pub use commits::{COMMITS_PER_TURN_MAX, CommitCopier, CopiedTable};
pub use definitions::{DefinitionKind, Definitions, InForceFrom, definition_text};
