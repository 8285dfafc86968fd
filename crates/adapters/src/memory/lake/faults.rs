//! Scripted faults of the lake in memory: reject, fail after the work was done (the lost answer), hold.
//!
//! A fault strikes once, at the first matching call after the ones it lets pass, before or after the call's work.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use watertight_core::port::{ErrorKind, PortError};

/// A call of the lake port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakeCall {
    /// `Lake::open`.
    Open,
    /// `Lake::look`.
    Look,
    /// `LakeTable::refresh`.
    Refresh,
    /// `LakeTable::stage`.
    Stage,
    /// `LakeTable::commit`.
    Commit,
    /// `LakeTable::commits_after`.
    CommitsAfter,
    /// `LakeTable::live_files`.
    LiveFiles,
    /// `LakeTable::read`.
    Read,
}

/// Where in the call a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing was done yet.
    Before,
    /// Everything was done; only the answer is missing.
    After,
}

/// What a fault does.
#[derive(Debug, Clone)]
pub enum Strike {
    /// The call fails with this kind. With [`When::After`] and `Unknown`: the lost answer.
    Fail(ErrorKind),
    /// The call waits at the gate, then goes on.
    Hold(Gate),
}

/// One fault.
#[derive(Debug, Clone)]
pub struct LakeFault {
    /// Which call.
    pub call: LakeCall,
    /// Of which table (`silver.ticks`); `None` for any.
    pub table: Option<String>,
    /// Matching calls that pass before it strikes.
    pub skip: usize,
    /// Where in the call.
    pub when: When,
    /// What happens.
    pub strike: Strike,
}

impl LakeFault {
    /// The next such call of any table is refused, nothing done.
    #[must_use]
    pub fn reject(call: LakeCall, kind: ErrorKind) -> Self {
        Self { call, table: None, skip: 0, when: When::Before, strike: Strike::Fail(kind) }
    }

    /// The next such call of any table does its work, and its answer is lost.
    #[must_use]
    pub fn lose_answer(call: LakeCall) -> Self {
        Self { call, table: None, skip: 0, when: When::After, strike: Strike::Fail(ErrorKind::Unknown) }
    }

    /// The next such call of any table waits at `gate`.
    #[must_use]
    pub fn hold(call: LakeCall, when: When, gate: Gate) -> Self {
        Self { call, table: None, skip: 0, when, strike: Strike::Hold(gate) }
    }

    /// Only for this table.
    #[must_use]
    pub fn of(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    /// Only after `skip` matching calls.
    #[must_use]
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }
}

/// A gate at which calls wait until it is opened.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: bool,
}

impl Gate {
    /// Lets everything through, now and later.
    pub fn open(&self) {
        lock(&self.0.0).open = true;
        self.0.1.notify_all();
    }

    /// Waits until a call has arrived.
    pub fn wait_for_arrival(&self) {
        let mut state = lock(&self.0.0);
        while !state.arrived {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pass(&self) {
        let mut state = lock(&self.0.0);
        state.arrived = true;
        self.0.1.notify_all();
        while !state.open {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The faults that have not struck yet.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<Vec<LakeFault>>);

impl Script {
    pub(super) fn add(&self, fault: LakeFault) {
        lock(&self.0).push(fault);
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Lets the faults for this moment strike.
    pub(super) fn strike(&self, call: LakeCall, table: &str, when: When) -> Result<(), PortError> {
        let matches = |fault: &LakeFault| {
            fault.call == call && fault.when == when && fault.table.as_deref().is_none_or(|named| named == table)
        };
        let mut struck = Vec::new();
        lock(&self.0).retain_mut(|fault| {
            if !matches(fault) {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            // One at a time: a second fault for the same moment waits for the next call.
            if struck.is_empty() {
                struck.push(fault.strike.clone());
                return false;
            }
            true
        });
        for strike in struck {
            match strike {
                Strike::Hold(gate) => gate.pass(),
                Strike::Fail(kind) => {
                    return Err(PortError::new(
                        kind,
                        format!("scripted fault at {call:?} of {table}, {when:?} its work"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Locks, whatever happened to other holders.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::MemoryLake;
    use super::*;
    use crate::contract::lake::{request, some_rows, spec, step};
    use std::thread;
    use watertight_core::port::{CommitOutcome, Lake};

    #[test]
    fn a_fault_strikes_once_at_the_call_and_table_it_was_scripted_for() {
        let lake = MemoryLake::default();
        let mut table = lake.open(&spec()).unwrap();
        lake.script(LakeFault::reject(LakeCall::Stage, ErrorKind::Retry).of("silver.ticks").after(1));
        lake.script(LakeFault::reject(LakeCall::Stage, ErrorKind::Retry).of("gold.other"));
        assert!(table.stage(3, &some_rows(0, 1, 3)).is_ok());
        assert_eq!(table.stage(3, &some_rows(0, 1, 3)).unwrap_err().kind, ErrorKind::Retry);
        assert!(table.stage(3, &some_rows(0, 1, 3)).is_ok());
        assert_eq!(lake.faults_left(), 1);
        for call in [LakeCall::Refresh, LakeCall::Commit, LakeCall::CommitsAfter, LakeCall::LiveFiles] {
            lake.script(LakeFault::reject(call, ErrorKind::Retry));
        }
        assert!(table.refresh().is_err() && table.commits_after(None).is_err() && table.live_files().is_err());
        assert!(table.commit(&request("a", vec![step(0, None, 1)], vec![])).is_err());
        assert_eq!((table.refresh().unwrap().version, lake.faults_left()), (0, 1));
    }

    #[test]
    fn a_commit_held_before_its_work_loses_to_whoever_went_on() {
        let lake = MemoryLake::default();
        let (mut held, mut other) = (lake.open(&spec()).unwrap(), lake.open(&spec()).unwrap());
        let gate = Gate::default();
        lake.script(LakeFault::hold(LakeCall::Commit, When::Before, gate.clone()));
        thread::scope(|scope| {
            let slow = scope.spawn(move || held.commit(&request("slow", vec![step(0, None, 1)], vec![])));
            gate.wait_for_arrival();
            let made = other.commit(&request("fast", vec![step(0, None, 1)], vec![]));
            assert_eq!(made.unwrap(), CommitOutcome::Committed(1));
            gate.open();
            assert_eq!(slow.join().unwrap().unwrap_err().kind, ErrorKind::Fenced);
        });
    }
}
