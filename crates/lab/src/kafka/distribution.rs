//! Kafka itself: its jars and what speeds up its start, in the cache.
//!
//! Contract: `pom.xml` beside this file names every version. What is in the cache is used only if its list, written last,
//! is of that `pom.xml` and every jar has the size that the list gives; a half-made installation is made anew. Whoever
//! installs holds a lock. Maven fetches by the machine's own configuration; what is there is never fetched again.
//!
//! ```text
//! kafka/libs/             the jars
//! kafka/formatted/        what Kafka's own tool writes into a fresh data folder
//! kafka/pom.xml           what all of it was made from
//! kafka/installed.txt     sizes and names of the jars; written last
//! kafka/kafka.jsa         classes as Java left them in memory, and for which Java (archive.rs)
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{self, Lock};
use crate::scratch::Scratch;
use crate::{LabError, cache};

/// What Maven resolves.
const POM: &str = include_str!("pom.xml");
/// What every Java of a lab is told: small heap, one collector thread, and a compiler that is quick rather than thorough.
/// Two cores run three brokers and what is tested against them.
const JAVA_FLAGS: &[&str] = &[
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx256m",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
];
/// The oldest Java that runs a broker of Kafka 4.
const JAVA_MIN: u32 = 17;
/// What Kafka's tool writes beside the numbers of cluster and node: which features a new cluster has.
pub(crate) const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// The version of Kafka that labs run.
#[must_use]
pub fn version() -> &'static str {
    let between = |text: &'static str| text.split_once("<kafka.version>")?.1.split_once("</kafka.version>");
    between(POM).map_or("?", |(version, _)| version)
}

/// Kafka in a folder of the cache, installed or not.
#[derive(Debug, Clone)]
pub struct Distribution {
    folder: PathBuf,
}

impl Distribution {
    /// The one in the cache.
    ///
    /// # Errors
    /// Where it is unknown where the cache is.
    pub fn in_cache() -> Result<Self, LabError> {
        Ok(Self { folder: cache::folder()?.join("kafka") })
    }

    /// The folder it is in, or would be.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is installed, whole, and of the version that is wanted.
    ///
    /// # Errors
    /// `NotInstalled` where it is not.
    pub fn check(&self) -> Result<(), LabError> {
        if self.is_whole()? {
            return Ok(());
        }
        Err(LabError::NotInstalled { version: version(), folder: self.folder.clone() })
    }

    /// Fetches and prepares what is missing; tells `say` of each step, and nothing if there is nothing to do.
    ///
    /// # Errors
    /// Where Java or Maven is missing, or one of them fails.
    pub fn install(&self, say: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        files::make_folder(&self.folder)?;
        let java = java_version()?;
        {
            let _lock = self.lock()?;
            if !self.is_whole()? {
                say(&format!("Kafka {}: Maven fetches its jars (44 MB) into {}", version(), self.folder.display()));
                self.make()?;
            }
        }
        self.archive_for(&java, say).map(drop)
    }

    /// Held by whoever changes the folder.
    pub(crate) fn lock(&self) -> Result<Lock, LabError> {
        Lock::take(&self.folder.join("lock"))
    }

    /// The first words of a command that runs a class of Kafka's.
    pub(crate) fn java(&self) -> Result<Vec<OsString>, LabError> {
        let mut words = vec![OsString::from("java")];
        words.extend(JAVA_FLAGS.iter().map(OsString::from));
        words.push("-cp".into());
        // Each jar by its name, in one order: an archive of classes holds for the very same list only.
        let mut path = OsString::new();
        for jar in self.jars()? {
            path.push(jar);
            path.push(":");
        }
        words.push(path);
        Ok(words)
    }

    /// What Kafka's tool writes into a fresh data folder and is the same in each.
    pub(crate) fn bootstrap(&self) -> PathBuf {
        self.folder.join("formatted").join(BOOTSTRAP)
    }

    fn libs(&self) -> PathBuf {
        self.folder.join("libs")
    }

    /// For which Java, flags and jars the archive of classes was made; without it there is none.
    pub(super) fn archive_note(&self) -> PathBuf {
        self.folder.join("kafka.jsa.txt")
    }

    fn list(&self) -> PathBuf {
        self.folder.join("installed.txt")
    }

    fn jars(&self) -> Result<Vec<PathBuf>, LabError> {
        let libs = self.libs();
        let failed = || LabError::io(format!("could not list {}", libs.display()));
        let mut jars = Vec::new();
        for entry in std::fs::read_dir(&libs).map_err(failed())? {
            jars.push(entry.map_err(failed())?.path());
        }
        jars.sort();
        Ok(jars)
    }

    fn is_whole(&self) -> Result<bool, LabError> {
        if files::read_if_there(&self.folder.join("pom.xml"))?.as_deref() != Some(POM) || !self.bootstrap().is_file() {
            return Ok(false);
        }
        let Some(list) = files::read_if_there(&self.list())? else { return Ok(false) };
        Ok(!list.is_empty() && self.libs().is_dir() && list == self.as_listed()?)
    }

