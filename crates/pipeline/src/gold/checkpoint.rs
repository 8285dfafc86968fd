//! The checkpoint of a model's open windows: a cache that spares a start the reading of silver.
//!
//! It is believed only where it is whole, of this pipeline and this very model (the engine checks the SQL, the window
//! and silver's columns), not ahead of silver, and not ahead of gold. In every other case the windows are rebuilt.

use super::engine::{ModelPlan, WindowState};
use crate::runtime::{is_gone, unusable};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::PortError;
use watertight_state::{Blob, Rebuild, StateError, StateFolder, StateIdentity, StateStore};

/// Version of what the blob holds.
const FORMAT: u32 = 1;
/// While running, the windows are saved this often.
const SAVED_EVERY: Duration = Duration::from_secs(30);
/// Larger states are saved only when the run ends: writing them would hold up commits.
const SAVED_WHILE_RUNNING_BYTES_MAX: usize = 64 << 20;
const BLOB: &str = "windows";

/// The checkpoint of one model.
pub(super) struct WindowCheckpoint {
    folder: StateFolder,
    identity: StateIdentity,
    store: StateStore,
    saved: Instant,
    /// Version of silver that the last saved state covers.
    upto: Option<u64>,
}

impl WindowCheckpoint {
    pub(super) fn open(state: &StateFolder, pipeline: &str, model: &str) -> Result<Self, PortError> {
        let what = format!("gold.{model}.windows");
        let identity = StateIdentity { pipeline: pipeline.to_owned(), what, format: FORMAT };
        let store = StateStore::open(state, identity.clone()).map_err(unusable)?;
        Ok(Self { folder: state.clone(), identity, store, saved: Instant::now(), upto: None })
    }

    /// The saved windows and the version of silver they cover, where they can be believed.
    pub(super) fn load(
        &mut self,
        plan: &Arc<ModelPlan>,
        silver_version: u64,
        closed_until_us: Option<i64>,
    ) -> Option<(WindowState, u64)> {
        let why = match self.store.load_blob(BLOB) {
            Ok(Blob::Loaded { upto, bytes }) => match WindowState::load(plan, &bytes) {
                Ok(_) if upto > silver_version => "it is ahead of silver".to_owned(),
                Ok(state) if closed_until_us.is_none_or(|closed| state.closed_until_us() > closed) => {
                    if state.closed_until_us() == i64::MIN && closed_until_us.is_none() {
                        self.upto = Some(upto);
                        return Some((state, upto));
                    }
                    "it is ahead of gold".to_owned()
                }
                Ok(state) => {
                    self.upto = Some(upto);
                    return Some((state, upto));
                }
                Err(error) => error.to_string(),
            },
            Ok(Blob::Rebuild(Rebuild::Missing)) => return None,
            Ok(Blob::Rebuild(reason)) => reason.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(model = plan.name(), why, "rebuilding the open windows from silver");
        None
    }

    /// Saves now and then while running.
    pub(super) fn save_if_due(&mut self, state: &WindowState, silver_version: u64) {
        if self.saved.elapsed() >= SAVED_EVERY && state.state_bytes() <= SAVED_WHILE_RUNNING_BYTES_MAX {
            self.save(state, silver_version);
        }
    }

    /// Saves; a failure costs the next start some time and nothing else.
    pub(super) fn save(&mut self, state: &WindowState, silver_version: u64) {
        self.saved = Instant::now();
        if self.upto == Some(silver_version) {
            return;
        }
        let saved = state
            .save()
            .map_err(|error| error.to_string())
            .and_then(|bytes| self.write(silver_version, &bytes).map_err(|error| error.to_string()));
        match saved {
            Ok(()) => self.upto = Some(silver_version),
            Err(error) => tracing::warn!(error, "open windows were not saved; a start will take longer"),
        }
    }

    /// Writes the blob; into the folder made anew, where it was deleted meanwhile.
    fn write(&mut self, silver_version: u64, bytes: &[u8]) -> Result<(), StateError> {
        match self.store.save_blob(BLOB, silver_version, bytes) {
            Err(error) if is_gone(&error) => {
                self.store = StateStore::open(&self.folder, self.identity.clone())?;
                self.store.save_blob(BLOB, silver_version, bytes)
            }
            other => other,
        }
    }
}
