//! Limits on connections: how many there may be, and how few unidentified ones are served at a time.
//!
//! Clients that never identify themselves must not take the files and the memory that hypervisors need. So few of them are
//! served at a time, and the others wait in a queue, which costs a file and the kernel's buffers each. Next comes who is from
//! the origin that has the fewest. It takes a place that became free, or that of the oldest client of a crowded origin, or that
//! of a client that has had its time. Connections from the address of a known hypervisor are served at once, and make room
//! for nobody.

mod door;
mod known;

pub use known::KnownHypervisors;

use crate::metrics::Metrics;
use crate::stream::{Incoming, Listener};
use door::Door;
use sextant_responders::throttle::Throttle;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

/// How many may be connected to one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// All connections.
    pub connections: usize,
    /// Connections that are served before their peers have identified themselves, while no more hypervisors are known.
    pub unidentified: usize,
    /// Those of them from one IPv4 address, or one /64 of IPv6.
    pub of_an_origin: usize,
    /// How long an unidentified connection keeps its place from newcomers.
    pub time: Duration,
}

/// The most connections, however many files there are: more hypervisors than one process programs.
const MOST: u64 = 16_384;
/// The most unidentified connections that are served while few hypervisors are known. Each may occupy a few MiB of what was
/// sent in either direction.
const MOST_UNIDENTIFIED: usize = 512;
/// How many connections may wait in the kernel until they are accepted. It takes less where `somaxconn` is lower.
const BACKLOG: u32 = 4096;

/// Listens at an address. On a device, if one is named: nobody else reaches that socket, and others keep the port elsewhere.
///
/// # Errors
/// Somebody else listens there, or the address or the device is not this machine's.
pub fn bind(address: SocketAddr, device: Option<&str>) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl ConnectionLimits {
    /// The limits for this many files. Connections get a quarter of them, which leaves half to requests and the store.
    /// A quarter of the connections is served unidentified, as many more may wait. One origin gets three quarters of the
    /// unidentified places. A place is kept for ten seconds.
    pub fn of_files(files: u64) -> Self {
        let connections = usize::try_from((files / 4).clamp(16, MOST)).unwrap_or(usize::MAX);
        let unidentified = (connections / 4).min(MOST_UNIDENTIFIED);
        Self {
            connections,
            unidentified,
            of_an_origin: three_quarters(unidentified),
            time: Duration::from_secs(10),
        }
    }

    /// The limits for this process, after raising its limit of open files.
    pub fn of_process() -> Self {
        Self::of_files(raise_files())
    }

    /// The limits where so many hypervisors are known: all of them may come at once, and have the memory that they need.
    fn for_known(self, hypervisors: usize) -> Self {
        let unidentified = hypervisors.min(self.connections / 2);
        if unidentified <= self.unidentified {
            return self;
        }
        Self {
            unidentified,
            of_an_origin: three_quarters(unidentified),
            ..self
        }
    }

    /// The most unidentified connections, served or in the queue. Half of all are for hypervisors.
    fn strangers(&self) -> usize {
        (self.connections / 2).max(self.unidentified)
    }
}

fn three_quarters(places: usize) -> usize {
    places - places / 4
}

/// Raises the limit of open files to the highest that is allowed, and returns it.
fn raise_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: now.maximum,
        ..now
    };
    let files = match setrlimit(Resource::Nofile, highest) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    files.unwrap_or(u64::MAX)
}

/// A connection's permission to exist, until this is dropped.
#[derive(Debug)]
pub struct Pass {
    _place: OwnedSemaphorePermit,
    /// Signals that it must go. `None` once the peer has identified itself.
    shown_out: Option<oneshot::Receiver<()>>,
    throttle: Arc<Mutex<Throttle>>,
    /// Signals that a place may have become free.
    moved: Arc<Notify>,
}

impl Pass {
    /// The peer has identified itself.
    pub fn identified(&mut self) {
        if self.shown_out.take().is_some() {
            self.moved.notify_one();
        }
    }

    /// Waits until the connection has to make room for another. Never ends for a peer that has identified itself.
    pub async fn shown_out(&mut self) {
        let told = match &mut self.shown_out {
            Some(notice) => notice.await.is_ok(),
            None => false,
        };
        if !told {
            // The door is gone, so nobody can signal any more.
            self.shown_out = None;
            pending().await
        }
    }

    /// Limits log lines about unidentified peers.
    pub fn words(&self) -> Words {
        Words(self.throttle.clone())
    }

    /// Whether to log the end of this connection. If so, how many lines were suppressed before.
    pub fn last_word(&self) -> Option<u64> {
        match self.shown_out {
            None => Some(0),
            Some(_) => admit(&self.throttle),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.shown_out = None;
        self.moved.notify_one();
    }
}

/// The limit on log lines about all unidentified peers of a listener.
#[derive(Clone, Debug)]
pub struct Words(Arc<Mutex<Throttle>>);

impl Words {
    /// Whether to log one more line. If so, how many were suppressed before.
    pub fn admit(&self) -> Option<u64> {
        admit(&self.0)
    }
}

fn admit(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.admit(Instant::now())
}

/// The origin of a peer, for limits: in IPv6 the /64, since one host has all of it.
pub(crate) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Serves every peer that connects and is admitted. Does not return.
pub async fn listen<F>(
    listener: Listener,
    name: &'static str,
    limits: ConnectionLimits,
    known: KnownHypervisors,
    metrics: Metrics,
    serve: impl Fn(Incoming, SocketAddr, Pass) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut door = Door::new(name, limits, known, metrics);
    let moved = door.moved();
    loop {
        while let Some((stream, peer, pass)) = door.next(Instant::now()) {
            tokio::spawn(serve(stream, peer, pass));
        }
        let deadline = door.deadline();
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => door.arrive(stream, peer, Instant::now()),
                Err(error) => {
                    if let Some(unsaid) = door.words().admit() {
                        tracing::warn!(listener = name, %error, unsaid, "a connection could not be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = moved.notified() => {}
            () = until(deadline) => {}
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_files_to_others() {
        let few = ConnectionLimits::of_files(1024);
        assert_eq!(
            (few.connections, few.unidentified, few.of_an_origin),
            (256, 64, 48)
        );
        let many = ConnectionLimits::of_files(1 << 20);
        assert_eq!((many.connections, many.unidentified), (16_384, 512));
    }

    #[test]
    fn as_many_are_served_as_hypervisors_are_known_within_what_files_allow() {
        let many = ConnectionLimits::of_files(1 << 20);
        let places = |known| many.for_known(known).unidentified;
        assert_eq!([0, 512, 2000].map(places), [512, 512, 2000]);
        assert_eq!(places(100_000), many.connections / 2);
        let few = ConnectionLimits::of_files(1024).for_known(1000);
        assert_eq!((few.unidentified, few.strangers()), (128, 128));
        assert_eq!(many.for_known(2000).of_an_origin, 1500);
    }
}
