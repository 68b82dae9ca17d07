//! Answers Neighbor Solicitations for addresses of routers and guests, in flows (RFC 4861 §7.2.4).
//!
//! One flow an address says whose it is. Two more steps make any answer. Open vSwitch lets the options of an
//! advertisement be set only once the packet is an advertisement. A duplicate address probe, from `::`, is answered to
//! all nodes with Solicited clear (RFC 4861 §7.2.4, RFC 4862 §5.4.3).
//!
//! The flags and the option's type are moved from registers. Open vSwitch refuses to set them to a value where the
//! datapath cannot, as no kernel's can. A move it accepts, and rewrites the packet itself, on every datapath. If a
//! switch refuses the move too ([`Answering::ByPunt`]), solicitations go up, through the asking port's meter.

use super::{icmpv6, icmpv6_type, valid_nd};
use crate::flow::Flow;
use crate::pipeline::{
    ADVERTISED_FLAGS, ANSWER_MAC, BACK, Holding, NETWORK, OPTION_TYPE, OUTPUT, Stage, TAG,
    advertise, advertise_options, known, neighbor,
};
use crate::view::View;
use ipnet::IpNet;
use rust_openflow::{Action, Field, Match, Subfield};
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

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressOwner {
    /// A router's.
    Router,
    /// A guest's.
    Guest,
}

/// An address, and the answer to who asks for it.
pub(crate) struct KnownAddress<'a> {
    pub(crate) network: &'a Network,
    pub(crate) address: Ipv6Addr,
    pub(crate) mac: MacAddr,
    pub(crate) owner: AddressOwner,
    /// Whether others may have the address, too.
    pub(crate) anycast: bool,
    /// The tag of the answer, as in `vlan_tci`; 0 for no tag.
    pub(crate) vlan_tci: u16,
}

/// Answers who asks for an address of a port on its network with the port's MAC.
pub(crate) fn known(
    answering: Answering,
    network: &Network,
    port: &Port,
    owner: AddressOwner,
) -> Vec<Flow> {
    let known = addresses(port).map(|address| KnownAddress {
        network,
        address,
        mac: port.mac_address,
        owner,
        anycast: false,
        vlan_tci: 0,
    });
    known
        .flat_map(|known| answer(answering, Stage::Neighbor, &known))
        .collect()
}

/// Answers who asks for the anycast address of a subnet's routers with the MAC of the first router there.
pub(crate) fn known_anycast(view: &View<'_>, network: &Network, port: &Port) -> Vec<Flow> {
    let known = anycast(view, port)
        .filter(|address| answers_anycast(view, network, port, *address))
        .map(|address| KnownAddress {
            network,
            address,
            mac: port.mac_address,
            owner: AddressOwner::Router,
            anycast: true,
            vlan_tci: 0,
        });
    known
        .flat_map(|known| answer(view.answering(), Stage::Neighbor, &known))
        .collect()
}

/// Whether a router's port is the first of those on its network that have an anycast address.
fn answers_anycast(view: &View<'_>, network: &Network, port: &Port, address: Ipv6Addr) -> bool {
    let routers = view.intent.router_ports_of(network.id);
    let mut routers = routers.filter(|other| view.router(other).is_some());
    let first = routers.find(|other| anycast(view, other).any(|its| its == address));
    first.is_some_and(|first| first.id == port.id)
}

/// The anycast addresses of the routers of a port's subnets (RFC 4291 §2.6.1). A link between two routers has none (RFC
/// 6164 §5).
pub(crate) fn anycast<'a>(
    view: &View<'a>,
    port: &'a Port,
) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
    let prefixes: BTreeSet<IpNet> = view.prefixes(port).collect();
    // Where a router has the first address of a prefix as its own, it is no anycast address.
    prefixes
        .into_iter()
        .filter_map(|prefix| match prefix {
            IpNet::V6(prefix) => (prefix.prefix_len() < 127).then(|| prefix.network()),
            IpNet::V4(_) => None,
        })
        .filter(move |address| !(port.ipv6_addresses().any(|(_, own)| own == *address)))
}

