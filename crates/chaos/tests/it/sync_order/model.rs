//! A disk as strict as POSIX lets it be: what is durable, and what a power cut may take.
//!
//! - A file's bytes are durable once an `fsync` of that file has ended that began after its last write had ended.
//! - A name (of a file, a folder, a link; also that it is gone) is durable once an `fsync` of the folder that holds it
//!   has ended that began after the name was made.
//! - Nothing is durable as a side effect. ext4 is kinder: a file's first `fsync` commits its name too, and so much
//!   else of the journal that power cuts alone do not show each missing one.
//!
//! What a call changes counts from its beginning, what a sync makes durable from its end.

use super::trace::Extent;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of one of the traces of a story; run 0 is what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) run: usize,
    pub(super) line: usize,
}

/// From where to where in the traces a call lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: At,
    pub(super) end: At,
}

/// A name that there is.
#[derive(Debug)]
struct Name {
    file: usize,
    made: At,
}

/// A change of a name that a power cut may take back.
#[derive(Debug, Clone, Copy)]
struct LooseName {
    span: Span,
    gone: bool,
}

#[derive(Debug, Default)]
struct File {
    size: u64,
    names: usize,
    loose: Vec<Span>,
}

/// Whether a loose name is one that was made or one that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Made,
    Gone,
}

/// Everything below one folder.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    names: BTreeMap<PathBuf, Name>,
    files: Vec<File>,
    loose_names: BTreeMap<PathBuf, LooseName>,
}

impl Disk {
    /// A disk on which only `root` is watched, with nothing in it.
    pub(super) fn new(root: &Path) -> Self {
        let (names, files, loose_names) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut disk = Self { root: root.to_owned(), names, files, loose_names };
        disk.was_there(root, 0);
        disk
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Something durable that was there before.
    pub(super) fn was_there(&mut self, path: &Path, size: u64) {
        let file = self.add(path, At { run: 0, line: 0 });
        self.files[file].size = size;
    }

    fn add(&mut self, path: &Path, made: At) -> usize {
        let file = self.files.len();
        self.files.push(File { names: 1, ..File::default() });
        self.names.insert(path.to_owned(), Name { file, made });
        file
    }

    fn file(&self, path: &Path) -> Option<usize> {
        self.names.get(path).map(|name| name.file)
    }

    fn loosen_name(&mut self, path: &Path, span: Span, gone: bool) {
        self.loose_names.insert(path.to_owned(), LooseName { span, gone });
    }

    /// A file or a folder is made, where it is not there.
    pub(super) fn make(&mut self, path: &Path, span: Span) {
        if !self.names.contains_key(path) {
            self.add(path, span.begin);
            self.loosen_name(path, span, false);
        }
    }

    pub(super) fn write(&mut self, path: &Path, extent: Extent, span: Span) {
        let Some(file) = self.file(path) else { panic!("written, but never made: {}", path.display()) };
        let file = &mut self.files[file];
        file.loose.push(span);
        match extent {
            Extent::More(bytes) => file.size = file.size.saturating_add(bytes),
            Extent::UpTo(end) => file.size = file.size.max(end),
            Extent::Unknown => file.size = u64::MAX,
        }
    }

    /// Gives a file a length; the one it has is no change.
    pub(super) fn cut(&mut self, path: &Path, length: u64, span: Span) {
        let Some(file) = self.file(path) else { panic!("cut, but never made: {}", path.display()) };
        let file = &mut self.files[file];
        if file.size != length {
            file.size = length;
            file.loose.push(span);
        }
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path, span: Span) {
        let Some(file) = self.file(from) else { panic!("linked, but never made: {}", from.display()) };
        self.take_name(to);
        self.files[file].names += 1;
        self.names.insert(to.to_owned(), Name { file, made: span.begin });
        self.loosen_name(to, span, false);
    }

    /// A file gets another name, or a folder with all that is in it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path, span: Span) {
        self.link(from, to, span);
        self.remove(from, span);
        for old in self.below(from) {
            let new = to.join(old.strip_prefix(from).expect("below it"));
            if let Some(name) = self.names.remove(&old) {
                self.names.insert(new.clone(), name);
            }
            if let Some(loose) = self.loose_names.remove(&old) {
                self.loose_names.insert(new, loose);
            }
        }
    }

    pub(super) fn remove(&mut self, path: &Path, span: Span) {
        self.take_name(path);
        self.loosen_name(path, span, true);
    }

    fn take_name(&mut self, path: &Path) {
        if let Some(name) = self.names.remove(path) {
            let file = &mut self.files[name.file];
            file.names -= 1;
            if file.names == 0 {
                file.loose.clear();
            }
        }
    }

    /// A sync that began at `begin` has ended.
    pub(super) fn sync(&mut self, path: &Path, begin: At) {
        if let Some(file) = self.file(path) {
            self.files[file].loose.retain(|span| span.end >= begin);
        }
        self.loose_names.retain(|name, loose| name.parent() != Some(path) || loose.span.end >= begin);
    }

    /// Since when bytes of the file may be lost; `None` where they are durable.
    pub(super) fn loose_bytes(&self, path: &Path) -> Option<At> {
        self.files[self.file(path)?].loose.first().map(|span| span.begin)
    }

    /// Since when the name may be lost; `None` where it is durable, or gone.
    pub(super) fn loose_name(&self, path: &Path) -> Option<At> {
        self.loose_names.get(path).filter(|loose| !loose.gone).map(|loose| loose.span.begin)
    }

    /// Every file of which bytes may be lost, and since when.
    pub(super) fn all_loose_bytes(&self) -> Vec<(PathBuf, At)> {
        let loose = |path: &PathBuf| self.loose_bytes(path).map(|at| (path.clone(), at));
        self.names.keys().filter_map(loose).collect()
    }

    /// Every change of a name that may be lost, and since when.
    pub(super) fn all_loose_names(&self) -> Vec<(PathBuf, Change, At)> {
        let change = |loose: &LooseName| if loose.gone { Change::Gone } else { Change::Made };
        self.loose_names.iter().map(|(path, loose)| (path.clone(), change(loose), loose.span.begin)).collect()
    }

    /// Those of a path and its parents, up to the root, whose names may be lost.
    pub(super) fn loose_chain(&self, path: &Path) -> Vec<PathBuf> {
        let ours = path.ancestors().take_while(|part| part.starts_with(&self.root));
        ours.filter(|part| self.loose_name(part).is_some()).map(Path::to_owned).collect()
    }

    /// Everything below a folder, without itself.
    pub(super) fn below(&self, folder: &Path) -> Vec<PathBuf> {
        let names = self.names.range(folder.to_owned()..).map(|(path, _)| path);
        names.take_while(|path| path.starts_with(folder)).filter(|path| *path != folder).cloned().collect()
    }

    /// Whether anything below a folder, or itself, was made in this run.
    pub(super) fn holds_something_of(&self, folder: &Path, run: usize) -> bool {
        let mut names = self.names.range(folder.to_owned()..).take_while(|(path, _)| path.starts_with(folder));
        names.any(|(_, name)| name.made.run == run)
    }

    /// Bytes of a file; 0 where it is not there.
    pub(super) fn size(&self, path: &Path) -> u64 {
        self.file(path).map_or(0, |file| self.files[file].size)
    }

    pub(super) fn is_there(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }
}
