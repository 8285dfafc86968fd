//! Where a cluster's nodes live: folders, ports, and the name by which it is known from every other cluster.
//!
//! ```text
//! lab.json                     the cluster's name and every port; written first, once
//! broker-1/server.properties   written anew at each start
//! broker-1/broker.log          what the broker printed, of all its lives
//! broker-1/data/               Kafka's own
//! ```
//!
//! Contract: a folder that has a `lab.json` is taken up again as it is, data and ports; what is missing beside it is made.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::distribution::BOOTSTRAP;
use crate::{LabError, files, ports};

/// Characters of a cluster's name: Kafka's own have as many.
const NAME_LENGTH: usize = 22;

/// The ports of a node, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) broker: u16,
    pub(crate) controller: u16,
}

/// A cluster's folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
    name: String,
    nodes: Vec<Ports>,
}

impl Layout {
    /// Makes the cluster's folder, or takes it up again.
    pub(crate) fn make(folder: &Path, brokers: u8) -> Result<Self, LabError> {
        let folder =
            std::path::absolute(folder).map_err(LabError::io(format!("{} is no place for a lab", folder.display())))?;
        files::make_folder(&folder)?;
        let path = folder.join("lab.json");
        let Some(text) = files::read_if_there(&path)? else {
            let free = ports::free(2 * usize::from(brokers))?;
            let nodes = free.chunks_exact(2).map(|pair| Ports { broker: pair[0], controller: pair[1] }).collect();
            let layout = Self { folder, name: new_name()?, nodes };
            files::write_whole(&path, &layout.to_json().to_string())?;
            return Ok(layout);
        };
        let Some((name, nodes)) = parse(&text) else {
            return Err(LabError::Refused(format!("{} does not describe a lab; use another folder", path.display())));
        };
        if nodes.len() != usize::from(brokers) {
            let (folder, there) = (folder.display(), nodes.len());
            return Err(LabError::Refused(format!(
                "{folder} holds a lab of {there} brokers, not of {brokers}; ask for {there}, or use another folder"
            )));
        }
        Ok(Self { folder, name, nodes })
    }

    /// What tells this cluster from every other one: brokers say it in their answers.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The nodes' ports, of node 1 first.
    pub(crate) fn nodes(&self) -> &[Ports] {
        &self.nodes
    }

    /// The ports of a node; nodes are counted from 1.
    pub(crate) fn ports(&self, node: u8) -> Result<Ports, LabError> {
        let found = usize::from(node).checked_sub(1).and_then(|index| self.nodes.get(index));
        found.copied().ok_or_else(|| {
            LabError::Refused(format!("there is no broker {node}; brokers are numbered 1 to {}", self.nodes.len()))
        })
    }

    pub(crate) fn node_folder(&self, node: u8) -> PathBuf {
        self.folder.join(format!("broker-{node}"))
    }

    pub(crate) fn log(&self, node: u8) -> PathBuf {
        self.node_folder(node).join("broker.log")
    }

    /// Makes a node's folder as Kafka's own tool would format it, and writes its settings.
    ///
    /// The tool takes a second a node; `bootstrap` is what it wrote once. Kafka adds the folder's own number by itself.
    pub(crate) fn prepare(&self, node: u8, bootstrap: &Path, properties: &str) -> Result<(), LabError> {
        let folder = self.node_folder(node);
        let data = folder.join("data");
        files::make_folder(&data)?;
        let formatted = data.join("meta.properties");
        if !formatted.is_file() {
            std::fs::copy(bootstrap, data.join(BOOTSTRAP))
                .map_err(LabError::io(format!("could not format {}", data.display())))?;
            files::write_whole(&formatted, &format!("version=1\nnode.id={node}\ncluster.id={}\n", self.name))?;
        }
        files::write_whole(&folder.join("server.properties"), properties)
    }

    fn to_json(&self) -> Value {
        let nodes: Vec<Value> =
            self.nodes.iter().map(|node| json!({ "port": node.broker, "controller_port": node.controller })).collect();
        json!({ "cluster": self.name, "brokers": nodes })
    }
}

fn parse(text: &str) -> Option<(String, Vec<Ports>)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let nodes = value["brokers"].as_array()?.iter();
    let nodes =
        nodes.map(|node| Some(Ports { broker: port(&node["port"])?, controller: port(&node["controller_port"])? }));
    Some((value["cluster"].as_str()?.to_owned(), nodes.collect::<Option<Vec<_>>>()?))
}

/// A name that no other cluster has.
fn new_name() -> Result<String, LabError> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let uuid = files::read_if_there(path)?.unwrap_or_default();
    let name: String = uuid.chars().filter(char::is_ascii_hexdigit).take(NAME_LENGTH).collect();
    if name.len() < NAME_LENGTH {
        return Err(LabError::Refused(format!("{} gives no random number; is /proc mounted?", path.display())));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_up_again_with_its_name_and_ports() {
        let folder = tempfile::tempdir().unwrap();
        let made = Layout::make(folder.path(), 3).unwrap();
        let again = Layout::make(folder.path(), 3).unwrap();
        assert_eq!((made.name(), made.nodes()), (again.name(), again.nodes()));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Layout::make(other.path(), 3).unwrap().name(), made.name());
        let refused = Layout::make(folder.path(), 1).unwrap_err().to_string();
        assert!(refused.contains("a lab of 3 brokers, not of 1"), "{refused}");
    }

    #[test]
    fn a_node_is_formatted_once_and_its_settings_are_written_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = folder.path().join("bootstrap");
        std::fs::write(&bootstrap, "features").unwrap();
        let layout = Layout::make(&folder.path().join("lab"), 1).unwrap();
        layout.prepare(1, &bootstrap, "a=1\n").unwrap();
        let data = layout.node_folder(1).join("data");
        assert_eq!(std::fs::read_to_string(data.join(BOOTSTRAP)).unwrap(), "features");
        std::fs::write(data.join("meta.properties"), "what Kafka made of it").unwrap();
        layout.prepare(1, &bootstrap, "a=2\n").unwrap();
        assert_eq!(std::fs::read_to_string(data.join("meta.properties")).unwrap(), "what Kafka made of it");
        assert_eq!(std::fs::read_to_string(layout.node_folder(1).join("server.properties")).unwrap(), "a=2\n");
    }

    #[test]
    fn brokers_that_are_not_there_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::make(folder.path(), 2).unwrap();
        assert!(layout.ports(0).is_err() && layout.ports(3).is_err());
        assert_eq!(layout.ports(2).unwrap(), layout.nodes()[1]);
    }
}
