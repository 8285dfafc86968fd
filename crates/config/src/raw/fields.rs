//! Reading a mapping by its section of the table of keys.
//!
//! [`Fields::open`] reports unknown, repeated and missing keys; each reader then takes its keys by name, with bounds and
//! defaults from the table. A reader that asks for a key the table doesn't have, or leaves one untaken, fails an
//! assertion in tests: table and reader know the same keys.

use super::Spanned;
use crate::keys::{Key, Need, Section, Shape};
use crate::problem::{Place, Report};
use crate::suggest::did_you_mean;
use crate::units::{self, Unreadable};
use crate::yaml::{Entry, Kind, Node, below, quoted};
use watertight_core::schema::{NameError, check_name};

/// A node and its path.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

/// Least and largest value, and how they are written.
type Bounds<'a, T> = (T, T, &'a dyn Fn(T) -> String);

/// The keys of one mapping.
pub(super) struct Fields<'n> {
    section: &'static Section,
    at: Place,
    path: String,
    found: Vec<&'n Entry>,
    untaken: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping; reports what it isn't, and unknown, repeated and missing keys.
    pub(super) fn open(cursor: &Cursor<'n>, section: &'static Section, report: &mut Report) -> Option<Self> {
        let entries = cursor.mapping(section.what, report)?;
        let mut found: Vec<&Entry> = Vec::new();
        for entry in entries {
            let path = below(&cursor.path, &entry.key);
            if let Some(first) = found.iter().find(|first| first.key == entry.key) {
                beside(entry, first, &cursor.path, report);
            } else if section.key(&entry.key).is_some() {
                found.push(entry);
            } else {
                report.add(entry.at, &path, unknown(&entry.key, section), suggestion(&entry.key, section));
            }
        }
        for key in section.keys {
            let there = found.iter().any(|entry| section.key(&entry.key).is_some_and(|found| found.name == key.name));
            if key.need == Need::Required && !there {
                let message = format!("missing key '{}' in {}", key.name, section.what);
                report.add(cursor.node.at, &cursor.path, message, None);
            }
        }
        one_of_these(cursor, section, &found, report);
        let untaken = section.keys.iter().map(|key| key.name).collect();
        Some(Self { section, at: cursor.node.at, path: cursor.path.clone(), found, untaken })
    }

    /// A section that the file doesn't hold: every key has its default.
    pub(super) fn absent(section: &'static Section) -> Self {
        let untaken = section.keys.iter().map(|key| key.name).collect();
        Self { section, at: Place { line: 0, column: 0 }, path: String::new(), found: Vec::new(), untaken }
    }

    /// All keys of the table have been taken.
    pub(super) fn close(self) {
        debug_assert!(self.untaken.is_empty(), "{} leaves {:?} unread", self.section.id, self.untaken);
    }

    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Cursor<'n>> {
        debug_assert!(self.untaken.contains(&name), "{} asks for '{name}' twice or without the table", self.section.id);
        self.untaken.retain(|key| *key != name);
        let entry = self.found.iter().find(|entry| entry.key == name)?;
        Some(Cursor { node: &entry.value, path: below(&self.path, name) })
    }

    /// Where the mapping stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.found.iter().any(|entry| entry.key == name)
    }

    /// What is written of a secret, by whichever of its names; it counts as taken.
    pub(super) fn entries_of(&mut self, name: &str) -> Vec<&'n Entry> {
        self.take(name);
        let about = |entry: &&&Entry| self.section.key(&entry.key).is_some_and(|key| key.name == name);
        self.found.iter().filter(about).copied().collect()
    }

    pub(super) fn shape(&self, name: &str) -> Option<&'static Key> {
        self.section.key(name)
    }

    /// What the table says holds when the key is absent.
    pub(super) fn default<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, Unreadable>) -> Option<Spanned<T>> {
        match self.shape(name)?.need {
            Need::Default(text) => {
                let value = read(text).ok();
                debug_assert!(value.is_some(), "default of {name} is readable");
                Some(Spanned { value: value?, shown: text.into(), at: self.at, path: below(&self.path, name) })
            }
            Need::Required | Need::OneOfThese | Need::Optional => None,
        }
    }

    /// A value with a unit or bounds; the default of the table when the key is absent.
    fn quantity<T: Copy + PartialOrd>(
        &mut self,
        name: &str,
        report: &mut Report,
        read: impl Fn(&str) -> Result<T, Unreadable>,
        bounds: Option<Bounds<'_, T>>,
    ) -> Option<Spanned<T>> {
        let Some(cursor) = self.take(name) else { return self.default(name, read) };
        let value = cursor.parsed(name, report, read)?;
        if let Some((min, max, show)) = bounds.filter(|(min, max, _)| value.value < *min || value.value > *max) {
            value.problem(report, format!("{name} must be between {} and {}", show(min), show(max)), None);
            return None;
        }
        Some(value)
    }

    pub(super) fn duration(&mut self, name: &str, report: &mut Report) -> Option<Spanned<i64>> {
        let Some(Shape::Duration { min, max }) = self.shape(name).map(|key| &key.shape) else { return None };
        self.quantity(name, report, units::duration_us, Some((*min, *max, &units::show_duration)))
    }

    pub(super) fn size(&mut self, name: &str, report: &mut Report) -> Option<Spanned<u64>> {
        let Some(Shape::Size { min, max }) = self.shape(name).map(|key| &key.shape) else { return None };
        self.quantity(name, report, units::size_bytes, Some((*min, *max, &units::show_size)))
    }

    pub(super) fn whole(&mut self, name: &str, report: &mut Report) -> Option<Spanned<u64>> {
        let Some(Shape::Whole { min, max }) = self.shape(name).map(|key| &key.shape) else { return None };
        self.quantity(name, report, units::whole, Some((*min, *max, &|number| number.to_string())))
    }

    pub(super) fn instant(&mut self, name: &str, report: &mut Report) -> Option<Spanned<i64>> {
        self.quantity(name, report, units::instant_us, None)
    }

    pub(super) fn boolean(&mut self, name: &str, report: &mut Report) -> Option<Spanned<bool>> {
        let read = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Unreadable { message: "expected true or false".into(), suggestion: None }),
        };
        self.quantity(name, report, read, None)
    }

    /// One of the words of the table, as its index there.
    pub(super) fn one_of(&mut self, name: &str, report: &mut Report) -> Option<Spanned<usize>> {
        let Some(Shape::OneOf(words)) = self.shape(name).map(|key| &key.shape) else { return None };
        let read = |text: &str| {
            words.iter().position(|word| *word == text).ok_or_else(|| Unreadable {
                message: format!("expected one of {}", words.join(", ")),
                suggestion: did_you_mean(text, words.iter().copied()),
            })
        };
        self.quantity(name, report, read, None)
    }

    /// Text that isn't empty.
    pub(super) fn text(&mut self, name: &str, report: &mut Report) -> Option<Spanned<String>> {
        let hint = match self.shape(name).map(|key| &key.shape) {
            Some(Shape::Text { hint }) => hint,
            _ => "a name",
        };
        self.take(name)?.text(hint, report)
    }

    /// A checked name.
    pub(super) fn name(&mut self, name: &str, report: &mut Report) -> Option<Spanned<String>> {
        let text = self.text(name, report)?;
        checked(text, report)
    }
}

