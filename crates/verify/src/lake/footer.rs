//! A Parquet file's footer, looked at before a parser is let loose on it.
//!
//! The parquet crate builds the tree of columns by recursion and reserves memory for as many row groups as the footer
//! claims. A stack that overflows, or memory that cannot be had, ends the process and is caught by nobody; so the bytes
//! are walked once here, with no recursion on their depth but [`NESTING_MAX`] and no memory.
//!
//! Format: Thrift's compact protocol, `FileMetaData` of parquet.thrift: field 2 is the schema, flattened depth first;
//! field 5 of an element is its number of children.

/// Levels of columns; tables of ours have three.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 64;
/// Elements of the schema.
pub(crate) const SCHEMA_ELEMENTS_MAX: usize = 20_000;
/// Levels of Thrift's own nesting; the format has fewer than ten.
const NESTING_MAX: u32 = 32;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Checks the bytes of a footer (without its length and magic).
///
/// # Errors
/// Why it must not be parsed.
pub(crate) fn check(footer: &[u8]) -> Result<(), &'static str> {
    let mut walk = Walk { rest: footer };
    let mut last = 0;
    while let Some((id, kind)) = walk.field(&mut last)? {
        if id == 2 && kind == LIST {
            walk.schema()?;
        } else {
            walk.skip(kind, NESTING_MAX, true)?;
        }
    }
    Ok(())
}

struct Walk<'a> {
    rest: &'a [u8],
}

const TORN: &str = "ends too early";

impl Walk<'_> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        let (byte, rest) = self.rest.split_first().ok_or(TORN)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn jump(&mut self, bytes: u64) -> Result<(), &'static str> {
        let bytes = usize::try_from(bytes).map_err(|_| TORN)?;
        self.rest = self.rest.get(bytes..).ok_or(TORN)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("holds a number that is too long")
    }

    fn zigzag(&mut self) -> Result<i64, &'static str> {
        let value = self.varint()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// The next field of a struct: id and type; `None` at its end.
    fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, &'static str> {
        let head = self.byte()?;
        if head == STOP {
            return Ok(None);
        }
        let delta = i64::from(head >> 4);
        *last = if delta == 0 { self.zigzag()? } else { last.saturating_add(delta) };
        Ok(Some((*last, head & 0x0f)))
    }

    /// Head of a list: length and type. Each element takes a byte at least.
    fn list(&mut self) -> Result<(usize, u8), &'static str> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        match usize::try_from(length) {
            Ok(length) if length <= self.rest.len() => Ok((length, head & 0x0f)),
            _ => Err("claims a list longer than itself"),
        }
    }

    fn skip(&mut self, kind: u8, levels: u32, in_struct: bool) -> Result<(), &'static str> {
        let levels = levels.checked_sub(1).ok_or("is nested too deeply")?;
        match kind {
            TRUE | FALSE if in_struct => Ok(()),
            TRUE | FALSE | BYTE => self.jump(1),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.jump(8),
            BINARY => {
                let length = self.varint()?;
                self.jump(length)
            }
            LIST | SET => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.skip(kind, levels, false))
            }
            MAP => self.skip_map(levels),
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, levels, true)?;
                }
                Ok(())
            }
            UUID => self.jump(16),
            _ => Err("holds a type that Thrift has not"),
        }
    }

    fn skip_map(&mut self, levels: u32) -> Result<(), &'static str> {
        let length = self.varint()?;
        if length == 0 {
            return Ok(());
        }
        if usize::try_from(length).map_or(true, |length| length > self.rest.len()) {
            return Err("claims a map longer than itself");
        }
        let kinds = self.byte()?;
        for _ in 0..length {
            self.skip(kinds >> 4, levels, false)?;
            self.skip(kinds & 0x0f, levels, false)?;
        }
        Ok(())
    }

    /// The list of the schema's elements: how deep their tree is.
    fn schema(&mut self) -> Result<(), &'static str> {
        let (length, kind) = self.list()?;
        if kind != STRUCT {
            return Err("has a schema of something else than elements");
        }
        if length > SCHEMA_ELEMENTS_MAX {
            return Err("has too many columns");
        }
        // Children still to come, of each element on the way down to the present one.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..length {
            let children = self.element()?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > SCHEMA_DEPTH_MAX {
                return Err("has columns nested too deeply");
            }
        }
        Ok(())
    }

    /// An element of the schema: its number of children.
    fn element(&mut self) -> Result<i64, &'static str> {
        let (mut last, mut children) = (0, 0);
        while let Some((id, kind)) = self.field(&mut last)? {
            if id == 5 && kind == I32 {
                children = self.zigzag()?;
            } else {
                self.skip(kind, NESTING_MAX, true)?;
            }
        }
        Ok(children)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer whose schema is a chain of `depth` groups.
    fn chain(depth: usize) -> Vec<u8> {
        let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
        let mut length = depth;
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        for at in 0..depth {
            bytes.extend([0x48, 1, b'a']);
            if at + 1 < depth {
                bytes.extend([0x15, 0x02]);
            }
            bytes.push(STOP);
        }
        bytes.push(STOP);
        bytes
    }

    #[test]
    fn a_schema_of_some_levels_passes_and_one_of_many_does_not() {
        assert_eq!(check(&chain(10)), Ok(()));
        assert_eq!(check(&chain(1000)), Err("has columns nested too deeply"));
        assert_eq!(check(&chain(100_000)), Err("has too many columns"));
    }

    #[test]
    fn claims_beyond_the_bytes_are_refused() {
        assert!(check(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]).is_err());
        assert!(check(&[0x48, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        assert!(check(&[]).is_err());
        assert!(check(&[0x4f]).is_err());
        let mut nested = vec![0x4c];
        nested.extend(vec![0x1c; 100_000]);
        assert_eq!(check(&nested), Err("is nested too deeply"));
    }
}
