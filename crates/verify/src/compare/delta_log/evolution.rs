//! Definitions across versions: what a version may change of the table's columns, settings and protocol.
//!
//! Our own `maintain` commits add nullable columns, make columns nullable, and reorder them; everything else that a
//! version changes does not fit what was there.

use super::Check;
use crate::finding::{Code, Place};
use crate::lake::state::{exceeds, protocol_text};
use crate::lake::text::clean;
use crate::lake::{Commit, Metadata, Origin};
use std::collections::BTreeSet;

/// Key of the pipeline's uuid.
const PIPELINE: &str = "watertight.pipeline";
/// Must be `false`: only we may delete entries, once their books are copied.
const CLEANUP: &str = "delta.enableExpiredLogCleanup";
/// Must not be set: positions would expire.
const EXPIRY: &str = "delta.setTransactionRetentionDuration";

pub(super) fn check(check: &Check<'_>) {
    let (mut had, mut protocol) = (None, None);
    for commit in &check.table.commits {
        let report = Report { check, commit, silent: !check.in_scope(commit) };
        if let Some(asks) = commit.protocol {
            report.protocol(protocol, asks);
            protocol = Some(asks);
        }
        if let Some(metadata) = &commit.metadata {
            report.settings(metadata);
            report.columns(metadata);
            match had {
                Some(had) => report.change(had, metadata),
                None if commit.version > 0 && matches!(commit.origin, Origin::Foreign(_)) => {
                    report.add(report.place(), "another program committed a definition of the table".to_owned());
                }
                None => {}
            }
            had = Some(metadata);
        }
    }
}

struct Report<'a, 'b> {
    check: &'a Check<'b>,
    commit: &'a Commit,
    silent: bool,
}

impl Report<'_, '_> {
    fn place(&self) -> Place {
        self.check.place().at_version(self.commit.version)
    }

    fn add(&self, place: Place, what: String) {
        if !self.silent {
            self.check.findings.add(Code::SchemaChange, place, what);
        }
    }

    fn column(&self, name: &str, what: String) {
        self.add(self.place().in_column(name), what);
    }

    fn protocol(&self, had: Option<(i64, i64)>, asks: (i64, i64)) {
        if exceeds(asks) {
            self.add(self.place(), protocol_text(asks));
        } else if had.is_some_and(|had| had != asks) {
            self.add(self.place(), format!("the protocol became reader {}, writer {}", asks.0, asks.1));
        }
    }

    /// What must hold of any version's definition.
    fn settings(&self, metadata: &Metadata) {
        let setting = |key: &str| metadata.configuration.get(key).map(String::as_str);
        if setting(CLEANUP) != Some("false") {
            let found = setting(CLEANUP).map_or_else(|| "not set".to_owned(), clean);
            self.add(self.place(), format!("{CLEANUP} must be false and is {found}: others may delete entries"));
        }
        if let Some(found) = setting(EXPIRY) {
            self.add(self.place(), format!("{EXPIRY} must not be set and is {}: positions expire", clean(found)));
        }
    }

    fn columns(&self, metadata: &Metadata) {
        let mut names = BTreeSet::new();
        for field in metadata.columns.fields() {
            if !names.insert(field.name().to_lowercase()) {
                self.column(field.name(), "the column is there twice (case does not count)".to_owned());
            }
        }
        for column in &metadata.partition_columns {
            if metadata.columns.field_with_name(column).is_err() {
                self.column(column, "the table is partitioned by this column and does not have it".to_owned());
            }
        }
    }

    fn change(&self, had: &Metadata, now: &Metadata) {
        if let Origin::Foreign(who) = &self.commit.origin
            && had != now
        {
            self.add(self.place(), format!("another program ({who}) changed the table's definition"));
        }
        if had.id != now.id {
            self.add(self.place(), format!("the table's id was {} and became {}", clean(&had.id), clean(&now.id)));
        }
        if had.partition_columns != now.partition_columns {
            let (had, now) = (had.partition_columns.join(", "), now.partition_columns.join(", "));
            self.add(self.place(), format!("the table was partitioned by {} and is by {}", clean(&had), clean(&now)));
        }
        let pipeline = |of: &Metadata| of.configuration.get(PIPELINE).map_or_else(|| "none".to_owned(), |id| clean(id));
        if pipeline(had) != pipeline(now) {
            self.add(self.place(), format!("{PIPELINE} was {} and became {}", pipeline(had), pipeline(now)));
        }
        self.fields(had, now);
    }

    fn fields(&self, had: &Metadata, now: &Metadata) {
        for old in had.columns.fields() {
            match now.columns.field_with_name(old.name()) {
                Err(_) => self.column(old.name(), "the column was there, and is gone".to_owned()),
                Ok(new) if new.data_type() != old.data_type() => {
                    let what = format!("the column was {} and became {}", old.data_type(), new.data_type());
                    self.column(old.name(), what);
                }
                Ok(new) if old.is_nullable() && !new.is_nullable() => {
                    self.column(old.name(), "the column could be null, and no longer can".to_owned());
                }
                Ok(_) => {}
            }
        }
        for new in now.columns.fields() {
            if !new.is_nullable() && had.columns.field_with_name(new.name()).is_err() {
                self.column(new.name(), "the column is new and can't be null: older rows have no value".to_owned());
            }
        }
    }
}
