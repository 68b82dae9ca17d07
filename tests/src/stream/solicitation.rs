//! Router Solicitations (RFC 4861 §4.1). Only advertisements to the guest itself count as answers: those to all nodes come
//! unasked as well.

use super::{BUFFER, LOOK, Receive, Send, Stream};
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// packet(7): whole frames.
const AF_PACKET: i32 = 17;
const ETHERTYPE: u16 = 0x86dd;
const ICMPV6: u8 = 58;

impl Guest {
    /// Solicits routers each `interval`, until it is stopped. An answer does not tell which solicitation it is for, so
    /// that none counts as lost as long as there is one for each.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn_solicitations(&self, interval: Duration) -> Result<Stream, LabError> {
        let mac = octets(self.mac()).ok_or_else(|| LabError::unexpected("a MAC", self.mac()))?;
        Stream::start(self.namespace(), interval, || open(mac))
    }
}

fn octets(mac: &str) -> Option<[u8; 6]> {
    let octets = mac.split(':').map(|part| u8::from_str_radix(part, 16));
    let octets = octets.collect::<Result<Vec<u8>, _>>().ok()?;
    octets.try_into().ok()
}

fn open(mac: [u8; 6]) -> io::Result<(Send, Receive)> {
    let socket = sending()?;
    let mut receiving = receiving()?;
    // The kernel writes its checksum.
    let question = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0, 1, 1], &mac[..]].concat();
    let to: SockAddr = SocketAddrV6::new(ALL_ROUTERS, 0, 0, 0).into();
    let mut buffer = [0; 2048];
    let mut answers = 0;
    Ok((
        Box::new(move |_| socket.send_to(&question, &to).map(drop)),
        Box::new(move || {
            let length = receiving.read(&mut buffer)?;
            let answer = is_answer(mac, &buffer[..length]).then_some(answers);
            answers += u32::from(answer.is_some());
            Ok(answer)
        }),
    ))
}

fn sending() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(false)?;
    Ok(socket)
}

fn receiving() -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ETHERTYPE.to_be()));
    let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol))?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

fn is_answer(mac: [u8; 6], frame: &[u8]) -> bool {
    frame.starts_with(&mac)
        && frame.get(20) == Some(&ICMPV6)
        && frame.get(54) == Some(&ADVERTISEMENT)
}
