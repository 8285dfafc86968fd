//! Every code there is: its name, how bad it is, what it means and what to do.
//!
//! Codes are stable: scripts and alerts may rely on them. docs/VERIFY.md lists them, and a test holds the two together.

use serde::{Deserialize, Serialize};

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A record is lost, doubled or altered, or a table says something that is not so. Exit code 1.
    Fault,
    /// Worth knowing, and no fault: orphan files, declared loss, commits of others that changed no row.
    Note,
}

/// What a code means and what to do about it.
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// How bad.
    pub severity: Severity,
    /// One sentence for people.
    pub means: &'static str,
    /// What to do.
    pub advice: &'static str,
}

macro_rules! codes {
    ($($variant:ident = $name:literal, $severity:ident, $means:literal, $advice:literal;)+) => {
        /// A kind of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $means] #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means and what to do.
            #[must_use]
            pub const fn meaning(self) -> Meaning {
                match self {
                    $(Self::$variant => Meaning { severity: Severity::$severity, means: $means, advice: $advice },)+
                }
            }
        }
    };
}

codes! {
    TableMissing = "log.table_missing", Fault,
        "a table that ops.commits or ops.definitions names is not there, or another one has its name",
        "put its folder back; of what is gone for good, gold and ops.commits are made again by the next run";
    VersionMissing = "log.version_missing", Fault,
        "a version of the Delta log is missing between others",
        "restore the entry from a backup; until then nobody can say what that commit did";
    EntryUnreadable = "log.entry_unreadable", Fault,
        "an entry of the Delta log is damaged",
        "restore the entry from a backup";
    EntryIncomplete = "log.entry_incomplete", Fault,
        "an entry of the Delta log has fewer or more actions than it says",
        "restore the entry from a backup";
    CheckpointUnreadable = "log.checkpoint_unreadable", Fault,
        "a checkpoint of the Delta log is damaged",
        "remove it while the entries it stands for are there: readers then use those";
    CheckpointDiffers = "log.checkpoint_differs", Fault,
        "a checkpoint of the Delta log says something else than the entries it stands for",
        "remove it while the entries it stands for are there: readers of Delta believe the checkpoint";
    PathEscapes = "log.path_escapes", Fault,
        "an entry names a file outside its table's folder",
        "treat the lake as tampered with: nothing of ours writes such a path; restore the entry";
    FileMissing = "log.file_missing", Fault,
        "a data file that the table names is not there",
        "restore it from a backup; bronze can be read again from the log while that reaches back, silver from bronze";
    FileSize = "log.file_size", Fault,
        "a data file is not as long as its entry says",
        "restore it from a backup";
    FileUnreadable = "log.file_unreadable", Fault,
        "a data file is damaged",
        "restore it from a backup";
    FileRows = "log.file_rows", Fault,
        "a data file holds another number of rows than its entry says",
        "find out who wrote the file anew; restore it from a backup";
    FileSchema = "log.file_schema", Fault,
        "the columns of a data file do not fit the table's",
        "find out who wrote the file; restore it from a backup";
    FilePartition = "log.file_partition", Fault,
        "a data file lies in another partition than its entry, or its rows, say",
        "find out who moved it";
    Statistics = "log.statistics", Fault,
        "statistics of a data file exclude a row that it holds, or count its nulls wrongly",
        "readers skip files by statistics, and miss rows: have the file's entry written anew";
    AddedTwice = "log.added_twice", Fault,
        "a data file is added by two entries, or its rows stand in two files",
        "remove one of the two adds";
    Orphan = "log.orphan", Note,
        "a file in the table's folder that no version names: left by an attempt that died, and harmless",
        "none; readers never see it";
    TableAnew = "log.table_anew", Note,
        "a gold table was removed and made anew: ops.commits keeps the books of the former one too",
        "none; every window that the former one had closed is expected in this one";
    SchemaChange = "log.schema_change", Fault,
        "a version changed the table's schema, protocol or settings in a way that does not fit what was there",
        "find out who committed it";
    ForeignCommit = "log.foreign_commit", Note,
        "another program committed to the table without changing a row",
        "none";
    ForeignChange = "log.foreign_change", Fault,
        "another program added, removed or changed rows of the table",
        "find out who committed it; restore the table to the version before";
    BooksUnreadable = "books.unreadable", Fault,
        "the books of a commit are missing or not to be understood",
        "restore the entry from a backup, or its books from ops.commits";
    BooksUnbalanced = "books.unbalanced", Fault,
        "the books of a commit do not add up",
        "a defect of the pipeline or an altered entry: compare with ops.commits";
    BooksChain = "books.chain", Fault,
        "a commit does not begin where the one before it ended, or its totals do not carry on",
        "compare with ops.commits which of the two was altered";
    BooksPosition = "books.position", Fault,
        "a position (txn) is not what the books of its commit say, or went back",
        "stop the pipeline: from a wrong position it would read again, or skip";
    BooksRange = "books.range", Fault,
        "the files of a commit hold rows outside the ranges its books name",
        "see the rows named here; restore the files";
    BooksCount = "books.count", Fault,
        "the files of a commit hold another number of rows than its books say",
        "see the other findings of this commit for which rows; restore the files";
    BooksChecksum = "books.checksum", Fault,
        "the bytes of a commit's records are not those its books were made over",
        "a payload, key or position was altered, or the books: read the records again from the log";
    BooksCopy = "books.copy", Fault,
        "ops.commits and the table's own entry say different things of one commit",
        "one of the two was altered";
    RewriteChanged = "books.rewrite_changed", Fault,
        "a commit that says it changed no row did",
        "restore the table to the version before";
    OffsetsLost = "offsets.lost", Fault,
        "offsets that the table passed over are still in the log, or were in its commits: lost by us, or removed since",
        "restore the rows from a backup, or read the range again";
    OffsetsRetention = "offsets.retention", Fault,
        "offsets are missing that the log no longer has: lost to retention",
        "they can be restored from a backup only; keep the log longer than the pipeline may stand still";
    OffsetsDeclared = "offsets.declared", Note,
        "offsets without a record that the books declare: markers, compacted, or damaged in the log",
        "none for markers; for declared loss see the books' gaps";
    OffsetsDoubled = "offsets.doubled", Fault,
        "an offset stands in the table more than once",
        "remove one of the rows";
    OffsetsOrder = "offsets.order", Fault,
        "offsets of a partition are out of order inside a file",
        "positions were altered: read the records again from the log";
    OffsetsOutside = "offsets.outside", Fault,
        "a row has an offset that no commit covers",
        "find out who wrote it";
    RowLost = "rows.lost", Fault,
        "a valid record of bronze is neither in silver nor a duplicate of a row there",
        "restore the row: silver can be made again from bronze";
    RowUnfounded = "rows.unfounded", Fault,
        "a row of silver has no record in bronze",
        "find out who wrote it; remove it";
    RowValue = "rows.value", Fault,
        "a row of silver has another value than its record",
        "restore the row: silver can be made again from bronze";
    RowInvalid = "rows.invalid", Fault,
        "a row of silver whose record is not valid by the definition in force",
        "it should be a dead letter: see its reasons";
    RowLate = "rows.late", Fault,
        "a row of silver is flagged late and was not, or the reverse",
        "gold depends on it: make silver again from bronze";
    RowDate = "rows.date", Fault,
        "a row lies on another date than its time says",
        "readers that filter by date miss it: move it back";
    RowDerived = "rows.derived", Fault,
        "a column that is derived (flags, delay, definition, extra) is not what follows from the record",
        "make silver again from bronze";
    DeadLetterLost = "dead_letters.lost", Fault,
        "a record of bronze is not valid, and there is no dead letter of it",
        "make the dead letters again from bronze";
    DeadLetterUnfounded = "dead_letters.unfounded", Fault,
        "a dead letter without a record in bronze, or of a record that is valid",
        "find out who wrote it";
    DeadLetterBytes = "dead_letters.bytes", Fault,
        "a dead letter has other bytes than its record in bronze",
        "restore it from bronze";
    DeadLetterReasons = "dead_letters.reasons", Fault,
        "a dead letter has other reasons than its record gives",
        "restore it from bronze";
    IdDoubled = "ids.doubled", Fault,
        "an event id stands in silver more than once",
        "keep the first, remove the others";
    IdNotFirst = "ids.not_first", Fault,
        "the row kept of an event id is not its first valid record",
        "make silver again from bronze";
    DefinitionMissing = "definitions.missing", Fault,
        "rows name a definition that ops.definitions does not have, or not for their offsets",
        "restore ops.definitions from a backup: without it the rows cannot be judged";
    WindowMissing = "gold.missing", Fault,
        "a window and group that closed is not in gold",
        "make the model's table again from silver";
    WindowExtra = "gold.extra", Fault,
        "a row of gold whose window and group silver does not give, or did not close",
        "make the model's table again from silver";
    WindowDoubled = "gold.doubled", Fault,
        "a window and group stands in gold more than once",
        "remove one of the rows";
    WindowDifferent = "gold.different", Fault,
        "a row of gold has another value than the model's SQL over silver gives",
        "make the model's table again from silver";
    WindowLate = "gold.late", Note,
        "late rows would change this window: streamed gold leaves them out, batch counts them",
        "none; a reconciliation in batch takes them in";
    ServingDifferent = "serving.different", Fault,
        "the serving database holds something else than the table at the version it says",
        "have it filled again";
    LedgerMissing = "ledger.missing", Fault,
        "an id that a producer was told is durable is not in the tables",
        "see the stage at which it is missing";
    LedgerExtra = "ledger.extra", Fault,
        "an id in the tables that no ledger has",
        "a producer without a ledger, or an invented row: give all ledgers";
    LedgerPosition = "ledger.position", Fault,
        "an id stands at another position than its producer was told",
        "positions or ids were altered";
    CertificateChanged = "certificate.changed", Fault,
        "what the certificate vouches for is not what the tables hold now",
        "the range named here was changed after the certificate was made";
    CertificateSignature = "certificate.signature", Fault,
        "the certificate's signature does not hold",
        "the certificate was altered, or signed with another key";
}

impl Code {
    /// How bad.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.meaning().severity
    }
}
