//! Where one statement ends and the next begins, without parsing SQL: quotes and comments are all that matters.

/// Splits text at the semicolons outside quotes and comments. Gives the statements that are not empty, without their
/// semicolon, and whether the last one was closed by one.
#[must_use]
pub fn split(text: &str) -> (Vec<&str>, bool) {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut has_words = false;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b';' => {
                if has_words {
                    statements.push(text[start..at].trim());
                }
                at += 1;
                start = at;
                has_words = false;
            }
            quote @ (b'\'' | b'"') => {
                has_words = true;
                at = behind_quote(bytes, at + 1, quote);
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = behind_comment(bytes, at + 2),
            byte => {
                has_words |= !byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
    let closed = !has_words;
    if has_words {
        statements.push(text[start..].trim());
    }
    (statements, closed)
}

/// A doubled quote is two quotes in a row: it closes and opens again, which ends at the same place.
fn behind_quote(bytes: &[u8], from: usize, quote: u8) -> usize {
    bytes[from..].iter().position(|byte| *byte == quote).map_or(bytes.len(), |end| from + end + 1)
}

/// Comments nest, as in standard SQL.
fn behind_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while at < bytes.len() && depth > 0 {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"*/" => {
                depth -= 1;
                at += 2;
            }
            b"/*" => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        assert_eq!(split("select 1; select 2;"), (vec!["select 1", "select 2"], true));
        assert_eq!(split("select ';', \"a;b\" -- no; end\n, 1"), (vec!["select ';', \"a;b\" -- no; end\n, 1"], false));
        assert_eq!(split("select 'it''s; fine';"), (vec!["select 'it''s; fine'"], true));
        assert_eq!(split("/* a; /* b; */ c; */ select 1;"), (vec!["/* a; /* b; */ c; */ select 1"], true));
        assert_eq!(split(" ;; \n -- nothing\n"), (vec![], true));
        assert_eq!(split("select 'open; "), (vec!["select 'open;"], false));
        assert_eq!(split("select 'é;';x"), (vec!["select 'é;'", "x"], false));
    }
}
