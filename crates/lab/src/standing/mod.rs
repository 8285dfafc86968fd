//! The lab that stays: servers that outlive the command that started them, until they are told to end.
//!
//! Contract: there is one lab to a folder. Every server stands in its record (state.rs) before it begins to run, so a
//! command that is killed on the way leaves nothing that is not found again. A lab that never became ready, or of which a
//! server is gone, was left by a crash: [`Lab::up`] ends the rest of it and begins anew. Only recorded processes are ended.
//! A further kind of server is a variant of [`Kind`] and a function beside `kafka` in this file; record, `down` and `status` stay.

mod record;

use std::path::{Path, PathBuf};
use std::process::Child;

pub use record::{Kind, Server, Service, Standing};

use crate::files::{self, Lock};
use crate::kafka::launch::{self, Classes, Launcher};
use crate::kafka::{ClusterOptions, Distribution};
use crate::{LabError, cache};

/// The folder of a lab that stays, and what its servers are made of.
#[derive(Debug)]
pub struct Lab {
    folder: PathBuf,
    kafka: Distribution,
}

/// What [`Lab::up`] found and did.
#[derive(Debug)]
pub enum Up {
    /// The servers were started.
    Began {
        /// What is up now.
        standing: Standing,
        /// What a crash had left, ended before.
        cleaned: Option<Standing>,
    },
    /// All servers of a lab ran already; nothing was done.
    StoodAlready(Standing),
}

impl Lab {
    /// The lab of this machine's user, in the cache.
    ///
    /// # Errors
    /// Where it is unknown where the cache is.
    pub fn in_cache() -> Result<Self, LabError> {
        Ok(Self::in_folder(cache::folder()?.join("lab"), Distribution::in_cache()?))
    }

    /// A lab apart from that one.
    #[must_use]
    pub fn in_folder(folder: PathBuf, kafka: Distribution) -> Self {
        Self { folder, kafka }
    }

    /// Starts the servers and waits until they are ready. Without a `dir`, data and logs go to a folder of the lab's own,
    /// which is emptied first.
    ///
    /// # Errors
    /// As [`Cluster::start`](crate::kafka::Cluster::start); what was started until then is ended.
    pub fn up(&self, options: &ClusterOptions) -> Result<Up, LabError> {
        self.kafka.check()?;
        files::make_folder(&self.folder)?;
        let _lock = self.lock()?;
        let left = Standing::read(&self.record())?;
        if let Some(standing) = &left {
            if standing.is_up() {
                return Ok(Up::StoodAlready(standing.clone()));
            }
            self.end(standing)?;
        }
        let mut standing = Standing::default();
        let mut children = Vec::new();
        if let Err(error) = self.kafka(options, &mut standing, &mut children) {
            // Whatever cannot be ended now stays in the record, for the next command.
            self.end(&standing)?;
            children.iter_mut().for_each(|child| drop(child.wait()));
            return Err(error);
        }
        standing.ready = true;
        standing.write(&self.record())?;
        Ok(Up::Began { standing, cleaned: left })
    }

    /// Ends the servers with SIGKILL, data and logs stay. `None` if no lab is up.
    ///
    /// # Errors
    /// The system's, where a process cannot be ended; the record stays then.
    pub fn down(&self) -> Result<Option<Standing>, LabError> {
        if !self.folder.is_dir() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        let standing = Standing::read(&self.record())?;
        if let Some(standing) = &standing {
            self.end(standing)?;
        }
        Ok(standing)
    }

    /// What is recorded; `None` if no lab is up. Each server says whether it runs.
    ///
    /// # Errors
    /// Where the record cannot be read.
    pub fn status(&self) -> Result<Option<Standing>, LabError> {
        Standing::read(&self.record())
    }

    /// Starts the brokers: each is recorded first, then let go; then all are awaited.
    fn kafka(
        &self,
        options: &ClusterOptions,
        standing: &mut Standing,
        children: &mut Vec<Child>,
    ) -> Result<(), LabError> {
        let folder = match &options.dir {
            Some(folder) => folder.clone(),
            None => {
                let own = self.folder.join(Kind::Kafka.name());
                files::remove_folder(&own)?;
                own
            }
        };
        let classes = Classes::ReadFrom(self.kafka.archive()?);
        let ClusterOptions { brokers, properties, access, .. } = options;
        let launcher = Launcher::prepare(&self.kafka, *brokers, &folder, properties, *access, &classes)?;
        let folder = launcher.layout().folder().to_path_buf();
        standing.services.push(Service {
            kind: Kind::Kafka,
            endpoint: launcher.bootstrap(),
            folder,
            servers: Vec::new(),
        });
        let all = launcher.all();
        for broker in &all {
            let held = launcher.start_on_its_own(*broker)?;
            let (name, log) = (launch::name(*broker), launcher.layout().log(*broker));
            if let Some(service) = standing.services.last_mut() {
                service.servers.push(Server { name, process: held.process(), log });
            }
            standing.write(&self.record())?;
            children.push(held.begin()?);
        }
        for (broker, child) in all.iter().zip(children) {
            launcher.wait(*broker, &all, &mut || launch::runs(child))?;
        }
        Ok(())
    }

    /// Ends exactly the recorded processes, then forgets them.
    fn end(&self, standing: &Standing) -> Result<(), LabError> {
        standing.servers().try_for_each(|server| server.process.end())?;
        files::remove_file(&self.record())
    }

    fn record(&self) -> PathBuf {
        self.folder.join("standing.json")
    }

    fn lock(&self) -> Result<Lock, LabError> {
        Lock::take(&self.folder.join("lock"))
    }

    /// The folder of the record.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
