//! Event ids as 128-bit keys.
//!
//! SipHash-1-3 with 128 bits of output (Aumasson, Bernstein 2012), keyed per pipeline: who writes ids into the log
//! cannot aim for a collision without the key. For 50 million ids the chance that any two collide is below 10⁻²³.

use siphasher::sip128::SipHasher13;

/// A hashed event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdKey(pub u128);

/// Hashes event ids with the pipeline's key. The same uuid gives the same keys for ever: checkpoints depend on it.
#[derive(Debug, Clone)]
pub struct IdHasher {
    sip: SipHasher13,
}

impl IdHasher {
    /// The hasher of a pipeline; its key is derived from the uuid's text.
    #[must_use]
    pub fn new(pipeline_uuid: &str) -> Self {
        let key = SipHasher13::new_with_keys(0, 0).hash(pipeline_uuid.as_bytes()).as_bytes();
        Self { sip: SipHasher13::new_with_key(&key) }
    }

    /// The key of an id's bytes.
    #[must_use]
    pub fn hash(&self, id: &[u8]) -> IdKey {
        IdKey(self.sip.hash(id).as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_the_pipeline_and_on_every_byte_and_never_change() {
        let one = IdHasher::new("018f3c1e-0000-7000-8000-000000000001");
        let two = IdHasher::new("018f3c1e-0000-7000-8000-000000000002");
        assert_eq!(one.hash(b"p-1"), one.hash(b"p-1"));
        assert_ne!(one.hash(b"p-1"), one.hash(b"p-2"));
        assert_ne!(one.hash(b"p-1"), one.hash(b"p-1\0"));
        assert_ne!(one.hash(b"p-1"), two.hash(b"p-1"));
        // By an implementation of SipHash-1-3 in Python; a change would make every checkpoint on disk wrong.
        assert_eq!(format!("{:032x}", one.hash(b"p-1").0), GOLDEN);
    }

    const GOLDEN: &str = "0796f4ffb45a07a4514856dd74c485d8";
}
