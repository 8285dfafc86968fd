//! What the brokers say of a topic: its id, and how many partitions it has.

use super::call::{Answer, Failure, ask, c_text, check_error};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use std::time::Duration;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Described {
    /// Its id as Kafka's own tools print it; `None` where the brokers give none.
    pub(in crate::kafka) id: Option<String>,
    /// Partitions are `0..partitions`.
    pub(in crate::kafka) partitions: i32,
}

/// Asks for a topic; `None` where there is none. It is not made by being asked for.
pub(in crate::kafka) fn describe<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    within: Duration,
) -> Result<Option<Described>, Failure> {
    let name = c_text(topic)?;
    let answer = ask(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, within, |begun| {
        let mut names = [name.as_ptr()];
        // SAFETY: one name, which ends with NUL; it is copied. The collection is copied by the call, and destroyed
        // once.
        unsafe {
            let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            c::rd_kafka_DescribeTopics(begun.client, topics, begun.options, begun.queue);
            c::rd_kafka_TopicCollection_destroy(topics);
        }
        Ok(())
    })?;
    let topic = first(&answer)?;
    // SAFETY: `topic` and its parts live as long as `answer`.
    unsafe {
        match check_error(c::rd_kafka_TopicDescription_error(topic)) {
            Err(failure) if failure.code == RDKafkaErrorCode::UnknownTopicOrPartition => return Ok(None),
            other => other?,
        }
        let mut partitions = 0;
        c::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = c::rd_kafka_TopicDescription_topic_id(topic);
        let id = if id.is_null() {
            (0, 0)
        } else {
            (c::rd_kafka_Uuid_most_significant_bits(id), c::rd_kafka_Uuid_least_significant_bits(id))
        };
        Ok(Some(Described { id: text_of_id(id), partitions: i32::try_from(partitions).unwrap_or(i32::MAX) }))
    }
}

fn first(answer: &Answer) -> Result<*const c::rd_kafka_TopicDescription_t, Failure> {
    let mut count = 0;
    // SAFETY: the answer lives for the call; the list that it gives has `count` entries.
    unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(answer.event());
        if result.is_null() {
            return Err(Failure::shape());
        }
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 || topics.is_null() || (*topics).is_null() {
            return Err(Failure::shape());
        }
        Ok(*topics)
    }
}

/// The text of an id, in Kafka's form: base64 for URLs. (librdkafka's own has `/` and `+` in it.)
fn text_of_id((high, low): (i64, i64)) -> Option<String> {
    let bytes: Vec<u8> = [high.to_be_bytes(), low.to_be_bytes()].concat();
    (high != 0 || low != 0).then(|| URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_kafkas_form_and_none_of_zeros_is_one() {
        assert_eq!(text_of_id((0, 0)), None);
        // Computed apart from this code, with the letters in which the two alphabets differ.
        assert_eq!(text_of_id((-1, -1)).as_deref(), Some("_____________________w"));
        assert_eq!(text_of_id((0x3eff_bee0_0000_0000, 1)).as_deref(), Some("Pv--4AAAAAAAAAAAAAAAAQ"));
    }
}
