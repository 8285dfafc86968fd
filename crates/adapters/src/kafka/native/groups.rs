//! Offsets of a consumer group, set from outside the group.

use super::call::{Failure, ask, c_text, check, check_error};
use super::code;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::ptr;
use std::time::Duration;

/// Sets the offsets of a group that has no members of its own.
pub(in crate::kafka) fn set_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    offsets: &TopicPartitionList,
    within: Duration,
) -> Result<(), Failure> {
    let name = c_text(group)?;
    let answer = ask(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, within, |begun| {
        // SAFETY: the name ends with NUL; name and list are copied. What is made here is copied by the call, and
        // destroyed once.
        unsafe {
            let mut wanted = c::rd_kafka_AlterConsumerGroupOffsets_new(name.as_ptr(), offsets.ptr());
            c::rd_kafka_AlterConsumerGroupOffsets(begun.client, &mut wanted, 1, begun.options, begun.queue);
            c::rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
        }
        Ok(())
    })?;
    // SAFETY: the answer lives for the rest of the function; its lists have as many entries as they say.
    unsafe {
        let result = c::rd_kafka_event_AlterConsumerGroupOffsets_result(answer.event());
        if result.is_null() {
            return Err(Failure::shape());
        }
        let mut count = 0;
        let groups = c::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &mut count);
        if count == 0 || groups.is_null() || (*groups).is_null() {
            return Err(Failure::shape());
        }
        check_error(c::rd_kafka_group_result_error(*groups))?;
        let partitions = c::rd_kafka_group_result_partitions(*groups);
        if partitions.is_null() {
            return Ok(());
        }
        let count = usize::try_from((*partitions).cnt).unwrap_or_default();
        (0..count).try_for_each(|index| check(code::of_row((*partitions).elems.add(index)), ptr::null()))
    }
}
