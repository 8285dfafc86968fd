//! What rdkafka does not offer: calls into librdkafka itself.
//!
//! Contract: every function is safe to call. What C is given lives until the call returns; what C gives is destroyed
//! once; its error codes are numbers until `code` has looked at them. Everything else of the adapter is free of
//! `unsafe`.
#![allow(unsafe_code)]

mod call;
mod code;
pub(super) mod consume;
pub(super) mod delivery;
pub(super) mod describe;
pub(super) mod groups;
pub(super) mod heap;
pub(super) mod metadata;
pub(super) mod offsets;
pub(super) mod topics;

pub(super) use call::Failure;
