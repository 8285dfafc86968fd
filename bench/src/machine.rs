//! What a figure depends on beside the code: the machine, the build, the revision.

use crate::proc_files::field;
use crate::program::Program;
use anyhow::Result;
use serde::Serialize;
use std::process::Command;
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock as _;

/// Facts of a measurement. What cannot be told is `null`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// When it was measured, microseconds since the epoch.
    measured_at_us: i64,
    /// Cores this process may use.
    cores: Option<usize>,
    /// The processor's name.
    cpu: Option<String>,
    /// Memory, bytes.
    memory_bytes: Option<u64>,
    /// The kernel's release.
    kernel: Option<String>,
    /// The source's commit, and whether the tree differed from it.
    revision: Option<Revision>,
    /// The measured program.
    program: String,
    /// Its profile.
    program_profile: String,
    /// The profile of this binary, which is L0.
    bench_profile: String,
}

#[derive(Debug, Clone, Serialize)]
struct Revision {
    commit: String,
    modified: bool,
}

impl Machine {
    /// The facts of here and now.
    pub(crate) fn look(program: &Program) -> Result<Self> {
        let file = |path: &str| std::fs::read_to_string(path).ok();
        let cpu = file("/proc/cpuinfo").and_then(|text| {
            let name = field(&text, "model name")?;
            Some(name.trim_start_matches(':').trim().to_owned())
        });
        let memory_bytes = file("/proc/meminfo").and_then(|text| {
            let kib = field(&text, "MemTotal:")?.strip_suffix("kB")?.trim().parse::<u64>().ok()?;
            kib.checked_mul(1024)
        });
        Ok(Self {
            measured_at_us: SystemClock.now_us(),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            cpu,
            memory_bytes,
            kernel: file("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            revision: revision(),
            program: program.path.display().to_string(),
            program_profile: program.profile(),
            bench_profile: Program::this()?.profile(),
        })
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let known = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
        let revision = self.revision.as_ref().map(|revision| {
            let short = revision.commit.get(..12).unwrap_or(&revision.commit);
            format!("{short}{}", if revision.modified { " (modified)" } else { "" })
        });
        format!(
            "{} cores, {}, Linux {}; revision {}, profile {}",
            known(self.cores.map(|cores| cores.to_string())),
            known(self.cpu.clone()),
            known(self.kernel.clone()),
            known(revision),
            self.program_profile
        )
    }

    /// What makes the figures unfit to be quoted.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.program_profile != self.bench_profile {
            warnings.push(format!(
                "the program is of profile '{}', this binary of '{}': ratios to L0 mean nothing; build both alike",
                self.program_profile, self.bench_profile
            ));
        }
        if self.program_profile != "release" {
            warnings.push("the program is not from a folder 'release': say which build was measured".to_owned());
        }
        warnings
    }
}

/// The revision of the source tree that this binary was built from, if it is still there.
fn revision() -> Option<Revision> {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let modified = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    Some(Revision { commit, modified })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_is_not_a_release_build_is_told_and_so_is_an_unequal_pair() {
        let program = Program { path: PathBuf::from("/somewhere/strange/watertight") };
        let machine = Machine::look(&program).expect("looked");
        assert_eq!(machine.program_profile, "strange");
        assert_eq!(machine.warnings().len(), 2);
        let same = Machine { program_profile: "release".into(), bench_profile: "release".into(), ..machine };
        assert!(same.warnings().is_empty());
        assert!(same.line().contains("profile release"), "{}", same.line());
    }
}
