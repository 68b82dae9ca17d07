//! A port for a server that a test starts a moment later.
//!
//! A port that was only looked up, by binding port 0 and letting go of it, can be another's by the time the server binds
//! it: another test looks one up, or a client's connection is given it. So these ports are not among those that Linux
//! hands out by itself, and a process that has been given one holds it against all who ask here.

use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// Below `net.ipv4.ip_local_port_range`, as Linux has it by default.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// What is held until this process ends.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A TCP port on which nobody listens, at no address of this network namespace.
///
/// # Errors
/// [`io::ErrorKind::AddrNotAvailable`] when there is none.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes begin at different places, so that they seldom try the same ports.
    let begin = std::process::id().wrapping_mul(37) % u32::from(COUNT);
    let ports = (FIRST..FIRST + COUNT).cycle();
    let ports = ports.skip(usize::try_from(begin).unwrap_or_default());
    for port in ports.take(COUNT.into()) {
        if let Some(claim) = claim(port)? {
            held.push(claim);
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrNotAvailable.into())
}

/// Holds a port by a socket of that name in the abstract namespace, which is as wide as that of ports.
fn claim(port: u16) -> io::Result<Option<UnixListener>> {
    let name = SocketAddr::from_abstract_name(format!("sextant-test-port-{port}"))?;
    match UnixListener::bind_addr(&name) {
        Ok(claim) => Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .is_ok()
            .then_some(claim)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}
