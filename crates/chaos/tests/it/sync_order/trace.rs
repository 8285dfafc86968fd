//! What strace wrote → the calls that change a disk or make it durable, each with its beginning and its end.
//!
//! Understood is the output of `strace -f -y -s 0 -o FILE`: a thread's number, the call, the paths of descriptors in
//! angle brackets. A call that another thread's line interrupts comes as `<unfinished ...>` and `<... resumed>`; both
//! halves are put together. A line of a call in [`CALLS`] that is not understood is a panic: a checker that passes over
//! what it cannot read proves nothing.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// The calls to be traced; those with a `?` are unknown on some machines.
pub(super) const CALLS: &str = "trace=?open,openat,?openat2,?creat,write,pwrite64,writev,pwritev,?pwritev2,ftruncate,\
    ?truncate,fallocate,?copy_file_range,?sendfile,?rename,?renameat,?renameat2,?link,linkat,?symlink,symlinkat,\
    ?unlink,unlinkat,?rmdir,?mkdir,mkdirat,fsync,fdatasync";

/// A call's end where the trace shows none: the process died within it.
pub(super) const NEVER: usize = usize::MAX;

/// Which bytes a write wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// So many more.
    More(u64),
    /// Some, up to this one.
    UpTo(u64),
    /// How many is not known.
    Unknown,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// A file was opened; with `makes` it is made where it is not there, with `empties` cut to nothing.
    Opened { path: PathBuf, makes: bool, empties: bool },
    /// Bytes were written.
    Wrote { path: PathBuf, extent: Extent },
    /// A file got this length.
    Cut { path: PathBuf, length: u64 },
    /// A folder, or a symbolic link, was made.
    Made { path: PathBuf },
    /// A file got one more name.
    Linked { from: PathBuf, to: PathBuf },
    /// A file or folder got another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// A name was removed.
    Removed { path: PathBuf },
    /// `fsync` or `fdatasync`.
    Synced { path: PathBuf },
}

/// One call; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) thread: u32,
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) act: Act,
}

