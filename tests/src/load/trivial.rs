//! The least that a controller can be: one that sends the same frame back to the port of every
//! packet that comes up, without a look at it. What it reaches is what the switch can do.

use crate::deadline::Deadline;
use crate::error::LabError;
use bytes::{Bytes, BytesMut};
use rust_openflow::{Framer, Hello, Message, PacketOut, Xid};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

const READ: usize = 1 << 16;

/// Waits at most so long for one switch, and answers it until it goes.
pub(super) fn serve(
    address: SocketAddr,
    patience: Duration,
    frame: &Bytes,
) -> Result<(), LabError> {
    let what = format!("be a controller on {address}");
    let listener = TcpListener::bind(address).map_err(LabError::io(&what))?;
    let deadline = Deadline::after(patience);
    if !deadline.wait_readable(&[listener.as_fd()])? {
        return Err(deadline.missed("a switch's connection", "none"));
    }
    let (stream, _) = listener.accept().map_err(LabError::io(&what))?;
    stream.set_nodelay(true).map_err(LabError::io(&what))?;
    answer(stream, frame).map_err(LabError::io(&what))
}

fn answer(mut stream: TcpStream, frame: &Bytes) -> std::io::Result<()> {
    let (mut incoming, mut outgoing) = (BytesMut::new(), BytesMut::new());
    let mut buffer = vec![0; READ];
    put(&mut outgoing, Xid(0), &Message::Hello(Hello::openflow13()))?;
    put(&mut outgoing, Xid(1), &Message::FeaturesRequest)?;
    loop {
        stream.write_all(&outgoing)?;
        outgoing.clear();
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        incoming.extend_from_slice(&buffer[..read]);
        while let Some(message) = Framer.next(&mut incoming).map_err(std::io::Error::other)? {
            let (xid, message) = Message::decode(&message).map_err(std::io::Error::other)?;
            if let Message::EchoRequest(data) = message {
                put(&mut outgoing, xid, &Message::EchoReply(data))?;
            } else if let Message::PacketIn(packet) = message {
                let port = packet.in_port().unwrap_or_default();
                let reply = PacketOut::to_port(port, frame.clone());
                put(&mut outgoing, Xid(0), &Message::PacketOut(reply))?;
            }
        }
    }
}

fn put(outgoing: &mut BytesMut, xid: Xid, message: &Message) -> std::io::Result<()> {
    message.encode(xid, outgoing).map_err(std::io::Error::other)
}
