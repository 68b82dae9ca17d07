//! The stages: one row each.

use rust_openflow::{Instruction, TableId};

/// What happens to a packet that no flow of a stage matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is dropped.
    Drop,
    /// It goes on to that stage.
    Goto(Stage),
}

/// A stage and its description.
#[derive(Clone, Copy, Debug)]
pub struct StageSpec {
    /// The stage.
    pub stage: Stage,
    /// Its name.
    pub name: &'static str,
    /// What it is for: its documentation, as written below.
    asks: &'static str,
    /// What happens to a packet that no flow matches.
    pub miss: Miss,
}

/// A row: what it is for; variant, table, name; what happens to a packet that no flow matches.
macro_rules! stages {
    ($($(#[doc = $asks:literal])+ $stage:ident = $table:literal, $name:literal, else $miss:expr;)+) => {
        /// A stage of the pipeline: one OpenFlow table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Stage {
            $($(#[doc = $asks])+ $stage = $table,)+
        }

        /// All stages, in the order in which packets pass them.
        pub const STAGES: &[StageSpec] = &[$(StageSpec {
            stage: Stage::$stage,
            name: $name,
            asks: concat!($($asks),+),
            miss: $miss,
        }),+];
    };
}

stages! {
    /// Did it come from a guest's port, a tunnel or a provider network? Sets the network and origin registers.
    Classify = 0, "classify", else Miss::Drop;
    /// Did it come from the IPv6 endpoint of a hypervisor that may send here? Sets the network and origin registers.
    TunnelIpv6 = 2, "tunnel IPv6", else Miss::Drop;
    /// Did it come from the IPv4 endpoint of a hypervisor that may send here? A table of its own: with endpoints of both versions in one
    /// table, a kernel's datapath would send up each packet.
    TunnelIpv4 = 4, "tunnel IPv4", else Miss::Drop;
    /// Is the source of a guest's packet an address that somebody may have? Fragments pass a meter of the port.
    Martians = 6, "martians", else Miss::Goto(Stage::Guard);
    /// May this guest send this? Checks MAC, IPv6, IPv4 and ARP source, router advertisements and DHCP server messages.
    Guard = 8, "guard", else Miss::Drop;
    /// May this guest send this Neighbor Discovery message? Checks targets and link-layer options.
    NeighborGuard = 12, "neighbor guard", else Miss::Goto(Stage::Punt);
    /// Is it for the controller: Router Solicitation, DHCPv6 or DHCPv4? Each guest's punts pass a meter of its own. Is it for the
    /// metadata service? That gets it at once.
    Punt = 16, "punt", else Miss::Goto(Stage::Neighbor);
    /// The checks of stage martians, for packets from outside.
    Border = 18, "border", else Miss::Goto(Stage::Outside);
    /// Is this packet from an external network for a router's gateway here? Does it ask for one, or tell of next hops?
    Outside = 20, "outside", else Miss::Goto(Stage::Switch);
    /// Can a flow answer it? It can if this is a Neighbor Solicitation or ARP request for an address of a router or
    /// guest.
    Neighbor = 24, "neighbor", else Miss::Goto(Stage::Egress);
    /// Turns a solicitation into an advertisement: addresses and flags, for an answer or for a duplicate address probe.
    /// Turns an ARP request into its reply.
    Advertise = 26, "advertise", else Miss::Drop;
    /// Turns a solicitation into an advertisement: the fields that only an advertisement has.
    AdvertiseOptions = 28, "advertise options", else Miss::Drop;
    /// Which rules apply to what this guest sends? Looks its connection up.
    Egress = 32, "egress", else Miss::Drop;
    /// Does a rule of the guest's security groups allow it to send this, or is it an answer on a connection that the
    /// guest may accept?
    EgressRules = 36, "egress rules", else Miss::Drop;
    /// Is it for a router of this network? Sets the router register.
    Router = 40, "router", else Miss::Goto(Stage::Switch);
    /// What does the router do with it: answer an echo request, or find the longest prefix, the hop limit and the next
    /// hop?
    Route = 44, "route", else Miss::Drop;
    /// Which of the next hops that share a route's traffic?
    Path = 46, "path", else Miss::Drop;
    /// Is it short enough for the next network?
    Fit = 47, "fit", else Miss::Goto(Stage::NextHop);
    /// Which MAC does the next hop have?
    NextHop = 48, "next hop", else Miss::Drop;
    /// Which guest's packet does a router not forward? Errors to the guest pass the meter of its punts.
    Refuse = 50, "refuse", else Miss::Drop;
    /// From which address does the router report the error, and which error? Sends the packet to the controller.
    Report = 52, "report", else Miss::Drop;
    /// Is it IPv4 that a router's gateway here sends outside from its own address?
    Translate = 54, "translate", else Miss::Goto(Stage::Switch);
    /// Where is this MAC: on a local port, through a tunnel to its hypervisor, or on the provider network? Multicast
    /// goes to the members of the network.
    Switch = 56, "switch", else Miss::Drop;
    /// Which receivers of a frame are in this shard? Frames for many receivers pass it once a shard.
    Replicate = 58, "replicate", else Miss::Drop;
    /// Which rules apply to what is sent to this guest? Looks its connection up.
    Ingress = 60, "ingress", else Miss::Drop;
    /// Does a rule of the guest's security groups allow it to get this, or is it an answer on a connection that the
    /// guest may open?
    IngressRules = 64, "ingress rules", else Miss::Drop;
    /// Is it an answer of the hypervisor's metadata service to a guest? The guest gets it at its own address.
    Metadata = 68, "metadata", else Miss::Drop;
    /// Sends it out of the port in the output register.
    Deliver = 72, "deliver", else Miss::Drop;
}

impl Stage {
    /// The table's number.
    #[must_use]
    pub const fn table(self) -> TableId {
        TableId(self as u8)
    }

    /// The instruction that takes a packet there.
    #[must_use]
    pub fn goto(self) -> Instruction {
        Instruction::GotoTable(self.table())
    }

    /// The stage that is this table.
    #[must_use]
    pub fn of(table: TableId) -> Option<Self> {
        let mut stages = STAGES.iter().map(|spec| spec.stage);
        stages.find(|stage| stage.table() == table)
    }

    /// The name that it has in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        let spec = STAGES.iter().find(|spec| spec.stage == self);
        spec.map_or("", |spec| spec.name)
    }
}

impl StageSpec {
    /// The question that the stage answers.
    #[must_use]
    pub fn asks(&self) -> &'static str {
        self.asks.trim()
    }
}

/// Whether packets only move to higher tables.
const fn moves_down(stages: &[StageSpec]) -> bool {
    let mut at = 0;
    while at < stages.len() {
        let here = stages[at].stage as u8;
        if at > 0 && stages[at - 1].stage as u8 >= here {
            return false;
        }
        if let Miss::Goto(next) = stages[at].miss
            && next as u8 <= here
        {
            return false;
        }
        at += 1;
    }
    true
}

const _: () = assert!(moves_down(STAGES), "a packet only moves down");
