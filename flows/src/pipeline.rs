//! The tables and registers of `br-int`, declared once, as data.
//!
//! A packet only moves down: from a stage to one with a higher table number. `docs/pipeline.md` is generated from this
//! file.

use rust_openflow::{Action, Field, Instruction, Subfield, SwitchConfig, TableId};

/// A stage of the pipeline: one OpenFlow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Where from?
    Classify = 0,
    /// Which hypervisor sent this through a tunnel over IPv6?
    TunnelIpv6 = 2,
    /// Which hypervisor sent this through a tunnel over IPv4?
    TunnelIpv4 = 4,
    /// May a guest send this at all?
    Martians = 6,
    /// May this guest send this?
    Guard = 8,
    /// May this guest say this about neighbours?
    NeighborGuard = 12,
    /// Is it for the controller?
    Punt = 16,
    /// May it come from outside at all?
    Border = 18,
    /// Is it for a router's gateway?
    Outside = 20,
    /// Can a flow answer it?
    Neighbor = 24,
    /// Second step of a neighbour advertisement.
    Advertise = 26,
    /// Third step of a neighbour advertisement.
    AdvertiseOptions = 28,
    /// Are there rules for what this guest sends?
    Egress = 32,
    /// May this guest send this to them?
    EgressRules = 36,
    /// Is it for a router?
    Router = 40,
    /// Where does the router send it?
    Route = 44,
    /// Which of several next hops?
    Path = 46,
    /// Does it fit the next network?
    Fit = 47,
    /// Which MAC has the next hop?
    NextHop = 48,
    /// Who is told that a router does not take its packet?
    Refuse = 50,
    /// What is it told?
    Report = 52,
    /// Does its router translate it?
    Translate = 54,
    /// Where is this MAC?
    Switch = 56,
    /// Are there rules for what is sent to this guest?
    Ingress = 60,
    /// May they send this to this guest?
    IngressRules = 64,
    /// Out.
    Deliver = 72,
}

/// What becomes of a packet that no flow of a stage matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is dropped.
    Drop,
    /// It goes on to that stage.
    Goto(Stage),
}

/// How a stage is described.
#[derive(Clone, Copy, Debug)]
pub struct StageSpec {
    /// The stage.
    pub stage: Stage,
    /// Its name.
    pub name: &'static str,
    /// The question that it answers.
    pub asks: &'static str,
    /// What becomes of a packet that no flow matches.
    pub miss: Miss,
}

const fn stage(stage: Stage, name: &'static str, asks: &'static str, miss: Miss) -> StageSpec {
    StageSpec {
        stage,
        name,
        asks,
        miss,
    }
}

