//! Counts of instructions per event, their conditions, and the comparison. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What counts depend on beside the code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// As `rustc --version` prints it.
    pub(crate) rustc: String,
    /// The C compiler's version, which builds zstd and librdkafka, in one line; `None` in files that are older than this.
    pub(crate) cc: Option<String>,
    /// Valgrind's version, whose count it is; `None` as above.
    pub(crate) valgrind: Option<String>,
    /// The target's triple.
    pub(crate) target: String,
    /// Instruction sets for which code is chosen at run time, in order.
    pub(crate) sets: Vec<String>,
}

/// Instructions per event, by kernel.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) conditions: Conditions,
    per_event: BTreeMap<String, f64>,
}

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing can be said on this machine, and why.
    NotComparable(String),
    /// Each kernel was compared.
    Compared {
        /// What is good to know.
        notes: Vec<String>,
        /// What must not be.
        problems: Vec<String>,
    },
}

impl Counts {
    /// Nothing counted yet.
    pub(crate) fn new(conditions: Conditions) -> Self {
        Self { conditions, per_event: BTreeMap::new() }
    }

    /// Enters a kernel's count, to a tenth.
    pub(crate) fn add(&mut self, kernel: &str, per_event: f64) {
        self.per_event.insert(kernel.to_owned(), (per_event * 10.0).round() / 10.0);
    }

    /// Reads the text of [`Counts::text`].
    pub(crate) fn read(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let name = |key: &str| value[key].as_str().map(str::to_owned).with_context(|| format!("it has no `{key}`"));
        let version = |key: &str| value[key].as_str().map(str::to_owned);
        let sets = value["instruction_sets"].as_array().context("it has no `instruction_sets`")?;
        let sets = sets.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let counts = value["instructions_per_event"].as_object().context("it has no `instructions_per_event`")?;
        let count = |(kernel, count): (&String, &Value)| -> Result<(String, f64)> {
            let count = count.as_f64().filter(|count| *count > 0.0);
            Ok((kernel.clone(), count.with_context(|| format!("the count of `{kernel}` is no number above 0"))?))
        };
        let per_event = counts.iter().map(count).collect::<Result<_>>()?;
        let (cc, valgrind) = (version("cc"), version("valgrind"));
        let conditions = Conditions { rustc: name("rustc")?, cc, valgrind, target: name("target")?, sets };
        Ok(Self { conditions, per_event })
    }

    /// JSON, as the file has it.
    pub(crate) fn text(&self) -> String {
        let Conditions { rustc, cc, valgrind, target, sets } = &self.conditions;
        let value = json!({
            "rustc": rustc,
            "cc": cc,
            "valgrind": valgrind,
            "target": target,
            "instruction_sets": sets,
            "instructions_per_event": self.per_event,
        });
        format!("{value:#}\n")
    }
}

/// Compares. `pinned` is the compiler's version that the repository names, `allowed` the share that a count may be above.
pub(crate) fn judge(accepted: &Counts, found: &Counts, pinned: &str, allowed: f64) -> Judgement {
    let (then, now) = (&accepted.conditions, &found.conditions);
    if accepted.per_event.is_empty() {
        return Judgement::Compared { notes: Vec::new(), problems: vec!["no counts were accepted yet".to_owned()] };
    }
    if !then.rustc.starts_with(&format!("rustc {pinned} ")) {
        let problem = format!("the counts are of {}, and rust-toolchain.toml names {pinned}", then.rustc);
        return Judgement::Compared { notes: Vec::new(), problems: vec![problem] };
    }
    if then != now {
        let (then, now) = (described(then), described(now));
        return Judgement::NotComparable(format!("the counts are of {then}; this machine has {now}"));
    }
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    for (kernel, count) in &found.per_event {
        let Some(before) = accepted.per_event.get(kernel) else {
            problems.push(format!("no count of {kernel} was accepted yet"));
            continue;
        };
        let change = count / before - 1.0;
        let told = format!("{kernel} takes {count:.1} instructions an event; {before:.1} were accepted");
        if change > allowed {
            problems.push(format!("{told}, {:.1} % more", change * 100.0));
        } else if change < -allowed {
            notes.push(format!("{told}: accept the new count, so that what was gained is kept"));
        }
    }
    for kernel in accepted.per_event.keys().filter(|kernel| !found.per_event.contains_key(*kernel)) {
        problems.push(format!("{kernel} was not counted"));
    }
    Judgement::Compared { notes, problems }
}

