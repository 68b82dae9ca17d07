//! A guest that asks for routers as fast as it is answered, from within its namespace.

use super::packets::Asker;
use crate::guest::DEVICE;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

/// How long the first answer may take.
const SOON: Duration = Duration::from_secs(30);
/// What a question that is not answered for so long has become: lost.
const LOST: Duration = Duration::from_millis(200);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ADVERTISEMENT: u8 = 134;

/// What came of asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Advertisements received.
    pub answered: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Questions without an answer, but for those still open at the end.
    pub missing: u64,
    /// Times that no answer came for so long that all questions were taken for lost.
    pub stalls: u64,
}

impl Asked {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.answered += more.answered;
        self.elapsed += more.elapsed;
        self.missing += more.missing;
        self.stalls += more.stalls;
    }
}

/// Asks from within the guest's namespace.
pub(super) fn ask(guest: &Asker, time: Duration, window: usize) -> std::io::Result<Asked> {
    let mut socket = socket()?;
    await_answer(&mut socket, guest)?;
    let (question, to) = question(guest);
    let mut asked = Asked::default();
    let mut waiting = 0;
    let mut buffer = [0; 2048];
    let begin = Instant::now();
    while begin.elapsed() < time {
        while waiting < window {
            socket.send_to(&question, &to)?;
            waiting += 1;
        }
        match socket.read(&mut buffer) {
            Ok(_) if buffer[0] == ADVERTISEMENT => {
                asked.answered += 1;
                waiting = waiting.saturating_sub(1);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                asked.stalls += 1;
                asked.missing += waiting as u64;
                waiting = 0;
            }
            Err(error) => return Err(error),
        }
    }
    asked.elapsed = begin.elapsed();
    Ok(asked)
}

/// The clock must not run before there is someone to answer: what the database says of a
/// controller's connection can be of the one before.
fn await_answer(socket: &mut Socket, guest: &Asker) -> std::io::Result<()> {
    let (question, to) = question(guest);
    let mut buffer = [0; 2048];
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        socket.send_to(&question, &to)?;
        match socket.read(&mut buffer) {
            Ok(_) if buffer[0] == ADVERTISEMENT => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// A solicitation without its checksum, which the kernel writes, and where to.
fn question(guest: &Asker) -> (Vec<u8>, SockAddr) {
    let question = [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1], &guest.mac[..]].concat();
    let to = SocketAddrV6::new(ALL_ROUTERS, 0, 0, 0);
    (question, to.into())
}

fn socket() -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_recv_buffer_size(1 << 22)?;
    socket.set_read_timeout(Some(LOST))?;
    Ok(socket)
}
