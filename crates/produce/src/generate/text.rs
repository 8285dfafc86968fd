//! Writing JSON by hand: numbers, times, UUIDs and objects straight into a byte buffer.
//!
//! Contract: what is written is valid JSON unless a [`FieldFault`] was asked for. Allocates nothing but the buffer.

use super::draw::mix;

/// Appends a decimal integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 10];
    let mut rest = value;
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Appends `mantissa / 10^scale` without trailing zeros behind the point.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mantissa: i64, scale: u32) {
    if mantissa < 0 {
        out.push(b'-');
    }
    let unit = 10_u64.pow(scale);
    let (whole, mut part) = (mantissa.unsigned_abs() / unit, mantissa.unsigned_abs() % unit);
    push_integer(out, whole as i64);
    if part == 0 {
        return;
    }
    let mut width = scale as usize;
    while part.is_multiple_of(10) {
        part /= 10;
        width -= 1;
    }
    out.push(b'.');
    push_padded(out, part, width);
}

/// Year, month and day of a count of days since 1970-01-01 (Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

/// Appends an instant as RFC 3339 in UTC, with milliseconds, or with microseconds where `micros`.
pub(crate) fn push_time(out: &mut Vec<u8>, time_us: i64, micros: bool) {
    let seconds = time_us.div_euclid(1_000_000);
    let part = time_us.rem_euclid(1_000_000) as u64;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400) as u64;
    push_padded(out, year as u64, 4);
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
    out.push(b'T');
    push_padded(out, second / 3_600, 2);
    out.push(b':');
    push_padded(out, second / 60 % 60, 2);
    out.push(b':');
    push_padded(out, second % 60, 2);
    out.push(b'.');
    if micros {
        push_padded(out, part, 6);
    } else {
        push_padded(out, part / 1_000, 3);
    }
    out.push(b'Z');
}

/// Appends a UUID of the form of version 4, made of `seed` and `sequence` instead of entropy.
pub(crate) fn push_uuid(out: &mut Vec<u8>, seed: u64, sequence: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let high = mix(seed ^ mix(sequence));
    let low = mix(high ^ sequence.rotate_left(32) ^ seed);
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    for (index, byte) in high.to_be_bytes().into_iter().chain(low.to_be_bytes()).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// Appends bytes as the inside of a JSON string; bytes that are no UTF-8 pass as they are.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// What is wrong with one field of an otherwise good event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldFault {
    /// The field is left out.
    Omit(String),
    /// The field's value is this JSON text instead.
    Replace(String, String),
}

/// Writes one JSON object, field by field.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    fault: Option<&'a FieldFault>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>, fault: Option<&'a FieldFault>) -> Self {
        out.push(b'{');
        Self { out, fault, first: true }
    }

    /// Writes the name; the buffer for the value, unless a fault has taken its place.
    pub(crate) fn field(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        if let Some(FieldFault::Omit(omitted)) = self.fault
            && omitted == name
        {
            return None;
        }
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        if let Some(FieldFault::Replace(replaced, json)) = self.fault
            && replaced == name
        {
            self.out.extend_from_slice(json.as_bytes());
            return None;
        }
        Some(self.out)
    }

    /// A text field whose value needs no escaping.
    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        if let Some(out) = self.field(name) {
            out.push(b'"');
            out.extend_from_slice(value);
            out.push(b'"');
        }
    }

    pub(crate) fn integer(&mut self, name: &str, value: i64) {
        if let Some(out) = self.field(name) {
            push_integer(out, value);
        }
    }

    pub(crate) fn decimal(&mut self, name: &str, mantissa: i64, scale: u32) {
        if let Some(out) = self.field(name) {
            push_decimal(out, mantissa, scale);
        }
    }

    pub(crate) fn time(&mut self, name: &str, time_us: i64, micros: bool) {
        if let Some(out) = self.field(name) {
            out.push(b'"');
            push_time(out, time_us, micros);
            out.push(b'"');
        }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn times_agree_with_jiff_over_leap_days_and_before_the_epoch() {
        for time_us in
            [0, -1_000, 951_782_399_999_000, 1_709_164_800_000_000, 4_102_444_799_123_000, 1_517_966_773_840_000]
        {
            let text = written(|out| push_time(out, time_us, false));
            let read: jiff::Timestamp = text.parse().expect("RFC 3339");
            assert_eq!(read.as_microsecond(), time_us, "{text}");
        }
        assert_eq!(written(|out| push_time(out, 1_000_001, true)), "1970-01-01T00:00:01.000001Z");
    }

    #[test]
    fn decimals_lose_trailing_zeros_and_nothing_else() {
        for (mantissa, text) in [(0, "0"), (1, "0.0001"), (12_3400, "12.34"), (-50_000, "-5"), (99_9999, "99.9999")] {
            assert_eq!(written(|out| push_decimal(out, mantissa, 4)), text);
        }
    }

    #[test]
    fn a_uuid_has_the_marks_of_version_four() {
        let text = written(|out| push_uuid(out, 1, 2));
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        assert_ne!(text, written(|out| push_uuid(out, 1, 3)));
    }
}
