//! Faults planted at durable steps by the environment.
//!
//! `WATERTIGHT_STEPS` holds directives, divided by `;`. `nth` counts passings of the step at that moment from 1, in
//! this process.
//!
//! | directive | does |
//! |---|---|
//! | `kill:before\|after:STEP:NTH` | SIGKILL to this process |
//! | `stop:before\|after:STEP:NTH` | SIGSTOP to this process: somebody outside cuts the power, or takes over |
//! | `kill:any:NTH`, `stop:any:NTH` | the same at the nth passing of all, whatever step it is |
//! | `fail:before\|after:STEP:NTH:ERRNO` | that error, as if the operating system had said it |
//! | `panic:before\|after:STEP:NTH` | the thread that takes the step panics |
//! | `leave-out:STEP` | the step is left out every time, and passes for done |
//! | `list:FILE` | appends `STEP before\|after` to the file at each passing |

use rustix::process::{Signal, getpid, kill_process};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use watertight_core::steps::{ALL, Course, Moment, Steps};

const VARIABLE: &str = "WATERTIGHT_STEPS";

enum Directive {
    Strike { strike: Strike, step: String, moment: Moment, nth: u64 },
    Any(Signal, u64),
    LeaveOut(String),
    List(PathBuf),
}

#[derive(Clone, Copy)]
enum Strike {
    Signal(Signal),
    Fail(i32),
    Panic,
}

/// What the environment plants in this process; passings are counted over all its parts.
pub(crate) fn steps() -> Steps {
    from_text(&std::env::var(VARIABLE).unwrap_or_default())
}

fn from_text(text: &str) -> Steps {
    let directives: Vec<Directive> = text.split(';').filter(|part| !part.is_empty()).map(parse).collect();
    if directives.is_empty() {
        return Steps::default();
    }
    let passed: Mutex<(u64, HashMap<(&'static str, Moment), u64>)> = Mutex::default();
    Steps::new(move |step, moment| {
        let (all, nth) = {
            let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
            passed.0 += 1;
            let all = passed.0;
            let nth = passed.1.entry((step, moment)).or_default();
            *nth += 1;
            (all, *nth)
        };
        let mut course = Course::Take;
        for directive in &directives {
            match directive {
                Directive::List(file) => list(file, step, moment)?,
                Directive::LeaveOut(left) if left == step => course = Course::LeaveOut,
                Directive::Strike { strike, step: at, moment: when, nth: wanted }
                    if at == step && (*when, *wanted) == (moment, nth) =>
                {
                    strike.now()?;
                }
                Directive::Any(signal, wanted) if *wanted == all => Strike::Signal(*signal).now()?,
                Directive::LeaveOut(_) | Directive::Strike { .. } | Directive::Any(..) => {}
            }
        }
        Ok(course)
    })
}

impl Strike {
    fn now(self) -> io::Result<()> {
        match self {
            Self::Signal(signal) => {
                kill_process(getpid(), signal)?;
                if signal == Signal::KILL {
                    loop {
                        std::thread::park();
                    }
                }
                Ok(())
            }
            Self::Fail(code) => Err(io::Error::from_raw_os_error(code)),
            Self::Panic => panic!("planted"),
        }
    }
}

fn list(file: &PathBuf, step: &str, moment: Moment) -> io::Result<()> {
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    let moment = if moment == Moment::Before { "before" } else { "after" };
    out.write_all(format!("{step} {moment}\n").as_bytes())
}

/// A directive that cannot be read ends the process: a test that plants nothing proves nothing.
fn parse(text: &str) -> Directive {
    let parsed = match text.split_once(':') {
        Some(("list", file)) => Some(Directive::List(PathBuf::from(file))),
        Some((verb @ ("kill" | "stop"), any)) if any.starts_with("any:") => {
            let signal = if verb == "kill" { Signal::KILL } else { Signal::STOP };
            any[4..].parse().ok().map(|nth| Directive::Any(signal, nth))
        }
        Some(("leave-out", step)) => known(step).map(Directive::LeaveOut),
        Some((verb, rest)) => parse_strike(verb, rest),
        None => None,
    };
    parsed.unwrap_or_else(|| {
        eprintln!("error: {VARIABLE}: '{text}' is no directive, or its step has no such name");
        std::process::exit(2)
    })
}

fn parse_strike(verb: &str, rest: &str) -> Option<Directive> {
    let mut parts = rest.split(':');
    let moment = match parts.next()? {
        "before" => Moment::Before,
        "after" => Moment::After,
        _ => return None,
    };
    let step = known(parts.next()?)?;
    let nth = parts.next()?.parse().ok()?;
    let strike = match verb {
        "kill" => Strike::Signal(Signal::KILL),
        "stop" => Strike::Signal(Signal::STOP),
        "panic" => Strike::Panic,
        "fail" => Strike::Fail(parts.next()?.parse().ok()?),
        _ => return None,
    };
    parts.next().is_none().then_some(Directive::Strike { strike, step, moment, nth })
}

fn known(step: &str) -> Option<String> {
    ALL.contains(&step).then(|| step.to_owned())
}
