//! Apache Kafka in KRaft mode: real brokers, each also a controller, and faults to plant.
//!
//! ```no_run
//! use watertight_lab::kafka::{Cluster, ClusterOptions};
//!
//! # fn main() -> Result<(), watertight_lab::LabError> {
//! let cluster = Cluster::start(ClusterOptions { brokers: 3, ..ClusterOptions::default() })?;
//! println!("{}", cluster.bootstrap());
//! cluster.kill(2)?;
//! cluster.start_again(2)?;
//! # Ok(())
//! # }
//! ```
//!
//! Contract: the brokers are killed when the cluster is dropped, and by the system when this process ends in whatever way.
//! No topic is made by itself. Records are not synced one by one (Kafka's default): an acknowledged record survives the
//! broker's death, not the machine's.
//! Never: a client. Topics, records and groups are the business of whoever tests a client of its own.

mod archive;
mod certificates;
mod distribution;
pub(crate) mod launch;
mod layout;
mod metadata;
pub mod secured;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::Signal;

pub use distribution::{Distribution, version};

use crate::process::ProcessId;
use crate::scratch::Scratch;
use crate::{LabError, cache};
use launch::{Classes, Launcher};
use secured::Secured;

/// Who may talk to a cluster's brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Anybody, in the clear.
    #[default]
    Open,
    /// Anybody in the clear, and on listeners of their own those who show who they are ([`Cluster::secured`]). One
    /// broker only; another 2 s to start.
    Secured,
}

/// What a cluster should be.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many brokers, numbered from 1. Each takes 160 to 300 MB of memory.
    pub brokers: u8,
    /// Where data and logs go; a cluster that is there already is taken up again, with its ports. `None` for a folder of
    /// its own in the cache that is removed with the cluster.
    pub dir: Option<PathBuf>,
    /// Kafka's settings for each broker, in the place of the lab's own or in addition.
    pub properties: Vec<(String, String)>,
    /// Whether there are listeners that want to know who asks. Their ports and certificates are new each time.
    pub access: Access,
}

impl Default for ClusterOptions {
    /// One broker, in a folder of its own.
    fn default() -> Self {
        Self { brokers: 1, dir: None, properties: Vec::new(), access: Access::Open }
    }
}

/// A cluster that belongs to this process.
#[derive(Debug)]
pub struct Cluster {
    launcher: Launcher,
    /// The process of each broker, of number 1 first; `None` while it is down.
    children: Vec<Mutex<Option<Child>>>,
    /// Removed last, when nobody writes into it any more.
    _scratch: Option<Scratch>,
}

impl Cluster {
    /// Starts a cluster and waits until every broker knows of all of them: 1.3 s for one, 3 s for three, on two cores.
    ///
    /// # Errors
    /// `NotInstalled` where Kafka is not in the cache; `Ended` and `NotReady` with the end of the broker's log;
    /// `PortBusy` where the ports of a folder that is taken up again are in use.
    pub fn start(options: ClusterOptions) -> Result<Self, LabError> {
        let distribution = Distribution::in_cache()?;
        distribution.check()?;
        let classes = Classes::ReadFrom(distribution.archive()?);
        let (folder, scratch) = match options.dir {
            Some(folder) => (folder, None),
            None => {
                let scratch = Scratch::make(&cache::folder()?.join("lab/scratch"))?;
                (scratch.path().to_path_buf(), Some(scratch))
            }
        };
        let ClusterOptions { brokers, properties, access, .. } = options;
        let launcher = Launcher::prepare(&distribution, brokers, &folder, &properties, access, &classes)?;
        let children = launcher.all().iter().map(|_| Mutex::new(None)).collect();
        let cluster = Self { launcher, children, _scratch: scratch };
        cluster.start_all_again()?;
        Ok(cluster)
    }

