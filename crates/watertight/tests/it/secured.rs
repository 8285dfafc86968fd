//! The program on a broker that wants to know who asks: secrets from files and variables, and none of them printed.

use super::{Answer, fine, scratch};
use std::path::Path;
use std::process::{Command, Stdio};
use watertight_lab::kafka::secured::USER_PASSWORD;
use watertight_lab::kafka::shared_secured;

const FILE: &str = "stocks/pipeline.yaml";
/// A password that is nobody's.
const WRONG: &str = "wrong-horse-42";
/// A password by file, as `init` writes it, and by variable.
const BY_FILE: &str = "secrets: { sasl.password_file: kafka.password }";
const BY_VARIABLE: &str = "secrets: { sasl.password_env: KAFKA_PASSWORD }";

/// The example of `init`, with what it shows as a comment, for the secured broker.
fn prepare(dir: &Path) -> String {
    let secured = shared_secured().secured().expect("it is secured");
    fine(dir, &["init", "stocks", "--kafka", &secured.sasl()]);
    let written = std::fs::read_to_string(dir.join(FILE)).expect("read");
    let authority = format!("sasl.username: watertight, ssl.ca.location: {} }}", secured.authority().display());
    let yaml = written.replace("# properties: ", "properties: ").replace("sasl.username: watertight }", &authority);
    let yaml = yaml.replace(&format!("# {BY_FILE}"), BY_FILE);
    assert_eq!(yaml.matches("ssl.ca.location").count(), 1, "{written}");
    std::fs::write(dir.join(FILE), &yaml).expect("written");
    yaml
}

/// Runs the program with a variable and with all that it can log.
fn talkative(dir: &Path, variable: &str, arguments: &[&str]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
        .args(arguments)
        .current_dir(dir)
        .env("WATERTIGHT_LOG", "trace")
        .env("KAFKA_PASSWORD", variable)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_pipeline_runs_over_tls_with_a_password_from_a_file_or_a_variable_and_prints_it_nowhere() {
    let dir = scratch();
    let dir = dir.path();
    let yaml = prepare(dir);
    std::fs::write(dir.join("stocks/kafka.password"), format!("{USER_PASSWORD}\n")).expect("written");
    let produce = ["produce", "-f", FILE, "--stream", "stock_ticks", "--generate", "stocks", "--count", "1000"];
    let run = ["run", "-f", FILE, "--until-caught-up", "--close-windows"];
    for arguments in [&produce[..], &run, &["status", "-f", FILE], &["verify", "-f", FILE]] {
        let Answer { code, out, err } = talkative(dir, "", arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
        assert!(!out.contains(USER_PASSWORD) && !err.contains(USER_PASSWORD), "{arguments:?} prints the password");
    }
    std::fs::write(dir.join(FILE), yaml.replace(BY_FILE, BY_VARIABLE)).expect("written");
    let answer = talkative(dir, USER_PASSWORD, &["status", "-f", FILE]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(!answer.out.contains(USER_PASSWORD) && !answer.err.contains(USER_PASSWORD), "the password is printed");
}

#[test]
fn a_wrong_password_ends_the_run_with_what_to_check() {
    let dir = scratch();
    let dir = dir.path();
    let yaml = prepare(dir);
    std::fs::write(dir.join(FILE), yaml.replace(BY_FILE, BY_VARIABLE)).expect("written");
    for command in [&["run", "-f", FILE][..], &["status", "-f", FILE]] {
        let Answer { code, out, err } = talkative(dir, WRONG, command);
        assert_eq!(code, Some(1), "{command:?}: {out}{err}");
        assert!(format!("{out}{err}").contains("`sasl.mechanisms`, and the user"), "{command:?}: {out}{err}");
        assert!(!out.contains(WRONG) && !err.contains(WRONG), "{command:?} prints the password");
    }
}
