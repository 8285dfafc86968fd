//! Base64 in the standard alphabet (RFC 4648, section 4): padding whole or absent, no white space, no stray bits.

use super::flaw::Flaw;

/// The bytes that a text stands for.
///
/// # Errors
/// [`Flaw::Type`] for any other text.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Flaw> {
    let bytes = text.as_bytes();
    let symbols = match bytes {
        [symbols @ .., b'=', b'='] | [symbols @ .., b'='] if bytes.len().is_multiple_of(4) => symbols,
        _ => bytes,
    };
    let mut decoded = Vec::with_capacity(symbols.len() / 4 * 3 + 2);
    for group in symbols.chunks(4) {
        let mut bits = 0_u32;
        for symbol in group {
            bits = bits << 6 | sextet(*symbol)?;
        }
        let (whole, stray) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return Err(Flaw::Type),
        };
        if bits & ((1 << stray) - 1) != 0 {
            return Err(Flaw::Type);
        }
        let bits = bits >> stray;
        for place in (0..whole).rev() {
            // Masked to one byte.
            decoded.push((bits >> (8 * place) & 0xff) as u8);
        }
    }
    Ok(decoded)
}

fn sextet(symbol: u8) -> Result<u32, Flaw> {
    Ok(u32::from(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return Err(Flaw::Type),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_whole_or_absent_and_stray_bits_are_refused() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("AP+/", &b"\x00\xff\xbf"[..]),
            ("YQ==", &b"a"[..]),
            ("YQ", &b"a"[..]),
            ("YWI=", &b"ab"[..]),
            ("YWI", &b"ab"[..]),
            ("YWJjZA==", &b"abcd"[..]),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(bytes), "{text}");
        }
        for text in ["YR==", "YQ=", "YQ===", "Y", "Y===", "====", "=", "-_8", "YQ== ", "YQ=a", "YWJj====", "é"] {
            assert_eq!(decode(text), Err(Flaw::Type), "{text}");
        }
    }
}
