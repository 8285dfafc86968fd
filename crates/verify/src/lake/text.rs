//! Text of others in messages, and JSON of others compared.

use serde_json::Value;

/// Characters of foreign text that a message shows.
const SHOWN_MAX: usize = 160;

/// Foreign text as a message may show it: short, and without characters that act on a terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Whether two JSON texts say the same: whatever the order of keys and the way numbers are written; a key that is null
/// says as much as one that is absent.
pub(super) fn same_json(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)) {
        (Ok(one), Ok(other)) => same(&one, &other),
        _ => false,
    }
}

/// Depth is bounded by the parser's limit.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let within = |key: &String, value: &Value, there: &serde_json::Map<String, Value>| match there.get(key) {
                Some(found) => same(value, found),
                None => value.is_null(),
            };
            one.iter().all(|(key, value)| within(key, value, other))
                && other.iter().all(|(key, value)| one.contains_key(key) || value.is_null())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.to_string(), other.to_string());
            one == other || same_number(&one, &other)
        }
        (one, other) => one == other,
    }
}

/// Digits decide, not a double: the last digit of a long decimal counts. Only where an exponent is used do doubles.
fn same_number(one: &str, other: &str) -> bool {
    if [one, other].iter().any(|text| text.contains(['e', 'E'])) {
        return match (one.parse::<f64>(), other.parse::<f64>()) {
            (Ok(one), Ok(other)) => one.to_bits() == other.to_bits(),
            _ => false,
        };
    }
    fn bare(text: &str) -> &str {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
    }
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_json_written_otherwise_is_the_same() {
        assert!(same_json(r#"{"a":1.50,"b":[1,null]}"#, r#"{"b":[1,null],"a":1.5,"c":null}"#));
        assert!(same_json(r#"{"a":1e2}"#, r#"{"a":100}"#));
        assert!(same_json("not json", "not json"));
    }

    #[test]
    fn the_last_digit_of_a_long_number_counts() {
        assert!(!same_json("12345678901234567890.12", "12345678901234567890.13"));
        assert!(!same_json("100", "1"));
        assert!(!same_json(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
        assert!(!same_json(r#"{"a":1,"b":2}"#, r#"{"a":1}"#));
        assert!(!same_json("{", "}"));
    }

    #[test]
    fn foreign_text_is_short_and_tame() {
        assert_eq!(clean("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert!(clean(&"x".repeat(100_000)).len() < 200);
    }
}
