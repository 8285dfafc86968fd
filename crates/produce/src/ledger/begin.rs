//! A ledger's file is made whole or not at all, and what an earlier producer left of it is made durable before it is
//! believed: that one may have died between a change and its fsync.

use super::Header;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use watertight_core::steps::{
    FOLDER_MAKE, FOLDER_NAMES, LEDGER_BEGIN_LINK, LEDGER_BEGIN_NAMES, LEDGER_BEGIN_SYNC, LEDGER_SYNC, Steps,
};

/// Makes the file with its header, and its folder.
pub(super) fn begin(path: &Path, header: &Header, steps: &Steps) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder, steps)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = folder.join(name);
    let mut text = serde_json::to_vec(header)?;
    text.push(b'\n');
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    steps.take(LEDGER_BEGIN_SYNC, || file.sync_all())?;
    // A link, not a rename: a ledger that another producer has begun meanwhile is not replaced.
    let linked = steps.take(LEDGER_BEGIN_LINK, || fs::hard_link(&temporary, path));
    fs::remove_file(&temporary)?;
    linked
}

/// Makes the lines that are there, the file's name and the folders above it durable.
pub(super) fn settle(path: &Path, file: &File, steps: &Steps) -> io::Result<()> {
    steps.take(LEDGER_SYNC, || file.sync_data())?;
    let path = std::path::absolute(path)?;
    let folder = folder_of(&path);
    steps.take(LEDGER_BEGIN_NAMES, || File::open(folder)?.sync_all())?;
    for above in folder.ancestors().skip(1) {
        match steps.take(FOLDER_NAMES, || File::open(above)?.sync_all()) {
            // Folders that may not be looked into are none of ours.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            other => other?,
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_folder(folder: &Path, steps: &Steps) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(folder_of(folder), steps)?;
    steps.take(FOLDER_MAKE, || fs::create_dir(folder))
}
