//! Tree → keys: each key is known, there once, and of the right shape and unit.
//!
//! A value that is wrong is reported here and becomes `None`; whether keys fit one another is for `build`. So
//! everything that can be said of a file is said, whatever else is wrong in it.

mod column;
mod fields;
mod log;
mod pipeline;
mod secret;
mod stream;

pub(crate) use log::{RawKafkaLog, RawLocalLog, RawLog};
pub(crate) use pipeline::{RawCommit, RawModel, RawPipeline, read};
pub(crate) use secret::RawSecret;
pub(crate) use stream::{RawColumn, RawEventId, RawEventTime, RawPayload, RawStream, RawTopics};

use crate::problem::{Place, Report};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    /// What the file says, for problems: variables are not filled in.
    pub(crate) shown: String,
    pub(crate) at: Place,
    pub(crate) path: String,
}

impl<T> Spanned<T> {
    pub(crate) fn problem(&self, report: &mut Report, message: impl Into<String>, suggestion: Option<String>) {
        report.add(self.at, &self.path, message, suggestion);
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), shown: self.shown, at: self.at, path: self.path }
    }
}
