//! Why a value does not suit its column.

/// A kind of flaw, in the order in which the reasons of one column are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// Another JSON type, or text that is no such value: `type:<column>`.
    Type,
    /// Beyond what the type holds, or a day or time that does not exist: `range:<column>`.
    Range,
    /// Digits would be lost: `precision:<column>`.
    Precision,
}

impl Flaw {
    /// The reason it gives against a column.
    fn reason(self, column: &str) -> String {
        let code = match self {
            Self::Type => "type",
            Self::Range => "range",
            Self::Precision => "precision",
        };
        format!("{code}:{column}")
    }
}

/// The flaws of one column's value; each kind counts once, however many items of a list have it.
#[derive(Debug, Default)]
pub(crate) struct Flaws(Vec<Flaw>);

impl Flaws {
    pub(crate) fn add(&mut self, flaw: Flaw) {
        if !self.0.contains(&flaw) {
            self.0.push(flaw);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Type before range before precision.
    pub(crate) fn reasons(mut self, column: &str) -> Vec<String> {
        self.0.sort_unstable();
        self.0.into_iter().map(|flaw| flaw.reason(column)).collect()
    }
}