/// The calls that did something, in the order of their beginnings. `cwd` is the process's working folder.
pub(super) fn parse(text: &str, cwd: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<u32, (usize, String)> = HashMap::new();
    for (end, line) in (1..).zip(text.lines()) {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let thread: u32 = thread.parse().unwrap_or_else(|_| panic!("line {end} names no thread: {line}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (end, head.trim_end().to_owned()));
            continue;
        }
        let (begin, whole) = if rest.starts_with("<... ") {
            let (_, tail) = rest.split_once("resumed>").unwrap_or_else(|| panic!("line {end}: {line}"));
            let (begin, head) = unfinished.remove(&thread).unwrap_or_else(|| panic!("line {end} resumes nothing"));
            (begin, head + tail)
        } else {
            (end, rest.to_owned())
        };
        if whole.rsplit_once(" = ").is_some_and(|(_, answer)| answer.trim_start().starts_with('?')) {
            unfinished.insert(thread, (begin, whole));
        } else {
            calls.extend(finished(&whole, cwd).map(|act| Call { thread, begin, end, act }));
        }
    }
    // What a dying process did of a write is not known: taken as done. Of a name, as not done.
    for (thread, (begin, head)) in unfinished {
        let (name, arguments) = head.split_once('(').unwrap_or((&head, ""));
        if let Some(path) = descriptor(arguments).filter(|_| writes(name)) {
            let act = Act::Wrote { path, extent: Extent::Unknown };
            calls.push(Call { thread, begin, end: NEVER, act });
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

fn writes(name: &str) -> bool {
    matches!(name, "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2")
}

/// `None` for a call that failed, or that is about no path.
fn finished(text: &str, cwd: &Path) -> Option<Act> {
    let parts = text.rsplit_once(" = ").and_then(|(call, answer)| {
        let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
        Some((name, split(arguments), answer.trim()))
    });
    let Some((name, arguments, answer)) = parts else { panic!("not understood: {text}") };
    if answer.starts_with('-') {
        return None;
    }
    let argument = |at: usize| arguments.get(at).map_or("", String::as_str);
    let number = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("'{digits}' is no number: {text}"));
    let here = |at: usize| resolve(cwd, argument(at));
    let below = |at: usize| resolve(&descriptor(argument(at)).unwrap_or_else(|| cwd.to_owned()), argument(at + 1));
    Some(match name {
        "open" | "openat" | "openat2" | "creat" => {
            let flags = if name == "open" { argument(1) } else { argument(2) };
            let asked = if name.starts_with("openat") { below(0) } else { here(0) };
            let has = |flag: &str| name == "creat" || flags.contains(flag);
            let path = descriptor(answer).unwrap_or(asked);
            Act::Opened { path, makes: has("O_CREAT"), empties: has("O_TRUNC") }
        }
        "write" | "writev" => Act::Wrote { path: descriptor(argument(0))?, extent: Extent::More(number(answer)) },
        "pwrite64" | "pwritev" | "pwritev2" => {
            let from = number(argument(3));
            Act::Wrote { path: descriptor(argument(0))?, extent: Extent::UpTo(from + number(answer)) }
        }
        "fallocate" | "sendfile" => Act::Wrote { path: descriptor(argument(0))?, extent: Extent::Unknown },
        "copy_file_range" => Act::Wrote { path: descriptor(argument(2))?, extent: Extent::Unknown },
        "ftruncate" => Act::Cut { path: descriptor(argument(0))?, length: number(argument(1)) },
        "truncate" => Act::Cut { path: here(0), length: number(argument(1)) },
        "mkdir" => Act::Made { path: here(0) },
        "mkdirat" => Act::Made { path: below(0) },
        "symlink" => Act::Made { path: here(1) },
        "symlinkat" => Act::Made { path: below(1) },
        "link" => Act::Linked { from: here(0), to: here(1) },
        "linkat" => Act::Linked { from: below(0), to: below(2) },
        "rename" => Act::Renamed { from: here(0), to: here(1) },
        "renameat" | "renameat2" => Act::Renamed { from: below(0), to: below(2) },
        "unlink" | "rmdir" => Act::Removed { path: here(0) },
        "unlinkat" => Act::Removed { path: below(0) },
        "fsync" | "fdatasync" => Act::Synced { path: descriptor(argument(0))? },
        _ => panic!("a call that was not asked for: {text}"),
    })
}

/// The path of a descriptor as `-y` prints it: `5</path>`. `None` for pipes, and for files that have no name any more.
fn descriptor(text: &str) -> Option<PathBuf> {
    let (_, rest) = text.split_once('<')?;
    let (path, behind) = rest.split_once('>')?;
    (path.starts_with('/') && !behind.starts_with("(deleted)")).then(|| PathBuf::from(path))
}

/// A path as a call names it, in quotes, made absolute; `.` and `..` are resolved by their text.
fn resolve(base: &Path, quoted: &str) -> PathBuf {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner.filter(|inner| !inner.contains('\\')) else { panic!("not a plain path: {quoted}") };
    let mut path = PathBuf::new();
    for part in base.join(inner).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// Arguments, divided at commas that stand in no quotes, brackets or angle brackets.
fn split(arguments: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped, mut angled, mut depth) = (false, false, false, 0_u32);
    for letter in arguments.chars() {
        let inside = quoted || angled || depth > 0;
        match letter {
            '"' if !escaped && !angled => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            '[' | '{' if !quoted && !angled => depth += 1,
            ']' | '}' if !quoted && !angled => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && letter == '\\' && !escaped;
        match parts.last_mut() {
            Some(part) if letter != ',' || inside => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(text: &str) -> Vec<Act> {
        parse(text, Path::new("/w")).into_iter().map(|call| call.act).collect()
    }

    #[test]
    fn calls_are_read_with_their_paths() {
        let text = r#"7  openat(AT_FDCWD</w>, "a/../b", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 3</w/b>
7  openat(3</w/d>, "x.seg", O_RDONLY|O_CLOEXEC) = 4</w/d/x.seg>
7  write(3</w/b>, ""..., 5)             = 5
7  pwritev(4</w/d/x.seg>, [{iov_base=""..., iov_len=88}, {iov_base="), (", iov_len=4}], 2, 100) = 92
7  ftruncate(3</w/b>(deleted), 1)       = 0
7  write(1<pipe:[77]>, ""..., 5)        = 5
7  mkdir("/w/d", 0777)                  = -1 EEXIST (File exists)
7  linkat(AT_FDCWD</w>, "b", AT_FDCWD</w>, "/w/c", 0) = 0
7  rename("c", "d/e")                   = 0
7  unlinkat(5</w/d>, "e", 0)            = 0
7  +++ exited with 0 +++"#;
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(
            acts(text),
            [
                Act::Opened { path: path("/w/b"), makes: true, empties: true },
                Act::Opened { path: path("/w/d/x.seg"), makes: false, empties: false },
                Act::Wrote { path: path("/w/b"), extent: Extent::More(5) },
                Act::Wrote { path: path("/w/d/x.seg"), extent: Extent::UpTo(192) },
                Act::Linked { from: path("/w/b"), to: path("/w/c") },
                Act::Renamed { from: path("/w/c"), to: path("/w/d/e") },
                Act::Removed { path: path("/w/d/e") },
            ]
        );
    }

    #[test]
    fn a_call_in_two_halves_is_one_and_a_write_that_never_ended_counts() {
        let text = "7 fsync(3</w/b> <unfinished ...>\n8 write(4</w/c>, \"\"..., 5 <unfinished ...>\n\
                    7 <... fsync resumed>)              = 0\n7 mkdir(\"/w/d\", 0777 <unfinished ...>\n\
                    9 fsync(3</w/b>) = ?\n8 +++ killed by SIGKILL +++\n";
        let synced = Call { thread: 7, begin: 1, end: 3, act: Act::Synced { path: "/w/b".into() } };
        let act = Act::Wrote { path: "/w/c".into(), extent: Extent::Unknown };
        assert_eq!(parse(text, Path::new("/w")), [synced, Call { thread: 8, begin: 2, end: NEVER, act }]);
    }
}