    /// host:port of every broker, comma separated, whether it runs or not.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.launcher.bootstrap()
    }

    /// The listeners that want to know who asks; `None` where the cluster was started open.
    #[must_use]
    pub fn secured(&self) -> Option<&Secured> {
        self.launcher.secured()
    }

    /// The folder of data and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.launcher.layout().folder()
    }

    /// The file that a broker's output is added to, through all its lives.
    #[must_use]
    pub fn log(&self, broker: u8) -> PathBuf {
        self.launcher.layout().log(broker)
    }

    /// A broker's process; `None` while it is down.
    ///
    /// # Errors
    /// `Refused` where there is no such broker.
    pub fn process(&self, broker: u8) -> Result<Option<ProcessId>, LabError> {
        Ok(self.slot(broker)?.as_ref().and_then(|child| ProcessId::of(child.id())))
    }

    /// SIGKILL to a broker: it is gone when this returns. What clients were told is acknowledged stays on its disk.
    ///
    /// # Errors
    /// `Refused` where it does not run.
    pub fn kill(&self, broker: u8) -> Result<(), LabError> {
        let mut slot = self.running(broker)?;
        slot.as_mut().map_or(Ok(()), launch::kill)?;
        *slot = None;
        Ok(())
    }

    /// SIGTERM to a broker: it hands its partitions over, ends, and is gone when this returns.
    ///
    /// # Errors
    /// `Refused` where it does not run, or does not end within a minute.
    pub fn stop(&self, broker: u8) -> Result<(), LabError> {
        let mut slot = self.running(broker)?;
        slot.as_mut().map_or(Ok(()), |child| launch::ask_to_end(child, broker))?;
        *slot = None;
        Ok(())
    }

    /// SIGSTOP to a broker: it keeps its connections and says nothing until [`resume`](Self::resume).
    ///
    /// # Errors
    /// `Refused` where it does not run.
    pub fn pause(&self, broker: u8) -> Result<(), LabError> {
        self.running(broker)?.as_ref().map_or(Ok(()), |child| launch::signal(child, Signal::STOP))?;
        self.process(broker)?.map_or(Ok(()), ProcessId::await_paused)
    }

    /// SIGCONT to a broker that was paused.
    ///
    /// # Errors
    /// `Refused` where it does not run.
    pub fn resume(&self, broker: u8) -> Result<(), LabError> {
        self.running(broker)?.as_ref().map_or(Ok(()), |child| launch::signal(child, Signal::CONT))
    }

    /// Starts a broker that is down, on its ports and its data, and waits until it is back in the cluster: about 4 s after
    /// a SIGKILL, because its former life has to be missed first (`broker.session.timeout.ms`).
    ///
    /// # Errors
    /// `Refused` where it runs; `PortBusy` where somebody has taken its port meanwhile; `NotReady` also where too few
    /// others run to make a quorum: [`start_all_again`](Self::start_all_again) starts those together.
    pub fn start_again(&self, broker: u8) -> Result<(), LabError> {
        self.begin(broker)?;
        self.wait(broker, &[broker])
    }

    /// Starts every broker that is down, and waits until each knows of all.
    ///
    /// # Errors
    /// As [`start_again`](Self::start_again).
    pub fn start_all_again(&self) -> Result<(), LabError> {
        let all = self.launcher.all();
        for broker in &all {
            let down = self.slot(*broker)?.is_none();
            if down {
                self.begin(*broker)?;
            }
        }
        all.iter().try_for_each(|broker| self.wait(*broker, &all))
    }

    fn begin(&self, broker: u8) -> Result<(), LabError> {
        let mut slot = self.slot(broker)?;
        if slot.is_some() {
            return Err(LabError::Refused(format!("{} runs already", launch::name(broker))));
        }
        *slot = Some(self.launcher.start(broker)?);
        Ok(())
    }

    fn wait(&self, broker: u8, known: &[u8]) -> Result<(), LabError> {
        self.launcher.wait(broker, known, &mut || Ok(self.slot(broker)?.is_some()))
    }

    /// A broker's place; empty where it is down, also where it ended by itself.
    fn slot(&self, broker: u8) -> Result<MutexGuard<'_, Option<Child>>, LabError> {
        // Refuses numbers that are not there.
        let _ = self.launcher.layout().ports(broker)?;
        let mut slot = self.children[usize::from(broker) - 1].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = slot.as_mut()
            && !launch::runs(child)?
        {
            *slot = None;
        }
        Ok(slot)
    }

    fn running(&self, broker: u8) -> Result<MutexGuard<'_, Option<Child>>, LabError> {
        let slot = self.slot(broker)?;
        if slot.is_none() {
            return Err(LabError::Refused(format!(
                "{} is down; its log: {}",
                launch::name(broker),
                self.log(broker).display()
            )));
        }
        Ok(slot)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut children: Vec<Child> = Vec::new();
        for slot in &mut self.children {
            children.extend(slot.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
        // All at once: one that is left alone would look for the others.
        for child in &mut children {
            let _ = child.kill();
        }
        for child in &mut children {
            let _ = child.wait();
        }
    }
}

/// The cluster of one broker that all tests of a program share: started by the first one that asks, ended with the
/// program. Tests give their topics names of their own and leave the broker running.
///
/// # Panics
/// Where it cannot be started, saying why and what to do.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    started(&SHARED, ClusterOptions::default())
}

/// The same with listeners that want to know who asks; a broker of its own.
///
/// # Panics
/// As [`shared`].
pub fn shared_secured() -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    started(&SHARED, ClusterOptions { access: Access::Secured, ..ClusterOptions::default() })
}

fn started(shared: &'static OnceLock<Result<Cluster, String>>, options: ClusterOptions) -> &'static Cluster {
    match shared.get_or_init(|| Cluster::start(options).map_err(|error| error.in_full())) {
        Ok(cluster) => cluster,
        Err(message) => panic!("these tests need a Kafka broker: {message}"),
    }
}
