//! Answers Neighbor Solicitations for addresses of routers and guests, in flows (RFC 4861 §7.2.4).
//!
//! One flow an address says whose it is; what all answers have in common is done in two more steps, because Open
//! vSwitch lets the options of an advertisement be set only once the packet is one. A duplicate address probe, from
//! `::`, is answered to all nodes with Solicited clear (RFC 4861 §7.2.4, RFC 4862 §5.4.3).
//!
//! The flags and the option's type are moved from registers. Open vSwitch refuses to set them by a value where the datapath
//! cannot (no kernel's can), and does not ask that of a move: it rewrites the packet itself then, on every datapath.

use super::{icmpv6, icmpv6_type, valid_nd};
use crate::flow::Flow;
use crate::pipeline::{ADVERTISED_FLAGS, MAC, NETWORK, Stage, mac_register, restore_tag};
use rust_openflow::{Action, Field, Match, Subfield, ports};
use sextant_model::{MacAddr, Network, Port};
use std::net::Ipv6Addr;

const ROUTER_FLAG: u32 = 0x8000_0000;
const SOLICITED_FLAG: u32 = 0x4000_0000;
const OVERRIDE_FLAG: u32 = 0x2000_0000;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
/// Target link-layer address option (RFC 4861 §4.6.1).
const TARGET_LINK_LAYER_ADDRESS: u64 = 2;

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A router's.
    Router,
    /// A guest's.
    Guest,
}

/// Who asks for the address of a port on its network is told its MAC.
pub(crate) fn known(network: &Network, port: &Port, owner: Owner) -> Vec<Flow> {
    let mac = port.mac_address;
    let answered = |address| answer(Stage::Neighbor, network, address, mac, owner);
    addresses(port).map(answered).collect()
}

/// Who asks for this address on a network is told this MAC.
pub(crate) fn answer(
    stage: Stage,
    network: &Network,
    address: Ipv6Addr,
    mac: MacAddr,
    owner: Owner,
) -> Flow {
    let flags = match owner {
        Owner::Router => ROUTER_FLAG,
        Owner::Guest => 0,
    };
    let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
        .with(NETWORK, network.key.0)
        .ipv6(Field::ND_TARGET, address);
    let mac = Action::Load {
        value: mac.to_u64(),
        dst: mac_register(),
    };
    Flow::new(stage, 100, asks)
        .apply(vec![mac, Action::set(ADVERTISED_FLAGS, flags)])
        .goto(Stage::Advertise)
}

/// Nobody is answered for an address of its own: that is how it finds no duplicate.
pub(crate) fn own(port: &Port, ofport: u16) -> Vec<Flow> {
    let silence = |address| {
        let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
            .with(Field::IN_PORT, ofport)
            .ipv6(Field::ND_TARGET, address);
        Flow::new(Stage::Neighbor, 200, asks).goto(Stage::Egress)
    };
    addresses(port).map(silence).collect()
}

/// A port's IPv6 addresses, with the link-local one.
pub(crate) fn addresses(port: &Port) -> impl Iterator<Item = Ipv6Addr> + '_ {
    std::iter::once(port.mac_address.link_local())
        .chain(port.ipv6_addresses().map(|(_, address)| address))
}

/// What all answers have in common.
pub(crate) fn base() -> Vec<Flow> {
    let solicitation = icmpv6_type(icmpv6::NEIGHBOR_SOLICITATION);
    let probe = solicitation
        .clone()
        .ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED);
    let to_all = vec![
        set_flags(OVERRIDE_FLAG),
        Action::set(Field::ETH_DST, ALL_NODES_MAC.to_u64()),
        Action::set(Field::IPV6_DST, ALL_NODES.to_bits()),
    ];
    let to_asker = vec![
        set_flags(SOLICITED_FLAG | OVERRIDE_FLAG),
        Action::copy(Field::ETH_SRC, Field::ETH_DST),
        Action::copy(Field::IPV6_SRC, Field::IPV6_DST),
    ];
    let become_advertisement = [
        Action::Move {
            src: mac_register(),
            dst: Subfield::whole(Field::ETH_SRC),
        },
        Action::copy(Field::ND_TARGET, Field::IPV6_SRC),
        Action::set(Field::ICMPV6_TYPE, icmpv6::NEIGHBOR_ADVERTISEMENT),
        Action::resubmit(Stage::AdvertiseOptions.table()),
    ];
    let then = |first: Vec<Action>| [first.as_slice(), &become_advertisement].concat();
    // The MAC has left its register by then.
    let option_type = Subfield::new(MAC, 0, 8);
    vec![
        Flow::new(Stage::Advertise, 200, probe).apply(then(to_all)),
        Flow::new(Stage::Advertise, 100, solicitation).apply(then(to_asker)),
        Flow::new(Stage::AdvertiseOptions, 100, advertisement()).apply(vec![
            Action::Load {
                value: TARGET_LINK_LAYER_ADDRESS,
                dst: option_type,
            },
            Action::Move {
                src: option_type,
                dst: Subfield::whole(Field::ND_OPTIONS_TYPE),
            },
            Action::copy(ADVERTISED_FLAGS, Field::ND_RESERVED),
            Action::copy(Field::ETH_SRC, Field::ND_TLL),
            restore_tag(),
            Action::output(ports::IN_PORT),
        ]),
    ]
}

fn advertisement() -> Match {
    icmpv6_type(icmpv6::NEIGHBOR_ADVERTISEMENT).with(Field::ICMPV6_CODE, 0u8)
}

/// Sets the Solicited and Override flags; the Router flag stays as the address's owner has it.
fn set_flags(flags: u32) -> Action {
    Action::Load {
        value: u64::from(flags >> 29),
        dst: Subfield::new(ADVERTISED_FLAGS, 29, 2),
    }
}
