//! Kafka's errors as the port's: what the caller does, and what an operator can do.

use super::native::Failure;
use super::words;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use watertight_core::port::{ErrorKind, PortError};

/// What went wrong, of any of the forms in which librdkafka tells it.
pub(super) struct Cause {
    code: Option<RDKafkaErrorCode>,
    text: String,
}

impl From<RDKafkaErrorCode> for Cause {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self { code: Some(code), text: code.to_string() }
    }
}

impl From<KafkaError> for Cause {
    fn from(error: KafkaError) -> Self {
        let code = match &error {
            KafkaError::AdminOp(code) => Some(*code),
            KafkaError::PartitionEOF(_) => Some(RDKafkaErrorCode::PartitionEOF),
            other => other.rdkafka_error_code(),
        };
        // Two of them hold values of properties: those that say how a client is set up.
        let text = match &error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => super::settings::refused(&error).message,
            other => other.to_string(),
        };
        Self { code, text }
    }
}

impl From<Failure> for Cause {
    fn from(Failure { code, text }: Failure) -> Self {
        let text = if text.is_empty() { code.to_string() } else { format!("{code}: {text}") };
        Self { code: Some(code), text }
    }
}

/// The error of having failed at `what` ("the topic t cannot be described").
pub(super) fn port_error(what: impl Into<String>, cause: impl Into<Cause>) -> PortError {
    let (what, Cause { code, text }) = (what.into(), cause.into());
    let (kind, advice) = code.map_or((ErrorKind::Stop, None), |code| judged(code, &text));
    match advice {
        Some(advice) => PortError::new(kind, format!("{what}: {text}; {advice}")),
        None => PortError::new(kind, format!("{what}: {text}")),
    }
}

/// What the caller does and what an operator can do: as the code says, unless the words say more.
fn judged(code: RDKafkaErrorCode, text: &str) -> (ErrorKind, Option<&'static str>) {
    match words::judged(text) {
        Some((kind, advice)) => (kind, Some(advice)),
        None => (kind(code), advice(code)),
    }
}

/// Whether an error says why nothing will come, however long one waits.
pub(super) fn is_final(code: RDKafkaErrorCode, text: &str) -> bool {
    judged(code, text).0 == ErrorKind::Stop
}

/// What the caller does.
pub(super) fn kind(code: RDKafkaErrorCode) -> ErrorKind {
    match code {
        // Away, slow, or busy with itself.
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::BrokerNotAvailable
        | Code::BrokerDestroy
        | Code::DestroyBroker
        | Code::UnknownBroker
        | Code::NodeUpdate
        | Code::CriticalSystemResource
        | Code::KafkaStorageError
        | Code::ThrottlingQuotaExceeded
        | Code::RebootstrapRequired => ErrorKind::Retry,
        // Leaders, copies and coordinators change places.
        Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::ISRInsufficient
        | Code::NotController
        | Code::StaleControllerEpoch
        | Code::StaleBrokerEpoch
        | Code::ReassignmentInProgress
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::WaitingForCoordinator
        | Code::RebalanceInProgress
        | Code::ConcurrentTransactions
        | Code::UnstableOffsetCommit
        | Code::FetchSessionIdNotFound
        | Code::InvalidFetchSessionEpoch => ErrorKind::Retry,
        // The client itself is not there yet.
        Code::QueueFull
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::WaitCache
        | Code::Retry
        | Code::Interrupted
        | Code::PurgeQueue => ErrorKind::Retry,
        Code::PurgeInflight
        | Code::GaplessGuarantee
        | Code::OutOfOrderSequenceNumber
        | Code::DuplicateSequenceNumber
        | Code::UnknownProducerId => ErrorKind::Unknown,
        Code::OffsetOutOfRange | Code::AutoOffsetReset => ErrorKind::OutOfRange,
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::InvalidMessageSize | Code::Underflow => {
            ErrorKind::Corrupt
        }
        Code::State
        | Code::Conflict
        | Code::ExistingSubscription
        | Code::NotImplemented
        | Code::InvalidType
        | Code::Inconsistent
        | Code::ReadOnly => ErrorKind::Bug,
        _ => ErrorKind::Stop,
    }
}

