//! What nobody may change of Kafka's client: properties that a guarantee rests on.
//!
//! Contract: data, and one rule about it. The reader of the pipeline file refuses by it, with the place in the file, and
//! so does the adapter, for whoever has no file. What else a property may be, the client library knows.

/// A property that a guarantee rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// Its name in librdkafka. Other spellings of the same property have entries of their own.
    pub name: &'static str,
    /// The values that may be given all the same; none where it cannot be set.
    pub allowed: &'static [&'static str],
    /// Why no other.
    pub why: &'static str,
}

const BROKERS: &str = "brokers are named by `bootstrap`";
const POSITIONS: &str = "positions are kept in the tables, with the rows they belong to";
const SENT_ONCE: &str =
    "without it a record could be in the log twice, in another order, or lost although it was acknowledged";
const UNTIL_KNOWN: &str = "a record that is given up could still arrive, and would then be sent twice";

const fn fixed(name: &'static str, allowed: &'static [&'static str], why: &'static str) -> Fixed {
    Fixed { name, allowed, why }
}

/// All of them.
pub const FIXED: &[Fixed] = &[
    fixed("bootstrap.servers", &[], BROKERS),
    fixed("metadata.broker.list", &[], BROKERS),
    fixed("isolation.level", &["read_committed"], "what an aborted transaction wrote is no record"),
    fixed("enable.auto.commit", &["false"], POSITIONS),
    fixed("auto.commit.enable", &["false"], POSITIONS),
    fixed("enable.auto.offset.store", &["false"], POSITIONS),
    fixed("auto.offset.reset", &["error"], "a position that is lost must be told, not jumped over"),
    fixed(
        "enable.partition.eof",
        &["true"],
        "without it the end of a partition is not seen behind transaction markers",
    ),
    fixed("check.crcs", &["true"], "damaged records must not be taken for sound ones"),
    fixed("allow.auto.create.topics", &["false"], "a topic must not come into being by being looked at"),
    fixed("acks", &["all", "-1"], SENT_ONCE),
    fixed("request.required.acks", &["all", "-1"], SENT_ONCE),
    fixed("enable.idempotence", &["true"], SENT_ONCE),
    fixed("enable.gapless.guarantee", &["true"], SENT_ONCE),
    fixed("max.in.flight.requests.per.connection", &["1"], SENT_ONCE),
    fixed("max.in.flight", &["1"], SENT_ONCE),
    fixed("queuing.strategy", &["fifo"], SENT_ONCE),
    fixed("transactional.id", &[], "the producer writes without transactions"),
    fixed("message.timeout.ms", &["0"], UNTIL_KNOWN),
    fixed("delivery.timeout.ms", &["0"], UNTIL_KNOWN),
    fixed("message.send.max.retries", &["2147483647"], UNTIL_KNOWN),
    fixed("retries", &["2147483647"], UNTIL_KNOWN),
    fixed("delivery.report.only.error", &["false"], "a record counts as sent when its report is in"),
    fixed("enabled_events", &[], "events are taken by the program"),
    fixed("log.queue", &["true"], "librdkafka's messages go to the program's own log"),
];

/// The property, where a guarantee rests on it and does not hold with this value.
#[must_use]
pub fn refused(name: &str, value: &str) -> Option<&'static Fixed> {
    let fixed = named(name)?;
    let may_be = fixed.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value));
    (!may_be).then_some(fixed)
}

/// Whether a guarantee rests on this property, whatever its value.
#[must_use]
pub fn is_fixed(name: &str) -> bool {
    named(name).is_some()
}

fn named(name: &str) -> Option<&'static Fixed> {
    FIXED.iter().find(|fixed| fixed.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guarantee_rests_on_may_be_said_and_not_changed() {
        assert_eq!(refused("acks", "1").map(|fixed| (fixed.allowed[0], fixed.why)), Some(("all", SENT_ONCE)));
        for (name, value) in [("acks", "all"), ("acks", "-1"), ("enable.idempotence", "True"), ("linger.ms", "5")] {
            assert_eq!(refused(name, value), None, "{name}");
        }
        let count = refused("transactional.id", "mine").map(|fixed| fixed.allowed.len());
        assert_eq!(count, Some(0), "it cannot be set, whatever the value");
    }

    #[test]
    fn each_property_has_one_entry() {
        for (index, fixed) in FIXED.iter().enumerate() {
            assert!(FIXED[..index].iter().all(|other| other.name != fixed.name), "{}", fixed.name);
        }
    }
}
