//! The embedded parts behind the ports, as a pipeline file asks for them.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_config::{LogConfig, PipelineConfig};
use watertight_core::port::{EventLog, Lake, PortError};
use watertight_pipeline::runtime::Stop;

/// Opens the event log.
///
/// # Errors
/// As the log's.
pub(crate) fn open_segment_log(config: &PipelineConfig) -> Result<Arc<SegmentLog>, PortError> {
    let LogConfig::Local { path, segment_bytes, .. } = &config.log;
    let options = SegmentLogOptions { segment_bytes: *segment_bytes, ..SegmentLogOptions::default() };
    SegmentLog::open(path, options, Arc::new(SystemClock), Arc::new(SystemIds)).map(Arc::new)
}

/// Opens the event log as its port.
///
/// # Errors
/// As the log's.
pub(crate) fn open_log(config: &PipelineConfig) -> Result<Arc<dyn EventLog>, PortError> {
    Ok(open_segment_log(config)?)
}

/// Opens the lake; touches nothing.
pub(crate) fn open_lake(config: &PipelineConfig) -> Arc<dyn Lake> {
    Arc::new(DeltaLake::open(&config.lake, Arc::new(SystemClock), Arc::new(SystemIds)))
}

/// SIGTERM and Ctrl-C raise `flag`; a second one ends the process at once.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn on_signals(flag: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// As [`on_signals`], for a pipeline's stop.
///
/// # Errors
/// When a handler cannot be installed, or a thread cannot be started.
pub(crate) fn stop_on_signals() -> std::io::Result<Stop> {
    let flag = Arc::new(AtomicBool::new(false));
    on_signals(&flag)?;
    let stop = Stop::default();
    let asked = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        while !flag.load(Ordering::SeqCst) {
            if asked.wait(std::time::Duration::from_millis(50)) {
                return;
            }
        }
        eprintln!("stopping: committing what was read (a second signal ends it at once)");
        asked.request();
    })?;
    Ok(stop)
}
