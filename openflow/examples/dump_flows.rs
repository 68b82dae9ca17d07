//! `ovs-ofctl dump-flows` in a page: connects to a switch and prints its flows, ports and counters.
//!
//! ```console
//! # cargo run --example dump_flows -- unix:/var/run/openvswitch/br0.mgmt
//! $ cargo run --example dump_flows -- tcp:[::1]:6653
//! ```

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use rust_openflow::multipart::FlowStatsRequest;
use rust_openflow::{Connection, Message, MultipartBody, MultipartRequest, Options, ports};
use std::error::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args()
        .nth(1)
        .ok_or("usage: dump_flows unix:PATH | tcp:ADDRESS:PORT")?;
    match target.split_once(':') {
        Some(("unix", path)) => dump(UnixStream::connect(path).await?).await,
        Some(("tcp", address)) => dump(TcpStream::connect(address).await?).await,
        _ => Err("a target is unix:PATH or tcp:ADDRESS:PORT".into()),
    }
}

async fn dump(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Box<dyn Error>> {
    let mut switch = Connection::handshake(stream, Options::default()).await?;
    let flows = MultipartRequest::Flow(FlowStatsRequest::all());
    for part in switch.ask(&Message::MultipartRequest(flows)).await? {
        if let Message::MultipartReply(reply) = part
            && let MultipartBody::Flow(flows) = reply.body
        {
            flows.iter().for_each(|flow| println!("{flow:#}"));
        }
    }
    for request in [
        MultipartRequest::PortDesc,
        MultipartRequest::PortStats(ports::ANY),
    ] {
        for part in switch.ask(&Message::MultipartRequest(request)).await? {
            println!("{}", part.print(0));
        }
    }
    Ok(())
}
