//! Where a lab's programs and servers lie: in the cache outside the clone, as everything that can be fetched again.

use std::path::PathBuf;

use crate::LabError;

/// The cache: `$WATERTIGHT_CACHE`, or `~/.cache/watertight`.
///
/// # Errors
/// `Refused` where neither that variable nor `HOME` is set.
pub fn folder() -> Result<PathBuf, LabError> {
    if let Some(path) = std::env::var_os("WATERTIGHT_CACHE").filter(|path| !path.is_empty()) {
        return std::path::absolute(&path).map_err(LabError::io("WATERTIGHT_CACHE is not a path"));
    }
    match std::env::var_os("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache/watertight")),
        None => Err(LabError::Refused("neither WATERTIGHT_CACHE nor HOME is set; set one".to_owned())),
    }
}
