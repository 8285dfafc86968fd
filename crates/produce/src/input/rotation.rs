//! Finding the file again that an earlier run was reading, and the ones that were begun after it.
//!
//! Contract: a file is taken for the one that was read only where its length allows the place and the bytes before it
//! are the same; anything else is an error that says what to do, never a guess. Files between are read in the order that
//! rotation has put into their names (`app.jsonl.2` is older than `app.jsonl.1`, `app.jsonl-20260301` than
//! `app.jsonl-20260302`); with names of another kind only the file that was read and the one that bears the
//! name are known. Nothing is written.

use crate::ledger::{Place, TAIL_BYTES, check_of};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to do where the file is not what it was.
const ADVICE: &str = "put back the file that was read, or begin a new ledger, which sends all of this one";

/// Files are renamed one after the other: so often a gap in their numbers is looked at again before it is one.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What the text behind a file's name is where the file was packed.
const PACKED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".lz4"];

/// A file that was read before, positioned behind what was.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) inode: u64,
    /// Whether another file bears the name now.
    pub(super) rotated: bool,
    /// The bytes before the place.
    pub(super) tail: Vec<u8>,
}

/// What stands before a place, as far as it must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Ends with a line end, or the file.
    Line,
    /// Ends by itself.
    Element,
}

/// The file at `path`, or beside it, that was read up to `place`. One that is not followed may be a copy of it.
pub(super) fn find(path: &Path, place: &Place, follow: bool) -> Result<Found, String> {
    let at_path = open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let (file, inode, rotated) = match at_path {
        Some((file, inode)) if inode == place.inode => (file, inode, false),
        other => match (with_inode(path, place.inode), other) {
            (Some(file), other) => (file, place.inode, other.is_some()),
            (None, Some((file, inode))) if !follow && place.check.is_some() => (file, inode, false),
            (None, _) => {
                return Err(format!(
                    "is not the file that was read before, and that is not beside it any more; {ADVICE}"
                ));
            }
        },
    };
    let tail = tail_before(&file, place, Unit::Line)?;
    Ok(Found { file, inode, rotated, tail })
}

/// Checks that the file at `path` holds what was read of it; it is going to be read from its beginning.
pub(super) fn check(path: &Path, place: &Place, unit: Unit) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    tail_before(&file, place, unit).map(|_| ())
}

/// The bytes before `place`, checked; leaves the file positioned there.
fn tail_before(mut file: &File, place: &Place, unit: Unit) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot be read: {error}");
    let bytes = place.bytes;
    let length = file.metadata().map_err(failed)?.len();
    if length < bytes {
        return Err(format!(
            "has {length} bytes, but {bytes} were read of it before: it was truncated, written anew or replaced; {ADVICE}"
        ));
    }
    let mut tail = vec![0; TAIL_BYTES.min(usize::try_from(bytes).unwrap_or(usize::MAX))];
    file.seek(SeekFrom::Start(bytes - tail.len() as u64)).map_err(failed)?;
    file.read_exact(&mut tail).map_err(failed)?;
    if place.check.is_some_and(|check| check != check_of(&tail)) {
        return Err(format!(
            "holds other bytes before byte {bytes} than were read there before: it was written anew or replaced; {ADVICE}"
        ));
    }
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if unit == Unit::Line && tail.last().is_some_and(|byte| !is_end(byte)) {
        let mut next = [b'\n'];
        let read = file.read(&mut next).map_err(failed)?;
        if read > 0 && !is_end(&next[0]) {
            return Err(format!(
                "goes on within a line at byte {bytes}: what was sent ended there, and more was written into it, or the \
                 file was written anew; {ADVICE}"
            ));
        }
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
    }
    Ok(tail)
}

fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => file.metadata().map(|metadata| Some((file, metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What lies in the folder of `path`: paths and inodes.
fn beside(path: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok().filter(|m| m.is_file())?.ino())))
}

