//! Types in text: `string`, `decimal(18,4)`, `list<long>`, `struct<a: int, b: list<string>>`.
//!
//! ```text
//! type   := word | decimal ( precision , scale ) | list < type > | struct < name : type { , name : type } >
//! word   := string boolean int long float double date timestamp binary
//! ```
//! Spaces are allowed between the parts. A timestamp in a type in text has the form RFC 3339.

use crate::suggest::did_you_mean;
use crate::units::Unreadable;
use watertight_core::schema::{ColumnType, TimestampForm, check_name};

/// Types in types beyond this are refused: every reader of a type is recursive.
const DEPTH_MAX: usize = 16;

const WORDS: [&str; 12] =
    ["string", "boolean", "int", "long", "float", "double", "decimal", "date", "timestamp", "binary", "list", "struct"];

/// What other systems call these types.
const OTHER_WORDS: [(&str, &str); 22] = [
    ("str", "string"),
    ("text", "string"),
    ("varchar", "string"),
    ("bool", "boolean"),
    ("integer", "int"),
    ("int32", "int"),
    ("smallint", "int"),
    ("bigint", "long"),
    ("int64", "long"),
    ("real", "float"),
    ("float32", "float"),
    ("float64", "double"),
    ("number", "double"),
    ("numeric", "decimal(p,s)"),
    ("datetime", "timestamp"),
    ("timestamptz", "timestamp"),
    ("time", "timestamp"),
    ("bytes", "binary"),
    ("blob", "binary"),
    ("array", "list<T>"),
    ("object", "struct<a: T>"),
    ("map", "struct<a: T>"),
];

/// A type in text; `list` and `struct` without their parts are left to the keys `items` and `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeText {
    Whole(ColumnType),
    BareList,
    BareStruct,
}

/// Reads a type.
pub(crate) fn parse(text: &str) -> Result<TypeText, Unreadable> {
    match text.trim() {
        "list" => return Ok(TypeText::BareList),
        "struct" => return Ok(TypeText::BareStruct),
        _ => {}
    }
    let mut reader = Reader { rest: text };
    let kind = reader.kind(0)?;
    reader.spaces();
    if reader.rest.is_empty() {
        Ok(TypeText::Whole(kind))
    } else {
        Err(fault(format!("'{}' after the type", reader.rest.escape_debug()), None))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

fn fault(message: String, suggestion: Option<String>) -> Unreadable {
    Unreadable { message, suggestion }
}

impl<'a> Reader<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, mark: char) -> bool {
        self.spaces();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, mark: char, example: &str) -> Result<(), Unreadable> {
        if self.take(mark) {
            return Ok(());
        }
        let place = match self.rest {
            "" => "at its end".to_owned(),
            rest => format!("before '{}'", rest.escape_debug()),
        };
        Err(fault(format!("the type needs a '{mark}' {place}"), Some(format!("for example {example}"))))
    }

    fn word(&mut self) -> &'a str {
        self.spaces();
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn kind(&mut self, depth: usize) -> Result<ColumnType, Unreadable> {
        if depth > DEPTH_MAX {
            return Err(fault(format!("types nested more than {DEPTH_MAX} deep"), None));
        }
        Ok(match self.word() {
            "string" => ColumnType::String,
            "boolean" => ColumnType::Boolean,
            "int" => ColumnType::Int,
            "long" => ColumnType::Long,
            "float" => ColumnType::Float,
            "double" => ColumnType::Double,
            "date" => ColumnType::Date,
            "timestamp" => ColumnType::Timestamp(TimestampForm::Rfc3339),
            "binary" => ColumnType::Binary,
            "decimal" => self.decimal()?,
            "list" => {
                self.expect('<', "list<string>")?;
                let item = self.kind(depth + 1)?;
                self.expect('>', "list<string>")?;
                ColumnType::List(Box::new(item))
            }
            "struct" => ColumnType::Struct(self.fields(depth)?),
            other => return Err(unknown(other)),
        })
    }

    fn decimal(&mut self) -> Result<ColumnType, Unreadable> {
        const EXAMPLE: &str = "decimal(18,4)";
        self.expect('(', EXAMPLE)?;
        let precision = self.word().parse().unwrap_or(0_u8);
        self.expect(',', EXAMPLE)?;
        let scale = self.word().parse().unwrap_or(u8::MAX);
        self.expect(')', EXAMPLE)?;
        if !(1..=38).contains(&precision) || scale > precision {
            let message = "decimal(p,s) has 1 to 38 digits, s of them after the point (s ≤ p)".to_owned();
            return Err(fault(message, Some(format!("for example {EXAMPLE}"))));
        }
        Ok(ColumnType::Decimal { precision, scale })
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(String, ColumnType)>, Unreadable> {
        const EXAMPLE: &str = "struct<a: int, b: string>";
        self.expect('<', EXAMPLE)?;
        let mut fields: Vec<(String, ColumnType)> = Vec::new();
        loop {
            let name = self.word();
            check_name(name).map_err(|error| {
                fault(format!("bad name of a field: {error}"), Some(format!("for example {EXAMPLE}")))
            })?;
            if fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(fault(format!("field '{name}' stands twice in the struct"), None));
            }
            self.expect(':', EXAMPLE)?;
            fields.push((name.to_owned(), self.kind(depth + 1)?));
            if !self.take(',') {
                break;
            }
        }
        self.expect('>', EXAMPLE)?;
        Ok(fields)
    }
}

fn unknown(word: &str) -> Unreadable {
    if word.is_empty() {
        return fault("expected a type".into(), Some(format!("types: {}", WORDS.join(", "))));
    }
    let suggestion = OTHER_WORDS
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(word))
        .map(|(_, ours)| format!("did you mean '{ours}'?"))
        .or_else(|| did_you_mean(word, WORDS))
        .unwrap_or_else(|| format!("types: {}", WORDS.join(", ")));
    fault(format!("unknown type '{word}'"), Some(suggestion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_with_their_parts() {
        use ColumnType::{Decimal, Int, List, Long, String, Struct};
        for (text, want) in [
            ("string", String),
            (" decimal( 18 , 4 ) ", Decimal { precision: 18, scale: 4 }),
            ("list<list<long>>", List(Box::new(List(Box::new(Long))))),
            ("struct<a: int, b: list<string>>", Struct(vec![("a".into(), Int), ("b".into(), List(Box::new(String)))])),
        ] {
            assert_eq!(parse(text), Ok(TypeText::Whole(want)), "{text}");
        }
        assert_eq!(parse("list"), Ok(TypeText::BareList));
    }

    #[test]
    fn a_type_that_does_not_exist_is_answered_with_the_one_that_does() {
        for (text, want) in [
            ("strin", "did you mean 'string'?"),
            ("BIGINT", "did you mean 'long'?"),
            ("decimal", "for example decimal(18,4)"),
            ("decimal(0,0)", "for example decimal(18,4)"),
            ("decimal(10,11)", "for example decimal(18,4)"),
            ("decimal(39,1)", "for example decimal(18,4)"),
            ("list<string", "for example list<string>"),
            ("struct<a int>", "for example struct<a: int, b: string>"),
            ("struct<>", "for example struct<a: int, b: string>"),
        ] {
            assert_eq!(parse(text).expect_err(text).suggestion.as_deref(), Some(want), "{text}");
        }
        for bad in ["string x", "struct<a: int, A: int>", "", &"list<".repeat(10_000)] {
            assert!(parse(bad).is_err(), "{bad:.20}");
        }
    }
}
