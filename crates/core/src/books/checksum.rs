//! The checksum of a set of records, the same in whatever order they are added.
//!
//! Per record: xxh3-128 over partition (i32 LE), offset (i64 LE), length of key and of value
//! (u32 LE each, `u32::MAX` = null), key, value. A set's checksum is the sum modulo 2^128. Written as 32 hex digits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3;

/// Order-independent checksum of a set of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksum(pub u128);

impl Checksum {
    /// Adds one record's checksum.
    pub fn add(&mut self, record: u128) {
        self.0 = self.0.wrapping_add(record);
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// The checksum of one record at its position.
#[must_use]
pub fn record_checksum(partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u128 {
    let mut head = [0_u8; 20];
    head[..4].copy_from_slice(&partition.to_le_bytes());
    head[4..12].copy_from_slice(&offset.to_le_bytes());
    head[12..16].copy_from_slice(&length(key).to_le_bytes());
    head[16..].copy_from_slice(&length(value).to_le_bytes());
    let mut hasher = Xxh3::new();
    hasher.update(&head);
    hasher.update(key.unwrap_or(&[]));
    hasher.update(value.unwrap_or(&[]));
    hasher.digest128()
}

fn length(bytes: Option<&[u8]>) -> u32 {
    bytes.map_or(u32::MAX, |b| u32::try_from(b.len()).unwrap_or(u32::MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_records_does_not_matter_but_every_byte_and_position_does() {
        let one = record_checksum(0, 1, Some(b"k"), Some(b"v"));
        let two = record_checksum(0, 2, None, Some(b"w"));
        let sum = |parts: &[u128]| {
            let mut sum = Checksum::default();
            parts.iter().for_each(|part| sum.add(*part));
            sum
        };
        assert_eq!(sum(&[one, two]), sum(&[two, one]));
        for other in [
            record_checksum(0, 1, Some(b"k"), Some(b"x")),
            record_checksum(0, 3, Some(b"k"), Some(b"v")),
            record_checksum(1, 1, Some(b"k"), Some(b"v")),
            record_checksum(0, 1, None, Some(b"kv")),
            record_checksum(0, 1, Some(b""), Some(b"kv")),
        ] {
            assert_ne!(one, other);
        }
    }
}