/// All stages, in the order in which a packet passes them.
pub const STAGES: &[StageSpec] = &[
    stage(
        Stage::Classify,
        "classify",
        "Where from: a guest's port, a tunnel or a provider network? Sets the network and origin registers.",
        Miss::Drop,
    ),
    stage(
        Stage::TunnelIpv6,
        "tunnel IPv6",
        "Does it come from the IPv6 endpoint of a hypervisor? Sets the network and origin registers.",
        Miss::Drop,
    ),
    stage(
        Stage::TunnelIpv4,
        "tunnel IPv4",
        "The same, over IPv4: one table with endpoints of both families would send each packet up on a kernel's datapath.",
        Miss::Drop,
    ),
    stage(
        Stage::Martians,
        "martians",
        "Does a guest's packet come from an address that somebody may have? Fragments pass a meter of the port's.",
        Miss::Goto(Stage::Guard),
    ),
    stage(
        Stage::Guard,
        "guard",
        "May this guest send this: MAC, IPv6, IPv4 and ARP source, router advertisements, DHCP server messages?",
        Miss::Drop,
    ),
    stage(
        Stage::NeighborGuard,
        "neighbor guard",
        "May this guest say this about neighbours: targets and link-layer options of its solicitations and advertisements?",
        Miss::Goto(Stage::Punt),
    ),
    stage(
        Stage::Punt,
        "punt",
        "Is it for the controller: Router Solicitation, DHCPv6, DHCPv4? Each guest's punts pass a meter of its own.",
        Miss::Goto(Stage::Neighbor),
    ),
    stage(
        Stage::Border,
        "border",
        "The same of what comes from outside.",
        Miss::Goto(Stage::Outside),
    ),
    stage(
        Stage::Outside,
        "outside",
        "What came from an external network: is it for a router's gateway here, does it ask for one, does it tell of next hops?",
        Miss::Goto(Stage::Switch),
    ),
    stage(
        Stage::Neighbor,
        "neighbor",
        "Can a flow answer it: a Neighbor Solicitation or an ARP request for an address of a router or of a guest?",
        Miss::Goto(Stage::Egress),
    ),
    stage(
        Stage::Advertise,
        "advertise",
        "Turns the solicitation into an advertisement: addresses and flags, of an answer or to a duplicate address probe. Turns an ARP request into its reply.",
        Miss::Drop,
    ),
    stage(
        Stage::AdvertiseOptions,
        "advertise options",
        "Turns the solicitation into an advertisement: fields that exist only once it is one.",
        Miss::Drop,
    ),
    stage(
        Stage::Egress,
        "egress",
        "Is what this guest sends under rules, and whose? Looks its connection up.",
        Miss::Drop,
    ),
    stage(
        Stage::EgressRules,
        "egress rules",
        "Does a rule of the guest's security groups let it send this, or does it answer a connection that it may take?",
        Miss::Drop,
    ),
    stage(
        Stage::Router,
        "router",
        "Is it for a router of this network? Sets the router register.",
        Miss::Goto(Stage::Switch),
    ),
    stage(
        Stage::Route,
        "route",
        "What does the router do with it: echo reply, or longest prefix, hop limit, next hop?",
        Miss::Drop,
    ),
    stage(
        Stage::Path,
        "path",
        "Which of the next hops that share the traffic of a route?",
        Miss::Drop,
    ),
    stage(
        Stage::Fit,
        "fit",
        "Does it fit the next network?",
        Miss::Goto(Stage::NextHop),
    ),
    stage(
        Stage::NextHop,
        "next hop",
        "Which MAC has the next hop?",
        Miss::Drop,
    ),
    stage(
        Stage::Refuse,
        "refuse",
        "Which guest's packet does a router not take? What it may be told passes the meter of its punts.",
        Miss::Drop,
    ),
    stage(
        Stage::Report,
        "report",
        "Which router's address on the network where the packet came in tells the guest, and what? To the controller.",
        Miss::Drop,
    ),
    stage(
        Stage::Translate,
        "translate",
        "Is it IPv4 that a router's gateway here sends outside from its own address?",
        Miss::Goto(Stage::Switch),
    ),
    stage(
        Stage::Switch,
        "switch",
        "Where is this MAC: a local port, a tunnel to its hypervisor, or the provider network? Multicast goes to the members of the network.",
        Miss::Drop,
    ),
    stage(
        Stage::Ingress,
        "ingress",
        "Is what is sent to this guest under rules, and whose? Looks its connection up.",
        Miss::Drop,
    ),
    stage(
        Stage::IngressRules,
        "ingress rules",
        "Does a rule of the guest's security groups let it have this, or is it an answer on a connection that it may make?",
        Miss::Drop,
    ),
    stage(
        Stage::Deliver,
        "deliver",
        "Out of the port in the output register.",
        Miss::Drop,
    ),
];

impl Stage {
    /// The table's number.
    pub const fn table(self) -> TableId {
        TableId(self as u8)
    }

    /// The instruction that takes a packet there.
    pub fn goto(self) -> Instruction {
        Instruction::GotoTable(self.table())
    }
}

/// How a register is described.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSpec {
    /// What it holds, in a word.
    pub name: &'static str,
    /// Its name in `ovs-ofctl` syntax.
    pub field: &'static str,
    /// What it holds.
    pub holds: &'static str,
}

/// The network that the packet is on: its key.
pub const NETWORK: Field = Field::reg(0);
/// Where the packet came from: one of the `ORIGIN_…` values.
pub const ORIGIN: Field = Field::reg(1);
/// The router that the packet is for: its key.
pub const ROUTER: Field = Field::reg(2);
/// The OpenFlow port to send the packet out of.
pub const OUTPUT: Field = Field::reg(3);
/// The flags of a neighbour advertisement in the making, as in its reserved field.
pub const ADVERTISED_FLAGS: Field = Field::reg(4);
/// Which of several next hops, from 0.
pub const PATH: Field = Field::reg(5);
/// The MTU of the network that a packet is routed to, in octets, once the path is chosen.
pub const NEXT_MTU: Field = Field::reg(5);
/// The tag that a packet from outside had, as `vlan_tci`, until it is routed: an answer has it again.
pub const TAG: Field = Field::reg(5);
/// The MAC of a neighbour advertisement in the making, in the low 48 bits; a MAC to be kept while two are swapped; of
/// whoever sent what is routed.
pub const MAC: Field = Field::xreg(3);
/// The next hop's address, an IPv4 one as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2); an address to be kept while two are
/// swapped.
pub const ADDRESS: Field = Field::xxreg(2);
/// The network on which a router got the packet: its key.
pub const ARRIVED: Field = Field::reg(12);
/// Why a router does not take the packet: one of the `PROBLEM_…` values.
pub const PROBLEM: Field = Field::reg(13);
/// Whether the packet is longer than the next network takes, in the lowest bit.
pub const LONGER: Field = Field::reg(4);
/// Whose rules the packet is held to: a number that stands for a set of security groups.
pub const POLICY: Field = Field::xreg(7);

