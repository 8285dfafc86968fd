//! A cluster that a test owns: it comes up, is struck, and comes back.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use watertight_lab::LabError;
use watertight_lab::kafka::{Access, Cluster, ClusterOptions};

use crate::client;

fn one() -> Cluster {
    Cluster::start(ClusterOptions::default()).expect("a cluster of one")
}

fn port(cluster: &Cluster) -> u16 {
    let bootstrap = cluster.bootstrap();
    let (_, port) = bootstrap.rsplit_once(':').expect("host:port");
    port.parse().expect("a port")
}

#[test]
fn a_killed_broker_comes_back_with_its_port_and_its_data() {
    let cluster = one();
    let bootstrap = cluster.bootstrap();
    client::append_one(&bootstrap);
    let acknowledged = client::records(&bootstrap);
    assert!(acknowledged > 0);
    cluster.kill(1).unwrap();
    assert_eq!(cluster.process(1).unwrap(), None);
    assert!(client::end_offset(&bootstrap).is_err(), "somebody answers for a broker that is dead");
    cluster.start_again(1).unwrap();
    assert_eq!(cluster.bootstrap(), bootstrap);
    assert_eq!(client::records(&bootstrap), acknowledged);
}

#[test]
fn a_port_that_somebody_took_meanwhile_is_refused() {
    let cluster = one();
    let port = port(&cluster);
    cluster.kill(1).unwrap();
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("the port of a dead broker is free");
    let refused = cluster.start_again(1).unwrap_err();
    assert!(matches!(refused, LabError::PortBusy { port: busy, .. } if busy == port), "{refused}");
    assert_eq!(cluster.process(1).unwrap(), None);
    drop(taken);
}

#[test]
fn a_paused_broker_is_silent_until_it_is_resumed_and_a_stopped_one_is_down() {
    let cluster = one();
    let bootstrap = cluster.bootstrap();
    client::append_one(&bootstrap);
    let acknowledged = client::records(&bootstrap);
    cluster.pause(1).unwrap();
    assert!(cluster.process(1).unwrap().is_some(), "a paused broker counts as gone");
    assert!(client::end_offset(&bootstrap).is_err(), "a paused broker answers");
    cluster.resume(1).unwrap();
    assert_eq!(client::records(&bootstrap), acknowledged);
    cluster.stop(1).unwrap();
    for refused in [cluster.kill(1), cluster.stop(1), cluster.pause(1), cluster.resume(1)] {
        assert!(matches!(refused, Err(LabError::Refused(_))), "{refused:?}");
    }
}

#[test]
fn three_brokers_go_on_without_one_and_take_it_back() {
    let cluster =
        Cluster::start(ClusterOptions { brokers: 3, ..ClusterOptions::default() }).expect("a cluster of three");
    assert_eq!(cluster.bootstrap().split(',').count(), 3);
    client::append_one(&cluster.bootstrap());
    cluster.kill(3).unwrap();
    client::append_one(&cluster.bootstrap());
    cluster.start_again(3).unwrap();
    assert!(matches!(cluster.start_again(3), Err(LabError::Refused(_))), "a running broker was started twice");
    assert!(matches!(cluster.kill(4), Err(LabError::Refused(_))), "a broker that is not there was killed");
}

#[test]
fn a_dropped_cluster_leaves_neither_process_nor_folder() {
    let cluster = one();
    let (process, folder) = (cluster.process(1).unwrap().expect("it runs"), cluster.folder().to_path_buf());
    assert!(process.runs() && folder.join("broker-1/data").is_dir());
    drop(cluster);
    assert!(!process.runs() && !folder.exists());
}

#[test]
fn a_cluster_outlives_the_thread_that_started_it() {
    let cluster = std::thread::spawn(one).join().expect("the thread ends well");
    // The system's signal for a parent's end comes at once where it comes.
    std::thread::sleep(Duration::from_millis(300));
    assert!(cluster.process(1).unwrap().is_some(), "the broker ended with a thread");
}

#[test]
fn a_broker_that_cannot_run_is_named_with_the_end_of_its_log() {
    let properties = vec![("num.io.threads".to_owned(), "many".to_owned())];
    let failed = Cluster::start(ClusterOptions { properties, ..ClusterOptions::default() }).unwrap_err();
    let LabError::Ended { server, tail, .. } = &failed else { panic!("{failed}") };
    assert!(server == "broker 1" && tail.contains("num.io.threads"), "{failed}");
}

/// Whether the broker at this address shows a certificate that this authority signed, for the address.
fn is_known(address: &str, authority: &Path) -> bool {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", address, "-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile"]);
    let quiet = client.arg(authority).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().expect("openssl runs").success()
}

#[test]
fn a_secured_broker_shows_its_certificate_to_those_who_come_by_its_other_listeners() {
    let options = ClusterOptions { access: Access::Secured, ..ClusterOptions::default() };
    let cluster = Cluster::start(options).expect("a secured broker");
    let secured = cluster.secured().expect("it was asked for");
    assert!(is_known(&secured.sasl(), &secured.authority()));
    assert!(!is_known(&secured.sasl(), &secured.other_authority()), "whoever signed it is believed");
    client::append_one(&cluster.bootstrap());
    cluster.kill(1).unwrap();
    cluster.start_again(1).unwrap();
    assert!(is_known(&secured.sasl(), &secured.authority()), "the ports change with a restart");
}

#[test]
fn a_secured_cluster_has_one_broker() {
    let options = ClusterOptions { brokers: 3, access: Access::Secured, ..ClusterOptions::default() };
    let refused = Cluster::start(options).unwrap_err();
    assert!(matches!(refused, LabError::Refused(_)), "{refused}");
}
