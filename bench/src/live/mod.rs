//! Measuring the running program under events that come at a rate of their own.
//!
//! `schedule` says when each record is due, `feed` sends it then, come what may, `running` is the program, `watch` sees
//! each version of a table the moment its log entry has its name, and `histogram` keeps what came of it.

mod feed;
mod histogram;
mod running;
mod schedule;
mod sink;
mod watch;

pub(crate) use feed::{Event, Events, Feed, Generated};
pub(crate) use histogram::Histogram;
pub(crate) use running::Running;
pub(crate) use schedule::{Dues, Schedule};
pub(crate) use sink::Sink;
pub(crate) use watch::{Seen, Watch};