fn with_inode(path: &Path, inode: u64) -> Option<File> {
    let found = beside(path).find(|(_, other)| *other == inode)?;
    // Opened by name: it may have been renamed once more meanwhile.
    open(&found.0).ok().flatten().filter(|(_, opened)| *opened == inode).map(|(file, _)| file)
}

/// How a rotated file is named behind the name it had.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Generation {
    /// `.1` is the youngest.
    Number(u64),
    /// A date or time stamp: the larger the younger.
    Stamp(String),
}

impl Generation {
    /// Reads what stands behind the name, such as `.1` or `-20260301`; nothing where rotation did not write it.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['.', '-', '_'])?;
        if digits.len() <= 5 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return digits.parse().ok().map(Self::Number);
        }
        let fits = digits.bytes().all(|byte| byte.is_ascii_digit() || b"-_.:TZ".contains(&byte));
        let stamped = fits && digits.bytes().filter(u8::is_ascii_digit).count() >= 8;
        stamped.then(|| Self::Stamp(digits.to_owned()))
    }
}

enum Next {
    /// The file at the name itself.
    Name,
    Rotated(PathBuf, u64),
    Gap(String),
}

/// The file that was begun after the one with `inode`: a rotated one, or the one that bears the name; `None` where that is
/// not there yet.
pub(super) fn successor(path: &Path, inode: u64) -> Result<Option<File>, String> {
    let mut what = String::new();
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        match next_of(path, inode) {
            Next::Name => return Ok(File::open(path).ok()),
            Next::Gap(gap) => what = gap,
            Next::Rotated(rotated, wanted) => {
                let unpacked = rotated.to_string_lossy();
                if PACKED.iter().any(|ending| unpacked.ends_with(*ending)) {
                    return Err(format!(
                        "was rotated more than once, and {unpacked}, which comes next, is packed; unpack it under the same \
                         name without the ending, move the packed one away, and start again"
                    ));
                }
                match open(&rotated) {
                    Ok(Some((file, opened))) if opened == wanted => return Ok(Some(file)),
                    Ok(_) => what = format!("is being rotated again and again ({unpacked}); start again"),
                    Err(error) => return Err(format!("was rotated, and {unpacked} cannot be opened: {error}")),
                }
            }
        }
    }
    Err(what)
}

fn next_of(path: &Path, inode: u64) -> Next {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut rotated = Vec::new();
    for (other, found) in beside(path) {
        let text = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(behind) = text.strip_prefix(name.as_str()) else { continue };
        let plain = PACKED.iter().find_map(|ending| behind.strip_suffix(*ending)).unwrap_or(behind);
        if let Some(generation) = Generation::parse(plain) {
            rotated.push((generation, other, found));
        }
    }
    let Some((present, ..)) = rotated.iter().find(|(.., found)| *found == inode) else { return Next::Name };
    let present = present.clone();
    let next = match &present {
        Generation::Number(number) => {
            let wanted = Generation::Number(number.wrapping_sub(1));
            let found = rotated.into_iter().find(|(generation, ..)| *generation == wanted);
            if found.is_none() && *number > 1 {
                return Next::Gap(format!(
                    "was rotated more than once, and {name}.{} is missing, so what it held is unknown; {ADVICE}",
                    number - 1
                ));
            }
            found
        }
        Generation::Stamp(stamp) => {
            let younger = rotated.into_iter().filter(|(generation, ..)| {
                matches!(generation, Generation::Stamp(other) if other.len() == stamp.len() && other > stamp)
            });
            younger.min_by(|(one, ..), (other, ..)| stamp_of(one).cmp(stamp_of(other)))
        }
    };
    next.map_or(Next::Name, |(_, path, inode)| Next::Rotated(path, inode))
}

fn stamp_of(generation: &Generation) -> &str {
    match generation {
        Generation::Stamp(stamp) => stamp,
        Generation::Number(_) => "",
    }
}
