//! Which steps of verify run: the command line's choice, checked against the names that exist.

use anyhow::{Context, Result, bail};

use super::STEPS;

/// What happens after a step has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterFailure {
    KeepGoing,
    Stop,
}

/// The steps to run and what a failure does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// None: all of them.
    only: Option<Vec<String>>,
    skip: Vec<String>,
    after_failure: AfterFailure,
}

impl Selection {
    /// One step alone.
    pub(crate) fn only(name: &str) -> Self {
        Self { only: Some(vec![name.to_owned()]), skip: Vec::new(), after_failure: AfterFailure::KeepGoing }
    }

    /// Reads `--only a,b`, `--skip a,b`, `--fail-fast` and `--keep-going` (the default); a name that is no step is an error.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut selection = Self { only: None, skip: Vec::new(), after_failure: AfterFailure::KeepGoing };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fail-fast" => selection.after_failure = AfterFailure::Stop,
                "--keep-going" => selection.after_failure = AfterFailure::KeepGoing,
                "--only" => selection.only.get_or_insert_default().extend(names(word, words.next())?),
                "--skip" => selection.skip.extend(names(word, words.next())?),
                other => bail!("unknown argument `{other}`; verify takes --only, --skip, --fail-fast and --keep-going"),
            }
        }
        if !STEPS.iter().any(|step| selection.includes(step.name)) {
            bail!("no step is left to run");
        }
        Ok(selection)
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        let wanted = self.only.as_ref().is_none_or(|only| only.iter().any(|step| step == name));
        wanted && !self.skip.iter().any(|step| step == name)
    }

    pub(crate) fn stops_after_failure(&self) -> bool {
        self.after_failure == AfterFailure::Stop
    }
}

fn names(flag: &str, value: Option<&String>) -> Result<Vec<String>> {
    let value = value.with_context(|| format!("`{flag}` needs the names of steps, such as `{flag} fmt,layers`"))?;
    let names: Vec<String> = value.split(',').map(str::to_owned).collect();
    for name in &names {
        if !STEPS.iter().any(|step| step.name == name) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!("`{name}` is no step; the steps are {}", known.join(", "));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Selection> {
        Selection::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn everything_runs_and_keeps_going_unless_told_otherwise() {
        let selection = parsed("").unwrap();
        assert!(STEPS.iter().all(|step| selection.includes(step.name)));
        assert!(!selection.stops_after_failure());
        assert!(parsed("--fail-fast").unwrap().stops_after_failure());
    }

    #[test]
    fn only_and_skip_narrow_the_choice() {
        let selection = parsed("--only fmt,layers --skip layers").unwrap();
        assert!(selection.includes("fmt") && !selection.includes("layers") && !selection.includes("tests"));
    }

    #[test]
    fn an_unknown_step_an_unknown_flag_and_an_empty_choice_are_errors() {
        for wrong in ["--only fnt", "--skip", "--quick", "--only fmt --skip fmt"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
