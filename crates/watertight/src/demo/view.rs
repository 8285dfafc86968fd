//! What the demo shows: a picture that stays in place on a terminal, plain lines elsewhere.

use crate::status::Status;
use anyhow::Context as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// On something that is not a terminal: this long between two lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The view.
pub(super) struct View {
    live: bool,
    last_line: Option<(Duration, String)>,
}

impl View {
    pub(super) fn new() -> Self {
        Self { live: std::io::stdout().is_terminal(), last_line: None }
    }

    /// Shows the books as they stand, and some rows of gold.
    pub(super) fn show(&mut self, status: &Status, at: Duration, what: &str, rows: &str) -> anyhow::Result<()> {
        let Some(stream) = status.streams.first() else { return Ok(()) };
        let gold: u64 = status.models.iter().map(|model| model.rows).sum();
        let commit_ms = stream.reading.as_ref().and_then(|reading| reading.commit_ms);
        let commit = commit_ms.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
        let outcome = stream.outcome;
        let mut out = std::io::stdout().lock();
        if self.live {
            let picture = format!(
                "\x1b[2J\x1b[Hwatertight demo   {:>4.0} s   {what}\n\n\
                 produced      {:>8}\n\
                 bronze        {:>8}   lag {}\n\
                 silver        {:>8}   late {}\n\
                 duplicates    {:>8}\n\
                 dead letters  {:>8}\n\
                 gold          {gold:>8}   windows of 5 s\n\
                 commit        {commit:>8}\n\n{rows}",
                at.as_secs_f64(),
                stream.in_log,
                stream.bronze,
                stream.lag,
                outcome.silver,
                outcome.late,
                outcome.duplicates,
                outcome.dead_letters,
            );
            return out.write_all(picture.as_bytes()).and_then(|()| out.flush()).context("cannot write");
        }
        let due = self.last_line.as_ref().is_none_or(|(shown, said)| at >= *shown + LINE_EVERY || said != what);
        if !due {
            return Ok(());
        }
        self.last_line = Some((at, what.to_owned()));
        writeln!(
            out,
            "{:>5.1} s  produced {}  bronze {}  silver {}  duplicates {}  late {}  dead letters {}  gold {gold}  lag {}  \
             commit {commit}  {what}",
            at.as_secs_f64(),
            stream.in_log,
            stream.bronze,
            outcome.silver,
            outcome.duplicates,
            outcome.late,
            outcome.dead_letters,
            stream.lag,
        )
        .context("cannot write")
    }
}
