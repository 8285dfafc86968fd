//! The checksum of a record at its position, as the books have it summed up (docs/adr/0006).
//!
//! xxh3-128 over partition (i32, little-endian), offset (i64), length of the key and of the value (u32 each, all ones
//! for
//! null), the key and the value. A set of records has the sum modulo 2^128, so their order does not matter.

use xxhash_rust::xxh3::Xxh3;

/// The checksum of one record.
#[must_use]
pub fn record(partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u128 {
    let mut hasher = Xxh3::new();
    add(&mut hasher, partition, offset, key, value)
}

/// As [`record`], with a hasher that is used again: it is large, and to make one costs as much as to hash a short
/// record.
pub(super) fn add(hasher: &mut Xxh3, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> u128 {
    hasher.reset();
    let mut head = [0; 20];
    let parts: [&[u8]; 4] = [
        &partition.to_le_bytes(),
        &offset.to_le_bytes(),
        &written_length(key).to_le_bytes(),
        &written_length(value).to_le_bytes(),
    ];
    let mut at = 0;
    for part in parts {
        for byte in part {
            head[at] = *byte;
            at += 1;
        }
    }
    hasher.update(&head);
    hasher.update(key.unwrap_or_default());
    hasher.update(value.unwrap_or_default());
    hasher.digest128()
}

fn written_length(bytes: Option<&[u8]>) -> u32 {
    match bytes {
        None => u32::MAX,
        Some(bytes) => u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1),
    }
}

/// Reads the 32 hex digits of a checksum; `None` where it is none.
#[must_use]
pub fn parse(digits: &str) -> Option<u128> {
    let plain = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_record_counts() {
        let known = record(3, 7, Some(b"key"), Some(b"value"));
        let others = [
            record(2, 7, Some(b"key"), Some(b"value")),
            record(3, 8, Some(b"key"), Some(b"value")),
            record(3, 7, Some(b"kez"), Some(b"value")),
            record(3, 7, Some(b"key"), Some(b"valuf")),
            record(3, 7, Some(b"keyv"), Some(b"alue")),
            record(3, 7, None, Some(b"keyvalue")),
            record(3, 7, Some(b""), Some(b"keyvalue")),
            record(3, 7, Some(b"keyvalue"), None),
        ];
        for (number, other) in others.iter().enumerate() {
            assert_ne!(known, *other, "{number}");
        }
    }

    #[test]
    fn the_bytes_that_are_hashed_are_those_of_the_description() {
        let mut described = Vec::new();
        described.extend(3_i32.to_le_bytes());
        described.extend(7_i64.to_le_bytes());
        described.extend(u32::MAX.to_le_bytes());
        described.extend(2_u32.to_le_bytes());
        described.extend(b"ab");
        assert_eq!(record(3, 7, None, Some(b"ab")), xxhash_rust::xxh3::xxh3_128(&described));
    }

    #[test]
    fn only_thirty_two_hex_digits_are_a_checksum() {
        assert_eq!(parse("000000000000000000000000000000ff"), Some(255));
        for wrong in ["", "ff", "+00000000000000000000000000000ff", "0000000000000000000000000000000g"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