    /// Size and name of each jar, a line each.
    fn as_listed(&self) -> Result<String, LabError> {
        let mut list = String::new();
        for jar in self.jars()? {
            let size = std::fs::metadata(&jar).map_err(LabError::io(format!("could not look at {}", jar.display())))?;
            let name = jar.file_name().unwrap_or_default().to_string_lossy();
            list += &format!("{} {name}\n", size.len());
        }
        Ok(list)
    }

    fn make(&self) -> Result<(), LabError> {
        // What is there is not whole: without its list, nobody takes it for that while it changes.
        files::remove_file(&self.list())?;
        files::remove_file(&self.archive_note())?;
        files::remove_folder(&self.libs())?;
        files::write_whole(&self.folder.join("pom.xml"), POM)?;
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f"]).arg(self.folder.join("pom.xml")).arg("dependency:copy-dependencies");
        let mut libs = OsString::from("-DoutputDirectory=");
        libs.push(self.libs());
        run(maven.arg(libs), "fetching Kafka's jars with `mvn`", "mvn")?;
        self.format()?;
        files::write_whole(&self.list(), &self.as_listed()?)
    }

    /// Has Kafka's tool format a data folder, and keeps what is the same in every one of them.
    fn format(&self) -> Result<(), LabError> {
        let scratch = Scratch::make(&self.folder.join("scratch"))?;
        let formatted = self.format_in(scratch.path(), &[])?;
        let bootstrap = self.bootstrap();
        files::make_folder(&self.folder.join("formatted"))?;
        std::fs::copy(formatted, &bootstrap)
            .map_err(LabError::io(format!("could not write {}", bootstrap.display())))
            .map(drop)
    }

    /// Has Kafka's tool format a data folder below this empty one: the file of it that would be the same in any other.
    pub(super) fn format_in(&self, folder: &Path, more: &[String]) -> Result<PathBuf, LabError> {
        let properties = "process.roles=broker,controller\nnode.id=1\nlog.dirs=data\n\
            listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\ncontroller.listener.names=CONTROLLER\n\
            listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
            controller.quorum.voters=1@127.0.0.1:2\n";
        files::write_whole(&folder.join("server.properties"), properties)?;
        let words = self.java()?;
        let mut tool = Command::new(&words[0]);
        tool.args(&words[1..]).arg("kafka.tools.StorageTool").current_dir(folder);
        tool.args(["format", "-t", "lab", "-c", "server.properties"]).args(more);
        run(&mut tool, "formatting a data folder with Kafka's own tool", "java")?;
        Ok(folder.join("data").join(BOOTSTRAP))
    }
}

/// What `java -version` says, if it is new enough.
pub(crate) fn java_version() -> Result<String, LabError> {
    let said = run(Command::new("java").arg("-version"), "`java -version`", "java")?;
    let found = said.lines().find_map(|line| line.split_once(" version \"")?.1.split(['"', '.', '-']).next());
    match found.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= JAVA_MIN => Ok(said.trim().to_owned()),
        _ => Err(LabError::OldJava { wanted: JAVA_MIN, found: said.lines().next().unwrap_or_default().to_owned() }),
    }
}

/// Runs a program to its end and gives what it wrote to both outputs.
pub(super) fn run(command: &mut Command, what: &str, program: &'static str) -> Result<String, LabError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => LabError::NoProgram { program },
        _ => LabError::io(what)(error),
    })?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() {
        return Ok(said);
    }
    Err(LabError::Failed { what: what.to_owned(), status: output.status.to_string(), tail: files::last_lines(&said) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as `make` leaves it, with one jar of three bytes.
    fn made() -> (tempfile::TempDir, Distribution) {
        let folder = tempfile::tempdir().unwrap();
        let distribution = Distribution { folder: folder.path().to_path_buf() };
        for (name, text) in [("libs/kafka.jar", "jar"), ("formatted/bootstrap.checkpoint", "b"), ("pom.xml", POM)] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::write(distribution.list(), "3 kafka.jar\n").unwrap();
        (folder, distribution)
    }

    #[test]
    fn a_whole_installation_is_used_and_each_half_one_is_noticed() {
        let (_folder, distribution) = made();
        distribution.check().unwrap();
        let damages: [(&str, &str); 5] = [
            ("installed.txt", ""),
            ("installed.txt", "3 kafka.jar\n9 other.jar\n"),
            ("libs/kafka.jar", "ja"),
            ("libs/half.jar", "h"),
            ("pom.xml", "<project/>"),
        ];
        for (file, text) in damages {
            let (folder, distribution) = made();
            std::fs::write(folder.path().join(file), text).unwrap();
            let refused = distribution.check().unwrap_err();
            assert!(matches!(refused, LabError::NotInstalled { .. }), "{file}: {refused}");
        }
        for file in ["installed.txt", "libs/kafka.jar", "formatted/bootstrap.checkpoint", "pom.xml"] {
            let (folder, distribution) = made();
            std::fs::remove_file(folder.path().join(file)).unwrap();
            assert!(distribution.check().is_err(), "{file} is missing");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_its_version_and_what_to_run() {
        let nowhere = Distribution { folder: PathBuf::from("/no/such/folder") };
        let refused = nowhere.check().unwrap_err().to_string();
        assert!(refused.contains(version()) && refused.contains("setup/install.sh test"), "{refused}");
        assert!(version().starts_with(|first: char| first.is_ascii_digit()), "{}", version());
    }
}
