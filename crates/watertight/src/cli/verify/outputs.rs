//! The files that `verify` writes, looked at before anything is read: who waits for an hour should not learn then that the
//! answer has no place.
//!
//! Contract: no two answers go into one file, and none over a file that the command reads. A certificate is a document that
//! somebody keeps: it takes the place of a file that is there with `--force` only, and of a regular file only.

use super::Args;
use anyhow::{Context as _, bail};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Refuses files that must not be written, or cannot be.
pub(super) fn check(args: &Args) -> anyhow::Result<()> {
    let (report, certificate) = (args.report.as_deref(), args.certificate.as_deref());
    if let (Some(report), Some(certificate)) = (report, certificate)
        && is_same(report, certificate)
    {
        bail!("--report and --certificate name the same file, {}: give each its own", certificate.display());
    }
    for (option, file) in [("--report", report), ("--certificate", certificate)] {
        let Some(file) = file else { continue };
        if let Some((reader, _)) = read(args).into_iter().find(|(_, read)| is_same(file, read)) {
            bail!("{option} would overwrite {}, which {reader} reads: name another file", file.display());
        }
        let folder = folder_of(file);
        if !folder.is_dir() {
            bail!("{option} cannot be written: there is no folder {}", folder.display());
        }
    }
    certificate.map_or(Ok(()), |file| is_free(file, args.force))
}

/// Refuses a certificate's file that is there already.
pub(super) fn is_free(file: &Path, force: bool) -> anyhow::Result<()> {
    let name = file.display();
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {name}")),
        Ok(about) if !about.is_file() => bail!("{name} is no regular file: name another for the certificate"),
        Ok(_) if !force => bail!("{name} is there already: name another file, or replace it with --force"),
        Ok(_) => Ok(()),
    }
}

/// The files that the command reads, with the option that names each.
fn read(args: &Args) -> Vec<(&'static str, &Path)> {
    let named = [
        ("--file", args.file.as_deref()),
        ("--key", args.key.as_deref()),
        ("--against", args.against.as_deref()),
        ("--public-key", args.public_key.as_deref().map(Path::new)),
    ];
    let ledgers = args.ledger.iter().map(|ledger| ("--ledger", ledger.as_path()));
    named.into_iter().filter_map(|(option, file)| Some((option, file?))).chain(ledgers).collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Err(_), Err(_)) => place_of(one).is_some_and(|place| Some(place) == place_of(other)),
        _ => false,
    }
}

/// Where a file that is not there would be.
fn place_of(file: &Path) -> Option<PathBuf> {
    Some(folder_of(file).canonicalize().ok()?.join(file.file_name()?))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_whatever_name_whether_it_is_there_or_not() {
        let scratch = tempfile::tempdir().expect("scratch");
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir(at("folder")).expect("made");
        assert!(is_same(&at("a"), &at("folder/../a")) && !is_same(&at("a"), &at("folder/a")));
        assert!(!is_same(&at("nowhere/a"), &at("elsewhere/b")));
        fs::write(at("b"), "").expect("written");
        std::os::unix::fs::symlink("b", at("link")).expect("linked");
        fs::hard_link(at("b"), at("other")).expect("linked");
        assert!(is_same(&at("b"), &at("link")) && is_same(&at("b"), &at("other")) && !is_same(&at("a"), &at("b")));
    }

    #[test]
    fn a_certificate_replaces_a_regular_file_only_and_with_force_only() {
        let scratch = tempfile::tempdir().expect("scratch");
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("there"), "").expect("written");
        std::os::unix::fs::symlink("there", at("link")).expect("linked");
        for (name, force, free) in [
            ("new", false, true),
            ("there", false, false),
            ("there", true, true),
            ("link", true, false),
            (".", true, false),
        ] {
            assert_eq!(is_free(&at(name), force).is_ok(), free, "{name} {force}");
        }
        let refused = is_free(&at("there"), false).expect_err("refused").to_string();
        assert!(refused.contains("--force"), "{refused}");
    }
}
