//! The names of all durable steps, in the order in which an event meets them.
//!
//! `*.write` changes bytes, `*.sync` makes them durable, `*.names` makes a folder's names durable; the others are what
//! they say.

macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal;)+) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $name;)+

        /// Every step there is.
        pub const ALL: [&str; [$($name),+].len()] = [$($name),+];
    };
}

steps! {
    /// A folder is made in its parent: the log, the lake, tables and their days.
    FOLDER_MAKE = "folder.make";
    /// A folder's own name is made durable in its parent.
    FOLDER_NAMES = "folder.names";

    /// A topic's folder is made durable in the log's.
    LOG_TOPIC_NAMES = "log.topic.names";
    /// The first mark of a new partition is made durable.
    LOG_PARTITION_SYNC = "log.partition.sync";
    /// The files of a new partition get durable names.
    LOG_PARTITION_NAMES = "log.partition.names";
    /// A topic's new file is made durable under a temporary name.
    LOG_TOPIC_FILE_SYNC = "log.topic_file.sync";
    /// A topic's new file takes its place.
    LOG_TOPIC_FILE_RENAME = "log.topic_file.rename";
    /// That is made durable: the topic, or its new partitions, exist.
    LOG_TOPIC_FILE_NAMES = "log.topic_file.names";
    /// A topic's folder is moved aside: it is removed.
    LOG_TOPIC_REMOVE = "log.topic.remove";
    /// That is made durable.
    LOG_TOPIC_REMOVE_NAMES = "log.topic.remove.names";

    /// A group of blocks is written.
    LOG_APPEND_WRITE = "log.append.write";
    /// It is made durable.
    LOG_APPEND_SYNC = "log.append.sync";
    /// A new segment gets a durable name.
    LOG_APPEND_NAMES = "log.append.names";
    /// The mark is moved: readers see what was appended.
    LOG_MARK_WRITE = "log.mark.write";
    /// Blocks that a dead writer left are written once more.
    LOG_RECOVER_WRITE = "log.recover.write";
    /// They are made durable.
    LOG_RECOVER_SYNC = "log.recover.sync";
    /// Their segment gets a durable name.
    LOG_RECOVER_NAMES = "log.recover.names";
    /// A torn tail is cut, durably.
    LOG_RECOVER_CUT = "log.recover.cut";
    /// A segment that never held anything durable is removed.
    LOG_RECOVER_REMOVE = "log.recover.remove";
    /// A segment that retention lets go is removed.
    LOG_RETIRE_REMOVE = "log.retire.remove";
    /// That is made durable.
    LOG_RETIRE_NAMES = "log.retire.names";

    /// A ledger's header is made durable under a temporary name.
    LEDGER_BEGIN_SYNC = "ledger.begin.sync";
    /// The ledger gets its name.
    LEDGER_BEGIN_LINK = "ledger.begin.link";
    /// That is made durable.
    LEDGER_BEGIN_NAMES = "ledger.begin.names";
    /// Lines of acknowledged events are written.
    LEDGER_WRITE = "ledger.write";
    /// They are made durable.
    LEDGER_SYNC = "ledger.sync";

    /// The pipeline's identity is made durable under a temporary name.
    IDENTITY_SYNC = "identity.sync";
    /// It gets its name.
    IDENTITY_RENAME = "identity.rename";
    /// That is made durable.
    IDENTITY_NAMES = "identity.names";

    /// A data file is created and written.
    DELTA_DATA_WRITE = "delta.data.write";
    /// It is made durable.
    DELTA_DATA_SYNC = "delta.data.sync";
    /// Its name is made durable.
    DELTA_DATA_NAMES = "delta.data.names";
    /// A log entry is written under a temporary name.
    DELTA_ENTRY_WRITE = "delta.entry.write";
    /// It is made durable.
    DELTA_ENTRY_SYNC = "delta.entry.sync";
    /// It gets its version: the commit.
    DELTA_ENTRY_LINK = "delta.entry.link";
    /// That is made durable.
    DELTA_ENTRY_NAMES = "delta.entry.names";
    /// Names that another process may have left undurable are made durable before they are believed.
    DELTA_LOG_NAMES = "delta.log.names";
    /// The kernel writes a checkpoint of the Delta log.
    DELTA_CHECKPOINT_WRITE = "delta.checkpoint.write";
    /// It is made durable.
    DELTA_CHECKPOINT_SYNC = "delta.checkpoint.sync";

    /// Ids are appended to the checkpoint of the duplicate index.
    STATE_DELTA_WRITE = "state.delta.write";
    /// A whole checkpoint of it is written under a temporary name.
    STATE_BASE_WRITE = "state.base.write";
    /// It is made durable.
    STATE_BASE_SYNC = "state.base.sync";
    /// It takes its place.
    STATE_BASE_RENAME = "state.base.rename";
    /// That is made durable.
    STATE_BASE_NAMES = "state.base.names";
    /// What it replaces is removed.
    STATE_BASE_REMOVE = "state.base.remove";
    /// Open windows are written under a temporary name.
    STATE_BLOB_WRITE = "state.blob.write";
    /// They take their place.
    STATE_BLOB_RENAME = "state.blob.rename";
}
