//! The compact encoding of Thrift, gone through without building anything.
//!
//! Parquet's footer and page headers are Thrift structs. The parquet crate reserves memory by the lengths written in
//! them, and follows nesting by recursion; a crafted file could make it abort, which nothing catches. So every struct
//! is
//! first gone through here, by the same tables of fields as the crate's: wrong types, lengths beyond the bytes that are
//! there, and nesting beyond a bound are refused before the crate sees them.
//!
//! Format: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>; the structs are those
//! of
//! parquet.thrift.

/// Deepest nesting of structs and lists.
const DEPTH_MAX: u8 = 24;
/// Most items of all lists of one struct together: what is built of an item is at most some tens of bytes.
const ITEMS_MAX: u64 = 16_000_000;

/// What is noted on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nothing.
    Unseen,
    /// An element of the schema begins.
    Element,
    /// Number of an element's children.
    Children,
    /// Length of the list of row groups.
    RowGroups,
    /// Length of a row group's list of columns.
    Columns,
    /// A page's type.
    PageKind,
    /// A page's length once it is unpacked.
    Unpacked,
    /// A page's length in the file.
    Packed,
    /// Values of a page.
    Values,
    /// Encoding of a page's values.
    Encoding,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Of {
    Bool,
    I8,
    I16,
    I32(Tag),
    I64,
    Double,
    Text,
    Struct(&'static [Field]),
    List(Tag, &'static Of),
}

type Field = (i16, Of);

const PLAIN_I32: Of = Of::I32(Tag::Unseen);
const EMPTY: &[Field] = &[];
const UNIT: &[Field] = &[(1, Of::Struct(EMPTY)), (2, Of::Struct(EMPTY)), (3, Of::Struct(EMPTY))];
const TIME: &[Field] = &[(1, Of::Bool), (2, Of::Struct(UNIT))];
const LOGICAL: &[Field] = &[
    (1, Of::Struct(EMPTY)),
    (2, Of::Struct(EMPTY)),
    (3, Of::Struct(EMPTY)),
    (4, Of::Struct(EMPTY)),
    (5, Of::Struct(&[(1, PLAIN_I32), (2, PLAIN_I32)])),
    (6, Of::Struct(EMPTY)),
    (7, Of::Struct(TIME)),
    (8, Of::Struct(TIME)),
    (10, Of::Struct(&[(1, Of::I8), (2, Of::Bool)])),
    (11, Of::Struct(EMPTY)),
    (12, Of::Struct(EMPTY)),
    (13, Of::Struct(EMPTY)),
    (14, Of::Struct(EMPTY)),
    (15, Of::Struct(EMPTY)),
    (16, Of::Struct(&[(1, Of::I8)])),
    (17, Of::Struct(&[(1, Of::Text)])),
    (18, Of::Struct(&[(1, Of::Text), (2, PLAIN_I32)])),
];
const ELEMENT: &[Field] = &[
    (1, PLAIN_I32),
    (2, PLAIN_I32),
    (3, PLAIN_I32),
    (4, Of::Text),
    (5, Of::I32(Tag::Children)),
    (6, PLAIN_I32),
    (7, PLAIN_I32),
    (8, PLAIN_I32),
    (9, PLAIN_I32),
    (10, Of::Struct(LOGICAL)),
];
const STATISTICS: &[Field] = &[
    (1, Of::Text),
    (2, Of::Text),
    (3, Of::I64),
    (4, Of::I64),
    (5, Of::Text),
    (6, Of::Text),
    (7, Of::Bool),
    (8, Of::Bool),
];
const KEY_VALUE: &[Field] = &[(1, Of::Text), (2, Of::Text)];
const PAGE_COUNT: &[Field] = &[(1, PLAIN_I32), (2, PLAIN_I32), (3, PLAIN_I32)];
const SIZES: &[Field] = &[(1, Of::I64), (2, Of::List(Tag::Unseen, &Of::I64)), (3, Of::List(Tag::Unseen, &Of::I64))];
const BOX: &[Field] = &[
    (1, Of::Double),
    (2, Of::Double),
    (3, Of::Double),
    (4, Of::Double),
    (5, Of::Double),
    (6, Of::Double),
    (7, Of::Double),
    (8, Of::Double),
];
const GEO: &[Field] = &[(1, Of::Struct(BOX)), (2, Of::List(Tag::Unseen, &PLAIN_I32))];
const COLUMN_DATA: &[Field] = &[
    (1, PLAIN_I32),
    (2, Of::List(Tag::Unseen, &PLAIN_I32)),
    (3, Of::List(Tag::Unseen, &Of::Text)),
    (4, PLAIN_I32),
    (5, Of::I64),
    (6, Of::I64),
    (7, Of::I64),
    (8, Of::List(Tag::Unseen, &Of::Struct(KEY_VALUE))),
    (9, Of::I64),
    (10, Of::I64),
    (11, Of::I64),
    (12, Of::Struct(STATISTICS)),
    (13, Of::List(Tag::Unseen, &Of::Struct(PAGE_COUNT))),
    (14, Of::I64),
    (15, PLAIN_I32),
    (16, Of::Struct(SIZES)),
    (17, Of::Struct(GEO)),
];
const COLUMN: &[Field] = &[
    (1, Of::Text),
    (2, Of::I64),
    (3, Of::Struct(COLUMN_DATA)),
    (4, Of::I64),
    (5, PLAIN_I32),
    (6, Of::I64),
    (7, PLAIN_I32),
];
const SORTING: &[Field] = &[(1, PLAIN_I32), (2, Of::Bool), (3, Of::Bool)];
const ROW_GROUP: &[Field] = &[
    (1, Of::List(Tag::Columns, &Of::Struct(COLUMN))),
    (2, Of::I64),
    (3, Of::I64),
    (4, Of::List(Tag::Unseen, &Of::Struct(SORTING))),
    (5, Of::I64),
    (6, Of::I64),
    (7, Of::I16),
];
const FOOTER: &[Field] = &[
    (1, PLAIN_I32),
    (2, Of::List(Tag::Element, &Of::Struct(ELEMENT))),
    (3, Of::I64),
    (4, Of::List(Tag::RowGroups, &Of::Struct(ROW_GROUP))),
    (5, Of::List(Tag::Unseen, &Of::Struct(KEY_VALUE))),
    (6, Of::Text),
    (7, Of::List(Tag::Unseen, &Of::Struct(UNIT))),
];
const DATA_PAGE: &[Field] = &[
    (1, Of::I32(Tag::Values)),
    (2, Of::I32(Tag::Encoding)),
    (3, PLAIN_I32),
    (4, PLAIN_I32),
    (5, Of::Struct(STATISTICS)),
];
const DICTIONARY_PAGE: &[Field] = &[(1, Of::I32(Tag::Values)), (2, Of::I32(Tag::Encoding)), (3, Of::Bool)];
const DATA_PAGE_V2: &[Field] = &[
    (1, Of::I32(Tag::Values)),
    (2, PLAIN_I32),
    (3, PLAIN_I32),
    (4, Of::I32(Tag::Encoding)),
    (5, PLAIN_I32),
    (6, PLAIN_I32),
    (7, Of::Bool),
    (8, Of::Struct(STATISTICS)),
];
const PAGE: &[Field] = &[
    (1, Of::I32(Tag::PageKind)),
    (2, Of::I32(Tag::Unpacked)),
    (3, Of::I32(Tag::Packed)),
    (4, PLAIN_I32),
    (5, Of::Struct(DATA_PAGE)),
    (6, Of::Struct(EMPTY)),
    (7, Of::Struct(DICTIONARY_PAGE)),
    (8, Of::Struct(DATA_PAGE_V2)),
];

/// Why bytes are not the struct they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// They end too early: more of them may do.
    Short,
    /// They are none.
    Bad(&'static str),
}

/// What was noted, in order, and the number of bytes gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) noted: Vec<(Tag, i64)>,
    pub(super) bytes: usize,
}

/// Goes through Parquet's `FileMetaData`.
pub(super) fn footer(bytes: &[u8]) -> Result<Walked, Broken> {
    walk(bytes, FOOTER)
}

/// Goes through a `PageHeader`; what stands behind it is not looked at.
pub(super) fn page_header(bytes: &[u8]) -> Result<Walked, Broken> {
    walk(bytes, PAGE)
}

fn walk(bytes: &[u8], fields: &'static [Field]) -> Result<Walked, Broken> {
    let mut walk = Walk { bytes, at: 0, items_left: ITEMS_MAX, noted: Vec::new() };
    walk.structure(fields, DEPTH_MAX)?;
    Ok(Walked { noted: walk.noted, bytes: walk.at })
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    items_left: u64,
    noted: Vec<(Tag, i64)>,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &'static [Field], depth: u8) -> Result<(), Broken> {
        let depth = deeper(depth)?;
        let mut last = 0_i16;
        while let Some((id, kind)) = self.field(last)? {
            match fields.iter().find(|(known, _)| *known == id) {
                Some((_, of)) => self.known(*of, kind, depth)?,
                None => self.skip(kind, depth)?,
            }
            last = id;
        }
        Ok(())
    }

    fn known(&mut self, of: Of, kind: u8, depth: u8) -> Result<(), Broken> {
        if !of.is(kind) {
            return Err(Broken::Bad("a field has another type than the format says"));
        }
        match of {
            Of::Bool => Ok(()),
            Of::I8 => self.pass(1),
            Of::I16 | Of::I64 => self.number().map(drop),
            Of::I32(tag) => {
                let value = self.number()?;
                if i32::try_from(value).is_err() {
                    return Err(Broken::Bad("a number is too large"));
                }
                self.note(tag, value);
                Ok(())
            }
            Of::Double => self.pass(8),
            Of::Text => self.text(),
            Of::Struct(fields) => self.structure(fields, depth),
            Of::List(tag, of) => self.known_list(tag, *of, depth),
        }
    }

    fn known_list(&mut self, tag: Tag, of: Of, depth: u8) -> Result<(), Broken> {
        let depth = deeper(depth)?;
        let (kind, items) = self.list()?;
        if items > 0 && !of.is(kind) {
            return Err(Broken::Bad("a list has items of another type than the format says"));
        }
        if tag != Tag::Element {
            self.note(tag, i64::try_from(items).unwrap_or(i64::MAX));
        }
        for _ in 0..items {
            if tag == Tag::Element {
                self.note(tag, 0);
            }
            self.known(of, kind, depth)?;
        }
        Ok(())
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Result<(), Broken> {
        match kind {
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => self.text(),
            9 | 10 => {
                let depth = deeper(depth)?;
                let (kind, items) = self.list()?;
                if items > 0 && kind <= 2 {
                    return Err(Broken::Bad("a list of booleans, which the format does not have"));
                }
                (0..items).try_for_each(|_| self.skip(kind, depth))
            }
            12 => self.structure(EMPTY, depth),
            _ => Err(Broken::Bad("a field has a type that the format does not have")),
        }
    }

    fn field(&mut self, last: i16) -> Result<Option<(i16, u8)>, Broken> {
        let head = self.byte()?;
        let (step, kind) = (head >> 4, head & 0xf);
        if kind == 0 {
            return Ok(None);
        }
        let id = if step == 0 { i16::try_from(self.number()?).ok() } else { last.checked_add(i16::from(step)) };
        id.map(|id| Some((id, kind))).ok_or(Broken::Bad("a field's number is too large"))
    }

    fn list(&mut self) -> Result<(u8, u64), Broken> {
        let head = self.byte()?;
        let (short, kind) = (head >> 4, head & 0xf);
        let items = if short == 15 { self.varint()? } else { u64::from(short) };
        // An item takes a byte at least.
        if items > (self.bytes.len() - self.at) as u64 {
            return Err(Broken::Short);
        }
        self.items_left =
            self.items_left.checked_sub(items).ok_or(Broken::Bad("more items than a file of ours could have"))?;
        Ok((kind, items))
    }

    fn note(&mut self, tag: Tag, value: i64) {
        if tag != Tag::Unseen {
            self.noted.push((tag, value));
        }
    }

    fn text(&mut self) -> Result<(), Broken> {
        let length = self.varint()?;
        self.pass(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn pass(&mut self, length: usize) -> Result<(), Broken> {
        if length > self.bytes.len() - self.at {
            return Err(Broken::Short);
        }
        self.at += length;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.bytes.get(self.at).ok_or(Broken::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        // The tenth byte has the last bit only.
        match self.byte()? {
            last @ (0 | 1) => Ok(value | (u64::from(last) << 63)),
            _ => Err(Broken::Bad("a number is too long")),
        }
    }

    fn number(&mut self) -> Result<i64, Broken> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }
}

impl Of {
    /// Whether a field of this kind of the encoding can hold it.
    fn is(self, kind: u8) -> bool {
        match self {
            Self::Bool => kind == 1 || kind == 2,
            Self::I8 => kind == 3,
            Self::I16 => kind == 4,
            Self::I32(_) => kind == 5,
            Self::I64 => kind == 6,
            Self::Double => kind == 7,
            Self::Text => kind == 8,
            Self::List(..) => kind == 9,
            Self::Struct(_) => kind == 12,
        }
    }
}

fn deeper(depth: u8) -> Result<u8, Broken> {
    depth.checked_sub(1).ok_or(Broken::Bad("nested deeper than a file of ours could be"))
}
