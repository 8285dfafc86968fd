//! A list of partitions of one topic, in librdkafka's form.

use crate::kafka::native::code;
use rdkafka::bindings as sys;
use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use watertight_core::port::ReadFrom;

/// One row of a list, as librdkafka left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Its error's number.
    pub(super) number: i32,
}

/// An owned list.
pub(super) struct Partitions {
    list: NonNull<sys::rd_kafka_topic_partition_list_t>,
}

impl Partitions {
    /// These partitions, each with its offset and leader epoch.
    pub(super) fn new(topic: &CStr, rows: impl ExactSizeIterator<Item = ReadFrom>) -> Self {
        let size = c_int::try_from(rows.len()).unwrap_or(c_int::MAX);
        // SAFETY: takes a number, gives a list that is ours.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(size) };
        let list = NonNull::new(list).expect("librdkafka aborts where it gets no memory");
        for row in rows {
            // SAFETY: the list is ours; `add` copies the name and gives a row that is valid until the next `add`.
            unsafe {
                let added = sys::rd_kafka_topic_partition_list_add(list.as_ptr(), topic.as_ptr(), row.partition);
                (*added).offset = row.offset;
                sys::rd_kafka_topic_partition_set_leader_epoch(added, row.leader_epoch);
            }
        }
        Self { list }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.list.as_ptr()
    }

    /// What the rows say now.
    pub(super) fn rows(&self) -> Vec<Row> {
        // SAFETY: the list is ours and has `cnt` rows.
        unsafe {
            let list = self.list.as_ptr();
            let count = usize::try_from((*list).cnt).unwrap_or(0);
            let row = |at: usize| {
                let row = (*list).elems.add(at);
                Row { partition: (*row).partition, offset: (*row).offset, number: code::of_row(row) }
            };
            (0..count).map(row).collect()
        }
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: the list is ours, and nothing refers to it any more.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.list.as_ptr()) };
    }
}
