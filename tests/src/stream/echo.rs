//! Echo requests (RFC 4443 §4.1) with a number each in their data.

use super::{BUFFER, LOOK, Receive, Send, Stream};
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const REQUEST: u8 = 128;
const REPLY: u8 = 129;

impl Guest {
    /// Sends an echo request each `interval`, until it is stopped.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn spawn_echo(&self, target: Ipv6Addr, interval: Duration) -> Result<Stream, LabError> {
        Stream::start(self.namespace(), interval, || open(target))
    }
}

fn open(target: Ipv6Addr) -> io::Result<(Send, Receive)> {
    static STREAMS: AtomicU16 = AtomicU16::new(1);
    let stream = STREAMS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let socket = socket()?;
    let mut receiving = socket.try_clone()?;
    let to: SockAddr = SocketAddrV6::new(target, 0, 0, 0).into();
    let mut buffer = [0; 2048];
    Ok((
        Box::new(move |number| socket.send_to(&request(stream, number), &to).map(drop)),
        Box::new(move || {
            let length = receiving.read(&mut buffer)?;
            Ok(reply(stream, &buffer[..length]))
        }),
    ))
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

/// A request without its checksum, which the kernel writes.
fn request([high, low]: [u8; 2], number: u32) -> Vec<u8> {
    let [first, second, third, fourth] = number.to_be_bytes();
    vec![
        REQUEST, 0, 0, 0, high, low, third, fourth, first, second, third, fourth,
    ]
}

/// The number of the request of this stream that a message answers.
fn reply([high, low]: [u8; 2], message: &[u8]) -> Option<u32> {
    match *message {
        [REPLY, 0, _, _, a, b, _, _, first, second, third, fourth] if [a, b] == [high, low] => {
            Some(u32::from_be_bytes([first, second, third, fourth]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_that_to_its_own_request() {
        let mut message = request([0, 7], 70_000);
        assert_eq!(reply([0, 7], &message), None);
        message[0] = REPLY;
        assert_eq!(reply([0, 7], &message), Some(70_000));
        assert_eq!(reply([0, 8], &message), None);
    }
}
