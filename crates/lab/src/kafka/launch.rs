//! How the brokers of a cluster are started and awaited, whoever owns them.
//!
//! Contract: a broker is started only where its ports are free, and is ready when the process that we started lives and
//! its port answers with our cluster's name and the brokers that were asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::distribution::Distribution;
use super::layout::Layout;
use super::secured::Secured;
use super::{Access, metadata, settings};
use crate::spawn::{self, Held, Order};
use crate::{LabError, files, ports};

/// More nodes than a machine of developers has memory for.
const BROKERS_MAX: u8 = 9;
/// How long a broker may take to be ready: 1.3 s alone, 3 s as one of three, many times that beside a build on two cores.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a broker may take to end when asked: it moves its leaders first, and cannot where others are down.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What a broker does with the archive of classes.
#[derive(Debug, Clone)]
pub(crate) enum Classes {
    /// Begins with those of this archive.
    ReadFrom(PathBuf),
    /// Writes its own to this file when it ends.
    WriteTo(PathBuf),
}

/// A cluster's folder, and the command that starts its brokers.
#[derive(Debug)]
pub(crate) struct Launcher {
    layout: Layout,
    secured: Option<Secured>,
    words: Vec<OsString>,
}

/// A broker's name in messages.
pub(crate) fn name(node: u8) -> String {
    format!("broker {node}")
}

impl Launcher {
    /// Makes the cluster's folder, or takes it up again, and writes the settings of each node.
    pub(crate) fn prepare(
        distribution: &Distribution,
        brokers: u8,
        folder: &Path,
        own: &[(String, String)],
        access: Access,
        classes: &Classes,
    ) -> Result<Self, LabError> {
        if !(1..=BROKERS_MAX).contains(&brokers) {
            return Err(LabError::Refused(format!("a lab has 1 to {BROKERS_MAX} brokers, not {brokers}")));
        }
        let layout = Layout::make(folder, brokers)?;
        let (secured, bootstrap) = match access {
            Access::Open => (None, distribution.bootstrap()),
            Access::Secured => (Some(Secured::make(&layout)?), Secured::format(distribution, &layout)?),
        };
        let (listeners, mut properties) = match &secured {
            Some(secured) => (secured.listeners().to_vec(), secured.properties()),
            None => (Vec::new(), Vec::new()),
        };
        properties.extend_from_slice(own);
        for node in 1..=brokers {
            let properties = settings::server_properties(&layout, node, &listeners, &properties);
            layout.prepare(node, &bootstrap, &properties)?;
        }
        let (flag, archive) = match classes {
            Classes::ReadFrom(archive) => ("-XX:SharedArchiveFile=", archive),
            Classes::WriteTo(archive) => ("-XX:ArchiveClassesAtExit=", archive),
        };
        let mut flag = OsString::from(flag);
        flag.push(archive);
        let mut words = distribution.java()?;
        words.extend([flag, "kafka.Kafka".into(), "server.properties".into()]);
        Ok(Self { layout, secured, words })
    }

    /// The listeners that want to know who asks, where the cluster has them.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The numbers of all brokers.
    pub(crate) fn all(&self) -> Vec<u8> {
        (1..).zip(self.layout.nodes()).map(|(node, _)| node).collect()
    }

    /// host:port of every broker, comma separated.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses = self.layout.nodes().iter().map(|ports| format!("127.0.0.1:{}", ports.broker));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Starts a broker that ends with this process.
    pub(crate) fn start(&self, node: u8) -> Result<Child, LabError> {
        self.at_free_ports(node, spawn::with_us)
    }

    /// Starts a broker that outlives this process, up to the moment in which it is written down.
    pub(crate) fn start_on_its_own(&self, node: u8) -> Result<Held, LabError> {
        self.at_free_ports(node, spawn::on_its_own)
    }

    fn at_free_ports<T>(&self, node: u8, start: impl Fn(&Order<'_>) -> Result<T, LabError>) -> Result<T, LabError> {
        let taken = self.layout.ports(node)?;
        let more = self.secured.iter().flat_map(|secured| secured.listeners().map(|listener| listener.port));
        for port in [taken.broker, taken.controller].into_iter().chain(more) {
            ports::refuse_busy(port, &name(node))?;
        }
        let (folder, log) = (self.layout.node_folder(node), self.layout.log(node));
        start(&Order { words: &self.words, folder: &folder, log: &log })
    }

    /// Waits until a broker answers and knows of all those in `known`; `runs` says whether its process lives.
    pub(crate) fn wait(
        &self,
        node: u8,
        known: &[u8],
        runs: &mut dyn FnMut() -> Result<bool, LabError>,
    ) -> Result<(), LabError> {
        let port = self.layout.ports(node)?.broker;
        let (server, log) = (name(node), self.layout.log(node));
        let began = Instant::now();
        loop {
            if !runs()? {
                let tail = files::tail(&log);
                return Err(LabError::Ended { server, log, tail });
            }
            // Whoever does not answer, or not as Kafka does, may be about to.
            if let Ok(answer) = metadata::ask(port)
                && let Some(cluster) = answer.cluster
            {
                if cluster != self.layout.name() {
                    return Err(LabError::Stranger { server, port });
                }
                if known.iter().all(|number| answer.brokers.contains(&i32::from(*number))) {
                    return Ok(());
                }
            }
            if began.elapsed() > READY_WITHIN {
                let tail = files::tail(&log);
                return Err(LabError::NotReady { server, within_s: READY_WITHIN.as_secs(), log, tail });
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Starts the cluster's only broker, waits until it is ready, and has it end by itself.
    pub(crate) fn run_once(&self) -> Result<(), LabError> {
        let mut child = self.start(1)?;
        let ready = self.wait(1, &[1], &mut || runs(&mut child));
        let ended = ready.and_then(|()| ask_to_end(&mut child, 1));
        if ended.is_err() {
            kill(&mut child)?;
        }
        ended
    }
}

/// Whether a child of ours still runs; takes note of its end.
pub(crate) fn runs(child: &mut Child) -> Result<bool, LabError> {
    Ok(child.try_wait().map_err(LabError::io("could not look after a broker"))?.is_none())
}

/// SIGKILL, and waits for the end.
pub(crate) fn kill(child: &mut Child) -> Result<(), LabError> {
    child.kill().and_then(|()| child.wait()).map(drop).map_err(LabError::io("could not kill a broker"))
}

/// SIGTERM, and waits for the end; a broker that does not end in time goes on running.
pub(crate) fn ask_to_end(child: &mut Child, node: u8) -> Result<(), LabError> {
    signal(child, Signal::TERM)?;
    let asked = Instant::now();
    while runs(child)? {
        if asked.elapsed() > ENDED_WITHIN {
            let waited = ENDED_WITHIN.as_secs();
            return Err(LabError::Refused(format!("{} did not end within {waited} s after SIGTERM", name(node))));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Sends a signal to a child that nobody has waited for, whose number therefore is still its own.
pub(crate) fn signal(child: &Child, signal: Signal) -> Result<(), LabError> {
    kill_process(Pid::from_child(child), signal)
        .map_err(|error| LabError::io("could not signal a broker")(error.into()))
}
