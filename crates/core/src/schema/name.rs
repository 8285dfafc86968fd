//! Names that become paths and SQL: an allow-list, checked once, where they enter.

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than 128 bytes: with prefixes and suffixes it would pass file systems' limit of 255.
    #[error("'{0}…' is longer than 128 characters")]
    TooLong(String),
    /// A character outside letters, digits and `_`.
    #[error("'{name}' contains {found:?}; use letters, digits and _ only")]
    Character {
        /// The name, escaped.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// Begins with a digit.
    #[error("'{0}' begins with a digit; begin with a letter or _")]
    LeadingDigit(String),
    /// Begins with `_`, which is kept for Watertight's own columns.
    #[error("'{0}' begins with _, which Watertight keeps for its own columns")]
    Reserved(String),
}

/// Checks the name of a stream, model, column or check: ASCII letters, digits and `_`, beginning with a letter.
///
/// # Errors
/// [`NameError`] says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > 128 {
        return Err(NameError::TooLong(name.chars().take(32).flat_map(char::escape_default).collect()));
    }
    if let Some(found) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '_')) {
        return Err(NameError::Character { name: name.escape_default().to_string(), found });
    }
    match name.as_bytes()[0] {
        b'0'..=b'9' => Err(NameError::LeadingDigit(name.to_owned())),
        b'_' => Err(NameError::Reserved(name.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_digits_and_underscore_make_a_name() {
        for good in ["a", "stock_ticks", "T2"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "../x", "%2e", "a b", "a'b", "a\0b", "é", "1a", "_x", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