/// Checks a name that becomes paths and SQL.
pub(super) fn checked(name: Spanned<String>, report: &mut Report) -> Option<Spanned<String>> {
    match check_name(&name.value) {
        Ok(()) => Some(name),
        Err(error) => {
            let why = if name.value == name.shown {
                refused(&name.value, &error)
            } else {
                format!("what {} stands for", quoted(&name.shown))
            };
            name.problem(report, format!("bad name: {why}"), None);
            None
        }
    }
}

/// Why a name is refused; the name as it was written, as far as it can be printed.
fn refused(name: &str, error: &NameError) -> String {
    match error {
        NameError::Character { found, .. } => {
            format!("{} contains {found:?}; use letters, digits and _ only", quoted(name))
        }
        NameError::TooLong(_) => format!("{} is longer than 128 characters", quoted(name)),
        NameError::Empty | NameError::LeadingDigit(_) | NameError::Reserved(_) => error.to_string(),
    }
}

impl<'n> Cursor<'n> {
    fn expected(&self, what: &str, report: &mut Report) {
        if !matches!(self.node.kind, Kind::Failed) {
            report.add(self.node.at, &self.path, format!("expected {what}, found {}", self.node.describe()), None);
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.node.kind, Kind::Scalar { .. } | Kind::Failed | Kind::Null)
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node.kind, Kind::Mapping(_))
    }

    pub(super) fn text(&self, what: &str, report: &mut Report) -> Option<Spanned<String>> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if text.trim().is_empty() => {
                report.add(self.node.at, &self.path, format!("expected {what}, found an empty value"), None);
                None
            }
            Kind::Scalar { text, shown } => {
                Some(Spanned { value: text.clone(), shown: shown.clone(), at: self.node.at, path: self.path.clone() })
            }
            _ => {
                self.expected(what, report);
                None
            }
        }
    }

    /// Text turned into a value. Where a variable was filled in, the problem shows the variable, not its value.
    pub(super) fn parsed<T>(
        &self,
        what: &str,
        report: &mut Report,
        read: impl Fn(&str) -> Result<T, Unreadable>,
    ) -> Option<Spanned<T>> {
        let text = self.text(&format!("a value for {what}"), report)?;
        match read(&text.value) {
            Ok(value) => Some(text.map(|_| value)),
            Err(error) => {
                let filled = matches!(&self.node.kind, Kind::Scalar { shown, text } if shown != text);
                let (message, suggestion) = if filled {
                    (format!("what {} stands for cannot be read as a value for {what}", self.node.describe()), None)
                } else if error.message.starts_with("expected") {
                    (format!("{}, found {}", error.message, self.node.describe()), error.suggestion)
                } else {
                    (error.message, error.suggestion)
                };
                text.problem(report, message, suggestion);
                None
            }
        }
    }

    pub(super) fn list(&self, what: &str, report: &mut Report) -> Option<Vec<Self>> {
        match &self.node.kind {
            Kind::Sequence(items) if !items.is_empty() => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, node)| Self { node, path: format!("{}[{index}]", self.path) })
                    .collect(),
            ),
            Kind::Sequence(_) => {
                report.add(self.node.at, &self.path, format!("expected {what}, found an empty list"), None);
                None
            }
            _ => {
                self.expected(what, report);
                None
            }
        }
    }

    pub(super) fn mapping(&self, what: &str, report: &mut Report) -> Option<&'n [Entry]> {
        match &self.node.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => {
                self.expected(&format!("{what} (a mapping)"), report);
                None
            }
        }
    }

    /// A mapping from names to values: `(name, its place, value)`; bad names are reported, repeated ones
    /// are also left out.
    pub(super) fn named(&self, what: &str, report: &mut Report) -> Option<Vec<(Spanned<String>, Self)>> {
        let entries = self.mapping(what, report)?;
        if entries.is_empty() {
            report.add(self.node.at, &self.path, format!("expected {what}, found an empty mapping"), None);
        }
        let mut named: Vec<(Spanned<String>, Self)> = Vec::new();
        let mut seen: Vec<&Entry> = Vec::new();
        for entry in entries {
            let path = below(&self.path, &entry.key);
            let key = Spanned { value: entry.key.clone(), shown: entry.key.clone(), at: entry.at, path: path.clone() };
            let same = seen.iter().find(|first| first.key.eq_ignore_ascii_case(&entry.key));
            if let Some(first) = same {
                let message = if first.key == entry.key {
                    repeated(first)
                } else {
                    format!("'{}' differs from '{}' (line {}) in case only", entry.key, first.key, first.at.line)
                };
                key.problem(report, message, Some("keep one, or give it another name".into()));
                continue;
            }
            seen.push(entry);
            // What stands behind a bad name is read all the same, for what is to be said of it.
            checked(key.clone(), report);
            named.push((key, Self { node: &entry.value, path }));
        }
        Some(named)
    }
}

