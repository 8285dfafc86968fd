//! The table of keys: every key of the pipeline file, its shape, bounds, default and meaning, in one place.
//!
//! The reader takes its keys, bounds and defaults from here, the JSON Schema and the reference are printed from
//! here. A key that is added here and nowhere else fails the reader's own assertion (see `raw::fields`).

mod shape;

pub(crate) use shape::{Key, Need, SecretForm, Section, Shape};

const fn key(name: &'static str, need: Need, shape: Shape, doc: &'static str) -> Key {
    Key { name, need, shape, doc }
}

use Need::{Default, OneOfThese, Optional, Required};
use Shape::{
    Bool, Duration, Either, Instant, Keys, List, Name, Named, Offsets, OneOf, Properties, Secret, Secrets, Size, Start,
    Text, Type, Whole,
};

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Larger than any disk: whoever wants more wants no bound, and leaves the key out.
const RETAINED_MAX: u64 = 1_024 * TIB;
/// What Kafka's protocol can say, 16 bits with a sign.
const REPLICAS_MAX: u64 = i16::MAX as u64;

pub(crate) static PIPELINE: Section = Section {
    id: "pipeline",
    what: "a pipeline file",
    keys: &[
        key("pipeline", Required, Name, "Name of the pipeline."),
        key("log", Required, Keys(&LOG), "The event log."),
        key("lake", Required, Text { hint: "a folder" }, "Folder of the tables, `<lake>/<schema>/<table>`."),
        key(
            "state",
            Optional,
            Text { hint: "a folder" },
            "Folder of checkpoints, a cache that may be deleted. Default: `<lake>/_watertight/state`.",
        ),
        key(
            "streams",
            Required,
            Named(&Keys(&STREAM)),
            "Streams by name. `x` becomes `bronze.x`, `bronze.x_dlq` and `silver.x`.",
        ),
        key("models", Optional, Named(&Keys(&MODEL)), "Models by name. `y` becomes `gold.y`."),
        key("commit", Optional, Keys(&COMMIT), "What bounds a commit; whichever is reached first."),
        key("certificates", Optional, Keys(&CERTIFICATES), "How `verify` signs the certificates that it writes."),
    ],
};

pub(crate) static CERTIFICATES: Section = Section {
    id: "certificates",
    what: "certificates",
    keys: &[key(
        "signing_key",
        Required,
        Secret { hint: "a private key" },
        "The private key that `watertight keygen` makes.",
    )],
};

pub(crate) static LOG: Section = Section {
    id: "log",
    what: "the event log",
    keys: &[
        key("local", OneOfThese, Keys(&LOCAL_LOG), "The built-in log, in a folder of this machine."),
        key("kafka", OneOfThese, Keys(&KAFKA_LOG), "Apache Kafka, from version 2.8 on."),
    ],
};

pub(crate) static LOCAL_LOG: Section = Section {
    id: "local_log",
    what: "the local log",
    keys: &[
        key("path", Required, Text { hint: "a folder" }, "Folder of the log."),
        key(
            "segment_bytes",
            Default("128 MiB"),
            Size { min: 64 * KIB, max: 4 * GIB },
            "A new segment file is begun at this size.",
        ),
        key("retention", Optional, Keys(&RETENTION), "When whole segments may be deleted. Never, unless declared."),
    ],
};

