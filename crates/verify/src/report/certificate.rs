//! The certificate: what the tables held when they balanced, in a document that an auditor can keep.
//!
//! Contract: it names, per table and partition, a range of offsets, the number of rows in it and their checksum over all
//! columns (and bronze's checksum of records, as the books have it); for gold the windows that were closed. Rows that
//! are appended later lie outside and change nothing. [`certify`] makes the statement.
//! The file is `{"statement": …, "signature": …}`; what is signed are the bytes of the statement in compact form
//! ([`Certificate::signed_bytes`]). docs/VERIFY.md describes it so that others can check it without this program.

pub use super::certify::{Refused, certify};

use super::Balance;
use super::signature::{PublicKey, SigningKey};
use crate::finding::{Place, Unable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the document.
pub const FORMAT: u32 = 1;
/// What the document says it is.
pub const WHAT: &str = "watertight certificate";
/// The only algorithm of signatures.
pub const ALGORITHM: &str = "ed25519";

/// What is vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`WHAT`].
    pub what: String,
    /// [`FORMAT`].
    pub format: u32,
    /// Who checked.
    pub tool: String,
    /// When the check began, RFC 3339.
    pub at: String,
    /// The same, microseconds.
    pub at_us: i64,
    /// Name of the pipeline.
    pub pipeline_name: Option<String>,
    /// The pipeline's uuid.
    pub pipeline: Option<String>,
    /// SHA-256 of the pipeline file.
    pub pipeline_file_sha256: Option<String>,
    /// Folder of the lake.
    pub lake: String,
    /// What became of the streams' records.
    pub streams: Vec<Balance>,
    /// The tables.
    pub tables: Vec<CertifiedTable>,
}

/// A table at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedTable {
    /// `schema.table`.
    pub table: String,
    /// Its newest version then.
    pub version: u64,
    /// The columns whose values count, in the order in which they are encoded.
    pub columns: Vec<CertifiedColumn>,
    /// Rows by partition of the topic.
    pub ranges: Vec<CertifiedRange>,
    /// Gold: rows of closed windows.
    pub windows: Option<CertifiedWindows>,
    /// What of the table is not vouched for, and why.
    pub not_certified: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedColumn {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// The rows of a partition in `from..to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedRange {
    /// Topic.
    pub topic: String,
    /// Its incarnation.
    pub incarnation: String,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
    /// Rows.
    pub rows: u64,
    /// Checksum of the rows.
    pub rows_checksum: String,
    /// Bronze: checksum of the records.
    pub records_checksum: Option<String>,
}

/// The rows of windows that end at or before a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedWindows {
    /// That time, microseconds.
    pub closed_until_us: i64,
    /// Rows.
    pub rows: u64,
    /// Checksum of the rows.
    pub rows_checksum: String,
}

/// Who signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// [`ALGORITHM`].
    pub algorithm: String,
    /// 64 hex digits.
    pub public_key: String,
    /// 128 hex digits.
    pub value: String,
}

/// A statement as a file has it, and perhaps a signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// What is vouched for.
    pub statement: Statement,
    /// The signature, if it is signed.
    pub signature: Option<Signature>,
    /// The statement as it stands in the file, members that this version does not know too.
    document: Value,
}

impl Certificate {
    /// A certificate of a statement, signed where there is a key.
    ///
    /// # Errors
    /// None that is known: a statement always has a form in JSON.
    pub fn new(statement: Statement, key: Option<&SigningKey>) -> serde_json::Result<Self> {
        let document = serde_json::to_value(&statement)?;
        let mut certificate = Self { statement, signature: None, document };
        certificate.signature = key.map(|key| Signature {
            algorithm: ALGORITHM.to_owned(),
            public_key: key.public().to_string(),
            value: key.sign(certificate.signed_bytes().as_bytes()),
        });
        Ok(certificate)
    }

    /// The bytes that are signed: the statement as JSON (UTF-8) in compact form, its members in the order of the file,
    /// without white space between tokens, only `"`, `\` and control characters escaped.
    #[must_use]
    pub fn signed_bytes(&self) -> String {
        self.document.to_string()
    }

    /// The file's text.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let mut file = Map::new();
        file.insert("statement".to_owned(), self.document.clone());
        if let Some(signature) = &self.signature {
            file.insert("signature".to_owned(), serde_json::to_value(signature)?);
        }
        let mut text = serde_json::to_string_pretty(&Value::Object(file))?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no certificate, or of a version that is not known here: then nothing can be held against it.
    pub fn parse(text: &str) -> Result<Self, Unable> {
        let unable = |why: String| Unable { place: Place::default(), why: format!("not a certificate: {why}") };
        let mut file: Value = serde_json::from_str(text).map_err(|error| unable(error.to_string()))?;
        let document = file.get_mut("statement").map(Value::take);
        let document = document.ok_or_else(|| unable("it has no member 'statement'".to_owned()))?;
        let signature = match file.get_mut("signature").map(Value::take) {
            None | Some(Value::Null) => None,
            Some(value) => Some(serde_json::from_value(value).map_err(|error| unable(format!("signature: {error}")))?),
        };
        let (what, format) = (document.get("what").and_then(Value::as_str), document.get("format"));
        if what != Some(WHAT) || format.and_then(Value::as_u64) != Some(u64::from(FORMAT)) {
            return Err(unable(format!("it is not a '{WHAT}' of format {FORMAT}; a newer version may have made it")));
        }
        let statement = serde_json::from_value(document.clone()).map_err(|error| unable(error.to_string()))?;
        Ok(Self { statement, signature, document })
    }

    /// What the signature is worth, given the key that is known to be the signer's.
    #[must_use]
    pub fn signed(&self, known: Option<&PublicKey>) -> Signed {
        let Some(signature) = &self.signature else {
            return match known {
                None => Signed::Not,
                Some(known) => Signed::Wrong(format!("it is not signed; a signature by {known} is asked for")),
            };
        };
        if signature.algorithm != ALGORITHM {
            return Signed::Wrong(format!("its algorithm is not {ALGORITHM}"));
        }
        let Ok(claimed) = PublicKey::parse(&signature.public_key) else {
            return Signed::Wrong("the key that it names is no key".to_owned());
        };
        match known {
            Some(known) if *known != claimed => Signed::Wrong(format!("it is signed by {claimed}, not by {known}")),
            _ if !claimed.holds(self.signed_bytes().as_bytes(), &signature.value) => {
                Signed::Wrong(format!("the statement or the signature was altered after {claimed} signed it"))
            }
            Some(known) => Signed::ByKnown(known.to_string()),
            None => Signed::BySomeone(claimed.to_string()),
        }
    }
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// There is none, and none was asked for.
    Not,
    /// By the key that was given.
    ByKnown(String),
    /// By the key that the certificate itself names: it proves that nothing was altered since, and not by whom.
    BySomeone(String),
    /// It does not hold: why.
    Wrong(String),
}

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Not => f.write_str("not signed"),
            Self::ByKnown(key) => write!(f, "signed by {key}, the key that was given"),
            Self::BySomeone(key) => write!(f, "signed by {key}, not checked against a known key"),
            Self::Wrong(why) => write!(f, "the signature does not hold: {why}"),
        }
    }
}
