//! Keys and signatures: ed25519 (RFC 8032) over the bytes that a certificate's document defines.
//!
//! A key is a line of text, `watertight-ed25519-private:` or `watertight-ed25519-public:` and 64 hex digits (32 bytes:
//! the seed, or the compressed point); the digits alone are taken too. Lines that begin with `#` are passed over.
//! Signatures are checked strictly: no weak keys, one encoding.
//! Never: a private key appears in a message or in debug output.

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use std::fmt;

const PRIVATE: &str = "watertight-ed25519-private:";
const PUBLIC: &str = "watertight-ed25519-public:";

/// Why a text is no key. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("not a key: expected one line of 64 hex digits, as `watertight keygen` writes")]
    Form,
    /// A public key where a private one is needed.
    #[error("this is a public key; signing needs the private one (the file without .pub)")]
    PublicGiven,
    /// A private key where a public one is needed.
    #[error("this is a private key; checking needs the public one (the file that ends in .pub)")]
    PrivateGiven,
    /// 32 bytes that are no key.
    #[error("these 32 bytes are no public key of ed25519")]
    NotOnCurve,
}

/// A private key: who has it can sign.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a key's text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = line(text)?;
        if line.starts_with(PUBLIC) {
            return Err(KeyError::PublicGiven);
        }
        let seed = from_hex::<32>(line.strip_prefix(PRIVATE).unwrap_or(line)).ok_or(KeyError::Form)?;
        Ok(Self::from_seed(&seed))
    }

    /// The text that [`Self::parse`] reads. A secret.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        format!("{PRIVATE}{}\n", hex(self.0.as_bytes()))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of these bytes, 128 hex digits.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        let signature: ed25519_dalek::Signature = self.0.sign(bytes);
        hex(&signature.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

/// A public key: who has it can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads a key's text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = line(text)?;
        if line.starts_with(PRIVATE) {
            return Err(KeyError::PrivateGiven);
        }
        let bytes = from_hex::<32>(line.strip_prefix(PUBLIC).unwrap_or(line)).ok_or(KeyError::Form)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::NotOnCurve)
    }

    /// The text that [`Self::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{PUBLIC}{self}\n")
    }

    /// Whether `signature` (128 hex digits) is of these bytes by this key.
    #[must_use]
    pub fn holds(&self, bytes: &[u8], signature: &str) -> bool {
        let Some(signature) = from_hex::<64>(signature) else { return false };
        self.0.verify_strict(bytes, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

/// SHA-256 as 64 hex digits, as `sha256sum` prints it.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    hex(&digest)
}

/// The one line that is neither empty nor a comment.
fn line(text: &str) -> Result<&str, KeyError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        _ => Err(KeyError::Form),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N.checked_mul(2)? || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 3.
    const SEED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
    const POINT: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
    const SIGNATURE: &str = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

    #[test]
    fn keys_and_signatures_are_those_of_the_rfc() {
        let key = SigningKey::parse(SEED).expect("a key");
        assert_eq!(key.public().to_string(), POINT);
        assert_eq!(key.sign(&[0xaf, 0x82]), SIGNATURE);
        assert!(PublicKey::parse(POINT).expect("a key").holds(&[0xaf, 0x82], SIGNATURE));
    }

    #[test]
    fn another_byte_another_digit_and_another_key_do_not_hold() {
        let (key, other) = (SigningKey::from_seed(&[7; 32]), SigningKey::from_seed(&[8; 32]));
        let signature = key.sign(b"all is well");
        assert!(key.public().holds(b"all is well", &signature));
        assert!(!key.public().holds(b"all is Well", &signature));
        assert!(!other.public().holds(b"all is well", &signature));
        for index in 0..signature.len() {
            let mut wrong = signature.clone().into_bytes();
            wrong[index] = if wrong[index] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).expect("digits");
            assert!(!key.public().holds(b"all is well", &wrong), "digit {index}");
        }
        assert!(!key.public().holds(b"all is well", &signature[1..]));
    }

    #[test]
    fn what_keygen_writes_is_read_back_and_the_two_halves_are_not_mistaken() {
        let key = SigningKey::from_seed(&[7; 32]);
        let (secret, public) = (key.to_secret_text(), key.public().to_text());
        assert_eq!(SigningKey::parse(&secret).expect("a key").public(), key.public());
        assert_eq!(PublicKey::parse(&format!("# ours\n\n{public}")), Ok(key.public()));
        assert_eq!(PublicKey::parse(&secret), Err(KeyError::PrivateGiven));
        assert_eq!(SigningKey::parse(&public).err(), Some(KeyError::PublicGiven));
        for bad in ["", "abc", &POINT[1..], &format!("{POINT}\n{POINT}"), &POINT.replace('f', "g")] {
            assert_eq!(PublicKey::parse(bad), Err(KeyError::Form), "{bad}");
        }
    }

    #[test]
    fn a_private_key_is_not_shown_in_debug_output() {
        let key = SigningKey::parse(SEED).expect("a key");
        assert!(!format!("{key:?}").contains(&SEED[..8]));
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
