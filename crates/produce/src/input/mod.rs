//! Input that exists already: lines, comma-separated values, elements of an array.
//!
//! Contract: JSON is sent byte for byte as it stands in the input, valid or not; what is wrong with it is for the
//! pipeline to say. The key, and so the partition, follows from the declared columns, so that duplicates meet in one
//! partition; records without one are spread by their number. Nothing is reordered.

mod csv;
mod csv_records;
mod extract;
mod feed;
mod json_array;
mod json_lines;
mod lines;
mod pace;
mod rotation;
mod sniff;

pub(crate) use pace::Pace;
pub use sniff::json_format_of;

use crate::batch::ItemSource;
use crate::error::ProduceError;
use crate::generate::Item;
use crate::ledger::{Acked, Place};
use crate::request::{InputFormat, InputFrom, InputOptions};
use feed::Feed;
use lines::Lines;
use rotation::Unit;
use watertight_core::schema::StreamDef;

/// Longest line, CSV record (as it stands, and as JSON) and array element that is sent: 16 MiB. A group holds up to 16 MiB
/// before its last record, which comes with its key (at most as long again); with headers that stays below the 64 MiB
/// that the event log takes in one append. What is longer is not sent: an error; in a followed input it is passed over,
/// told and counted.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What editors put before the first byte of UTF-8; no part of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What to say of `which`, something that is longer than [`LINE_BYTES_MAX`]: an error, where the input is not followed.
fn too_long(feed: &Feed, follow: bool, which: &str) -> Result<String, ProduceError> {
    let bound = LINE_BYTES_MAX >> 20;
    let what = format!("{which} is longer than {bound} MiB, which is the most that is sent in one event");
    if follow {
        return Ok(what);
    }
    Err(ProduceError::input(feed.name(), format!("{what}; all before it was sent; take it out, or split it")))
}

/// Name of an input for messages and the ledger.
pub(crate) fn name_of(from: &InputFrom) -> String {
    match from {
        InputFrom::Path(path) => path.display().to_string(),
        InputFrom::Stdin => "standard input".to_owned(),
    }
}

pub(crate) fn format_name(format: InputFormat) -> &'static str {
    match format {
        InputFormat::JsonLines => "json lines",
        InputFormat::Csv => "csv",
        InputFormat::JsonArray => "json array",
    }
}

/// Tells a record's event id by its number and payload, as the ledger names it.
pub(crate) fn id_reader(
    options: &InputOptions,
    stream: &StreamDef,
    producer: &str,
) -> Result<impl FnMut(u64, Option<&[u8]>) -> String, ProduceError> {
    let extract = extract::Extract::new(stream, options.key.as_deref(), producer, 1, false)?;
    Ok(move |sequence, value: Option<&[u8]>| {
        let mut item = Item { sequence, value: value.map(<[u8]>::to_vec), ..Item::default() };
        extract.describe(&mut item);
        String::from_utf8_lossy(&item.id).into_owned()
    })
}

/// Opens an input behind what `sent` says was sent of it. Standard input cannot be read again: there, numbers
/// go on behind the largest that was sent.
pub(crate) fn open(
    options: &InputOptions,
    stream: &StreamDef,
    producer: &str,
    partitions: i32,
    sent: &Acked,
) -> Result<Box<dyn ItemSource>, ProduceError> {
    let timed = options.speed.is_some();
    let extract = extract::Extract::new(stream, options.key.as_deref(), producer, partitions, timed)?;
    let (first, resume) = match options.from {
        InputFrom::Stdin => (sent.end(), None),
        InputFrom::Path(_) => (0, sent.resume_position()),
    };
    match options.format {
        InputFormat::JsonArray => {
            if options.follow {
                return Err(ProduceError::Usage("an array has an end: follow works with lines and csv".to_owned()));
            }
            check_again(&options.from, resume.as_ref().map(|(_, place)| place), Unit::Element)?;
            Ok(Box::new(json_array::JsonArray::open(&options.from, options.array.clone(), extract, first)?))
        }
        InputFormat::Csv => {
            // The header row is needed, so the file is always read from its beginning.
            check_again(&options.from, resume.as_ref().map(|(_, place)| place), Unit::Line)?;
            let feed = Feed::open(&options.from, options.follow, None)?;
            Ok(Box::new(csv::Csv::new(feed, options.follow, stream, extract, first)))
        }
        InputFormat::JsonLines => {
            let lines = Lines::open(&options.from, options.follow, resume.as_ref().map(|(_, place)| place))?;
            Ok(Box::new(json_lines::JsonLines::new(lines, extract, resume.map_or(first, |(sequence, _)| sequence))))
        }
    }
}

/// Checks that a file which is read from its beginning again holds what was read of it before.
fn check_again(from: &InputFrom, place: Option<&Place>, unit: Unit) -> Result<(), ProduceError> {
    let (InputFrom::Path(path), Some(place)) = (from, place) else { return Ok(()) };
    rotation::check(path, place, unit).map_err(|what| ProduceError::input(name_of(from), what))
}

#[cfg(test)]
mod tests;
