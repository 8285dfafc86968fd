//! What is certain of a record whose delivery failed.

use super::code;
use rdkafka::bindings as c;
use rdkafka::message::BorrowedMessage;

/// Whether the record is certainly not in the log.
pub(in crate::kafka) fn is_absent(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message lives for the calls.
    let (status, broker, code) = unsafe {
        let message = message.ptr();
        (c::rd_kafka_message_status(message), c::rd_kafka_message_broker_id(message), code::of_message(message))
    };
    // librdkafka says so too of requests that were sent whole, where it drops the connection itself. Certain is what a
    // broker answered (codes above 0), and what was in no request (no broker).
    status == c::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED && (code > 0 || broker < 0)
}
