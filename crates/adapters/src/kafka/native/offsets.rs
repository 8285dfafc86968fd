//! Offsets of a partition, as its leader tells them.

use super::call::{Failure, ask, check, check_error};
use super::code;
use crate::kafka::settings::Isolation;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::ptr;
use std::time::Duration;

/// What a leader answers where no record bears such a timestamp.
const NO_SUCH_RECORD: i64 = -1;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Which {
    /// The first one that is kept.
    Earliest,
    /// The one behind the last that can be read.
    Next,
    /// The first one whose record bears this timestamp or a later one, milliseconds since the epoch, 0 or more.
    At(i64),
}

/// Asks for an offset; `None` where no record bears such a timestamp.
pub(in crate::kafka) fn offset<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
    which: Which,
    isolation: Isolation,
    within: Duration,
) -> Result<Option<i64>, Failure> {
    if topic.contains('\0') {
        return Err(Failure::argument("a topic with a NUL in its name"));
    }
    let wanted = match which {
        Which::Earliest => Offset::Beginning,
        Which::Next => Offset::End,
        Which::At(time) => Offset::Offset(time.max(0)),
    };
    let level = match isolation {
        Isolation::Committed => c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        Isolation::Uncommitted => c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
    };
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(topic, partition, wanted).map_err(|error| Failure::argument(error.to_string()))?;
    let answer = ask(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, within, |begun| {
        // SAFETY: the options are those of this call; an error is destroyed once. The list is copied by the call.
        unsafe {
            let error = c::rd_kafka_AdminOptions_set_isolation_level(begun.options, level);
            let checked = check_error(error);
            if !error.is_null() {
                c::rd_kafka_error_destroy(error);
            }
            checked?;
            c::rd_kafka_ListOffsets(begun.client, list.ptr(), begun.options, begun.queue);
        }
        Ok(())
    })?;
    let mut count = 0;
    // SAFETY: the answer lives for the rest of the function; the list that it gives has `count` entries.
    unsafe {
        let result = c::rd_kafka_event_ListOffsets_result(answer.event());
        if result.is_null() {
            return Err(Failure::shape());
        }
        let infos = c::rd_kafka_ListOffsets_result_infos(result, &mut count);
        if count == 0 || infos.is_null() || (*infos).is_null() {
            return Err(Failure::shape());
        }
        let found = c::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos);
        if found.is_null() {
            return Err(Failure::shape());
        }
        check(code::of_row(found), ptr::null())?;
        // A leader that was not reached leaves no error behind, only an offset that is none (-1001).
        match (*found).offset {
            offset @ 0.. => Ok(Some(offset)),
            NO_SUCH_RECORD => Ok(None),
            _ => Err(Failure::new(RDKafkaErrorCode::BrokerTransportFailure, "its leader gave no answer")),
        }
    }
}
