//! The embedded parts behind the ports, as a pipeline file asks for them.

use crate::Outside;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_config::{LogConfig, PipelineConfig};
use watertight_core::port::{EventLog, Lake, PortError};
use watertight_pipeline::runtime::{Stop, StreamFailure, stopping_at_panic};

/// Opens the event log.
///
/// # Errors
/// As the log's.
pub(crate) fn open_segment_log(config: &PipelineConfig, outside: &Outside) -> Result<Arc<SegmentLog>, PortError> {
    let LogConfig::Local { path, segment_bytes, .. } = &config.log;
    let options = SegmentLogOptions { segment_bytes: *segment_bytes, ..SegmentLogOptions::default() };
    let Outside { steps, clock } = outside.clone();
    SegmentLog::open_with(path, options, clock, Arc::new(SystemIds), steps).map(Arc::new)
}

/// Looks at the event log; touches nothing.
pub(crate) fn look_at_log(config: &PipelineConfig) -> Arc<dyn EventLog> {
    let LogConfig::Local { path, .. } = &config.log;
    Arc::new(SegmentLog::look(path, Arc::new(SystemClock), Arc::new(SystemIds)))
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
