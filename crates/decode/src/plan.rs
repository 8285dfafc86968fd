//! A stream's definition, compiled once: which keys lead to which column, and what a column must be.
//!
//! Contract: the declared paths form a tree of objects. Nodes (objects on the way) and slots (one per key that a path
//! names) are numbered depth first, so that everything below a key is one run of numbers. Reasons are made here, as text,
//! so that a bad record costs no formatting. What a payload holds is no concern of this module.

use std::ops::Range;
use watertight_core::schema::{Column, ColumnType, EventIdRule, PayloadLimits, StreamDef};

/// Paths and types may nest this deep: they are walked by recursion, so the bound keeps the stack small. Real
/// definitions stay below 6.
pub const DECLARED_DEPTH_MAX: usize = 32;

/// Why a definition can't be decoded by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeSetupError {
    /// Two columns of one name.
    #[error("column '{0}' is declared twice; rename one of them")]
    RepeatedColumn(String),
    /// A column without a path.
    #[error("column '{0}' has an empty path; name the keys that lead to its value, or leave the path out")]
    EmptyPath(String),
    /// A path or a type deeper than [`DECLARED_DEPTH_MAX`].
    #[error("column '{0}' nests deeper than {DECLARED_DEPTH_MAX} levels; flatten it or keep the value as a string")]
    TooNested(String),
    /// One column's path leads through the value of another.
    #[error("column '{inner}' reads inside column '{outer}'; declare one or the other")]
    PathInsidePath {
        /// The column whose whole value is taken.
        outer: String,
        /// The column that reaches into it.
        inner: String,
    },
    /// Two columns take the same value, and one of them is a list or a struct.
    #[error("columns '{0}' and '{1}' take the same list or struct; declare one of them")]
    SharedNested(String, String),
    /// A decimal type that doesn't exist.
    #[error(
        "column '{column}' is decimal({precision},{scale}); use a precision of 1 to 38 and a scale up to the precision"
    )]
    BadDecimal {
        /// The column.
        column: String,
        /// Its digits.
        precision: u8,
        /// Its digits after the point.
        scale: u8,
    },
    /// A struct without fields, or with two of one name.
    #[error("column '{0}' holds a struct without fields or with two fields of one name; name each field once")]
    BadStruct(String),
    /// The event time is neither a declared timestamp nor a date.
    #[error("the event time '{0}' is not a declared column of type timestamp or date; declare it so")]
    EventTime(String),
    /// A column of the event id is not declared, or is a list or struct.
    #[error("the event id's column '{0}' is not declared as a column of a plain type; declare it so")]
    EventId(String),
    /// A hashed event id of no columns.
    #[error("the event id is a hash of no columns; name the columns that make an event unique")]
    EmptyHash,
}

/// What a key of an object on a declared path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A value that one or more columns take.
    Leaf,
    /// The object of this node.
    Branch(usize),
}

/// A key that a declared path names.
#[derive(Debug)]
pub(crate) struct Member {
    /// The key.
    pub(crate) key: Box<str>,
    /// The key as JSON, with its quotes.
    pub(crate) key_json: Box<str>,
    /// What it leads to.
    pub(crate) target: Target,
    /// Its own slot, followed by those of everything below it.
    pub(crate) slots: Range<usize>,
    /// The nodes below it.
    pub(crate) nodes: Range<usize>,
    pattern: Option<Pattern>,
}

/// The first bytes of a key and its closing quote, for a comparison in one step.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    bytes: u128,
    mask: u128,
}

impl Member {
    /// Whether the key's text and its closing quote begin with these 16 bytes; if so, exactly this key stands there as
    /// long as [`Self::tail`] follows.
    #[inline]
    pub(crate) fn matches(&self, word: u128) -> bool {
        self.pattern.is_some_and(|pattern| word & pattern.mask == pattern.bytes)
    }

    /// What of the key and its closing quote lies beyond the first 16 bytes.
    #[inline]
    pub(crate) fn tail(&self) -> Option<&[u8]> {
        self.key_json.as_bytes().get(17..)
    }

