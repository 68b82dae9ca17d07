//! The kernel's own news about a namespace's links, addresses, routes and neighbors: the
//! events that `ip monitor` prints. The socket is subscribed before the state is first looked
//! at, so that no change falls between the look and the wait.

use crate::deadline::Deadline;
use crate::error::LabError;
use crate::namespace::Namespace;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// rtnetlink(7) multicast groups: links, neighbors, IPv6 addresses, IPv6 routes.
const GROUPS: u32 = 0x1 | 0x4 | 0x100 | 0x400;

/// A subscription to one namespace's changes.
#[derive(Debug)]
pub(crate) struct NetworkChanges {
    socket: OwnedFd,
    namespace: String,
}

impl NetworkChanges {
    pub(crate) fn subscribe(namespace: &Namespace) -> Result<Self, LabError> {
        let socket = namespace.enter(open)??;
        Ok(Self {
            socket,
            namespace: namespace.name().to_owned(),
        })
    }

    /// Looks, and after every change looks again, until `look` has an answer (`Ok`); `Err` is
    /// what it saw instead.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut() -> Result<Result<T, String>, LabError>,
    ) -> Result<T, LabError> {
        let deadline = Deadline::after(timeout);
        loop {
            let seen = match look()? {
                Ok(answer) => return Ok(answer),
                Err(seen) => seen,
            };
            if !deadline.wait_readable(&[self.socket.as_fd()])? {
                let what = format!("{what} in {}", self.namespace);
                return Err(deadline.missed(what, seen));
            }
            self.forget_messages();
        }
    }

    /// Empties the socket: what counts is the state, which is looked at afresh.
    fn forget_messages(&self) {
        let mut buffer = [0_u8; 16 * 1024];
        loop {
            match rustix::io::read(&self.socket, &mut buffer) {
                // NOBUFS: messages were lost, which is no loss when only the state counts.
                Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn open() -> Result<OwnedFd, LabError> {
    const WHAT: &str = "subscribe to rtnetlink";
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 of the family is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
        .map_err(LabError::errno(WHAT))?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).map_err(LabError::errno(WHAT))?;
    Ok(socket)
}
