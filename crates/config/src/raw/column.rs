//! Columns: a type in text, or a mapping with its parts.

use super::Spanned;
use super::fields::{Cursor, Fields};
use super::stream::RawColumn;
use crate::keys;
use crate::problem::Report;
use crate::type_text::{self, TypeText};
use watertight_core::schema::{ColumnType, TimestampForm};

pub(super) fn column(name: Spanned<String>, cursor: &Cursor<'_>, report: &mut Report) -> RawColumn {
    let at = cursor.node.at;
    if cursor.is_text() {
        let kind = text_kind(cursor, report);
        return RawColumn { name, at, kind, required: false, path: None };
    }
    let mut column = RawColumn { name, at, kind: None, required: false, path: None };
    let Some(mut fields) = Fields::open(cursor, &keys::COLUMN, report) else { return column };
    column.required = fields.boolean("required", report).is_some_and(|required| required.value);
    column.path = fields.take("path").and_then(|cursor| path(&cursor, report));
    column.kind = kind(&mut fields, report);
    fields.close();
    column
}

/// `a.b.c` or a list of keys.
fn path(cursor: &Cursor<'_>, report: &mut Report) -> Option<Vec<String>> {
    if !cursor.is_text() {
        let keys = cursor.list("a path such as a.b.c, or a list of keys", report)?;
        return keys.iter().map(|key| key.text("a key", report).map(|key| key.value)).collect();
    }
    let text = cursor.text("a path such as a.b.c", report)?;
    let keys: Vec<String> = text.value.split('.').map(str::to_owned).collect();
    if keys.iter().any(String::is_empty) {
        let suggestion = Some("write a list of keys when a key holds a dot: [\"a.b\", c]".into());
        text.problem(report, "a path has an empty key", suggestion);
        return None;
    }
    Some(keys)
}

/// A type in text that is whole by itself.
fn text_kind(cursor: &Cursor<'_>, report: &mut Report) -> Option<ColumnType> {
    let text = cursor.parsed("a type", report, type_text::parse)?;
    match text.value {
        TypeText::Whole(kind) => Some(kind),
        TypeText::BareList => {
            text.problem(report, "a list needs the type of its items", Some("for example list<string>".into()));
            None
        }
        TypeText::BareStruct => {
            text.problem(report, "a struct needs its fields", Some("for example \"struct<a: int, b: string>\"".into()));
            None
        }
    }
}

/// A type from the keys `type`, `format`, `fields` and `items`.
fn kind(keys: &mut Fields<'_>, report: &mut Report) -> Option<ColumnType> {
    let (has_format, has_fields, has_items) = (keys.has("format"), keys.has("fields"), keys.has("items"));
    let text = keys.take("type").and_then(|cursor| cursor.parsed("a type", report, type_text::parse));
    let format = keys.one_of("format", report);
    let fields = keys.take("fields").map(|cursor| struct_fields(&cursor, report));
    let items = keys.take("items").map(|cursor| item(&cursor, report));
    let text = text?;
    let is_timestamp = matches!(text.value, TypeText::Whole(ColumnType::Timestamp(_)));
    let stray = [
        (has_format && !is_timestamp, "format", "type timestamp"),
        (has_fields && text.value != TypeText::BareStruct, "fields", "type struct"),
        (has_items && text.value != TypeText::BareList, "items", "type list"),
    ];
    for (_, key, wanted) in stray.into_iter().filter(|(stray, ..)| *stray) {
        text.problem(report, format!("'{key}' goes with {wanted} only"), None);
    }
    match text.value.clone() {
        TypeText::Whole(ColumnType::Timestamp(_)) => Some(ColumnType::Timestamp(form(format?.value))),
        TypeText::Whole(kind) => Some(kind),
        TypeText::BareList if has_items => Some(ColumnType::List(Box::new(items??))),
        TypeText::BareList => {
            text.problem(
                report,
                "a list needs the type of its items",
                Some("write list<string>, or add 'items'".into()),
            );
            None
        }
        TypeText::BareStruct if has_fields => Some(ColumnType::Struct(fields??)),
        TypeText::BareStruct => {
            text.problem(report, "a struct needs its fields", Some("add 'fields', or write \"struct<a: int>\"".into()));
            None
        }
    }
}

fn item(cursor: &Cursor<'_>, report: &mut Report) -> Option<ColumnType> {
    if cursor.is_text() {
        return text_kind(cursor, report);
    }
    let mut fields = Fields::open(cursor, &keys::ITEM, report)?;
    let kind = kind(&mut fields, report);
    fields.close();
    kind
}

fn struct_fields(cursor: &Cursor<'_>, report: &mut Report) -> Option<Vec<(String, ColumnType)>> {
    let named = cursor.named("the fields of a struct", report)?;
    // All of them are read before the first that is wrong ends it, so that each wrong one is reported.
    let read: Vec<_> = named.into_iter().map(|(name, cursor)| Some((name.value, item(&cursor, report)?))).collect();
    read.into_iter().collect::<Option<Vec<_>>>().filter(|fields| !fields.is_empty())
}

/// The form at an index of [`keys::FORMATS`].
fn form(index: usize) -> TimestampForm {
    match index {
        0 => TimestampForm::Rfc3339,
        1 => TimestampForm::EpochSeconds,
        2 => TimestampForm::EpochMillis,
        3 => TimestampForm::EpochMicros,
        _ => TimestampForm::EpochNanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_of_the_table_has_its_form() {
        use TimestampForm::{EpochMicros, EpochMillis, EpochNanos, EpochSeconds, Rfc3339};
        let forms: Vec<_> = keys::FORMATS.iter().enumerate().map(|(index, name)| (*name, form(index))).collect();
        let want = [
            ("rfc3339", Rfc3339),
            ("epoch_s", EpochSeconds),
            ("epoch_ms", EpochMillis),
            ("epoch_us", EpochMicros),
            ("epoch_ns", EpochNanos),
        ];
        assert_eq!(forms, want);
    }
}
