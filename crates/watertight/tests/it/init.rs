//! `watertight init`.

use super::{scratch, watertight};
use std::fs;

#[test]
fn each_example_is_written_and_is_right() {
    for example in ["stocks", "api-usage", "earthquakes"] {
        let dir = scratch();
        let answer = watertight(dir.path(), &["init", example]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        assert!(answer.out.contains(&format!("watertight run -f {example}/pipeline.yaml")), "{}", answer.out);
        let checked = watertight(dir.path(), &["validate", &format!("{example}/pipeline.yaml")]);
        assert_eq!(checked.code, Some(0), "{}", checked.err);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "validate touches nothing outside");
    }
}

#[test]
fn each_example_can_keep_its_events_in_kafka() {
    for example in ["stocks", "api-usage", "earthquakes"] {
        let dir = scratch();
        let answer = watertight(dir.path(), &["init", example, "mine", "--kafka", "kafka-1:9092, [::1]:9093"]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        let checked = watertight(dir.path(), &["validate", "mine/pipeline.yaml"]);
        assert_eq!(checked.code, Some(0), "{}", checked.err);
        assert!(checked.out.contains("log    kafka at kafka-1:9092,[::1]:9093\n"), "{}", checked.out);
        let file = dir.path().join("mine/pipeline.yaml");
        let text = fs::read_to_string(&file).expect("read");
        assert!(!text.contains("built in") && !text.contains("data/log"), "{text}");
        // What is commented out is right as well.
        let commented = |line: &str| {
            ["properties", "secrets", "replication_factor"].iter().any(|key| line.contains(&format!("# {key}: ")))
        };
        let whole = |line: &str| if commented(line) { line.replacen("# ", "", 1) } else { line.to_owned() };
        let lines: Vec<String> = text.lines().map(whole).collect();
        assert_eq!(lines.iter().zip(text.lines()).filter(|(whole, line)| whole.as_str() != *line).count(), 3);
        fs::write(&file, lines.join("\n")).expect("write");
        fs::write(dir.path().join("mine/kafka.password"), "secret\n").expect("write");
        assert_eq!(watertight(dir.path(), &["validate", "mine/pipeline.yaml"]).code, Some(0));
    }
}

#[test]
fn the_commands_it_prints_are_understood() {
    for example in ["stocks", "api-usage", "earthquakes"] {
        let dir = scratch();
        let out = watertight(dir.path(), &["init", example, "my pipeline"]).out;
        let lines: Vec<&str> =
            out.lines().filter_map(|line| line.split_once("watertight ").map(|(_, rest)| rest)).collect();
        assert!(lines.len() >= 3, "{out}");
        for line in lines {
            let script = format!("exec \"$0\" {line} --help");
            let status = std::process::Command::new("sh")
                .args(["-c", &script, env!("CARGO_BIN_EXE_watertight")])
                .current_dir(dir.path())
                .output()
                .expect("sh");
            assert!(status.status.success(), "{line}: {}", String::from_utf8_lossy(&status.stderr));
        }
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_beside_what_is_there() {
    let dir = scratch();
    fs::create_dir_all(dir.path().join("mine/models")).expect("folder");
    fs::write(dir.path().join("mine/models/candles_1m.sql"), "mine").expect("write");
    let answer = watertight(dir.path(), &["init", "stocks", "mine"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("mine/models/candles_1m.sql already there"), "{}", answer.err);
    assert!(!dir.path().join("mine/pipeline.yaml").exists());
    assert_eq!(fs::read_to_string(dir.path().join("mine/models/candles_1m.sql")).expect("read"), "mine");
}

#[test]
fn a_folder_that_cannot_be_made_is_said() {
    let dir = scratch();
    fs::write(dir.path().join("file"), "").expect("write");
    let answer = watertight(dir.path(), &["init", "stocks", "file/inside"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("cannot make the folder"), "{}", answer.err);
}
