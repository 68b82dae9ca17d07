//! Answers Neighbor Solicitations for addresses of routers and guests, in flows (RFC 4861 §7.2.4).
//!
//! One flow an address says whose it is; what all answers have in common is done in two more steps, because Open
//! vSwitch lets the options of an advertisement be set only once the packet is one. A duplicate address probe, from
//! `::`, is answered to all nodes with Solicited clear (RFC 4861 §7.2.4, RFC 4862 §5.4.3).
//!
//! The flags and the option's type are moved from registers. Open vSwitch refuses to set them by a value where the datapath
//! cannot (no kernel's can), and does not ask that of a move: it rewrites the packet itself then, on every datapath. A switch
//! that refuses the move as well ([`Answering::ByPunt`]) sends solicitations up, past the asking port's meter.

use super::{icmpv6, icmpv6_type, valid_nd};
use crate::flow::Flow;
use crate::pipeline::{
    ADVERTISED_FLAGS, ANSWER_MAC, Holding, NETWORK, OPTION_TYPE, Stage, TAG, advertise,
    advertise_options, known, neighbor,
};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match, Subfield, ports};
use sextant_model::{Answering, KnownNeighbor, MacAddr, Network, Port, Punt};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

const ROUTER_FLAG: u32 = 0x8000_0000;
const SOLICITED_FLAG: u32 = 0x4000_0000;
const OVERRIDE_FLAG: u32 = 0x2000_0000;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
/// Target link-layer address option (RFC 4861 §4.6.1).
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A router's.
    Router,
    /// A guest's.
    Guest,
}

/// An address, and what who asks for it is told.
pub(crate) struct Known<'a> {
    pub(crate) network: &'a Network,
    pub(crate) address: Ipv6Addr,
    pub(crate) mac: MacAddr,
    pub(crate) owner: Owner,
    /// Whether others may have it as well.
    pub(crate) anycast: bool,
    /// The tag of what is sent to who asks, as `vlan_tci` has it; 0 for none.
    pub(crate) vlan_tci: u16,
}

/// Who asks for the address of a port on its network is told its MAC.
pub(crate) fn known(view: &View<'_>, network: &Network, port: &Port, owner: Owner) -> Vec<Flow> {
    let known = |address| Known {
        network,
        address,
        mac: port.mac_address,
        owner,
        anycast: false,
        vlan_tci: 0,
    };
    let known = addresses(port).map(known);
    known
        .flat_map(|known| answer(view, Stage::Neighbor, &known))
        .collect()
}

/// Who asks for the anycast address of the routers of a subnet is told the MAC of the first of them.
pub(crate) fn known_anycast(view: &View<'_>, network: &Network, port: &Port) -> Vec<Flow> {
    let has = |other: &Port, address| anycast(view, other).any(|its| its == address);
    let first = |address: &Ipv6Addr| {
        let routers = view.intent.router_ports_of(network.id);
        let mut routers = routers.filter(|other| view.router(other).is_some());
        let first = routers.find(|other| has(other, *address));
        first.is_some_and(|first| first.id == port.id)
    };
    let known = |address| Known {
        network,
        address,
        mac: port.mac_address,
        owner: Owner::Router,
        anycast: true,
        vlan_tci: 0,
    };
    anycast(view, port)
        .filter(first)
        .flat_map(|address| answer(view, Stage::Neighbor, &known(address)))
        .collect()
}

/// The anycast addresses of the routers of a port's subnets (RFC 4291 §2.6.1); a link between two routers has none (RFC
/// 6164 §5).
pub(crate) fn anycast<'a>(
    view: &View<'a>,
    port: &'a Port,
) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
    let prefixes: BTreeSet<IpNet> = view.prefixes(port).collect();
    let of = |prefix: IpNet| match prefix {
        IpNet::V6(prefix) => (prefix.prefix_len() < 127).then(|| prefix.network()),
        IpNet::V4(_) => None,
    };
    let own = |address: &Ipv6Addr| port.ipv6_addresses().any(|(_, own)| own == *address);
    prefixes
        .into_iter()
        .filter_map(of)
        .filter(move |address| !own(address))
}