fn described(conditions: &Conditions) -> String {
    let cc = conditions.cc.as_deref().unwrap_or("an unknown C compiler");
    let valgrind = conditions.valgrind.as_deref().unwrap_or("an unknown valgrind");
    let Conditions { rustc, target, sets, .. } = conditions;
    format!("{rustc}, {cc} and {valgrind} on {target} with {}", sets.join(", "))
}

/// The counts beside each other.
pub(crate) fn table(accepted: &Counts, found: &Counts) -> String {
    let mut text = format!("{:<8} {:>12} {:>12} {:>9}\n", "kernel", "accepted", "now", "change");
    for (kernel, count) in &found.per_event {
        let before = accepted.per_event.get(kernel);
        let known = before.map_or_else(|| "–".to_owned(), |before| format!("{before:.1}"));
        let change =
            before.map_or_else(|| "–".to_owned(), |before| format!("{:+.1} %", (count / before - 1.0) * 100.0));
        text += &format!("{kernel:<8} {known:>12} {count:>12.1} {change:>9}\n");
    }
    text
}

/// What a kernel takes per event; `None` where it took no event, or no more than when idle.
pub(crate) fn per_event(busy: u64, idle: u64, events: u64) -> Option<f64> {
    let kernel = busy.checked_sub(idle).filter(|count| *count > 0)?;
    (events > 0).then(|| kernel as f64 / events as f64)
}

