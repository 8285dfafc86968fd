//! `watertight keygen`: a pair of keys, with which certificates are signed and checked.
//!
//! What it never does: overwrite a file, or write the private key where others may read it.

use super::{Exit, output};
use anyhow::{Context as _, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use watertight_verify::report::signature::SigningKey;

/// Arguments of `keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes OUT (private, readable by you alone) and OUT.pub (public, for everyone who checks).

Example:
  watertight keygen auditor.key
  watertight verify -f pipeline.yaml --certificate march.json --key auditor.key
  watertight verify -f pipeline.yaml --against march.json --public-key auditor.key.pub")]
pub(crate) struct Args {
    /// File for the private key; the public one is beside it, with .pub at its end.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Where the system gives random bytes that are fit for keys.
const RANDOM: &str = "/dev/urandom";
const OWNER_ONLY: u32 = 0o600;
const FOR_EVERYONE: u32 = 0o644;

pub(super) fn execute(args: &Args) -> anyhow::Result<Exit> {
    let mut public = args.out.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    for file in [&args.out, &public] {
        if file.symlink_metadata().is_ok() {
            bail!("{} is already there, and keys are not overwritten; name another file", file.display());
        }
    }
    let mut seed = [0; 32];
    let random = File::open(RANDOM).and_then(|mut random| random.read_exact(&mut seed));
    random.with_context(|| format!("cannot read random bytes from {RANDOM}"))?;
    let key = SigningKey::from_seed(&seed);
    write_new(&args.out, &key.to_secret_text(), OWNER_ONLY)?;
    if let Err(error) = write_new(&public, &key.public().to_text(), FOR_EVERYONE) {
        // A private key whose public half nobody has is of no use, and would stand in the way of the next attempt.
        let _may_be_gone = fs::remove_file(&args.out);
        return Err(error);
    }
    output::print(&format!(
        "wrote {} (keep it secret) and {}\npublic key {}\n",
        args.out.display(),
        public.display(),
        key.public()
    ))?;
    Ok(Exit::Fine)
}

/// Writes a file that isn't there yet, with these rights from its first byte on.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use watertight_verify::report::signature::PublicKey;

    #[test]
    fn two_halves_are_written_once_and_the_private_one_is_for_its_owner() {
        let scratch = tempfile::tempdir().expect("scratch");
        let args = Args { out: scratch.path().join("key") };
        assert_eq!(execute(&args).expect("keys"), Exit::Fine);
        let (secret, public) = (scratch.path().join("key"), scratch.path().join("key.pub"));
        let key = SigningKey::parse(&fs::read_to_string(&secret).expect("written")).expect("a key");
        assert_eq!(PublicKey::parse(&fs::read_to_string(&public).expect("written")), Ok(key.public()));
        let mode = fs::metadata(&secret).expect("written").permissions().mode();
        assert_eq!(mode & 0o177, 0, "{mode:o}");
        assert!(execute(&args).is_err());
        fs::remove_file(&secret).expect("removed");
        assert!(execute(&args).is_err(), "the public half of another key is in the way");
        assert!(!secret.exists());
    }
}
