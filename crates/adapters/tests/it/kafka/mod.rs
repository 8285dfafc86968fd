//! The Kafka adapter against real brokers (`watertight-lab`).

mod others;
mod reader;