pub(crate) static KAFKA_LOG: Section = Section {
    id: "kafka_log",
    what: "the log in Kafka",
    keys: &[
        key(
            "bootstrap",
            Required,
            Text { hint: "brokers such as kafka-1:9092,kafka-2:9092" },
            "Brokers to ask first, each `host:port`, with commas between them.",
        ),
        key(
            "properties",
            Optional,
            Properties,
            "Properties of librdkafka by its names, such as `security.protocol: SASL_SSL`. They go there as they are: a relative path is relative to where the program is started.",
        ),
        key(
            "secrets",
            Optional,
            Secrets,
            "Properties that are never shown, such as `sasl.password_file: PATH` or `sasl.password_env: NAME`.",
        ),
        key(
            "replication_factor",
            Optional,
            Whole { min: 1, max: REPLICAS_MAX },
            "Copies of each partition of a topic that is made. Default: the cluster's.",
        ),
        key(
            "group",
            Optional,
            Text { hint: "the name of a consumer group" },
            "Consumer group whose offsets follow the tables, for tools that watch lag; Watertight never reads them. Default: `watertight-<pipeline>`.",
        ),
    ],
};

pub(crate) static RETENTION: Section = Section {
    id: "retention",
    what: "the log's retention",
    keys: &[
        key("age", Optional, Duration { min: SECOND, max: 36_500 * DAY }, "Segments whose newest record is older go."),
        key(
            "bytes",
            Optional,
            Size { min: MIB, max: RETAINED_MAX },
            "The oldest segments of a partition go beyond this size.",
        ),
    ],
};

pub(crate) static STREAM: Section = Section {
    id: "stream",
    what: "a stream",
    keys: &[
        key("topic", Optional, Text { hint: "a topic" }, "Topic in the event log. Default: the stream's name."),
        key(
            "topics",
            Optional,
            Either(&List(&Text { hint: "a topic" }), &Keys(&TOPIC_PATTERN)),
            "Several topics in the place of `topic`, 64 at most: a list, or all whose names match a pattern, those that come later too. `silver.<stream>` names each row's in `_kafka_topic`.",
        ),
        key("partitions", Default("4"), Whole { min: 1, max: 4_096 }, "Partitions of the topic when it is created."),
        key(
            "event_id",
            Required,
            Either(&Name, &Keys(&DERIVED_ID)),
            "What makes an event unique: a column (string, int or long), or a hash of columns.",
        ),
        key("event_time", Required, Keys(&EVENT_TIME), "When an event happened, and how late it may be."),
        key("columns", Required, Named(&Either(&Type, &Keys(&COLUMN))), "Columns by name, in the order of the table."),
        key(
            "checks",
            Optional,
            Named(&Text { hint: "a boolean SQL expression" }),
            "Boolean SQL expressions by name. False is a dead letter `check:<name>`; NULL passes.",
        ),
        key("payload", Optional, Keys(&PAYLOAD), "Bounds of one payload."),
        key(
            "from",
            Default("earliest"),
            Either(&Start, &Offsets),
            "Where the first start begins to read: at the first record, behind the last, at the first one of a time or later, or at an offset per partition (`{ \"0\": 1200 }`; those not named begin at the first record).",
        ),
        key(
            "fail_on_data_loss",
            Default("true"),
            Bool,
            "Whether a partition stops where records are gone before they were read. If not, they are declared lost in `silver.<stream>_gaps` and in the books, and it goes on.",
        ),
    ],
};

pub(crate) static TOPIC_PATTERN: Section = Section {
    id: "topic_pattern",
    what: "a pattern of topics",
    keys: &[key(
        "pattern",
        Required,
        Text { hint: "a regular expression" },
        "A regular expression for the whole name, such as `orders-.*`. Names that begin with `__` never match. Topics are not made.",
    )],
};

pub(crate) static DERIVED_ID: Section = Section {
    id: "derived_id",
    what: "a derived event id",
    keys: &[key(
        "hash",
        Required,
        List(&Name),
        "Columns that together make an event unique, for events without an id.",
    )],
};

