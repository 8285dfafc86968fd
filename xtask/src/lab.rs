//! `cargo xtask lab`: real servers on this machine, to try things against, from `up` until `down`.
//!
//! Contract: standard output has what another program needs, the address of `up` and the answer of `status`; what is told
//! to people goes to standard error. What the lab is and how it is kept: `crates/lab`.
//! Never: ends a process that `up` did not start; removes data but that of a lab without a folder of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use watertight_lab::kafka::{ClusterOptions, Distribution, version};
use watertight_lab::standing::{Lab, Standing, Up};

/// What `cargo xtask lab` can be told.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Install,
    Up { brokers: Option<u8>, dir: Option<PathBuf> },
    Down,
    Status { as_json: bool },
}

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    match parse(arguments)? {
        Command::Install => install(),
        Command::Up { brokers, dir } => up(&Lab::in_cache()?, brokers, dir),
        Command::Down => down(&Lab::in_cache()?),
        Command::Status { as_json } => status(&Lab::in_cache()?, as_json),
    }
}

fn parse(arguments: &[String]) -> Result<Command> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("say what the lab should do: `cargo xtask lab up`, `status`, `down` or `install`");
    };
    let mut flags = rest.chunks(2).map(|pair| match pair {
        [flag, value] => Ok((flag.as_str(), value.as_str())),
        _ => bail!("`{}` needs a value", pair.concat()),
    });
    let parsed = match command.as_str() {
        "install" => Command::Install,
        "down" => Command::Down,
        "up" => {
            let (mut brokers, mut dir) = (None, None);
            for flag in flags.by_ref() {
                match flag? {
                    ("--brokers", "1") => brokers = Some(1),
                    ("--brokers", "3") => brokers = Some(3),
                    ("--brokers", other) => bail!("`--brokers` is 1 or 3, not `{other}`"),
                    ("--dir", path) => dir = Some(PathBuf::from(path)),
                    (other, _) => bail!("unknown argument `{other}`; up takes `--brokers 1|3` and `--dir DIR`"),
                }
            }
            Command::Up { brokers, dir }
        }
        "status" => {
            let mut as_json = false;
            for flag in flags.by_ref() {
                match flag? {
                    ("--format", "json") => as_json = true,
                    ("--format", "text") => as_json = false,
                    (other, _) => bail!("unknown argument `{other}`; status takes `--format text|json`"),
                }
            }
            Command::Status { as_json }
        }
        other => bail!("the lab knows no `{other}`; it knows up, down, status and install"),
    };
    if flags.next().is_some() {
        bail!("`lab {command}` takes no arguments, but was given `{}`", rest.join(" "));
    }
    Ok(parsed)
}

fn install() -> Result<ExitCode> {
    let kafka = Distribution::in_cache()?;
    kafka.install(&mut |step| eprintln!("lab: {step}"))?;
    Ok(ExitCode::SUCCESS)
}

fn up(lab: &Lab, brokers: Option<u8>, dir: Option<PathBuf>) -> Result<ExitCode> {
    let options = ClusterOptions { brokers: brokers.unwrap_or(1), dir: dir.clone(), ..ClusterOptions::default() };
    let standing = match lab.up(&options)? {
        Up::Began { standing, cleaned } => {
            if cleaned.is_some() {
                eprintln!("lab: what a crash had left of an earlier lab was ended first");
            }
            let folders = folders(&standing);
            eprintln!("lab: Kafka {}, {}, data and logs in {folders}", version(), counted(&standing));
            eprintln!("lab: it stays until `cargo xtask lab down`");
            standing
        }
        Up::StoodAlready(standing) => {
            if let Some(difference) = difference(&standing, brokers, dir)? {
                bail!("a lab is up already, {difference}; end it with `cargo xtask lab down` first");
            }
            eprintln!("lab: it was up already, {} in {}", counted(&standing), folders(&standing));
            standing
        }
    };
    for service in &standing.services {
        println!("{}", service.endpoint);
    }
    Ok(ExitCode::SUCCESS)
}

/// In what the lab that is up is not the one that was asked for.
fn difference(standing: &Standing, brokers: Option<u8>, dir: Option<PathBuf>) -> Result<Option<String>> {
    let there = standing.servers().count();
    if brokers.is_some_and(|wanted| usize::from(wanted) != there) {
        return Ok(Some(format!("with {there} {}", if there == 1 { "broker" } else { "brokers" })));
    }
    let Some(dir) = dir else { return Ok(None) };
    let dir = std::path::absolute(&dir).with_context(|| format!("{} is not a path", dir.display()))?;
    let is_there = standing.services.iter().any(|service| service.folder == dir);
    Ok((!is_there).then(|| format!("in {}", folders(standing))))
}