/// Of the keys of which there must be one, there is one, and no second.
fn one_of_these(cursor: &Cursor<'_>, section: &Section, found: &[&Entry], report: &mut Report) {
    let these: Vec<&str> = section.keys.iter().filter(|key| key.need == Need::OneOfThese).map(|key| key.name).collect();
    let mut there = found.iter().filter(|entry| these.contains(&entry.key.as_str()));
    match (these.split_last(), there.next()) {
        (None, _) => {}
        (Some((last, others)), None) => {
            let message = format!("{} needs '{}' or '{last}'", section.what, others.join("', '"));
            report.add(cursor.node.at, &cursor.path, message, None);
        }
        (Some(_), Some(first)) => there.for_each(|second| beside(second, first, &cursor.path, report)),
    }
}

/// Reports a key of the mapping at `path` that says again, or otherwise, what another one has said.
pub(super) fn beside(entry: &Entry, first: &Entry, path: &str, report: &mut Report) {
    let message = if entry.key == first.key {
        repeated(first)
    } else {
        format!("'{}' stands beside '{}' (line {})", entry.key, first.key, first.at.line)
    };
    report.add(entry.at, &below(path, &entry.key), message, Some("keep one".into()));
}

fn repeated(first: &Entry) -> String {
    format!("key '{}' is already there in line {}", first.key, first.at.line)
}

fn unknown(key: &str, section: &Section) -> String {
    format!("unknown key {} in {}", quoted(key), section.what)
}

fn suggestion(key: &str, section: &Section) -> Option<String> {
    let known: Vec<String> = section.names().collect();
    did_you_mean(key, known.iter().map(String::as_str)).or_else(|| Some(format!("known keys: {}", known.join(", "))))
}
