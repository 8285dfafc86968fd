//! One fault, shown: planted in tables that balance, and named by `verify` before everyone's eyes.
//!
//! Contract: what is called named was found by `verify`, with a right code at the right place, and exit code 1. Nothing is
//! planted in tables that do not balance as they are: there, a finding would show nothing.

use crate::campaign::{self, Finding, Of};
use crate::expected::Planted;
use crate::kinds::{self, Mutant};
use anyhow::{Context as _, Result, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a fault is shown in.
#[derive(Debug, Clone)]
pub struct Show {
    /// The program that is to find it.
    pub program: PathBuf,
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The lake that the file names: a copy, as it is altered.
    pub lake: PathBuf,
    /// Ledgers of its producers: copies, as some kinds alter them.
    pub ledgers: Vec<PathBuf>,
    /// Chooses the place.
    pub seed: u64,
    /// Whether what `verify` prints for people is shown, on standard output.
    pub report_shown: bool,
}

impl Show {
    /// Plants a fault, has it found, and writes to `out` what was planted and what names it. Gives whether it was named.
    ///
    /// # Errors
    /// When the tables do not balance as they are or have no place for the kind, when the lake cannot be altered, or the
    /// program cannot be started.
    pub fn run(&self, mutant: &'static Mutant, out: &mut dyn Write) -> Result<bool> {
        let wrong = campaign::verify(&self.program, Of::Pipeline(&self.pipeline), &self.ledgers)?.false_findings();
        if !wrong.is_empty() {
            let lake = self.lake.display();
            bail!("the tables in {lake} do not balance as they are, so a fault shows nothing: {}", wrong.join("; "));
        }
        writeln!(out, "before: verify finds no fault in {}", self.lake.display())?;
        let planted = kinds::plant(mutant, &self.lake, &self.ledgers, &mut StdRng::seed_from_u64(self.seed))?;
        let Some(planted) = planted else {
            bail!("{} has no place for {}; nothing was altered", self.lake.display(), mutant.name);
        };
        writeln!(out, "{}", in_words(mutant, &planted))?;
        self.show_report(out)?;
        let verified = campaign::verify(&self.program, Of::Pipeline(&self.pipeline), &self.ledgers)?;
        let fits = |finding: &&Finding| planted.expected.iter().any(|one| one.fits(&finding.code, &finding.place));
        match verified.faults().find(fits) {
            Some(finding) if verified.exit == Some(1) => {
                writeln!(out, "named: {} at {}\n  {}", finding.code, finding.place, finding.what)?;
                Ok(true)
            }
            _ => {
                writeln!(out, "NOT NAMED, which is a defect: {}", verified.told())?;
                Ok(false)
            }
        }
    }

    /// Runs `verify` as a user does.
    fn show_report(&self, out: &mut dyn Write) -> Result<()> {
        if !self.report_shown {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.arg("verify").arg("-f").arg(&self.pipeline);
        write!(out, "\n$ watertight verify -f {}", self.pipeline.display())?;
        for ledger in &self.ledgers {
            command.arg("--ledger").arg(ledger);
            write!(out, " --ledger {}", ledger.display())?;
        }
        writeln!(out)?;
        out.flush()?;
        command.stdin(Stdio::null()).env_remove("WATERTIGHT_LOG").env_remove("WATERTIGHT_STEPS");
        // What it finds is judged by what it says to programs; here it is only shown.
        command.status().with_context(|| format!("{} cannot be started", self.program.display()))?;
        writeln!(out)?;
        Ok(())
    }
}

/// What was planted, and what must be said of it.
#[must_use]
pub fn in_words(mutant: &Mutant, planted: &Planted) -> String {
    let mut text = format!("planted {}: {}\n  {}", mutant.name, mutant.means, planted.what);
    for (number, expected) in planted.expected.iter().enumerate() {
        let must = if number == 0 { "verify must say" } else { "             or" };
        text.push_str(&format!("\n  {must} {} at {}", expected.codes.join(" or "), expected.place));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::{Expected, Must, Place};

    #[test]
    fn what_was_planted_is_told_with_all_that_would_be_right() {
        let mutant = kinds::named("bronze-row-dropped").expect("a kind");
        let lost = Expected::new(&["offsets.lost"], Must::Offset, Place::table("bronze.x").offset((2, 7)));
        let planted = Planted {
            kind: mutant.name,
            what: "dropped offset 7 of partition 2".to_owned(),
            expected: vec![lost],
            touched: Vec::new(),
        };
        let planted = planted.or(&["rows.lost", "rows.unfounded"], Must::Table, Place::table("silver.x"));
        let expected = [
            "planted bronze-row-dropped: a record is taken out of bronze, and the entry corrected",
            "  dropped offset 7 of partition 2",
            "  verify must say offsets.lost at bronze.x, partition 2, offset 7",
            "               or rows.lost or rows.unfounded at silver.x",
        ];
        assert_eq!(in_words(mutant, &planted), expected.join("\n"));
    }
}