/// Answers who asks for this address on a network with this MAC. Flows answer or, if the switch refuses these, the
/// controller.
pub(crate) fn answer(answering: Answering, stage: Stage, known: &KnownAddress<'_>) -> Vec<Flow> {
    let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
        .holding(NETWORK, known.network.key.0)
        .ipv6(Field::ND_TARGET, known.address);
    let router = known.owner == AddressOwner::Router;
    let (priority, by_controller) = match known.anycast {
        false => (known::KNOWN, advertise_options::KNOWN_BY_CONTROLLER),
        true => (known::ANYCAST, advertise_options::ANYCAST_BY_CONTROLLER),
    };
    match answering {
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

/// Sends solicitations from a port that the controller answers through a meter. These are all, or those without a source
/// link-layer option: the answer needs an option (RFC 4861 §7.2.4), and no action of Open vSwitch adds one.
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

/// Does not answer a guest that asks for an address of its own: so it finds no duplicate.
pub(crate) fn own(port: &Port, ofport: u16) -> Vec<Flow> {
    let silent = addresses(port).map(|address| {
        let asks = valid_nd(icmpv6::NEIGHBOR_SOLICITATION)
            .with(Field::IN_PORT, ofport)
            .ipv6(Field::ND_TARGET, address);
        Flow::new(Stage::Neighbor, neighbor::OWN, asks).goto(Stage::Egress)
    });
    silent.collect()
}

/// A port's IPv6 addresses, its link-local one first.
pub(crate) fn addresses(port: &Port) -> impl Iterator<Item = Ipv6Addr> + '_ {
    std::iter::once(port.mac_address.link_local())
        .chain(port.ipv6_addresses().map(|(_, address)| address))
}

/// The flows that all answers share.
pub(crate) fn base() -> Vec<Flow> {
    let solicitation = icmpv6_type(icmpv6::NEIGHBOR_SOLICITATION);
    let probe = solicitation
        .clone()
        .ipv6(Field::IPV6_SRC, Ipv6Addr::UNSPECIFIED);
    let to_all = [
        Action::set(Field::ETH_DST, ALL_NODES_MAC.to_u64()),
        Action::set(Field::IPV6_DST, ALL_NODES.to_bits()),
    ];
    let to_asker = [
        Action::copy(Field::ETH_SRC, Field::ETH_DST),
        Action::copy(Field::IPV6_SRC, Field::IPV6_DST),
    ];
    let probed_anycast = [unmark_anycast()];
    let probed = [set_flags(OVERRIDE_FLAG)];
    let solicited_anycast = [set_flags(SOLICITED_FLAG), unmark_anycast()];
    let solicited = [set_flags(SOLICITED_FLAG | OVERRIDE_FLAG)];
    vec![
        Flow::new(
            Stage::Advertise,
            advertise::ANYCAST_PROBE,
            for_anycast(&probe),
        )
        .apply(advertise(&probed_anycast, &to_all)),
        Flow::new(Stage::Advertise, advertise::PROBE, probe).apply(advertise(&probed, &to_all)),
        Flow::new(
            Stage::Advertise,
            advertise::ANYCAST,
            for_anycast(&solicitation),
        )
        .apply(advertise(&solicited_anycast, &to_asker)),
        Flow::new(Stage::Advertise, advertise::ANSWER, solicitation)
            .apply(advertise(&solicited, &to_asker)),
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
            OUTPUT.set(BACK),
        ])
        .goto(Stage::Deliver),
    ]
}

fn for_anycast(asks: &Match) -> Match {
    asks.clone().masked(ADVERTISED_FLAGS.field, 1u8, 1u8)
}

/// Makes a solicitation an advertisement with these flags and this destination.
fn advertise(flags: &[Action], destination: &[Action]) -> Vec<Action> {
    // The type comes last: from then on the packet is an advertisement, and the next stage can set its options.
    let become_advertisement = [
        ANSWER_MAC.copy_to(Field::ETH_SRC),
        Action::copy(Field::ND_TARGET, Field::IPV6_SRC),
        Action::set(Field::ICMPV6_TYPE, icmpv6::NEIGHBOR_ADVERTISEMENT),
        Action::resubmit(Stage::AdvertiseOptions.table()),
    ];
    [flags, destination, &become_advertisement].concat()
}

/// Clears the mark: the register is copied to the reserved field, whose lowest bit has to be 0.
fn unmark_anycast() -> Action {
    Action::Load {
        value: 0,
        dst: Subfield::new(ADVERTISED_FLAGS.field, 0, 1),
    }
}

fn advertisement() -> Match {
    icmpv6_type(icmpv6::NEIGHBOR_ADVERTISEMENT).with(Field::ICMPV6_CODE, 0u8)
}

/// Sets the Solicited and Override flags. The Router flag stays as set for the address's owner.
fn set_flags(flags: u32) -> Action {
    Action::Load {
        value: u64::from(flags >> 29),
        dst: Subfield::new(ADVERTISED_FLAGS.field, 29, 2),
    }
}
