//! Ports on 127.0.0.1: free ones for new servers, and whether a known one is still free.
//!
//! Contract: a free port is asked of the system (a listener on port 0), so no two labs fight over a number that somebody
//! wrote down. Linux gives listeners odd ports and outgoing connections even ones as long as it can: a client that goes
//! on knocking at a broker that was killed does not, by chance, sit on the broker's port when it comes back.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::LabError;

/// So many different ports that were free a moment ago.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, LabError> {
    let found = || -> io::Result<Vec<u16>> {
        // All at once: one that was let go could be given again.
        let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
    };
    found().map_err(LabError::io("could not find a free port on 127.0.0.1"))
}

/// Fails where anybody listens on the port that `server` is about to use.
pub(crate) fn refuse_busy(port: u16, server: &str) -> Result<(), LabError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(LabError::PortBusy { server: server.to_owned(), port })
        }
        Err(error) => Err(LabError::io(format!("could not try port {port}"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_one_with_a_listener_is_refused() {
        let ports = free(3).unwrap();
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2], "{ports:?}");
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let refused = refuse_busy(port, "broker 1").unwrap_err();
        assert!(matches!(refused, LabError::PortBusy { port: of, .. } if of == port), "{refused}");
        drop(held);
        refuse_busy(port, "broker 1").unwrap();
    }
}
