//! The keys at the top of the file, of models and of commits.

use super::fields::{Cursor, Fields};
use super::log::{RawLog, log};
use super::stream::{RawStream, stream};
use super::{RawSecret, Spanned};
use crate::keys;
use crate::problem::Report;
use crate::yaml::Node;
use std::collections::BTreeMap;

pub(crate) struct RawPipeline {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) log: Option<RawLog>,
    pub(crate) lake: Option<Spanned<String>>,
    pub(crate) state: Option<Spanned<String>>,
    pub(crate) streams: Vec<RawStream>,
    /// Names of all streams that are declared, also of those whose declaration is wrong.
    pub(crate) stream_names: Vec<String>,
    pub(crate) models: Vec<RawModel>,
    pub(crate) commit: Option<RawCommit>,
    pub(crate) signing_key: Option<RawSecret>,
    pub(crate) places: BTreeMap<String, (u32, u32)>,
}

pub(crate) struct RawModel {
    pub(crate) name: String,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) window: Option<i64>,
    pub(crate) sql: Option<Spanned<String>>,
}

pub(crate) struct RawCommit {
    pub(crate) interval: Option<i64>,
    pub(crate) max_rows: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

/// Reads the whole file; `None` when it isn't a mapping.
pub(crate) fn read(root: &Node, report: &mut Report) -> Option<RawPipeline> {
    let cursor = Cursor { node: root, path: String::new() };
    let mut fields = Fields::open(&cursor, &keys::PIPELINE, report)?;
    let name = fields.name("pipeline", report);
    let log = fields.take("log").and_then(|cursor| log(&cursor, report));
    let lake = fields.text("lake", report);
    let state = fields.text("state", report);
    let streams = fields.take("streams").and_then(|cursor| cursor.named("streams by name", report)).unwrap_or_default();
    let stream_names = streams.iter().map(|(name, _)| name.value.clone()).collect();
    let streams = streams.into_iter().filter_map(|(name, cursor)| stream(name, &cursor, report)).collect();
    let models = fields.take("models").and_then(|cursor| cursor.named("models by name", report)).unwrap_or_default();
    let models = models.into_iter().filter_map(|(name, cursor)| model(name.value, &cursor, report)).collect();
    let commit = match fields.take("commit") {
        Some(cursor) => Fields::open(&cursor, &keys::COMMIT, report).map(|fields| commit(fields, report)),
        None => Some(commit(Fields::absent(&keys::COMMIT), report)),
    };
    let signing_key = fields.take("certificates").and_then(|cursor| signing_key(&cursor, report));
    fields.close();
    let places = root.places();
    Some(RawPipeline { name, log, lake, state, streams, stream_names, models, commit, signing_key, places })
}

fn signing_key(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawSecret> {
    let mut fields = Fields::open(cursor, &keys::CERTIFICATES, report)?;
    let key = fields.secret("signing_key", report);
    fields.close();
    key
}

fn model(name: String, cursor: &Cursor<'_>, report: &mut Report) -> Option<RawModel> {
    let mut fields = Fields::open(cursor, &keys::MODEL, report)?;
    let model = RawModel {
        name,
        from: fields.text("from", report),
        window: fields.duration("window", report).map(|window| window.value),
        sql: fields.text("sql", report),
    };
    fields.close();
    Some(model)
}

fn commit(mut fields: Fields<'_>, report: &mut Report) -> RawCommit {
    let commit = RawCommit {
        interval: fields.duration("interval", report).map(|interval| interval.value),
        max_rows: fields.whole("max_rows", report).map(|rows| rows.value),
        max_bytes: fields.size("max_bytes", report).map(|bytes| bytes.value),
    };
    fields.close();
    commit
}
