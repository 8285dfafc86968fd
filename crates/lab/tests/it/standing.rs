//! The lab that stays: up, up again, left by a crash, down.

use watertight_lab::kafka::{ClusterOptions, Distribution};
use watertight_lab::process::ProcessId;
use watertight_lab::standing::{Lab, Standing, Up};

use crate::client;

/// Whatever happens in a test, its servers end with it.
struct Kept(Lab);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            eprintln!("{}", error.in_full());
        }
    }
}

fn process(standing: &Standing) -> ProcessId {
    standing.servers().next().expect("a broker").process
}

#[test]
fn a_lab_stays_until_it_is_taken_down_and_one_that_a_crash_left_is_cleaned_and_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let lab = Kept(Lab::in_folder(folder.path().join("lab"), Distribution::in_cache().unwrap()));
    let options = ClusterOptions { dir: Some(data.clone()), ..ClusterOptions::default() };
    assert_eq!(lab.0.status().unwrap(), None);
    let Up::Began { standing: first, cleaned: None } = lab.0.up(&options).expect("a lab") else {
        panic!("something was there before")
    };
    client::append_one(&first.services[0].endpoint);
    let acknowledged = client::records(&first.services[0].endpoint);

    let Up::StoodAlready(again) = lab.0.up(&options).unwrap() else { panic!("a second lab was started") };
    assert_eq!(again, first);
    assert_eq!(lab.0.status().unwrap().as_ref(), Some(&first));
    assert!(first.is_up());

    // As if somebody had killed it: its record stays.
    process(&first).end().unwrap();
    assert!(!lab.0.status().unwrap().expect("recorded").is_up());
    let Up::Began { standing: second, cleaned: Some(cleaned) } = lab.0.up(&options).expect("a lab") else {
        panic!("the crash was not noticed")
    };
    assert_eq!(cleaned, first);
    assert_eq!(second.services[0].endpoint, first.services[0].endpoint);
    assert_eq!(client::records(&second.services[0].endpoint), acknowledged);

    assert_eq!(lab.0.down().unwrap(), Some(second.clone()));
    assert!(!process(&second).runs());
    assert!(data.join("broker-1/broker.log").is_file(), "the log went with the lab");
    assert_eq!((lab.0.down().unwrap(), lab.0.status().unwrap()), (None, None));
}

#[test]
fn a_command_that_was_killed_on_the_way_up_leaves_servers_that_the_next_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Kept(Lab::in_folder(folder.path().to_path_buf(), Distribution::in_cache().unwrap()));
    let Up::Began { standing: first, .. } = lab.0.up(&ClusterOptions::default()).expect("a lab") else {
        panic!("something was there before")
    };
    let record = folder.path().join("standing.json");
    let on_the_way = std::fs::read_to_string(&record).unwrap().replace("\"ready\":true", "\"ready\":false");
    std::fs::write(&record, on_the_way).unwrap();
    let Up::Began { standing: second, cleaned: Some(_) } = lab.0.up(&ClusterOptions::default()).expect("a lab") else {
        panic!("a lab that was never ready was taken for one")
    };
    assert!(!process(&first).runs() && process(&second).runs());
}