fn down(lab: &Lab) -> Result<ExitCode> {
    match lab.down()? {
        Some(standing) => eprintln!("lab: {} ended; data and logs stay in {}", counted(&standing), folders(&standing)),
        None => eprintln!("lab: none is up"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends with 0 if a lab is up and every server of it runs, and with 1 if not.
fn status(lab: &Lab, as_json: bool) -> Result<ExitCode> {
    let standing = lab.status()?;
    if as_json {
        println!("{}", described(standing.as_ref()));
    } else if let Some(standing) = &standing {
        print!("{}", told(standing));
    } else {
        println!("no lab is up; `cargo xtask lab up` starts one");
    }
    Ok(if standing.is_some_and(|standing| standing.is_up()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(standing: &Standing) -> String {
    let mut text = String::new();
    for service in &standing.services {
        text += &format!("{} at {}, in {}\n", service.kind.name(), service.endpoint, service.folder.display());
        for server in &service.servers {
            let (process, log) = (server.process, server.log.display());
            let state = if process.runs() { format!("runs as process {process}") } else { "is GONE".to_owned() };
            text += &format!("  {} {state}, log {log}\n", server.name);
        }
    }
    if !standing.is_up() {
        text += "it was not ended by `cargo xtask lab down`; `lab up` cleans it and begins anew\n";
    }
    text
}

fn described(standing: Option<&Standing>) -> Value {
    let services = standing.map_or(&[][..], |standing| standing.services.as_slice());
    let services: Vec<Value> = services
        .iter()
        .map(|service| {
            let servers = service.servers.iter().map(|server| {
                let log = server.log.to_string_lossy();
                json!({ "name": server.name, "pid": server.process.pid, "runs": server.process.runs(), "log": log })
            });
            json!({
                "kind": service.kind.name(),
                "endpoint": service.endpoint,
                "folder": service.folder.to_string_lossy(),
                "servers": servers.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "up": standing.is_some_and(Standing::is_up), "services": services })
}

/// `1 broker`, `3 brokers`.
fn counted(standing: &Standing) -> String {
    match standing.servers().count() {
        1 => "1 broker".to_owned(),
        count => format!("{count} brokers"),
    }
}

fn folders(standing: &Standing) -> String {
    standing.services.iter().map(|service| service.folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_lab::process::ProcessId;
    use watertight_lab::standing::{Kind, Server, Service};

    fn parsed(line: &str) -> Result<Command> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn standing(process: ProcessId) -> Standing {
        let server = Server { name: "broker 1".to_owned(), process, log: PathBuf::from("/lab/broker-1/broker.log") };
        let (endpoint, folder) = ("127.0.0.1:9092".to_owned(), PathBuf::from("/lab"));
        Standing { services: vec![Service { kind: Kind::Kafka, endpoint, folder, servers: vec![server] }], ready: true }
    }

    #[test]
    fn commands_are_read_with_their_flags() {
        assert_eq!(parsed("install").unwrap(), Command::Install);
        assert_eq!(parsed("down").unwrap(), Command::Down);
        assert_eq!(parsed("up").unwrap(), Command::Up { brokers: None, dir: None });
        let up = Command::Up { brokers: Some(3), dir: Some(PathBuf::from("/tmp/lab")) };
        assert_eq!(parsed("up --brokers 3 --dir /tmp/lab").unwrap(), up);
        assert_eq!(parsed("status --format json").unwrap(), Command::Status { as_json: true });
        for wrong in ["", "fly", "up --brokers 2", "up --brokers", "up 3 3", "down now please", "status --format xml"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_that_is_gone_is_told_as_such_in_text_and_json() {
        let own = ProcessId::of(std::process::id()).unwrap();
        let (up, left) = (standing(own), standing(ProcessId { began: own.began - 1, ..own }));
        assert!(told(&up).contains("broker 1 runs as process") && !told(&up).contains("lab up"), "{}", told(&up));
        assert!(told(&left).contains("broker 1 is GONE") && told(&left).contains("lab up"), "{}", told(&left));
        let (up, left) = (described(Some(&up)), described(Some(&left)));
        assert_eq!((&up["up"], &up["services"][0]["servers"][0]["runs"]), (&json!(true), &json!(true)));
        assert_eq!((&left["up"], &left["services"][0]["servers"][0]["runs"]), (&json!(false), &json!(false)));
        assert_eq!(described(None), json!({ "up": false, "services": [] }));
    }

    #[test]
    fn a_lab_that_is_up_is_not_taken_for_another_one() {
        let standing = standing(ProcessId { pid: 1, began: 1 });
        let differs = |brokers, dir: Option<&str>| difference(&standing, brokers, dir.map(PathBuf::from)).unwrap();
        assert_eq!(differs(None, None), None);
        assert_eq!(differs(Some(1), Some("/lab")), None);
        assert_eq!(differs(Some(3), None).unwrap(), "with 1 broker");
        assert_eq!(differs(None, Some("/other")).unwrap(), "in /lab");
    }
}
