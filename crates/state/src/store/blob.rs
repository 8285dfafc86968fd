//! Named blobs beside the keys: replaced as a whole, checked as a whole.
//!
//! Not fsynced: what a power cut leaves is found out by its checksum, and rebuilt.

use super::layout::{BLOCK_HEAD_BYTES, Found, Header, Kind, PAYLOAD_BYTES_MAX, Stamp, read_block, write_block};
use super::{Rebuild, StateStore, check_file_name};
use crate::StateError;
use std::fs::File;
use std::io::BufReader;
use watertight_core::steps::{STATE_BLOB_RENAME, STATE_BLOB_WRITE};

/// What loading a blob gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// Its bytes, as they were saved at a version.
    Loaded {
        /// The version given when it was saved.
        upto: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Nothing usable: rebuild it from the tables.
    Rebuild(Rebuild),
}

impl StateStore {
    /// Replaces a blob. Readers see the old or the new one, never a mixture.
    ///
    /// # Errors
    /// `Name`; `Io`: the old one is still there.
    pub fn save_blob(&self, name: &str, upto: u64, bytes: &[u8]) -> Result<(), StateError> {
        check_file_name(name)?;
        let header = Header {
            kind: Kind::Blob,
            identity: self.identity.clone(),
            name: name.to_owned(),
            generation: 0,
            upto: Some(upto),
            content: bytes.len() as u64,
            link: 0,
        };
        let (mut out, mut chain) = header.encode();
        out.reserve(bytes.len() + (bytes.len() / PAYLOAD_BYTES_MAX + 1) * BLOCK_HEAD_BYTES);
        for payload in bytes.chunks(PAYLOAD_BYTES_MAX) {
            write_block(&mut out, &mut chain, Stamp { upto, last: false }, payload)
                .expect("writing to memory does not fail");
        }
        let path = self.dir.join(format!("blob-{name}"));
        let temporary = self.dir.join(format!("blob-{name}.tmp"));
        self.steps
            .take(STATE_BLOB_WRITE, || std::fs::write(&temporary, &out))
            .and_then(|()| self.steps.take(STATE_BLOB_RENAME, || std::fs::rename(&temporary, &path)))
            .map_err(|error| StateError::io(format!("could not write {}", path.display()), error))
    }

    /// Reads a blob back.
    ///
    /// # Errors
    /// `Name` only; damage and absence are [`Blob::Rebuild`].
    pub fn load_blob(&self, name: &str) -> Result<Blob, StateError> {
        check_file_name(name)?;
        Ok(match self.read_blob(name) {
            Ok((upto, bytes)) => Blob::Loaded { upto, bytes },
            Err(reason) => Blob::Rebuild(reason),
        })
    }

    fn read_blob(&self, name: &str) -> Result<(u64, Vec<u8>), Rebuild> {
        let file_name = format!("blob-{name}");
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Rebuild::Missing,
            _ => Rebuild::unreadable(&file_name, &error),
        };
        let mut file = BufReader::with_capacity(1 << 18, File::open(self.dir.join(&file_name)).map_err(io)?);
        let (header, _, mut chain) = Header::read(&mut file).map_err(|bad| Rebuild::of_bad_header(&file_name, bad))?;
        if let Some(reason) = Rebuild::of_header(&file_name, &self.identity, &header, Kind::Blob) {
            return Err(reason);
        }
        let Some(upto) = header.upto.filter(|_| header.name == name) else {
            return Err(Rebuild::damaged(&file_name, "it was renamed"));
        };
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        loop {
            match read_block(&mut file, &mut chain, &mut payload).map_err(io)? {
                Found::Block(..) => bytes.extend_from_slice(&payload),
                Found::End if bytes.len() as u64 == header.content => return Ok((upto, bytes)),
                Found::End => return Err(Rebuild::damaged(&file_name, "it is shorter or longer than it says")),
                Found::Bad(why) => return Err(Rebuild::damaged(&file_name, why)),
            }
        }
    }
}
