//! The program killed, cut off from its power, and spoiled, at every durable step, or told a wrong time; then every
//! table is compared with the truth.

mod clocks;
mod crash_points;
mod kafka_kills;
mod mutants;
mod power_cuts;
mod producer;
mod refusals;
mod retention;
mod state_damage;
mod story;
mod sync_order;
