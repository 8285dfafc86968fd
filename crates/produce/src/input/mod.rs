//! Input that exists already: lines, comma-separated values, elements of an array.
//!
//! Contract: JSON is sent byte for byte as it stands in the input, valid or not; what is wrong with it is for the
//! pipeline to say. The key, and so the partition, follows from the declared columns, so that duplicates meet in one
//! partition; records without one are spread by their number. Nothing is reordered.

mod csv;
mod extract;
mod json_array;
mod json_lines;
mod lines;
mod pace;

pub(crate) use pace::Pace;

use crate::batch::ItemSource;
use crate::error::ProduceError;
use crate::generate::Item;
use crate::ledger::Acked;
use crate::request::{InputFormat, InputFrom, InputOptions};
use lines::Lines;
use watertight_core::schema::StreamDef;

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
    let first = if options.from == InputFrom::Stdin { sent.end() } else { 0 };
    if options.format == InputFormat::JsonArray {
        if options.follow {
            return Err(ProduceError::Usage("an array has an end: follow works with lines and csv".to_owned()));
        }
        return Ok(Box::new(json_array::JsonArray::open(&options.from, options.array.clone(), extract, first)?));
    }
    match options.format {
        InputFormat::Csv => {
            // The header row is needed, so the file is always read from its beginning.
            let lines = Lines::open(&options.from, options.follow, None)?;
            Ok(Box::new(csv::Csv::new(lines, stream, extract, first)))
        }
        _ => {
            let resume = if options.from == InputFrom::Stdin { None } else { sent.resume_position() };
            let lines = Lines::open(&options.from, options.follow, resume.map(|(_, place)| place))?;
            Ok(Box::new(json_lines::JsonLines::new(lines, extract, resume.map_or(first, |(sequence, _)| sequence))))
        }
    }
}

#[cfg(test)]
mod tests;
