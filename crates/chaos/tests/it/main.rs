//! The program killed, cut off from its power, and spoiled, at every durable step; then every table is compared with
//! the truth.

mod crash_points;
mod power_cuts;
mod refusals;
mod state_damage;
mod story;
mod sync_order;
