//! Gold: models in SQL over silver, one row per window and group.
//!
//! Contract: what is appended to `gold.<model>` is a pure function of silver's rows that are not late and of the
//! recorded decisions that closed their windows; batch boundaries and restarts leave no trace in it.

pub mod engine;
