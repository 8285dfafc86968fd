//! The client that asks, with a thread that hears what librdkafka says by itself.
//!
//! Contract: errors, log lines and requests for tokens are heard within about [`EVERY`]; at once where that is asked
//! for. The thread ends with the client.
//!
//! Why not rdkafka's `ThreadedProducer`: it waits in whole milliseconds, and spins for what is left of the last one of
//! each 100. That is up to a hundredth of a core, for as long as the program runs.

use super::listener::Listener;
use super::settings;
use rdkafka::ClientConfig;
use rdkafka::client::Client;
use rdkafka::producer::{BaseProducer, Producer};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use watertight_core::port::PortError;

/// How often it is listened.
const EVERY: Duration = Duration::from_millis(100);
/// Events heard at once. Nobody tells whether there was one; to ask and find none takes less than a microsecond.
const EVENTS: usize = 256;

/// See the module.
pub(super) struct Attended {
    client: Arc<BaseProducer<Listener>>,
    /// Dropped, it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Attended {
    /// A client by this configuration.
    ///
    /// # Errors
    /// `Stop` where the properties do not work together.
    pub(super) fn open(config: &ClientConfig, listener: Listener) -> Result<Self, PortError> {
        let client: BaseProducer<Listener> =
            config.create_with_context(listener).map_err(|error| settings::refused(&error))?;
        let client = Arc::new(client);
        let (stop, stopped) = channel();
        let heard = Arc::clone(&client);
        let thread = std::thread::Builder::new().name("kafka-admin".to_owned()).spawn(move || run(&heard, &stopped));
        let thread = thread.map_err(|error| PortError::io("start the thread of a client", error))?;
        Ok(Self { client, stop: Some(stop), thread: Some(thread) })
    }

    /// For questions.
    pub(super) fn client(&self) -> &Client<Listener> {
        self.client.client()
    }

    /// Who is told.
    pub(super) fn listener(&self) -> &Listener {
        self.client.client().context()
    }

    /// Hears what is there now.
    pub(super) fn hear(&self) {
        hear(&self.client);
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

fn run(client: &BaseProducer<Listener>, stopped: &Receiver<()>) {
    loop {
        hear(client);
        if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn hear(client: &BaseProducer<Listener>) {
    for _ in 0..EVENTS {
        client.poll(Duration::ZERO);
    }
}
