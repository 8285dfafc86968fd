//! Adapters held to what they promise, against real servers.

mod kafka;