fn advice(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::NetworkException
        | Code::BrokerNotAvailable => {
            Some("does Kafka run, does `bootstrap` name it, and does its listener want what `security.protocol` says?")
        }
        Code::Resolve => Some("check the names of hosts in `bootstrap`, and those that the brokers advertise"),
        Code::SSL => Some(
            "check `security.protocol`, `ssl.ca.location`, that the broker's certificate is for the host in \
             `bootstrap`, and the client's key and certificate",
        ),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => {
            Some("check `security.protocol`, `sasl.mechanisms`, and the user with its password, or the token")
        }
        Code::TopicAuthorizationFailed => Some("allow this user to describe the topic, and to read it or write to it"),
        Code::GroupAuthorizationFailed => Some("allow this user the group"),
        Code::ClusterAuthorizationFailed => {
            Some("allow this user what is asked of the cluster, or let somebody else do it")
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId | Code::UnknownPartition => {
            Some("make the topic, or add partitions, first")
        }
        Code::InvalidTopic => Some("topics have letters, digits, `.`, `_` and `-` in their names, 249 at most"),
        Code::InvalidReplicationFactor => Some("set `replication_factor` to at most the number of brokers"),
        Code::PolicyViolation => Some("the cluster has rules for topics; make it by hand as they say"),
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => {
            Some("raise the topic's `max.message.bytes`, or lower `batch.size`")
        }
        Code::InvalidTimestamp => {
            Some("the topic's `message.timestamp.after.max.ms` and `before.max.ms` don't allow it")
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
            Some("fewer brokers than `min.insync.replicas` have the partition; start the others")
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::UnsupportedForMessageFormat => {
            Some("these brokers are too old; Kafka 2.8 or newer is needed")
        }
        Code::NonEmptyGroup | Code::UnknownMemberId => Some("the group has members of its own; give another group"),
        Code::LogTruncation => Some("records that were read are not in the log any more"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaConfRes;

    #[test]
    fn each_code_says_what_to_do_and_so_does_its_message() {
        for (code, wanted, said) in [
            (Code::AllBrokersDown, ErrorKind::Retry, "`bootstrap`"),
            (Code::NotLeaderForPartition, ErrorKind::Retry, ""),
            (Code::NotEnoughReplicas, ErrorKind::Retry, "min.insync.replicas"),
            (Code::Authentication, ErrorKind::Stop, "password"),
            (Code::SSL, ErrorKind::Stop, "ssl.ca.location"),
            (Code::TopicAuthorizationFailed, ErrorKind::Stop, "allow"),
            (Code::UnknownTopicOrPartition, ErrorKind::Stop, "make the topic"),
            (Code::MessageSizeTooLarge, ErrorKind::Stop, "max.message.bytes"),
            (Code::OffsetOutOfRange, ErrorKind::OutOfRange, ""),
            (Code::BadMessage, ErrorKind::Corrupt, ""),
            (Code::PurgeInflight, ErrorKind::Unknown, ""),
        ] {
            let error = port_error("it failed", code);
            assert_eq!(error.kind, wanted, "{code}");
            assert!(error.message.starts_with("it failed: ") && error.message.contains(said), "{}", error.message);
            let failure = Failure { code, text: "in other words".to_owned() };
            assert!(port_error("it failed", failure).message.contains("in other words"));
        }
        assert_eq!(port_error("it failed", KafkaError::AdminOp(Code::NotController)).kind, ErrorKind::Retry);
    }

    #[test]
    fn what_does_not_speak_kafka_in_the_clear_is_told_as_that() {
        // As librdkafka 2.12 words it of a server for HTTP.
        let text =
            "Receive failed: Invalid response size 1008813135 (0..100000000): increase receive.message.max.bytes";
        let error = port_error("it failed", Failure { code: Code::BadMessage, text: text.to_owned() });
        assert_eq!(error.kind, ErrorKind::Stop);
        assert!(
            error.message.contains("`security.protocol`") && error.message.contains("`bootstrap`"),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_setting_that_is_refused_is_told_without_its_value() {
        let said = "Invalid value \"hunter2\"".to_owned();
        let (name, value) = ("sasl.password".to_owned(), "hunter2".to_owned());
        let error = KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_INVALID, said, name, value);
        let error = port_error("no client", error);
        assert_eq!(error.kind, ErrorKind::Stop);
        assert!(error.message.contains("sasl.password") && !error.message.contains("hunter2"), "{}", error.message);
    }
}
