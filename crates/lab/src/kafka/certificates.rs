//! Keys and certificates for a secured broker and for those who talk to it, made by the `openssl` tool.
//!
//! ```text
//! authority.pem, .key          signed the broker's certificate, and those of the user and the guest
//! other.pem, .key              an authority that nobody trusts
//! store.pem                    the broker's key and certificate, as Kafka reads them
//! NAME.pem, .key               what a client shows; the stranger's is signed by the other authority
//! ```
//!
//! Contract: made anew at each start, and valid for two days: a lab that ran for longer would be another's. The broker's
//! certificate is for 127.0.0.1 and for no name.

use std::path::Path;
use std::process::Command;

use super::distribution::run;
use super::secured::{GUEST, KEY_PASSWORD, STRANGER, USER};
use crate::{LabError, files};

/// The one that is trusted, and the one that is not.
pub(super) const AUTHORITY: &str = "authority";
pub(super) const OTHER_AUTHORITY: &str = "other";
/// What the broker shows.
pub(super) const STORE: &str = "store.pem";
const BROKER: &str = "broker";

/// What kind of key, and for how long: elliptic curves take milliseconds to make.
const KIND: [&str; 8] = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"];
const IS_AUTHORITY: &str = "basicConstraints=critical,CA:TRUE";
const IS_NONE: &str = "basicConstraints=critical,CA:FALSE";

/// Makes all of them in a folder.
pub(super) fn make(folder: &Path) -> Result<(), LabError> {
    files::make_folder(folder)?;
    for name in [AUTHORITY, OTHER_AUTHORITY] {
        openssl(folder, name, &["-noenc", "-addext", IS_AUTHORITY])?;
    }
    let locked = format!("pass:{KEY_PASSWORD}");
    signed(folder, BROKER, AUTHORITY, &["-noenc", "-addext", "subjectAltName=IP:127.0.0.1"])?;
    signed(folder, USER, AUTHORITY, &["-passout", locked.as_str()])?;
    signed(folder, GUEST, AUTHORITY, &["-noenc"])?;
    signed(folder, STRANGER, OTHER_AUTHORITY, &["-noenc"])?;
    let read = |kind: &str| {
        let path = folder.join(format!("{BROKER}.{kind}"));
        std::fs::read_to_string(&path).map_err(LabError::io(format!("could not read {}", path.display())))
    };
    files::write_whole(&folder.join(STORE), &(read("key")? + &read("pem")?))
}

fn signed(folder: &Path, name: &str, authority: &str, more: &[&str]) -> Result<(), LabError> {
    let (certificate, key) = (format!("{authority}.pem"), format!("{authority}.key"));
    let by = ["-CA", certificate.as_str(), "-CAkey", key.as_str(), "-addext", IS_NONE];
    openssl(folder, name, &[&by[..], more].concat())
}

fn openssl(folder: &Path, name: &str, more: &[&str]) -> Result<(), LabError> {
    let (subject, key, certificate) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.pem"));
    let mut tool = Command::new("openssl");
    tool.current_dir(folder).args(KIND).arg("-subj").arg(&subject);
    tool.arg("-keyout").arg(&key).arg("-out").arg(&certificate).args(more);
    run(&mut tool, "making a certificate with `openssl`", "openssl").map(drop)
}