/// Who asks for this address on a network is told this MAC: by flows, or where the switch does not take these, by the
/// controller.
pub(crate) fn answer(view: &View<'_>, stage: Stage, known: &Known<'_>) -> Vec<Flow> {
    let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
        .holding(NETWORK, known.network.key.0)
        .ipv6(Field::ND_TARGET, known.address);
    let router = known.owner == Owner::Router;
    let (priority, by_controller) = match known.anycast {
        false => (known::KNOWN, advertise_options::KNOWN_BY_CONTROLLER),
        true => (known::ANYCAST, advertise_options::ANYCAST_BY_CONTROLLER),
    };
    match view.answering() {
        Answering::ByFlow => {
            let mac = ANSWER_MAC.set(known.mac.to_u64());
            let flags = if router { ROUTER_FLAG } else { 0 } | u32::from(known.anycast);
            let flags = ADVERTISED_FLAGS.set(flags);
            let flow = Flow::new(stage, priority, asks).apply(vec![mac, flags]);
            vec![flow.goto(Stage::Advertise)]
        }
        Answering::ByPunt => {
            let punt = Punt::NeighborSolicitation(KnownNeighbor {
                address: known.address,
                mac: known.mac,
                router,
                overrides: !known.anycast,
                vlan_tci: known.vlan_tci,
            });
            vec![
                Flow::new(stage, priority, asks.clone()).goto(Stage::Advertise),
                Flow::new(Stage::AdvertiseOptions, by_controller, asks).punt(punt),
            ]
        }
    }
}

/// What is asked from here passes a meter on its way to the controller, where it is answered there: everything, or what has
/// no option, which would be the answer's as well (RFC 4861 §7.2.4) and which no action of Open vSwitch adds.
pub(crate) fn asked_from(view: &View<'_>, ofport: u16, meter: u32) -> Flow {
    let asks = icmpv6_type(icmpv6::NEIGHBOR_SOLICITATION).with(Field::IN_PORT, ofport);
    match view.answering() {
        Answering::ByPunt => Flow::new(Stage::Advertise, advertise::BY_CONTROLLER, asks)
            .goto(Stage::AdvertiseOptions)
            .meter(meter),
        Answering::ByFlow => {
            let bare = asks
                .with(Field::ICMPV6_CODE, 0u8)
                .mac(Field::ND_SLL, [0; 6]);
            Flow::new(Stage::Advertise, advertise::BARE, bare)
                .punt(Punt::BareSolicitation)
                .meter(meter)
        }
    }
}

/// Nobody is answered for an address of its own: that is how it finds no duplicate.
pub(crate) fn own(port: &Port, ofport: u16) -> Vec<Flow> {
    let silence = |address| {
        let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
            .with(Field::IN_PORT, ofport)
            .ipv6(Field::ND_TARGET, address);
        Flow::new(Stage::Neighbor, neighbor::OWN, asks).goto(Stage::Egress)
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
    let to_asker = [
        Action::copy(Field::ETH_SRC, Field::ETH_DST),
        Action::copy(Field::IPV6_SRC, Field::IPV6_DST),
    ];
    let answers = |flags: Vec<Action>| [flags.as_slice(), &to_asker].concat();
    let anycast = solicitation
        .clone()
        .masked(ADVERTISED_FLAGS.field, 1u8, 1u8);
    let become_advertisement = [
        ANSWER_MAC.copy_to(Field::ETH_SRC),
        Action::copy(Field::ND_TARGET, Field::IPV6_SRC),
        Action::set(Field::ICMPV6_TYPE, icmpv6::NEIGHBOR_ADVERTISEMENT),
        Action::resubmit(Stage::AdvertiseOptions.table()),
    ];
    let then = |first: Vec<Action>| [first.as_slice(), &become_advertisement].concat();
    vec![
        Flow::new(Stage::Advertise, advertise::PROBE, probe).apply(then(to_all)),
        Flow::new(Stage::Advertise, advertise::ANYCAST, anycast).apply(then(answers(vec![
            set_flags(SOLICITED_FLAG),
            unmark_anycast(),
        ]))),
        Flow::new(Stage::Advertise, advertise::ANSWER, solicitation).apply(then(answers(vec![
            set_flags(SOLICITED_FLAG | OVERRIDE_FLAG),
        ]))),
        Flow::new(
            Stage::AdvertiseOptions,
            advertise_options::OPTIONS,
            advertisement(),
        )
        .apply(vec![
            OPTION_TYPE.set(TARGET_LINK_LAYER_ADDRESS),
            OPTION_TYPE.copy_to(Field::ND_OPTIONS_TYPE),
            ADVERTISED_FLAGS.copy_to(Field::ND_RESERVED),
            Action::copy(Field::ETH_SRC, Field::ND_TLL),
            TAG.copy_to(Field::VLAN_TCI),
            Action::output(ports::IN_PORT),
        ]),
    ]
}

/// What is left in the register is the reserved field.
fn unmark_anycast() -> Action {
    Action::Load {
        value: 0,
        dst: Subfield::new(ADVERTISED_FLAGS.field, 0, 1),
    }
}

fn advertisement() -> Match {
    icmpv6_type(icmpv6::NEIGHBOR_ADVERTISEMENT).with(Field::ICMPV6_CODE, 0u8)
}

/// Sets the Solicited and Override flags; the Router flag stays as the address's owner has it.
fn set_flags(flags: u32) -> Action {
    Action::Load {
        value: u64::from(flags >> 29),
        dst: Subfield::new(ADVERTISED_FLAGS.field, 29, 2),
    }
}