/// All registers.
pub const REGISTERS: &[RegisterSpec] = &[
    RegisterSpec {
        name: "network",
        field: "reg0",
        holds: "The network's key.",
    },
    RegisterSpec {
        name: "origin",
        field: "reg1",
        holds: "0 the controller, 1 a guest of this hypervisor or a router's gateway here, 2 a tunnel, 3 a provider network.",
    },
    RegisterSpec {
        name: "router",
        field: "reg2",
        holds: "The router's key.",
    },
    RegisterSpec {
        name: "output",
        field: "reg3",
        holds: "The OpenFlow port to send out of.",
    },
    RegisterSpec {
        name: "advertised flags",
        field: "reg4",
        holds: "R, S and O flags of a neighbour advertisement in the making; 1 if what is routed is too big.",
    },
    RegisterSpec {
        name: "path",
        field: "reg5",
        holds: "Which of several next hops, from 0: chosen by a hash of addresses and ports. Then the MTU of the next network. Before it is routed, the tag that what came from outside had.",
    },
    RegisterSpec {
        name: "MAC",
        field: "xreg3",
        holds: "A MAC in the low 48 bits, while an answer is made; the sender's, of what is routed.",
    },
    RegisterSpec {
        name: "address",
        field: "xxreg2",
        holds: "The next hop's address, an IPv4 one as `::ffff:a.b.c.d`.",
    },
    RegisterSpec {
        name: "arrived",
        field: "reg12",
        holds: "The key of the network on which a router got the packet.",
    },
    RegisterSpec {
        name: "problem",
        field: "reg13",
        holds: "Why a router does not take it: 1 hop limit, 2 no route, 3 address unreachable, 4 too big, 5 its own address, 6 an address that its holder is asked for.",
    },
    RegisterSpec {
        name: "policy",
        field: "xreg7",
        holds: "Stands for the set of security groups whose rules count.",
    },
];

/// [`PROBLEM`]: the hop limit ends at the router.
pub const PROBLEM_HOP_LIMIT: u32 = 1;
/// [`PROBLEM`]: the router has no route.
pub const PROBLEM_NO_ROUTE: u32 = 2;
/// [`PROBLEM`]: nobody has the next hop's address.
pub const PROBLEM_UNREACHABLE: u32 = 3;
/// [`PROBLEM`]: it is longer than the next network takes.
pub const PROBLEM_TOO_BIG: u32 = 4;
/// [`PROBLEM`]: it is for the router itself, which does not answer it.
pub const PROBLEM_OWN_ADDRESS: u32 = 5;

/// [`PROBLEM`]: nobody has said yet that it has the next hop's address, out of the pairs of ports.
pub const PROBLEM_UNHELD: u32 = 6;

/// [`ORIGIN`]: sent by the controller, to local ports only.
pub const ORIGIN_CONTROLLER: u32 = 0;
/// [`ORIGIN`]: sent by a guest of this hypervisor, or routed from or to outside by a gateway here: may go to other
/// hypervisors and outside.
pub const ORIGIN_GUEST: u32 = 1;
/// [`ORIGIN`]: came through a tunnel, goes to local ports only.
pub const ORIGIN_TUNNEL: u32 = 2;
/// [`ORIGIN`]: came from a provider network, goes to local ports only.
pub const ORIGIN_PROVIDER: u32 = 3;

/// How a switch has to treat packets for the pipeline to see what it asks for.
///
/// `OFPC_FRAG_NX_MATCH` (ovs-ofctl(8), `set-frags`): the first fragment of a packet shows its ports or its ICMP type. By
/// default Open vSwitch has them 0 on every fragment, and a Router Advertisement in two pieces would look like any packet.
pub const SWITCH_CONFIG: SwitchConfig = SwitchConfig {
    flags: 3,
    miss_send_len: 128,
};

/// The MAC within [`MAC`].
pub fn mac_register() -> Subfield {
    Subfield {
        field: MAC,
        offset: 0,
        bits: 48,
    }
}

/// Gives an answer the tag again that the question had.
pub fn restore_tag() -> Action {
    Action::Move {
        src: Subfield::new(TAG, 0, 16),
        dst: Subfield::whole(Field::VLAN_TCI),
    }
}

/// The IPv4 address within [`ADDRESS`].
pub fn ipv4_register() -> Subfield {
    Subfield::new(ADDRESS, 0, 32)
}

/// What is above an IPv4 address within [`ADDRESS`], as a flow loads it into a register that is 0.
pub fn mark_ipv4() -> Action {
    Action::Load {
        value: 0xffff,
        dst: Subfield::new(ADDRESS, 32, 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_only_moves_down() {
        assert!(STAGES.windows(2).all(|pair| pair[0].stage < pair[1].stage));
        for spec in STAGES {
            if let Miss::Goto(next) = spec.miss {
                assert!(next > spec.stage, "{}", spec.name);
            }
        }
    }
}
