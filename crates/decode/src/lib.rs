//! JSON payloads straight into Arrow columns, each record accepted or rejected with all its reasons.
//!
//! Contract: [`Decoder::decode`] takes any bytes, never fails and never panics; every record lands in exactly one of
//! [`Decoded::rows`] and [`Decoded::rejected`], as a pure function of definition and payload. No I/O, no clock, no query engine, no
//! tree of JSON values: values are positions in the payload until their record is known to be good.
//!
//! # Reasons
//! If the payload is not one JSON object within limits, the only reason is the first of these that applies:
//! `tombstone` (null value), `oversize`, `not_utf8`, `empty` (nothing or only white space), `invalid_json` or `too_deep`
//! (whichever is met first; the payload's own object is level 1), `not_an_object`. Otherwise all of these:
//! - `duplicate_key:<key>` where [`DuplicateKeys::Reject`](watertight_core::schema::DuplicateKeys) holds and a key is repeated in the payload's object, in an object that a
//!   path leads through, or in a struct; declared or not. Keys are compared with their escapes resolved; the first 16 keys are named, each by at most 64
//!   characters. Inside values that nothing takes apart, repeated keys are not looked for.
//! - then, in the order of the columns: `missing:<column>` (required, and absent or null), `missing_event_id` in its place for the
//!   event id's column (required or not; an empty text too), `missing_event_time` likewise; `type:<column>` (another JSON type, text
//!   that is no such value, or a path that leads through something that is neither object nor null), `range:<column>`,
//!   `precision:<column>`, `event_time_out_of_bounds`.
//! - `missing_event_id` if all columns of a hashed event id are absent or null.
//!
//! An event time counts ([`Decoded::event_time_us`]) if the payload is one JSON object within limits without a rejected repeated
//! key, and its own column has no reason against it; whatever the other columns hold.
//!
//! # Values
//! | type | JSON | not accepted |
//! |---|---|---|
//! | string | string; `\u0000` is kept | |
//! | boolean | `true`, `false` | |
//! | int, long | number of integer value, also `1.0`, `1e3` | fraction: precision; too large: range |
//! | float, double | number, rounded to the nearest | overflow: range |
//! | decimal(p,s) | number, or string holding one; exact from its digits | more than p − s digits before the point: range; digits other than 0 beyond s places: precision |
//! | date | `YYYY-MM-DD` | a day that doesn't exist: range |
//! | timestamp, RFC 3339 | text with `T`, `t` or a space, and a zone; a fraction is cut to µs | a time that doesn't exist: range; second 60: type |
//! | timestamp, epoch | number, exact from its digits; s, ms and µs must be whole in µs (else precision), ns are cut toward the past | text: type |
//! | binary | base64, standard alphabet, padding or none | |
//! | list, struct | array, object; items and fields may be null | |
//!
//! Dates and timestamps lie within the years 0001–9999 UTC (else range), which every reader of the tables can show.
//!
//! # What no column takes
//! `_extra` is a JSON object of the members that the definition doesn't name, with keys and values as written: those of the
//! payload's own object, those of objects that paths lead through and of struct columns under the same keys, and those of structs
//! in lists as an array of the list's length with `null` for an item that leaves nothing. Under `First` and `Last` only the member that counts is kept.

mod columns;
mod convert;
mod decoder;
mod instant;
mod number;
mod plan;
mod remainder;
mod scan;
mod walk;

pub use decoder::{DECODE_BYTES_MAX, Decoded, Decoder, EXTRA_COLUMN, Rejected};
pub use plan::{DECLARED_DEPTH_MAX, DecodeSetupError};