    fn pattern(key: &str, key_json: &str) -> Option<Pattern> {
        // A key with escapes has more than one spelling: it is compared after they are resolved.
        if key_json.len() != key.len() + 2 {
            return None;
        }
        let text = &key_json.as_bytes()[1..];
        let length = text.len().min(16);
        let mut first = [0; 16];
        first[..length].copy_from_slice(&text[..length]);
        let mask = if length == 16 { u128::MAX } else { (1 << (8 * length)) - 1 };
        Some(Pattern { bytes: u128::from_le_bytes(first), mask })
    }
}

/// An object on a declared path, or the payload itself (node 0).
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The keys that lead on, in the order of the definition.
    pub(crate) members: Vec<Member>,
}

/// A declared column and its part in identity and time.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    pub(crate) kind: ColumnType,
    pub(crate) slot: usize,
    /// What an absent value is called, where it may not be absent.
    pub(crate) missing: Vec<String>,
    /// What an empty text is called, where it may not be empty.
    pub(crate) empty: Option<String>,
    /// Whether it is the event time.
    pub(crate) is_event_time: bool,
    /// Whether it is hashed into the event id.
    pub(crate) is_hashed: bool,
    pub(crate) wrong_type: String,
    pub(crate) wrong_range: String,
    pub(crate) wrong_precision: String,
}

/// A compiled definition.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) slots: usize,
    pub(crate) columns: Vec<ColumnPlan>,
    pub(crate) hashes_id: bool,
    pub(crate) not_before_us: i64,
    pub(crate) not_after_us: i64,
    pub(crate) limits: PayloadLimits,
}

impl Plan {
    /// Compiles `def`.
    pub(crate) fn new(def: &StreamDef) -> Result<Self, DecodeSetupError> {
        check(def)?;
        let mut plan = Self {
            nodes: Vec::new(),
            slots: 0,
            columns: Vec::with_capacity(def.columns.len()),
            hashes_id: matches!(def.event_id, EventIdRule::Hash(_)),
            not_before_us: def.event_time.not_before_us,
            not_after_us: def.event_time.not_after_us,
            limits: def.payload,
        };
        let mut slots = vec![0; def.columns.len()];
        let all: Vec<usize> = (0..def.columns.len()).collect();
        plan.grow(&def.columns, &all, 0, &mut slots)?;
        plan.columns = def.columns.iter().zip(slots).map(|(column, slot)| column_plan(def, column, slot)).collect();
        Ok(plan)
    }

    /// Adds the node whose keys are the paths of `columns` at `level`, and all below it; returns its number.
    fn grow(
        &mut self,
        declared: &[Column],
        columns: &[usize],
        level: usize,
        slots: &mut [usize],
    ) -> Result<usize, DecodeSetupError> {
        let node = self.nodes.len();
        self.nodes.push(Node::default());
        let mut keys: Vec<&str> = Vec::new();
        for column in columns {
            let key = declared[*column].path[level].as_str();
            if keys.contains(&key) {
                continue;
            }
            keys.push(key);
            let below: Vec<usize> =
                columns.iter().copied().filter(|other| declared[*other].path[level] == key).collect();
            let (slot, first_node) = (self.slots, self.nodes.len());
            self.slots += 1;
            let (leaves, branches): (Vec<usize>, Vec<usize>) =
                below.iter().partition(|other| declared[**other].path.len() == level + 1);
            let target = match (leaves.first(), branches.first()) {
                (Some(outer), Some(inner)) => {
                    return Err(DecodeSetupError::PathInsidePath {
                        outer: declared[*outer].name.clone(),
                        inner: declared[*inner].name.clone(),
                    });
                }
                (Some(_), None) => {
                    share(declared, &leaves)?;
                    leaves.iter().for_each(|leaf| slots[*leaf] = slot);
                    Target::Leaf
                }
                (None, _) => Target::Branch(self.grow(declared, &branches, level + 1, slots)?),
            };
            let key_json = key_json(key);
            let nodes = first_node..self.nodes.len();
            self.nodes[node].members.push(Member {
                pattern: Member::pattern(key, &key_json),
                key: key.into(),
                key_json: key_json.into(),
                target,
                slots: slot..self.slots,
                nodes,
            });
        }
        Ok(node)
    }
}

