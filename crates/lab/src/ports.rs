//! Ports on 127.0.0.1: free ones for new servers, and whether a known one is still free.
//!
//! Contract: free ports are drawn by lot and tried, so no two labs fight over a number that somebody wrote down. They lie
//! below those that the system gives by itself: who asks it for any port, or goes on knocking at a broker that was killed,
//! does not, by chance, sit on the broker's port when it comes back.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::LabError;

/// The ports that are drawn from; Linux gives those from 32768 on by itself.
const DRAWN: std::ops::Range<u16> = 16_000..32_000;
/// Draws until it is given up.
const DRAWS_MAX: usize = 1_000;

/// So many different ports that were free a moment ago.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, LabError> {
    let mut found = BTreeSet::new();
    for draw in 0..DRAWS_MAX {
        if found.len() == count {
            break;
        }
        let lot = RandomState::new().hash_one(draw) % u64::from(DRAWN.end - DRAWN.start);
        let port = DRAWN.start + lot as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.insert(port);
        }
    }
    if found.len() < count {
        let error = io::Error::new(io::ErrorKind::AddrInUse, format!("{DRAWS_MAX} ports were tried"));
        return Err(LabError::io("could not find free ports on 127.0.0.1")(error));
    }
    Ok(found.into_iter().collect())
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
