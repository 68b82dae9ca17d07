//! A guest that asks for routers, or for a lease, as fast as it is answered, from within its namespace.

use super::packets::{Asker, Question};
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
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The type of a Router Advertisement, and of an Advertise (RFC 9915 §7.3).
const ADVERTISEMENT: u8 = 134;
const ADVERTISE: u8 = 2;
/// Ethernet, IPv6 and UDP before a DHCPv6 message.
const HEADERS: usize = 62;

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

/// What goes out, where to, and which octet an answer begins with.
struct Asking {
    socket: Socket,
    message: Vec<u8>,
    to: SockAddr,
    answer: u8,
}

/// Asks from within the guest's namespace.
pub(super) fn ask(
    guest: &Asker,
    question: Question,
    time: Duration,
    window: usize,
) -> std::io::Result<Asked> {
    let mut asking = match question {
        Question::RouterSolicitation => Asking::for_routers(guest)?,
        Question::Solicit => Asking::for_lease(guest)?,
    };
    asking.await_answer()?;
    let mut asked = Asked::default();
    let mut waiting = 0;
    let begin = Instant::now();
    while begin.elapsed() < time {
        while waiting < window {
            asking.send()?;
            waiting += 1;
        }
        match asking.is_answered() {
            Ok(true) => {
                asked.answered += 1;
                waiting = waiting.saturating_sub(1);
            }
            Ok(false) => {}
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

impl Asking {
    /// A solicitation without its checksum, which the kernel writes.
    fn for_routers(guest: &Asker) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_multicast_hops_v6(255)?;
        Ok(Self {
            socket: ready(socket)?,
            message: [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1], &guest.mac[..]].concat(),
            to: SocketAddrV6::new(ALL_ROUTERS, 0, 0, 0).into(),
            answer: ADVERTISEMENT,
        })
    }

    /// A Solicit from the client's port.
    fn for_lease(guest: &Asker) -> std::io::Result<Self> {
        let socket = ready(Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?)?;
        socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 546, 0, 0).into())?;
        Ok(Self {
            socket,
            message: Question::Solicit.frame(guest)[HEADERS..].to_vec(),
            to: SocketAddrV6::new(ALL_DHCP_SERVERS, 547, 0, 0).into(),
            answer: ADVERTISE,
        })
    }

    fn send(&self) -> std::io::Result<()> {
        self.socket.send_to(&self.message, &self.to).map(drop)
    }

    /// Whether the next message is an answer.
    fn is_answered(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 2048];
        let length = self.socket.read(&mut buffer)?;
        Ok(buffer[..length].first() == Some(&self.answer))
    }

    /// The clock must not run before there is someone to answer: what the database says of a
    /// controller's connection can be of the one before.
    fn await_answer(&mut self) -> std::io::Result<()> {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            self.send()?;
            match self.is_answered() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

fn ready(socket: Socket) -> std::io::Result<Socket> {
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_recv_buffer_size(1 << 22)?;
    socket.set_read_timeout(Some(LOST))?;
    Ok(socket)
}
