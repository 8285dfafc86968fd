//! A Kafka broker for one measurement, and topics in it.
//!
//! Contract: without brokers of the user's own, one is started, with a folder of its own in the cache, and ended when the
//! measurement is over. In a cluster that was named, topics that were made are deleted
//! again. Topics keep everything, however old its timestamps are.

use anyhow::{Context as _, Result, anyhow, bail};
use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use watertight_adapters::system::SystemIds;
use watertight_core::port::Ids as _;
use watertight_lab::kafka::{Cluster, ClusterOptions};

/// How long a broker may take over one request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether a topic's partitions have leaders.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Brokers, reached.
pub(crate) struct Broker {
    bootstrap: String,
    /// Those that were made here, where they must be deleted again.
    topics: Mutex<Vec<String>>,
    /// Ours, which ends when it is dropped.
    lab: Option<Cluster>,
}

impl Broker {
    /// The named cluster, or else a broker of our own.
    pub(crate) fn start(named: Option<&str>) -> Result<Self> {
        if let Some(bootstrap) = named {
            return Ok(Self { bootstrap: bootstrap.to_owned(), topics: Mutex::default(), lab: None });
        }
        let lab = Cluster::start(ClusterOptions::default()).context(
            "no Kafka broker could be started; name a cluster of yours with --bootstrap, or give --log local",
        )?;
        Ok(Self { bootstrap: lab.bootstrap(), topics: Mutex::default(), lab: Some(lab) })
    }

    /// Where clients begin.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic under a name that nothing else has, and waits until each partition has a leader.
    pub(crate) fn fresh_topic(&self, what: &str, partitions: i32) -> Result<String> {
        let name = format!("watertight-bench-{what}-{}", &SystemIds.fresh()[..8]);
        let admin = self.admin()?;
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(-1))
            // Batches stay as the producer packed them, and nothing is forgotten.
            .set("compression.type", "producer")
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1");
        let made = block_on(admin.create_topics([&topic], &options()));
        for outcome in made.with_context(|| format!("topic {name} could not be made"))? {
            outcome.map_err(|(name, code)| anyhow!("topic {name} could not be made: {code}"))?;
        }
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let began = Instant::now();
        while !has_leaders(&admin, &name, partitions) {
            if began.elapsed() > PATIENCE {
                bail!("topic {name} has no leaders after {} s; look at the brokers", PATIENCE.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(name)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap.as_str());
        config.create().with_context(|| format!("no client for {}", self.bootstrap))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let topics = std::mem::take(self.topics.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.lab.is_some() || topics.is_empty() {
            return;
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let deleted = self.admin().and_then(|admin| Ok(block_on(admin.delete_topics(&names, &options()))?));
        let refused: Result<Vec<String>> =
            deleted.map(|outcomes| outcomes.into_iter().filter_map(Result::err).map(|(name, _)| name).collect());
        match refused {
            Ok(refused) if refused.is_empty() => {}
            Ok(refused) => eprintln!("warning: topics {} are left; delete them", refused.join(", ")),
            Err(error) => eprintln!("warning: topics {} are left; delete them: {error:#}", names.join(", ")),
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn has_leaders(admin: &AdminClient<DefaultClientContext>, topic: &str, partitions: i32) -> bool {
    let Ok(metadata) = admin.inner().fetch_metadata(Some(topic), PATIENCE) else { return false };
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return false };
    found.partitions().len() == partitions as usize && found.partitions().iter().all(|one| one.leader() >= 0)
}
