//! Where records of comma-separated values end, and what their cells hold: RFC 4180, read as leniently as the `csv`
//! crate reads it (the tests compare the two).
//!
//! Contract: takes bytes in pieces of any size, each once; the pieces change nothing. A quote opens a quoted cell only
//! as the cell's first byte, anywhere else it is a quote; in a quoted cell two quotes are one, and what stands
//! behind the closing one belongs to the cell. A record ends with `\n`, `\r` or `\r\n` outside of quotes. Empty lines are no
//! records. Never decides what to do about a quote that stays open: it says so.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between records.
    Between,
    /// Before a cell's first byte.
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: the closing one, or the first of two.
    QuoteInQuoted,
}

/// What stands at the end of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// A last record, which has no line end.
    Record,
    /// A record whose quote, opened in this line, is not closed.
    OpenQuote(u64),
}

/// The cells of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// The cells, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(move |(start, &end)| &self.bytes[start..end])
    }
}

/// See the module.
pub(super) struct Records {
    state: State,
    cells: Cells,
    /// Whether the present record's cells are thrown away.
    passing: bool,
    /// Bytes of the present record so far.
    length: usize,
    /// The present line, and the one in which the present record began, from 1.
    line: u64,
    first_line: u64,
    quote_line: u64,
}

impl Records {
    pub(super) fn new() -> Self {
        let (state, cells) = (State::Between, Cells::default());
        Self { state, cells, passing: false, length: 0, line: 1, first_line: 1, quote_line: 1 }
    }

    /// Takes bytes up to the end of a record: how many, and whether a record has ended.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        let mut begin = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            match (self.state, byte) {
                (State::Between, b'\n' | b'\r') => {
                    self.line += u64::from(byte == b'\n');
                    at += 1;
                    begin = at;
                }
                (State::Between, _) => {
                    begin = at;
                    self.begin();
                }
                (State::CellStart, b'"') => {
                    self.quote_line = self.line;
                    self.state = State::Quoted;
                    at += 1;
                }
                (State::Quoted, b'"') => {
                    self.state = State::QuoteInQuoted;
                    at += 1;
                }
                (State::Quoted, _) => {
                    let run = rest.iter().position(|&byte| byte == b'"').unwrap_or(rest.len());
                    self.line += rest[..run].iter().filter(|&&byte| byte == b'\n').count() as u64;
                    self.push(&rest[..run]);
                    at += run;
                }
                (State::QuoteInQuoted, b'"') => {
                    self.push(b"\"");
                    self.state = State::Quoted;
                    at += 1;
                }
                (State::CellStart | State::Plain | State::QuoteInQuoted, b',') => {
                    self.end_cell();
                    self.state = State::CellStart;
                    at += 1;
                }
                (State::CellStart | State::Plain | State::QuoteInQuoted, b'\n' | b'\r') => {
                    self.end_cell();
                    self.state = State::Between;
                    self.line += u64::from(byte == b'\n');
                    self.length += at - begin;
                    return (at + 1, true);
                }
                (State::CellStart | State::Plain | State::QuoteInQuoted, _) => {
                    let run = rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
                    self.push(&rest[..run]);
                    self.state = State::Plain;
                    at += run;
                }
            }
        }
        if self.state != State::Between {
            self.length += at - begin;
        }
        (at, false)
    }

    /// The input has ended: what is left, as the cells of a record where it is one. Then another input may begin.
    pub(super) fn finish(&mut self) -> Rest {
        let rest = match self.state {
            State::Between => Rest::Nothing,
            State::Quoted => Rest::OpenQuote(self.quote_line),
            State::CellStart | State::Plain | State::QuoteInQuoted => Rest::Record,
        };
        if rest != Rest::Nothing {
            self.end_cell();
        }
        (self.state, self.line) = (State::Between, 1);
        rest
    }

    /// The cells of the record that has ended.
    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Bytes of the present record, or of the one that has ended, as it stands in the input.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The line in which that record began, from 1.
    pub(super) fn first_line(&self) -> u64 {
        self.first_line
    }

    /// Whether that record's cells are thrown away.
    pub(super) fn is_passing(&self) -> bool {
        self.passing
    }

    /// Throws away what is known of the present record, and what still comes of it.
    pub(super) fn pass_over(&mut self) {
        self.passing = true;
        self.cells = Cells::default();
    }

    fn begin(&mut self) {
        self.state = State::CellStart;
        self.passing = false;
        self.length = 0;
        self.first_line = self.line;
        self.cells.bytes.clear();
        self.cells.ends.clear();
    }

    fn push(&mut self, bytes: &[u8]) {
        if !self.passing {
            self.cells.bytes.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self) {
        if !self.passing {
            self.cells.ends.push(self.cells.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of `bytes`, given in pieces of `size`; the line of a quote that stays open.
    fn read(bytes: &[u8], size: usize) -> (Vec<Vec<Vec<u8>>>, Option<u64>) {
        let mut records = Records::new();
        let mut found = Vec::new();
        let cells = |records: &Records| records.cells().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                let (taken, ended) = records.take(piece);
                piece = &piece[taken..];
                if ended {
                    found.push(cells(&records));
                }
            }
        }
        let rest = records.finish();
        if rest != Rest::Nothing {
            found.push(cells(&records));
        }
        (found, if let Rest::OpenQuote(line) = rest { Some(line) } else { None })
    }

    /// What the `csv` crate makes of it.
    fn oracle(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let records = reader.byte_records().map(|record| record.expect("bytes are always records"));
        records.map(|record| record.iter().map(<[u8]>::to_vec).collect()).collect()
    }

    #[test]
    fn records_and_cells_are_those_of_the_csv_crate_in_pieces_of_any_size() {
        const BYTES: &[u8] = b"\",\n\ra\"";
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = Vec::new();
            loop {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let roll = (state >> 33) as usize;
                if roll.is_multiple_of(14) {
                    break;
                }
                text.push(BYTES[roll / 14 % BYTES.len()]);
            }
            let wanted = oracle(&text);
            for size in [1, 2, 3, 100] {
                assert_eq!(read(&text, size).0, wanted, "{:?} in pieces of {size}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn a_quote_inside_of_an_unquoted_cell_is_a_quote_and_one_that_stays_open_is_told_with_its_line() {
        let record = |cells: &[&str]| cells.iter().map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>();
        let (records, open) = read(b"a,5\" pipe\nb,\"6\"\"\"\n", 4);
        assert_eq!((records, open), (vec![record(&["a", "5\" pipe"]), record(&["b", "6\""])], None));
        let (_, open) = read(b"a,b\n\n1,\"two\nthree\"\n2,\"four\nfive\n", 3);
        assert_eq!(open, Some(5));
    }

    #[test]
    fn a_record_that_is_passed_over_leaves_nothing_in_memory_and_the_next_one_is_whole() {
        let mut records = Records::new();
        records.take(b"a,\"b");
        records.pass_over();
        for _ in 0..10 {
            assert_eq!(records.take(&[b'x'; 100]), (100, false));
        }
        assert_eq!((records.length(), records.cells().bytes.capacity()), (1_004, 0));
        assert_eq!(records.take(b"\"\nc\n"), (2, true));
        assert!(records.is_passing());
        assert_eq!(records.take(b"c\n"), (2, true));
        assert!(!records.is_passing());
        assert_eq!(records.cells().iter().collect::<Vec<_>>(), [b"c"]);
    }
}
