//! The archive of classes that almost halves a broker's start (Java's class data sharing).
//!
//! Contract: made once, by a broker that is started, asked to end when it is ready, and writes down the classes it had
//! loaded. It holds for one Java, one set of flags and one list of jars; a note says which, is removed before the archive
//! is replaced and written after it. An archive without a matching note is made anew. Whoever makes it holds the lock of
//! the installation, so test programs that begin together make one.

use std::path::PathBuf;

use super::Access;
use super::distribution::{Distribution, java_version};
use super::launch::{Classes, Launcher};
use crate::scratch::Scratch;
use crate::{LabError, files};

impl Distribution {
    /// The archive for the Java of this machine, made now if there is none.
    pub(crate) fn archive(&self) -> Result<PathBuf, LabError> {
        self.archive_for(&java_version()?, &mut |_| ())
    }

    /// The same, for a Java whose version is known; tells `say` before it takes long.
    pub(super) fn archive_for(&self, java: &str, say: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
        let (archive, note) = (self.folder().join("kafka.jsa"), self.archive_note());
        let wanted = self.note(java)?;
        let is_there =
            || Ok::<_, LabError>(files::read_if_there(&note)?.as_ref() == Some(&wanted) && archive.is_file());
        if is_there()? {
            return Ok(archive);
        }
        let _lock = self.lock()?;
        if is_there()? {
            return Ok(archive);
        }
        say("Kafka: a broker is started once, to keep its classes for quicker starts");
        files::remove_file(&note)?;
        let half = self.folder().join("kafka.jsa.half");
        files::remove_file(&half)?;
        let scratch = Scratch::make(&self.folder().join("scratch"))?;
        let classes = Classes::WriteTo(half.clone());
        Launcher::prepare(self, 1, scratch.path(), &[], Access::Open, &classes)?.run_once()?;
        std::fs::rename(&half, &archive)
            .map_err(LabError::io(format!("could not write {}; java made no archive", archive.display())))?;
        files::write_whole(&note, &wanted)?;
        Ok(archive)
    }

    /// All that an archive depends on: the Java, and the command with its flags and jars.
    fn note(&self, java: &str) -> Result<String, LabError> {
        let words: Vec<String> = self.java()?.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(format!("{java}\n{}\n", words.join("\n")))
    }
}
