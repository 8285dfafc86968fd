//! State that is a cache: the duplicate index, and the checkpoint files that let a start be quick.
//!
//! - [`DuplicateIndex`]: which event ids are in silver. Exact: never a false duplicate, never a missed one. Memory is
//!   bounded; older ids lie in sorted runs on disk, behind filters.
//! - [`StateStore`]: versioned, checksummed checkpoint files. Whatever happened to them, loading gives a set that was
//!   true of the table at the version it names, or says that it must be rebuilt from the tables (DESIGN, principle 2).
//!
//! Architecture invariant: this crate knows no tables, no Arrow and no query engine, and works on local files only.
//! Truth is in the tables; nothing here is ever the only copy of anything.

mod error;
mod index;
mod key;
mod store;

pub use error::StateError;
pub use index::{DuplicateIndex, IndexOptions, Mark, RECENT_KEYS_MAX, Seen};
pub use key::{IdHasher, IdKey};
pub use store::{Blob, CompactionJob, Cut, Load, Loaded, Rebuild, StateFolder, StateIdentity, StateStore};