pub(crate) static EVENT_TIME: Section = Section {
    id: "event_time",
    what: "an event time",
    keys: &[
        key("column", Required, Name, "A column of type timestamp, or date: its midnight, UTC."),
        key(
            "watermark",
            Required,
            Duration { min: 0, max: 366 * DAY },
            "An event this much older than the newest of its partition is late.",
        ),
        key(
            "future_tolerance",
            Default("10 min"),
            Duration { min: 0, max: 366 * DAY },
            "An event this much ahead of the clock is flagged and moves no watermark.",
        ),
        key(
            "idle_after",
            Default("30 s"),
            Duration { min: 10 * MS, max: 366 * DAY },
            "A partition without records for this long no longer holds windows open.",
        ),
        key(
            "not_before",
            Default("1970-01-01"),
            Instant,
            "An earlier event time is a dead letter `event_time_out_of_bounds`.",
        ),
        key("not_after", Default("2262-01-01"), Instant, "So is this one and later ones."),
    ],
};

pub(crate) static COLUMN: Section = Section {
    id: "column",
    what: "a column",
    keys: &[
        key("type", Required, Type, "Its type."),
        key(
            "required",
            Default("false"),
            Bool,
            "An event without it (absent or null) is a dead letter `missing:<column>`.",
        ),
        key(
            "path",
            Optional,
            Either(&Text { hint: "a path such as a.b.c" }, &List(&Text { hint: "a key" })),
            "Where it stands in the JSON: `a.b.c`, or a list of keys when a key holds a dot. Default: its name.",
        ),
        key("format", Default("rfc3339"), OneOf(&FORMATS), "How a timestamp is written."),
        key("fields", Optional, Named(&Either(&Type, &Keys(&ITEM))), "Fields by name, for type struct."),
        key("items", Optional, Either(&Type, &Keys(&ITEM)), "What a list holds, for type list."),
    ],
};

pub(crate) static ITEM: Section = Section {
    id: "item",
    what: "a field of a struct or the items of a list",
    keys: &[
        key("type", Required, Type, "Its type."),
        key("format", Default("rfc3339"), OneOf(&FORMATS), "How a timestamp is written."),
        key("fields", Optional, Named(&Either(&Type, &Keys(&ITEM))), "Fields by name, for type struct."),
        key("items", Optional, Either(&Type, &Keys(&ITEM)), "What a list holds, for type list."),
    ],
};

/// Forms of a timestamp, in the order of `raw::column::form`.
pub(crate) static FORMATS: [&str; 5] = ["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"];

pub(crate) static PAYLOAD: Section = Section {
    id: "payload",
    what: "bounds of a payload",
    keys: &[
        key(
            "max_bytes",
            Default("1 MiB"),
            Size { min: 1, max: 64 * MIB },
            "A longer payload is a dead letter `oversize`.",
        ),
        key("max_depth", Default("64"), Whole { min: 1, max: 512 }, "Deeper nesting is a dead letter `too_deep`."),
        key(
            "duplicate_keys",
            Default("reject"),
            OneOf(&["reject", "first", "last"]),
            "What wins when an object repeats a key; `reject` makes it a dead letter.",
        ),
    ],
};

pub(crate) static MODEL: Section = Section {
    id: "model",
    what: "a model",
    keys: &[
        key("from", Required, Name, "The stream it reads."),
        key(
            "window",
            Required,
            Duration { min: MS, max: 366 * DAY },
            "Length of its windows, which are aligned to 1970-01-01T00:00:00Z.",
        ),
        key(
            "sql",
            Required,
            Text { hint: "a SELECT or a file that ends in .sql" },
            "A SELECT over its stream, grouped by `window_start`, `window_end` and any columns: in place, or the path of a file that ends in `.sql`.",
        ),
    ],
};

pub(crate) static COMMIT: Section = Section {
    id: "commit",
    what: "what bounds a commit",
    keys: &[
        key("interval", Default("1 s"), Duration { min: MS, max: HOUR }, "Time between commits."),
        key("max_rows", Default("100_000"), Whole { min: 1, max: 100_000_000 }, "Records in one commit."),
        key("max_bytes", Default("128 MiB"), Size { min: 64 * KIB, max: 4 * GIB }, "Payload bytes in one commit."),
    ],
};