fn is_nested(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::List(_) | ColumnType::Struct(_))
}

/// Several plain columns may take one value; a list or a struct is taken once, so that what it leaves over is plain.
fn share(declared: &[Column], leaves: &[usize]) -> Result<(), DecodeSetupError> {
    match leaves {
        [first, second, ..] if leaves.iter().any(|leaf| is_nested(&declared[*leaf].kind)) => {
            Err(DecodeSetupError::SharedNested(declared[*first].name.clone(), declared[*second].name.clone()))
        }
        _ => Ok(()),
    }
}

fn check(def: &StreamDef) -> Result<(), DecodeSetupError> {
    for (index, column) in def.columns.iter().enumerate() {
        let name = || column.name.clone();
        if def.columns[..index].iter().any(|earlier| earlier.name == column.name) {
            return Err(DecodeSetupError::RepeatedColumn(name()));
        }
        if column.path.is_empty() {
            return Err(DecodeSetupError::EmptyPath(name()));
        }
        if column.path.len() > DECLARED_DEPTH_MAX {
            return Err(DecodeSetupError::TooNested(name()));
        }
        check_type(&column.name, &column.kind, 0)?;
    }
    let kind = |name: &str| def.column_index(name).map(|index| &def.columns[index].kind);
    if !matches!(kind(&def.event_time.column), Some(ColumnType::Timestamp(_) | ColumnType::Date)) {
        return Err(DecodeSetupError::EventTime(def.event_time.column.clone()));
    }
    let id_columns = match &def.event_id {
        EventIdRule::Column(name) => std::slice::from_ref(name),
        EventIdRule::Hash(names) if names.is_empty() => return Err(DecodeSetupError::EmptyHash),
        EventIdRule::Hash(names) => names,
    };
    match id_columns.iter().find(|name| kind(name).is_none_or(is_nested)) {
        Some(name) => Err(DecodeSetupError::EventId(name.clone())),
        None => Ok(()),
    }
}

fn check_type(column: &str, kind: &ColumnType, level: usize) -> Result<(), DecodeSetupError> {
    if level > DECLARED_DEPTH_MAX {
        return Err(DecodeSetupError::TooNested(column.to_owned()));
    }
    match kind {
        ColumnType::Decimal { precision, scale } if !(1..=38).contains(precision) || scale > precision => {
            Err(DecodeSetupError::BadDecimal { column: column.to_owned(), precision: *precision, scale: *scale })
        }
        ColumnType::List(item) => check_type(column, item, level + 1),
        ColumnType::Struct(fields) => {
            let repeated = |index: usize| fields[..index].iter().any(|(name, _)| *name == fields[index].0);
            if fields.is_empty() || (0..fields.len()).any(repeated) {
                return Err(DecodeSetupError::BadStruct(column.to_owned()));
            }
            fields.iter().try_for_each(|(_, kind)| check_type(column, kind, level + 1))
        }
        _ => Ok(()),
    }
}

fn column_plan(def: &StreamDef, column: &Column, slot: usize) -> ColumnPlan {
    let name = &column.name;
    let is_event_time = *name == def.event_time.column;
    let is_event_id = matches!(&def.event_id, EventIdRule::Column(id) if id == name);
    let mut missing = Vec::new();
    if is_event_id {
        missing.push("missing_event_id".to_owned());
    }
    if is_event_time {
        missing.push("missing_event_time".to_owned());
    }
    if column.required && missing.is_empty() {
        missing.push(format!("missing:{name}"));
    }
    ColumnPlan {
        kind: column.kind.clone(),
        slot,
        missing,
        empty: is_event_id.then(|| "missing_event_id".to_owned()),
        is_event_time,
        is_hashed: matches!(&def.event_id, EventIdRule::Hash(names) if names.contains(name)),
        wrong_type: format!("type:{name}"),
        wrong_range: format!("range:{name}"),
        wrong_precision: format!("precision:{name}"),
    }
}

/// A key as JSON text, with its quotes.
pub(crate) fn key_json(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 2);
    out.push('"');
    for c in key.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
