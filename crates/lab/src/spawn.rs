//! How servers are started: to end with us whatever happens to us, or to outlive us without ever being forgotten.
//!
//! *With us*: the system is told to kill the server when its parent ends (`PR_SET_PDEATHSIG`). Rust can do so only in
//! unsafe code, so `setpriv` does (util-linux, on every Debian). Two traps: the signal comes when the parent's *thread*
//! ends, and tests run in threads that end, so one thread that never ends starts all servers; and a parent that died
//! before the system was told is never noticed, so the server looks once whose child it is.
//!
//! *On its own*: in a session of its own (`setsid`), so that no Ctrl-C and no closed terminal reaches it. It waits behind
//! a gate until its process is written down; if we die before, it ends by itself.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use crate::LabError;
use crate::process::ProcessId;

/// Run by `sh`: goes on only as a child of the process that is named first.
const CHILD_OF: &str = r#"[ "$PPID" = "$1" ] || exit 1; shift; exec "$@""#;
/// Run by `sh`: goes on only when it is told so.
const WHEN_TOLD: &str = r#"read -r told || exit 1; exec "$@" </dev/null"#;

/// What to run: the program with its arguments, the folder it runs in, and the file that its output is added to.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) words: &'a [OsString],
    pub(crate) folder: &'a Path,
    pub(crate) log: &'a Path,
}

impl Order<'_> {
    fn command(&self, program: &'static str, arguments: &[&str]) -> Result<Command, LabError> {
        let failed = || LabError::io(format!("could not open {}", self.log.display()));
        let log = File::options().create(true).append(true).open(self.log).map_err(failed())?;
        let mut command = Command::new(program);
        command.args(arguments).args(self.words).current_dir(self.folder);
        command.stdout(log.try_clone().map_err(failed())?).stderr(log);
        Ok(command)
    }
}

/// Starts a server that is killed by the system when this process ends.
pub(crate) fn with_us(order: &Order<'_>) -> Result<Child, LabError> {
    let own = std::process::id().to_string();
    let mut command = order.command("setpriv", &["--pdeathsig", "KILL", "sh", "-c", CHILD_OF, "lab", &own])?;
    command.stdin(Stdio::null());
    by_the_keeper(command).map_err(not_started("setpriv"))
}

/// A server in a session of its own that has not begun yet.
#[derive(Debug)]
pub(crate) struct Held {
    child: Child,
    process: ProcessId,
}

/// Starts a server that will outlive this process, up to the gate.
pub(crate) fn on_its_own(order: &Order<'_>) -> Result<Held, LabError> {
    let mut command = order.command("setsid", &["sh", "-c", WHEN_TOLD, "lab"])?;
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(not_started("setsid"))?;
    match ProcessId::of(child.id()) {
        Some(process) => Ok(Held { child, process }),
        None => {
            let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(LabError::Failed { what: "starting a server".to_owned(), status, tail: crate::files::tail(order.log) })
        }
    }
}

impl Held {
    /// The server's process, already before it begins.
    pub(crate) fn process(&self) -> ProcessId {
        self.process
    }

    /// Lets the server begin. Its process must be written down by now.
    pub(crate) fn begin(mut self) -> Result<Child, LabError> {
        if let Some(mut gate) = self.child.stdin.take() {
            gate.write_all(b"begin\n").map_err(LabError::io("could not let a server begin"))?;
        }
        Ok(self.child)
    }
}

fn not_started(program: &'static str) -> impl FnOnce(io::Error) -> LabError {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => LabError::NoProgram { program },
        _ => LabError::io(format!("could not start `{program}`"))(error),
    }
}

/// Has the command started by a thread that lives as long as this process.
fn by_the_keeper(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Sender<(Command, Sender<io::Result<Child>>)>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, received) = channel::<(Command, Sender<io::Result<Child>>)>();
        // Without the thread the first order finds nobody, which is an error there.
        let _ = std::thread::Builder::new().name("lab-keeper".to_owned()).spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, answered) = channel();
    let gone = || io::Error::other("the thread that starts servers could not be started");
    keeper.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
