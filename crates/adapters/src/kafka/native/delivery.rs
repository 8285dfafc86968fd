//! What is certain of a record whose delivery failed.

use rdkafka::bindings as c;
use rdkafka::message::BorrowedMessage;

/// Whether the record is certainly not in the log.
pub(in crate::kafka) fn is_absent(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message lives for the call.
    let status = unsafe { c::rd_kafka_message_status(message.ptr()) };
    status == c::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}
