//! What a comparison found.

use std::fmt;

/// How many examples of a fault are named.
const EXAMPLES_MAX: usize = 5;

/// One kind of difference in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The first few: ids, positions, windows; never payloads.
    pub examples: Vec<String>,
}

/// One table against the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// Rows that must be there.
    pub expected: u64,
    /// Rows that are there.
    pub found: u64,
    /// Differences; empty = exact.
    pub faults: Vec<Fault>,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, expected: u64) -> Self {
        Self { name: name.into(), expected, found: 0, faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, what: &str, example: impl FnOnce() -> String) {
        let index = self.faults.iter().position(|fault| fault.what == what).unwrap_or_else(|| {
            self.faults.push(Fault { what: what.to_owned(), count: 0, examples: Vec::new() });
            self.faults.len() - 1
        });
        let fault = &mut self.faults[index];
        fault.count += 1;
        if fault.examples.len() < EXAMPLES_MAX {
            fault.examples.push(example());
        }
    }
}

/// The result: one check per table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the order ledger, bronze, dead letters, silver, gold.
    pub checks: Vec<Check>,
}

impl Comparison {
    /// Whether nothing differs anywhere.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.checks.iter().all(|check| check.faults.is_empty() && check.expected <= check.found)
    }

    /// How often `what` was found in the check `name`.
    #[must_use]
    pub fn count(&self, name: &str, what: &str) -> u64 {
        let check = self.checks.iter().find(|check| check.name == name);
        check.and_then(|check| check.faults.iter().find(|fault| fault.what == what)).map_or(0, |fault| fault.count)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0).max(5);
        writeln!(out, "{:<width$} {:>12} {:>12}", "table", "expected", "found")?;
        for check in &self.checks {
            let verdict = if check.faults.is_empty() { "exact" } else { "differs" };
            writeln!(out, "{:<width$} {:>12} {:>12}  {verdict}", check.name, check.expected, check.found)?;
            for fault in &check.faults {
                writeln!(out, "  {} {}: {}", fault.count, fault.what, fault.examples.join(", "))?;
            }
        }
        Ok(())
    }
}
