//! Where a definition looks for its values: the declared paths as a tree of objects, and the way along them.

use crate::expect::definition::{Column, ColumnType, DuplicateKeys};
use crate::expect::json::{Json, Member};

/// What a key of an object on a declared path leads to.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An object whose members are declared.
    Object(Paths),
    /// The value of these columns.
    Value(Vec<usize>),
}

/// The declared keys of one object, in the order of the definition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths(Vec<(String, Place)>);

impl Paths {
    /// The tree of a definition's columns.
    ///
    /// # Errors
    /// Where columns contradict each other; the pipeline refuses such a definition, so it was never in force.
    pub(crate) fn of(columns: &[Column]) -> Result<Self, String> {
        let mut paths = Self::default();
        for (index, column) in columns.iter().enumerate() {
            paths.add(&column.path, index, &column.name)?;
        }
        paths.check_shared(columns)?;
        Ok(paths)
    }

    fn add(&mut self, path: &[String], column: usize, name: &str) -> Result<(), String> {
        let [key, below @ ..] = path else { return Err(format!("column '{name}' has an empty path")) };
        let inside = || format!("column '{name}' reads inside another, or another inside it");
        let place = match self.0.iter().position(|(known, _)| known == key) {
            Some(at) => self.0.get_mut(at).map(|(_, place)| place),
            None => {
                let new = if below.is_empty() { Place::Value(Vec::new()) } else { Place::Object(Self::default()) };
                self.0.push((key.clone(), new));
                self.0.last_mut().map(|(_, place)| place)
            }
        };
        match (place, below) {
            (Some(Place::Value(columns)), []) => {
                columns.push(column);
                Ok(())
            }
            (Some(Place::Object(paths)), [_, ..]) => paths.add(below, column, name),
            _ => Err(inside()),
        }
    }

    /// Plain columns may share a value; a list or a struct has its own.
    fn check_shared(&self, columns: &[Column]) -> Result<(), String> {
        let nested = |index: &usize| columns.get(*index).is_some_and(|column| is_nested(&column.kind));
        for (key, place) in &self.0 {
            match place {
                Place::Object(paths) => paths.check_shared(columns)?,
                Place::Value(sharing) if sharing.len() > 1 && sharing.iter().any(nested) => {
                    return Err(format!("several columns take the list or struct '{key}'"));
                }
                Place::Value(_) => {}
            }
        }
        Ok(())
    }

    /// What a key leads to, if it is declared.
    pub(crate) fn get(&self, key: &str) -> Option<&Place> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, place)| place)
    }

    /// The declared keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0.iter().map(|(key, place)| (key.as_str(), place))
    }
}

/// Whether values of a type are taken apart.
pub(crate) fn is_nested(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::List(_) | ColumnType::Struct(_))
}

/// The value of a key that counts. Where repeats are rejected it is the first: the record is then no row, but what else
/// is said about it follows from that one.
pub(crate) fn pick<'j>(members: &'j [Member], key: &str, rule: DuplicateKeys) -> Option<&'j Json> {
    let mut of_key = members.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    match rule {
        DuplicateKeys::Reject | DuplicateKeys::First => of_key.next(),
        DuplicateKeys::Last => of_key.next_back(),
    }
}

/// What stands at the end of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'j> {
    /// A value, null included.
    Value(&'j Json),
    /// Nothing: a key is not there, or null.
    Absent,
    /// The way leads through a value that is neither object nor null.
    Misplaced,
}

/// Follows a path.
pub(crate) fn find<'j>(members: &'j [Member], path: &[String], rule: DuplicateKeys) -> Found<'j> {
    let mut members = members;
    let mut path = path;
    loop {
        let [key, below @ ..] = path else { return Found::Absent };
        match pick(members, key, rule) {
            None => return Found::Absent,
            Some(value) if below.is_empty() => return Found::Value(value),
            Some(Json::Null) => return Found::Absent,
            Some(Json::Object(inner)) => {
                members = inner;
                path = below;
            }
            Some(_) => return Found::Misplaced,
        }
    }
}