/// The instructions of all parts of callgrind's output.
pub(crate) fn total(output: &str) -> Option<u64> {
    let parts = output.lines().filter_map(|line| line.strip_prefix("summary: "));
    let counts = parts.map(|part| part.trim().parse::<u64>().ok()).collect::<Option<Vec<u64>>>()?;
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// Which of `wanted` a processor has, by its text in /proc/cpuinfo.
pub(crate) fn instruction_sets(cpuinfo: &str, wanted: &[&str]) -> Vec<String> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).and_then(|line| line.split_once(':'));
    let has = |set: &&&str| flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|flag| flag == **set));
    wanted.iter().filter(has).map(|set| (*set).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: &str = "1.95.0";

    fn counts(decode: f64) -> Counts {
        let sets = vec!["avx2".to_owned()];
        let mut counts = Counts::new(Conditions {
            rustc: "rustc 1.95.0 (abc 2026-04-14)".into(),
            cc: Some("cc 12.2.0".into()),
            valgrind: Some("valgrind-3.19.0".into()),
            target: "t".into(),
            sets,
        });
        counts.add("decode", decode);
        counts
    }

    fn problems(accepted: &Counts, found: &Counts) -> Vec<String> {
        match judge(accepted, found, PINNED, 0.05) {
            Judgement::Compared { problems, .. } => problems,
            Judgement::NotComparable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn more_than_allowed_is_a_problem_and_less_is_a_note() {
        assert_eq!(problems(&counts(1_000.0), &counts(1_049.0)), Vec::<String>::new());
        let found = problems(&counts(1_000.0), &counts(1_051.0));
        assert_eq!(found, ["decode takes 1051.0 instructions an event; 1000.0 were accepted, 5.1 % more"]);
        let Judgement::Compared { notes, problems } = judge(&counts(1_000.0), &counts(900.0), PINNED, 0.05) else {
            panic!("they are comparable");
        };
        assert!(problems.is_empty() && notes[0].contains("accept the new count"), "{notes:?}");
    }

    #[test]
    fn a_kernel_that_is_new_or_gone_is_a_problem() {
        let mut more = counts(1.0);
        more.add("index", 5.0);
        assert_eq!(problems(&counts(1.0), &more), ["no count of index was accepted yet"]);
        assert_eq!(problems(&more, &counts(1.0)), ["index was not counted"]);
        assert_eq!(problems(&Counts::default(), &counts(1.0)), ["no counts were accepted yet"]);
    }

    #[test]
    fn a_machine_with_another_compiler_valgrind_or_processor_is_not_compared() {
        let (mut newer, mut lesser) = (counts(9.0), counts(9.0));
        newer.conditions.rustc = "rustc 1.96.0 (def 2026-06-01)".into();
        lesser.conditions.sets.clear();
        let (mut other_cc, mut other_valgrind) = (counts(9.0), counts(9.0));
        other_cc.conditions.cc = Some("cc 14.2.0".into());
        other_valgrind.conditions.valgrind = Some("valgrind-3.24.0".into());
        for found in [newer, lesser, other_cc, other_valgrind] {
            assert!(matches!(judge(&counts(1.0), &found, PINNED, 0.05), Judgement::NotComparable(_)));
        }
    }

    #[test]
    fn a_file_that_does_not_name_the_c_compiler_and_valgrind_is_not_compared() {
        let written = counts(1.0).text();
        let named = |line: &&str| line.contains("\"cc\"") || line.contains("\"valgrind\"");
        let older: String = written.lines().filter(|line| !named(line)).collect();
        assert_ne!(older, written.replace('\n', ""), "they were named");
        let Judgement::NotComparable(why) = judge(&Counts::read(&older).unwrap(), &counts(9.0), PINNED, 0.05) else {
            panic!("nobody knows what the older counts are of");
        };
        assert!(why.contains("an unknown C compiler and an unknown valgrind") && why.contains("cc 12.2.0"), "{why}");
    }

    #[test]
    fn a_repository_that_moved_to_another_compiler_wants_new_counts() {
        let mut newer = counts(1.0);
        newer.conditions.rustc = "rustc 1.96.0 (def 2026-06-01)".into();
        let Judgement::Compared { problems, .. } = judge(&counts(1.0), &newer, "1.96.0", 0.05) else {
            panic!("it is a problem of the repository, not of the machine");
        };
        assert!(problems[0].contains("rust-toolchain.toml names 1.96.0"), "{problems:?}");
    }

    #[test]
    fn counts_read_back_as_written_and_half_a_file_does_not() {
        let written = counts(1_234.56);
        assert_eq!(Counts::read(&written.text()).unwrap(), counts(1_234.6));
        assert!(table(&written, &counts(2_469.2)).contains("+100.0 %"));
        for wrong in ["", "{}", r#"{"rustc":"r","target":"t","instruction_sets":[],"instructions_per_event":{"a":0}}"#]
        {
            assert!(Counts::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_parts_are_added_up_and_the_idle_run_is_taken_away() {
        assert_eq!(total("events: Ir\nsummary: 100\n\nfn=(1)\n0 6\nsummary: 23\ntotals: 123\n"), Some(123));
        assert_eq!((total("events: Ir\n"), total("summary: x\n")), (None, None));
        assert_eq!((per_event(1_500, 500, 100), per_event(5, 5, 1), per_event(9, 5, 0)), (Some(10.0), None, None));
    }

    #[test]
    fn only_what_code_is_chosen_by_is_taken_from_the_processor() {
        let text = "model name\t: x\nflags\t\t: fpu avx avx2 sse4_2\n";
        assert_eq!(instruction_sets(text, &["avx2", "bmi2", "sse4_2"]), ["avx2", "sse4_2"]);
        assert!(instruction_sets("", &["avx2"]).is_empty());
    }
}
