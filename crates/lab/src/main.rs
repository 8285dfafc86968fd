//! `watertight-lab [BROKERS]`: a Kafka cluster that lives as long as this process.
//!
//! Prints a line `broker N PID BEGAN` for each broker and a line `bootstrap HOST:PORT,…`, then waits until its standard
//! input ends. However this process ends, its brokers end with it; the crate's tests hold it to that.

use std::process::ExitCode;

use watertight_lab::LabError;
use watertight_lab::kafka::{Cluster, ClusterOptions};

fn main() -> ExitCode {
    let brokers = std::env::args().nth(1).map_or(Ok(1), |number| number.parse::<u8>());
    let Ok(brokers) = brokers else {
        eprintln!("usage: watertight-lab [BROKERS]");
        return ExitCode::from(2);
    };
    match hold(brokers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.in_full());
            ExitCode::FAILURE
        }
    }
}

fn hold(brokers: u8) -> Result<(), LabError> {
    let cluster = Cluster::start(ClusterOptions { brokers, ..ClusterOptions::default() })?;
    for broker in 1..=brokers {
        if let Some(process) = cluster.process(broker)? {
            println!("broker {broker} {} {}", process.pid, process.began);
        }
    }
    println!("bootstrap {}", cluster.bootstrap());
    // Whatever comes in is passed over; an error is an end, too.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    Ok(())
}
