//! SQL over all tables of a lake, to read them: `bronze.x`, `silver.x`, `gold.x`, `ops.x`.
//!
//! - [`Session`] plans and runs one statement at a time, each on its own snapshot: a table's files and columns are
//!   taken once, when the statement is planned, however often it names the table.
//! - [`Format`] writes rows for people (table) and programs (JSON lines, CSV).
//! - [`Repl`] is the interactive shell.
//!
//! Architecture invariant: nothing here writes to a table. Statements that would change anything are refused before
//! they are planned further. The lake is reached through its port only; files are read by DataFusion's Parquet source.

mod catalog;
mod error;
mod interrupt;
mod octet_length;
mod output;
mod prune;
mod repl;
mod session;
mod statements;
mod table;
#[cfg(test)]
mod test_lake;
#[cfg(test)]
mod tests;

pub use error::QueryError;
pub use interrupt::Interrupt;
pub use output::{Format, type_name};
pub use repl::Repl;
pub use session::{RowStream, Session};
pub use statements::split;
