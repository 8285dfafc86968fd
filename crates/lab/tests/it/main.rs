//! The lab held to what it promises, with real brokers. `setup/install.sh test` puts Kafka into the cache.

mod client;
mod cluster;
mod death;
mod standing;
