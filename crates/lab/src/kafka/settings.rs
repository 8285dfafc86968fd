//! The settings of a lab's brokers: as few as make three of them start in seconds on two cores, and fail over quickly.
//!
//! What a setting's number means for tests: a broker that was killed is missed after 3 s, a consumer of a group after 6 s.

use super::layout::Layout;

/// Kafka's usual number of copies.
const COPIES_MAX: usize = 3;

/// A listener on 127.0.0.1 beside those that every broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) name: &'static str,
    /// How it is spoken to, such as `SASL_SSL`.
    pub(super) protocol: &'static str,
    pub(super) port: u16,
}

/// What differs from Kafka's own defaults in every lab, whatever its size.
const ALWAYS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    // The broker runs in its own folder.
    ("log.dirs", "data"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    ("auto.create.topics.enable", "false"),
    // Memory: together 290 -> 155 MB for a broker.
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("log.index.size.max.bytes", "1048576"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    // Topics of Kafka's own: 50 partitions each by default, which take long to make and to recover.
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.num.partitions", "4"),
    // Who is missing is noticed soon.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controller.quorum.election.timeout.ms", "500"),
    ("controller.quorum.fetch.timeout.ms", "1000"),
    ("controller.quorum.election.backoff.max.ms", "500"),
    ("replica.lag.time.max.ms", "5000"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.session.timeout.ms", "6000"),
    ("group.consumer.heartbeat.interval.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "1000"),
];
/// Settings that hold the number of copies.
const COPIES: &[&str] = &[
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
];
/// Settings that hold how many copies an acknowledged record has at least.
const COPIES_IN_SYNC: &[&str] =
    &["min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"];

/// The text of a node's `server.properties`. What `own` names replaces the lab's setting of that name.
pub(super) fn server_properties(layout: &Layout, node: u8, listeners: &[Listener], own: &[(String, String)]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| match lines.iter_mut().find(|(known, _)| known == name) {
        Some(line) => line.1 = value,
        None => lines.push((name.to_owned(), value)),
    };
    for (name, value) in ALWAYS {
        set(name, (*value).to_owned());
    }
    let copies = layout.nodes().len().min(COPIES_MAX);
    COPIES.iter().for_each(|name| set(name, copies.to_string()));
    COPIES_IN_SYNC.iter().for_each(|name| set(name, copies.saturating_sub(1).max(1).to_string()));
    let voters = (1..).zip(layout.nodes()).map(|(node, ports)| format!("{node}@127.0.0.1:{}", ports.controller));
    set("controller.quorum.voters", voters.collect::<Vec<_>>().join(","));
    set("node.id", node.to_string());
    if let Ok(ports) = layout.ports(node) {
        let mut broker = format!("PLAINTEXT://127.0.0.1:{}", ports.broker);
        let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        for Listener { name, protocol, port } in listeners {
            broker += &format!(",{name}://127.0.0.1:{port}");
            protocols += &format!(",{name}:{protocol}");
        }
        set("listener.security.protocol.map", protocols);
        set("listeners", format!("{broker},CONTROLLER://127.0.0.1:{}", ports.controller));
        set("advertised.listeners", broker);
    }
    for (name, value) in own {
        set(name, value.clone());
    }
    lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(brokers: u8, own: &[(String, String)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        server_properties(&Layout::make(folder.path(), brokers).unwrap(), 1, &[], own)
    }

    #[test]
    fn a_listener_is_opened_advertised_and_spoken_to_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::make(folder.path(), 1).unwrap();
        let listener = Listener { name: "SASL", protocol: "SASL_SSL", port: 9 };
        let text = server_properties(&layout, 1, &[listener], &[]);
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
        assert!(line("listeners").contains(",SASL://127.0.0.1:9,CONTROLLER://"), "{text}");
        assert!(line("advertised.listeners").ends_with(",SASL://127.0.0.1:9"), "{text}");
        assert!(line("listener.security.protocol.map").ends_with(",SASL:SASL_SSL"), "{text}");
    }

    #[test]
    fn one_broker_keeps_one_copy_and_three_keep_three_of_which_two_must_be_in_sync() {
        for (brokers, copies, in_sync) in [(1, 1, 1), (2, 2, 1), (3, 3, 2), (5, 3, 2)] {
            let text = text(brokers, &[]);
            for name in COPIES {
                assert!(text.contains(&format!("\n{name}={copies}\n")), "{brokers}: {text}");
            }
            for name in COPIES_IN_SYNC {
                assert!(text.contains(&format!("\n{name}={in_sync}\n")), "{brokers}: {text}");
            }
            assert_eq!(text.matches("@127.0.0.1:").count(), usize::from(brokers));
        }
    }

    #[test]
    fn own_properties_replace_the_labs_and_add_to_them() {
        let own = [("num.io.threads", "2"), ("log.flush.interval.messages", "1")];
        let text = text(1, &own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(text.contains("\nlog.flush.interval.messages=1\n") && text.contains("\nnum.io.threads=2\n"), "{text}");
        assert_eq!(text.matches("num.io.threads").count(), 1);
    }
}
