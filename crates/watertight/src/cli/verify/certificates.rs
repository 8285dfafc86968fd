//! Files of certificates and keys.
//!
//! Never: an unfinished certificate stands under its name, or one in the place of another without `--force`; a key's text
//! appears in a message.

use super::outputs;
use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use watertight_config::Secret;
use watertight_verify::report::Report;
use watertight_verify::report::certificate::{Certificate, certify};
use watertight_verify::report::signature::{KeyError, PublicKey, SigningKey};
use watertight_verify::request::{Progress, Request};

/// A certificate of a table with a hundred thousand partitions is smaller.
const CERTIFICATE_BYTES_MAX: u64 = 64 << 20;
/// A key is a line.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// A certificate that the tables are held against.
pub(super) struct Held {
    pub(super) file: String,
    pub(super) certificate: Certificate,
    /// The key that must have signed it.
    pub(super) known: Option<PublicKey>,
}

impl Held {
    pub(super) fn read(file: &Path, key: Option<&str>) -> anyhow::Result<Self> {
        let text = read(file, CERTIFICATE_BYTES_MAX)?;
        let certificate = Certificate::parse(&text).with_context(|| format!("cannot use {}", file.display()))?;
        Ok(Self { file: file.display().to_string(), certificate, known: key.map(public_key).transpose()? })
    }
}

/// Reads a private key's file.
pub(super) fn signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let text = read(file, KEY_BYTES_MAX)?;
    SigningKey::parse(&text).with_context(|| format!("cannot sign with {}", file.display()))
}

/// The private key of the pipeline file.
pub(super) fn signing_key_of(secret: &Secret) -> anyhow::Result<SigningKey> {
    SigningKey::parse(secret.expose()).context("cannot sign with certificates.signing_key of the pipeline file")
}

/// A public key by its digits, or from its file.
fn public_key(given: &str) -> anyhow::Result<PublicKey> {
    match PublicKey::parse(given) {
        Ok(key) => return Ok(key),
        // Not taken for the name of a file, which a message would quote.
        Err(error @ KeyError::PrivateGiven) => return Err(error.into()),
        Err(_) => {}
    }
    let text = read(Path::new(given), KEY_BYTES_MAX).context("--public-key is neither 64 hex digits nor a file")?;
    PublicKey::parse(&text).with_context(|| format!("cannot check with {given}"))
}

/// Certifies what the report covers, and writes it: whole, or not at all. Says in words what was written.
pub(super) fn write(
    (file, force): (&Path, bool),
    report: &Report,
    request: &Request,
    key: Option<&SigningKey>,
    progress: &dyn Progress,
) -> anyhow::Result<String> {
    let statement = certify(report, request, progress)?;
    let text = Certificate::new(statement, key)?.to_text()?;
    let failed = || format!("cannot write {}", file.display());
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".part");
    let written = File::create(&unfinished).and_then(|mut part| {
        part.write_all(text.as_bytes())?;
        part.sync_all()
    });
    // Somebody may have made it meanwhile.
    let free = written.with_context(failed).and_then(|()| outputs::is_free(file, force));
    if let Err(error) = free.and_then(|()| fs::rename(&unfinished, file).with_context(failed)) {
        let _may_not_be_there = fs::remove_file(&unfinished);
        return Err(error);
    }
    let signed = match key {
        Some(key) => format!("signed; the public key is {}", key.public()),
        None => {
            "not signed: give --key, or certificates.signing_key in the pipeline file, to have it signed".to_owned()
        }
    };
    Ok(format!("certificate: written to {}, {signed}", file.display()))
}

/// Reads a text file of at most so many bytes.
fn read(file: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let failed = || format!("cannot read {}", file.display());
    let mut text = String::new();
    let opened = File::open(file).with_context(failed)?;
    opened.take(bytes_max + 1).read_to_string(&mut text).with_context(failed)?;
    if text.len() as u64 > bytes_max {
        bail!("{} has more than {bytes_max} bytes; it is something else", file.display());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_given_by_its_digits_or_its_file() {
        let scratch = tempfile::tempdir().expect("scratch");
        let key = SigningKey::from_seed(&[7; 32]);
        let file = scratch.path().join("key.pub");
        fs::write(&file, key.public().to_text()).expect("written");
        let (by_digits, by_file) = (public_key(&key.public().to_string()), public_key(&file.to_string_lossy()));
        assert_eq!(by_digits.expect("digits"), key.public());
        assert_eq!(by_file.expect("a file"), key.public());
        assert!(public_key("/nowhere/key.pub").is_err());
    }

    #[test]
    fn a_private_key_in_place_of_a_public_one_is_refused_and_not_shown() {
        let scratch = tempfile::tempdir().expect("scratch");
        let file = scratch.path().join("key");
        let secret = SigningKey::from_seed(&[7; 32]).to_secret_text();
        fs::write(&file, &secret).expect("written");
        let error = format!("{:#}", public_key(&file.to_string_lossy()).expect_err("refused"));
        assert!(error.contains("private key") && !error.contains("07070707"), "{error}");
        let error = format!("{:#}", public_key(&secret).expect_err("refused"));
        assert!(error.contains("private key") && !error.contains("07070707"), "{error}");
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let scratch = tempfile::tempdir().expect("scratch");
        let file = scratch.path().join("key");
        fs::write(&file, "a".repeat(5_000)).expect("written");
        assert!(signing_key(&file).expect_err("refused").to_string().contains("more than 4096 bytes"));
    }
}
