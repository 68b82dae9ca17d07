//! A controller in a page: asks each switch that connects for its Router Solicitations, and prints the packets that come up.
//!
//! ```console
//! $ cargo run --example punt            # listens on [::1]:6653; another address is an argument
//! # ovs-vsctl add-br br0 -- set bridge br0 protocols=OpenFlow13
//! # ovs-vsctl set-controller br0 'tcp:[::1]:6653'
//! ```
//!
//! It shows the order of things: handshake, a bundle that is done whole or not at all, a question and its answer, and the loop
//! that takes what the switch sends.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use rust_openflow::multipart::FlowStatsRequest;
use rust_openflow::{
    Action, Bundle, Connection, Field, FlowMod, Instruction, Match, Message, MultipartRequest,
    Options,
};
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("[::1]:6653")).await?;
    println!("waiting for switches on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            let ended = serve(stream).await;
            println!(
                "{peer}: {}",
                ended.map_or_else(|error| error.to_string(), |()| "gone".into())
            );
        });
    }
}

async fn serve(stream: TcpStream) -> Result<()> {
    let mut switch = Connection::handshake(stream, Options::default()).await?;
    println!("datapath {:016x} is here", switch.features().datapath_id);
    install(&mut switch).await?;
    let flows = MultipartRequest::Flow(FlowStatsRequest::all());
    for part in switch.ask(&Message::MultipartRequest(flows)).await? {
        println!("{}", part.print(0));
    }
    while let Some((xid, message)) = switch.recv().await? {
        println!("{}", message.print(xid));
        if let Message::PacketIn(packet) = &message {
            println!(
                "port {:?} sent {} bytes",
                packet.in_port(),
                packet.data.len()
            );
        }
    }
    Ok(())
}

/// Replaces whatever flows there are. The switch does all of it at once, or names the flow that it refuses and does nothing.
async fn install(switch: &mut Connection<TcpStream>) -> Result<()> {
    let solicitations = Match::new()
        .with(Field::ETH_TYPE, 0x86dd_u16)
        .with(Field::IP_PROTO, 58_u8)
        .with(Field::ICMPV6_TYPE, 133_u8);
    let up = vec![Instruction::Apply(vec![Action::controller()])];
    let others = vec![Instruction::Apply(vec![Action::output(
        rust_openflow::ports::NORMAL,
    )])];
    let flows = vec![
        FlowMod::delete_all(),
        FlowMod::add(0, 100, solicitations, up),
        FlowMod::add(0, 0, Match::new(), others),
    ];
    let mut bundle = Bundle::new(1, flows);
    loop {
        switch.drive(&mut bundle)?;
        let Some((xid, message)) = switch.recv().await? else {
            return Err("the switch has gone".into());
        };
        if let Some(outcome) = bundle.on_message(xid, &message) {
            return Ok(outcome?);
        }
    }
}
