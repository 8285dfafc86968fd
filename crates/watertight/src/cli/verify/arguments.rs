//! The arguments of `verify`.

use super::super::quantity;
use std::path::PathBuf;
use std::time::Duration;
use watertight_verify::request::Bound;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).args(["file", "lake"]),
    after_help = "\
Exit codes:
  0   balanced: all that was asked for was checked, and there is no fault; the answer says what that was
  1   a finding: at least one fault
  2   not able to check (and no fault was seen), nothing to check, or the command line is wrong
  78  the pipeline file is wrong
With --follow: the worst of all rounds, once SIGTERM or Ctrl-C ends it; a second signal ends it at once, with 2.

Examples:
  watertight verify -f pipeline.yaml
  watertight verify -f pipeline.yaml --ledger acked-*.jsonl --report report.html
  watertight verify -f pipeline.yaml --certificate march.json --key auditor.key
  watertight verify -f pipeline.yaml --against march.json --public-key auditor.key.pub
  watertight verify -f pipeline.yaml --follow --wait '5 min' --format json"
)]
pub(crate) struct Args {
    /// The pipeline file.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Only the folder of the tables, without a pipeline file: what became of missing offsets in the log is then unknown.
    #[arg(long, value_name = "DIR")]
    pub(super) lake: Option<PathBuf>,
    /// Look at this table only, such as silver.orders; may be given again.
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Vec<String>,
    /// Leave out commits before this version (17) or time (2026-01-05, 2026-01-05T14:30:00Z).
    #[arg(long, value_name = "BOUND", value_parser = bound)]
    pub(super) since: Option<Bound>,
    /// Leave out commits after this version (17) or time (2026-01-05, 2026-01-05T14:30:00Z).
    #[arg(long, value_name = "BOUND", value_parser = bound)]
    pub(super) until: Option<Bound>,
    /// Look at this partition of the topics only; may be given again.
    #[arg(long, value_name = "NUMBER")]
    pub(super) partition: Vec<i32>,
    /// Read no row: metadata, books and statistics only, since the certificate where --against names one.
    #[arg(long)]
    pub(super) quick: bool,
    /// Go on: check new commits as they come, beside the pipeline and at the lowest priority, until stopped. A line a round.
    #[arg(long, conflicts_with_all = ["until", "ledger", "report", "certificate", "against"])]
    pub(super) follow: bool,
    /// Rest this long between two rounds, and longer where rounds take long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = quantity::duration, requires = "follow")]
    pub(super) every: Duration,
    /// With --follow: wait so long for the lake, where a pipeline has made no table yet. Without this it must be there.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, requires = "follow")]
    pub(super) wait: Option<Duration>,
    /// Ledgers that producers wrote: each acknowledged id must be in the tables, at its position, and no other.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) ledger: Vec<PathBuf>,
    /// How the answer is written to standard output.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Write the report as one HTML file too, with pictures.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Write a certificate of what the tables hold, if they balance.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "table", "partition", "since", "until"])]
    pub(super) certificate: Option<PathBuf>,
    /// Sign the certificate with this private key, which `watertight keygen` made.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) key: Option<PathBuf>,
    /// Replace the certificate's file where it is there already.
    #[arg(long, requires = "certificate")]
    pub(super) force: bool,
    /// Hold the tables against this certificate: nothing that it vouches for may have changed.
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// The key that must have signed the certificate: its file, or its 64 hex digits.
    #[arg(long, value_name = "FILE|HEX", requires = "against")]
    pub(super) public_key: Option<String>,
    /// Memory for sets of ids and positions; beyond it they go to the folder for temporary files.
    #[arg(long, value_name = "SIZE", default_value = "256 MiB", value_parser = size)]
    pub(super) memory: usize,
}

impl Args {
    /// What alone is looked at, in words; none where that is all.
    pub(super) fn only(&self) -> Option<String> {
        let bound = |bound: Bound| match bound {
            Bound::Version(version) => format!("version {version}"),
            Bound::TimeUs(us) => {
                jiff::Timestamp::from_microsecond(us).map_or_else(|_| format!("{us} us"), |at| at.to_string())
            }
        };
        let mut words = self.table.clone();
        words.extend(self.partition.iter().map(|partition| format!("partition {partition}")));
        words.extend(self.since.map(|since| format!("since {}", bound(since))));
        words.extend(self.until.map(|until| format!("until {}", bound(until))));
        words.extend(self.quick.then(|| "metadata and statistics".to_owned()));
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, as schema/verify.schema.json says; with --follow one a line, as docs/VERIFY.md says.
    Json,
}

/// Sets of less than this would go to disk a handful of ids at a time.
const MEMORY_LEAST: usize = 1 << 20;

/// `17` → a version; `2026-01-05T14:30:00Z` or `2026-01-05` → a time.
fn bound(text: &str) -> Result<Bound, String> {
    let bound = match text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        true => text.replace('_', "").parse().map(Bound::Version).ok(),
        false => quantity::instant_us(text).map(Bound::TimeUs).ok(),
    };
    bound.ok_or_else(|| {
        "expected a version of the table such as 17, or a time with its zone such as 2026-01-05T14:30:00Z".to_owned()
    })
}

/// `256 MiB` → bytes.
fn size(text: &str) -> Result<usize, String> {
    let wrong = || "expected a size of at least 1 MiB, such as 256 MiB or 1 GiB".to_owned();
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.replace('_', "").parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= MEMORY_LEAST).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_version_or_a_time() {
        assert_eq!(bound("17"), Ok(Bound::Version(17)));
        assert_eq!(bound("1970-01-02"), Ok(Bound::TimeUs(86_400_000_000)));
        assert_eq!(bound("1970-01-01T00:00:01Z"), Ok(Bound::TimeUs(1_000_000)));
        for bad in ["", "_", "99999999999999999999", "yesterday", "-1", "2026-13-01", "2026-01-05T14:30:00"] {
            let told = bound(bad).expect_err(bad);
            assert!(told.contains("a version of the table such as 17"), "{bad}: {told}");
        }
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        assert_eq!(size("256 MiB"), Ok(256 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("1_048_576"), Ok(1 << 20));
        for bad in ["", "MiB", "1 KiB", "10 MB", "-1 MiB", "99999999999 GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
