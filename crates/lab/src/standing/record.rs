//! Which servers of a lab that stays were started: written before each begins, read by every later command.
//!
//! Contract: a process is recorded with the moment it began, and the record with the machine's start, so that no process
//! of a later day is taken for a server of ours.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::ProcessId;
use crate::{LabError, files};

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Brokers of Apache Kafka.
    Kafka,
}

impl Kind {
    const ALL: [Self; 1] = [Self::Kafka];

    /// Its name in records and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
        }
    }
}

/// One process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What it is called, such as `broker 1`.
    pub name: String,
    /// Its process.
    pub process: ProcessId,
    /// The file that its output goes to.
    pub log: PathBuf,
}

/// Servers that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What they are.
    pub kind: Kind,
    /// What a client is given to reach them: for Kafka host:port, comma separated.
    pub endpoint: String,
    /// Where data and logs are.
    pub folder: PathBuf,
    /// The processes.
    pub servers: Vec<Server>,
}

/// All services of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// In the order in which they were started.
    pub services: Vec<Service>,
    /// Whether all of them were ready once: otherwise the command that started them was ended on the way.
    pub ready: bool,
}

impl Standing {
    /// Every server of every service.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.services.iter().flat_map(|service| &service.servers)
    }

    /// Whether the servers became ready, and all of them still run.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.ready && self.servers().all(|server| server.process.runs())
    }

    /// Reads a record; `None` where there is none, or it is of an earlier start of the machine, which ended every process.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, LabError> {
        let Some(text) = files::read_if_there(path)? else { return Ok(None) };
        let parsed = serde_json::from_str::<Value>(&text).ok().and_then(|value| {
            let of_this_start = value["machine_started"].as_str()? == machine_start();
            let (services, ready) = (all(&value["services"], service)?, value["ready"].as_bool()?);
            Some((of_this_start, Self { services, ready }))
        });
        match parsed {
            Some((of_this_start, standing)) => Ok(of_this_start.then_some(standing)),
            None => Err(LabError::Refused(format!(
                "{} cannot be understood; look with `ps` for servers that still run, then remove it",
                path.display()
            ))),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), LabError> {
        let services: Vec<Value> = self.services.iter().map(written).collect();
        let record = json!({ "machine_started": machine_start(), "ready": self.ready, "services": services });
        files::write_whole(path, &record.to_string())
    }
}

/// What the system calls its present start; empty where it does not say.
fn machine_start() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn written(service: &Service) -> Value {
    let server = |server: &Server| {
        let process = json!({ "pid": server.process.pid, "began": server.process.began });
        json!({ "name": server.name, "process": process, "log": server.log.to_string_lossy() })
    };
    let servers: Vec<Value> = service.servers.iter().map(server).collect();
    json!({
        "kind": service.kind.name(),
        "endpoint": service.endpoint,
        "folder": service.folder.to_string_lossy(),
        "servers": servers,
    })
}

fn all<T>(value: &Value, one: fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(one).collect()
}

fn service(value: &Value) -> Option<Service> {
    let kind = value["kind"].as_str()?;
    Some(Service {
        kind: Kind::ALL.into_iter().find(|known| known.name() == kind)?,
        endpoint: value["endpoint"].as_str()?.to_owned(),
        folder: PathBuf::from(value["folder"].as_str()?),
        servers: all(&value["servers"], server)?,
    })
}

fn server(value: &Value) -> Option<Server> {
    let process = &value["process"];
    Some(Server {
        name: value["name"].as_str()?.to_owned(),
        process: ProcessId {
            pid: process["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())?,
            began: process["began"].as_u64()?,
        },
        log: PathBuf::from(value["log"].as_str()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(process: ProcessId) -> Standing {
        let ready = true;
        let server = Server { name: "broker 1".to_owned(), process, log: PathBuf::from("/lab/broker.log") };
        let folder = PathBuf::from("/lab");
        let endpoint = "127.0.0.1:9092".to_owned();
        Standing { services: vec![Service { kind: Kind::Kafka, endpoint, folder, servers: vec![server] }], ready }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_not_after_another_start_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("standing.json");
        assert_eq!(Standing::read(&path).unwrap(), None);
        let own = ProcessId::of(std::process::id()).unwrap();
        let written = standing(own);
        written.write(&path).unwrap();
        assert_eq!(Standing::read(&path).unwrap().as_ref(), Some(&written));
        assert!(written.is_up());
        let earlier = std::fs::read_to_string(&path).unwrap().replace(&machine_start(), "another");
        std::fs::write(&path, earlier).unwrap();
        assert_eq!(Standing::read(&path).unwrap(), None);
    }

    #[test]
    fn a_record_that_cannot_be_understood_is_refused_and_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("standing.json");
        for text in ["", "{}", r#"{"machine_started":"x","services":[{"kind":"kafka"}]}"#] {
            std::fs::write(&path, text).unwrap();
            let refused = Standing::read(&path).unwrap_err().to_string();
            assert!(refused.contains("standing.json"), "{refused}");
        }
    }

    #[test]
    fn a_lab_that_was_never_ready_or_has_lost_a_server_is_not_up() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(standing(own).is_up());
        assert!(!Standing { ready: false, ..standing(own) }.is_up());
        assert!(!standing(ProcessId { began: own.began - 1, ..own }).is_up());
    }
}
