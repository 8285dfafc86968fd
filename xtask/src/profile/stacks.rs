//! perf's samples: what `perf script` prints, read line by line and counted.
//!
//! Format, of `-F comm,tid,time,ip,sym`: a line `COMM TID TIME:`, where COMM may hold blanks; below it the frames from
//! the innermost outwards, each a tab, an address, a blank and a symbol; then an empty line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::GROUPS;

/// What does not fit any line of [`GROUPS`].
const OTHER: &str = "the rest";
/// A frame that says that the kernel was making a page: the program touched memory that it had not, or no more.
const PAGE_FAULT: &str = "exc_page_fault";

/// Samples of one thread's name and one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) samples: u64,
    /// Those in which a page was made.
    pub(super) paged: u64,
}

/// All samples of a recording.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) all: u64,
    counted: BTreeMap<(String, &'static str), Counted>,
    folded: BTreeMap<String, u64>,
}

impl Profile {
    fn add(&mut self, thread: &str, frames: &[String]) {
        let fits = |texts: &[&str]| frames.iter().any(|frame| texts.iter().any(|text| frame.contains(text)));
        let group = GROUPS.iter().find(|(_, texts)| fits(texts)).map_or(OTHER, |(name, _)| *name);
        let counted = self.counted.entry((thread.to_owned(), group)).or_default();
        counted.samples += 1;
        counted.paged += u64::from(fits(&[PAGE_FAULT]));
        self.all += 1;
        let outwards = frames.iter().rev().map(|frame| frame.replace(';', ","));
        let line: Vec<String> = std::iter::once(thread.to_owned()).chain(outwards).collect();
        *self.folded.entry(line.join(";")).or_default() += 1;
    }

    /// Thread, group and what was counted, largest first.
    pub(super) fn groups(&self) -> Vec<(&str, &'static str, Counted)> {
        let counted = self.counted.iter();
        let mut groups: Vec<(&str, &'static str, Counted)> =
            counted.map(|((thread, group), counted)| (thread.as_str(), *group, *counted)).collect();
        groups.sort_by_key(|(_, _, counted)| std::cmp::Reverse(counted.samples));
        groups
    }

    /// One line for each stack: thread and frames from the outermost inwards, and how often.
    pub(super) fn folded(&self) -> String {
        self.folded.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
    }
}

/// Runs `perf script` and counts what it prints.
pub(super) fn read(perf: &mut Command) -> Result<Profile> {
    // What it says besides is about symbols that it did not find.
    let started = perf.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = started.context("perf could not be started; install it (Debian: linux-perf)")?;
    let profile = parse(BufReader::new(child.stdout.take().context("perf's output was not piped")?))?;
    let status = child.wait()?;
    if !status.success() || profile.all == 0 {
        bail!("perf recorded nothing that it can read ({status}); see what it said above");
    }
    Ok(profile)
}

/// Counts the samples of a text.
pub(super) fn parse(mut text: impl BufRead) -> Result<Profile> {
    let (mut profile, mut thread, mut frames) = (Profile::default(), None::<String>, Vec::new());
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let ended = text.read_until(b'\n', &mut bytes)? == 0;
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        if line.is_empty() {
            if let Some(thread) = thread.take() {
                profile.add(&thread, &frames);
            }
            frames.clear();
        } else if line.starts_with(char::is_whitespace) && thread.is_some() {
            frames.push(line.trim_start().split_once(' ').map_or("?", |(_, symbol)| plain(symbol)).to_owned());
        } else {
            thread = head(line);
        }
        if ended {
            return Ok(profile);
        }
    }
}

/// The thread's name in the first line of a sample.
fn head(line: &str) -> Option<String> {
    let (rest, _time) = line.strip_suffix(':')?.rsplit_once(' ')?;
    let (name, id) = rest.trim_end().rsplit_once(' ')?;
    id.parse::<u32>().ok()?;
    Some(name.trim().to_owned())
}

/// A symbol without the hash that Rust puts behind it.
fn plain(symbol: &str) -> &str {
    match symbol.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_counts_once_under_the_first_group_that_fits() {
        let text = "a b  12 3.4: \n\tff memcpy\n\tff ZSTD_compress2\n\tff <x as y>::ArrowWriter::h0123456789abcdef\n\n\
                    a b  12 3.5: \n\tff nobody;knows\n\na b  13 3.6: \n\n";
        let profile = parse(text.as_bytes()).unwrap();
        assert_eq!(profile.all, 3);
        let one = Counted { samples: 1, paged: 0 };
        assert_eq!(profile.groups(), [("a b", OTHER, Counted { samples: 2, paged: 0 }), ("a b", "zstd", one)]);
        let folded = profile.folded();
        assert!(folded.contains("a b;<x as y>::ArrowWriter;ZSTD_compress2;memcpy 1\n"), "{folded}");
        assert!(folded.contains("a b;nobody,knows 1\n") && folded.contains("a b 1\n"), "{folded}");
    }

    #[test]
    fn a_text_that_ends_within_a_sample_still_counts_it() {
        assert_eq!(parse("x 1 2.0: \n\tff f".as_bytes()).unwrap().all, 1);
        assert_eq!(parse("no sample\n\n".as_bytes()).unwrap().all, 0);
    }
}
