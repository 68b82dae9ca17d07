//! A switch that learns which host is where, in a page: the flows are the controller's, the forwarding is the switch's.
//!
//! ```console
//! $ cargo run --example learning_switch    # listens on [::1]:6653; another address is an argument
//! # ovs-vsctl add-br br0 -- set bridge br0 protocols=OpenFlow13 fail_mode=secure
//! # ovs-vsctl set-controller br0 'tcp:[::1]:6653'
//! ```
//!
//! The first packet to a host comes up and goes to it from here. It leaves a flow for those that follow, which ends a minute
//! after the last of them.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::HashMap;
use std::error::Error;

use rust_openflow::{
    Action, Connection, Field, FlowMod, Instruction, Match, Message, NO_BUFFER, Options, PacketIn,
    PacketOut, PortNo, ports,
};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The destination and the source of an Ethernet frame are its first bytes.
type Mac = [u8; 6];

/// In seconds: a host that moves is out of reach until it sends, or no longer than this.
const IDLE_TIMEOUT: u16 = 60;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("[::1]:6653")).await?;
    println!("waiting for switches on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                println!("{peer}: {error}");
            }
        });
    }
}

async fn serve(stream: TcpStream) -> Result<()> {
    let mut switch = Connection::handshake(stream, Options::default()).await?;
    let up = vec![Instruction::Apply(vec![Action::controller()])];
    switch.send(&Message::FlowMod(FlowMod::delete_all()))?;
    // Open vSwitch keeps the order of messages on a connection: the flow comes after the deletion.
    switch.send(&Message::FlowMod(FlowMod::add(0, 0, Match::new(), up)))?;
    let mut hosts = HashMap::new();
    while let Some((_, message)) = switch.recv().await? {
        if let Message::PacketIn(packet) = message {
            handle_packet(&mut switch, &mut hosts, &packet)?;
        }
    }
    Ok(())
}

fn handle_packet(
    switch: &mut Connection<TcpStream>,
    hosts: &mut HashMap<Mac, PortNo>,
    packet: &PacketIn,
) -> Result<()> {
    let (Some(port), Some((to, rest))) = (packet.in_port(), packet.data.split_first_chunk()) else {
        return Ok(());
    };
    let Some(from) = rest.first_chunk::<6>() else {
        return Ok(());
    };
    if hosts.insert(*from, port) != Some(port) {
        println!("{from:02x?} is at port {port}");
    }
    let known = hosts.get(to).copied();
    if let Some(target) = known {
        switch.send(&Message::FlowMod(flow(port, *to, target)))?;
    }
    let output = PacketOut {
        buffer_id: NO_BUFFER,
        in_port: port,
        actions: vec![Action::output(known.unwrap_or(ports::FLOOD))],
        data: packet.data.clone(),
    };
    switch.send(&Message::PacketOut(output))?;
    Ok(())
}

/// What comes in by `port` for `host` goes out by `target`. By `port` too, so that each sender is seen once and learned.
fn flow(port: PortNo, host: Mac, target: PortNo) -> FlowMod {
    let matches = Match::new()
        .with(Field::IN_PORT, port)
        .mac(Field::ETH_DST, host);
    let actions = vec![Instruction::Apply(vec![Action::output(target)])];
    FlowMod {
        idle_timeout: IDLE_TIMEOUT,
        ..FlowMod::add(0, 1, matches, actions)
    }
}
