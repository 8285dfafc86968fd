//! The table of keys: every key of the pipeline file, its shape, bounds, default and meaning, in one place.
//!
//! The reader takes its keys, bounds and defaults from here, the JSON Schema and the reference are printed from
//! here. A key that is added here and nowhere else fails the reader's own assertion (see `raw::fields`).

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Any text; `hint` says what it means, for "expected …".
    Text { hint: &'static str },
    /// Text that is never shown. Behind `<key>` it stands itself, behind `<key>_file` the path of a file that holds it.
    Secret { hint: &'static str },
    /// A name that becomes paths and SQL.
    Name,
    /// true or false.
    Bool,
    /// A whole number within bounds.
    Whole { min: u64, max: u64 },
    /// A duration within bounds, in microseconds.
    Duration { min: i64, max: i64 },
    /// A size within bounds, in bytes.
    Size { min: u64, max: u64 },
    /// A date or an RFC 3339 time.
    Instant,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A type in text, such as `decimal(18,4)`.
    Type,
    /// A list of a shape, with at least one item.
    List(&'static Shape),
    /// A mapping from names to a shape.
    Named(&'static Shape),
    /// A mapping with these keys.
    Keys(&'static Section),
    /// Either of two shapes, told apart by whether they are text, a list or a mapping.
    Either(&'static Shape, &'static Shape),
}

/// A mapping with a fixed set of keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Identifier in the JSON Schema.
    pub(crate) id: &'static str,
    /// What it is, with its article, for problems and the reference.
    pub(crate) what: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys that come with a later version, and what to write until then.
    pub(crate) later: &'static [(&'static str, &'static str)],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
    pub(crate) doc: &'static str,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must be there.
    Required,
    /// Nothing holds, or what `doc` says.
    Optional,
    /// This holds, as if it had been written.
    Default(&'static str),
}

/// What the key of a secret ends in where it names a file.
const FILE_ENDING: &str = "_file";

impl Section {
    /// The key of this name; of a secret, also by the name that ends in `_file`.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name || key.file_name().is_some_and(|file| file == name))
    }

    /// Every name that may be written.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(|key| std::iter::once(key.name.to_owned()).chain(key.file_name()))
    }
}

impl Key {
    /// A secret's other name, behind which stands the path of a file.
    pub(crate) fn file_name(&self) -> Option<String> {
        matches!(self.shape, Secret { .. }).then(|| format!("{}{FILE_ENDING}", self.name))
    }
}

const fn key(name: &'static str, need: Need, shape: Shape, doc: &'static str) -> Key {
    Key { name, need, shape, doc }
}

use Need::{Default, Optional, Required};
use Shape::{Bool, Duration, Either, Instant, Keys, List, Name, Named, OneOf, Secret, Size, Text, Type, Whole};

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
    later: &[],
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
    later: &[],
};

pub(crate) static LOG: Section = Section {
    id: "log",
    what: "the event log",
    keys: &[key("local", Required, Keys(&LOCAL_LOG), "The built-in log, in a folder of this machine.")],
    later: &[("kafka", "use a local path: log: { local: { path: data/log } }")],
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
    later: &[],
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
    later: &[],
};

pub(crate) static STREAM: Section = Section {
    id: "stream",
    what: "a stream",
    keys: &[
        key("topic", Optional, Text { hint: "a topic" }, "Topic in the event log. Default: the stream's name."),
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
    ],
    later: &[],
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
    later: &[],
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
    later: &[],
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
    later: &[],
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
    later: &[],
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
    later: &[],
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
    later: &[],
};

pub(crate) static COMMIT: Section = Section {
    id: "commit",
    what: "what bounds a commit",
    keys: &[
        key("interval", Default("1 s"), Duration { min: MS, max: HOUR }, "Time between commits."),
        key("max_rows", Default("100_000"), Whole { min: 1, max: 100_000_000 }, "Records in one commit."),
        key("max_bytes", Default("128 MiB"), Size { min: 64 * KIB, max: 4 * GIB }, "Payload bytes in one commit."),
    ],
    later: &[],
};
