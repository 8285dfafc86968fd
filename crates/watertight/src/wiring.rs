//! The embedded parts behind the ports, as a pipeline file asks for them.

use crate::Outside;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::kafka::{KafkaLog, KafkaOptions};
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_config::{KafkaConfig, LogConfig, PipelineConfig};
use watertight_core::port::{EventLog, Lake, PortError};
use watertight_pipeline::runtime::{Stop, StreamFailure, stopping_at_panic};

/// An event log that was opened.
#[derive(Clone)]
pub(crate) enum Log {
    /// The built-in one.
    Local(Arc<SegmentLog>),
    /// Apache Kafka.
    Kafka(Arc<KafkaLog>),
}

impl Log {
    /// The log behind its port.
    pub(crate) fn port(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Local(log) => log.clone(),
            Self::Kafka(log) => log.clone(),
        }
    }
}

/// Opens the event log. Kafka is not waited for: that it cannot be reached is the answer to the first question.
///
/// # Errors
/// As the log's; of Kafka, properties that cannot be.
pub(crate) fn open_log(config: &PipelineConfig, outside: &Outside) -> Result<Log, PortError> {
    match &config.log {
        LogConfig::Local { path, segment_bytes, .. } => {
            let options = SegmentLogOptions { segment_bytes: *segment_bytes, ..SegmentLogOptions::default() };
            let Outside { steps, clock } = outside.clone();
            let log = SegmentLog::open_with(path, options, clock, Arc::new(SystemIds), steps)?;
            Ok(Log::Local(Arc::new(log)))
        }
        LogConfig::Kafka(kafka) => open_kafka(kafka).map(Log::Kafka),
    }
}

/// Looks at the event log; touches nothing.
///
/// # Errors
/// Of Kafka, properties that cannot be.
pub(crate) fn look_at_log(config: &PipelineConfig) -> Result<Arc<dyn EventLog>, PortError> {
    match &config.log {
        LogConfig::Local { path, .. } => {
            Ok(Arc::new(SegmentLog::look(path, Arc::new(SystemClock), Arc::new(SystemIds))))
        }
        LogConfig::Kafka(kafka) => open_kafka(kafka).map(|log| log as Arc<dyn EventLog>),
    }
}

/// Where the log is, for people: never what opens it.
pub(crate) fn place_of_log(config: &PipelineConfig) -> String {
    match &config.log {
        LogConfig::Local { path, .. } => path.display().to_string(),
        LogConfig::Kafka(KafkaConfig { bootstrap, .. }) => format!("kafka at {bootstrap}"),
    }
}

/// One client for all that a command asks. It is whom the secrets are meant for.
fn open_kafka(config: &KafkaConfig) -> Result<Arc<KafkaLog>, PortError> {
    let shown = config.properties.iter().map(|(name, value)| (name.clone(), value.clone()));
    let secret = config.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned()));
    let options = KafkaOptions {
        bootstrap: config.bootstrap.clone(),
        properties: shown.chain(secret).collect(),
        replication_factor: config.replication_factor,
    };
    KafkaLog::new(options).map(Arc::new)
}

/// Opens the lake; touches nothing.
pub(crate) fn open_lake(config: &PipelineConfig) -> Arc<dyn Lake> {
    open_lake_with(config, &Outside::default())
}

/// As [`open_lake`], taking every durable step through `outside`, and dating by its clock what is written.
pub(crate) fn open_lake_with(config: &PipelineConfig, outside: &Outside) -> Arc<dyn Lake> {
    let Outside { steps, clock } = outside.clone();
    Arc::new(DeltaLake::open(&config.lake, clock, Arc::new(SystemIds)).with_steps(steps))
}

/// SIGTERM and Ctrl-C raise `flag`; a second one ends the process at once.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn on_signals(flag: &Arc<AtomicBool>) -> std::io::Result<()> {
    on_signals_ending_with(1, flag)
}

/// As [`on_signals`], with the exit code that a second signal ends the process with.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn on_signals_ending_with(code: i32, flag: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// As [`on_signals`], for a pipeline's stop.
///
/// # Errors
/// When a handler cannot be installed, or a thread cannot be started.
pub(crate) fn stop_on_signals() -> std::io::Result<(Stop, JoinHandle<Result<(), StreamFailure>>)> {
    let flag = Arc::new(AtomicBool::new(false));
    on_signals(&flag)?;
    let stop = Stop::default();
    let asked = stop.clone();
    let watch = move || {
        while !flag.load(Ordering::SeqCst) {
            if asked.wait(std::time::Duration::from_millis(50)) {
                return;
            }
        }
        eprintln!("stopping: committing what was read (a second signal ends it at once)");
        asked.request();
    };
    let watched = stop.clone();
    let body = move || stopping_at_panic("signals", &watched, watch);
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(body)?;
    Ok((stop, thread))
}
