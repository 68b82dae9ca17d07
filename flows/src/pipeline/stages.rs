//! The stages: one row each.

use rust_openflow::{Instruction, TableId};

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
    /// What it is for: its documentation, as it is written.
    asks: &'static str,
    /// What becomes of a packet that no flow matches.
    pub miss: Miss,
}

/// A row: what it is for; variant, table, name; what becomes of what no flow matches.
macro_rules! stages {
    ($($(#[doc = $asks:literal])+ $stage:ident = $table:literal, $name:literal, else $miss:expr;)+) => {
        /// A stage of the pipeline: one OpenFlow table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Stage {
            $($(#[doc = $asks])+ $stage = $table,)+
        }

        /// All stages, in the order in which a packet passes them.
        pub const STAGES: &[StageSpec] = &[$(StageSpec {
            stage: Stage::$stage,
            name: $name,
            asks: concat!($($asks),+),
            miss: $miss,
        }),+];
    };
}

stages! {
    /// Where from: a guest's port, a tunnel or a provider network? Sets the network and origin registers.
    Classify = 0, "classify", else Miss::Drop;
    /// Does it come from the IPv6 endpoint of a hypervisor? Sets the network and origin registers.
    TunnelIpv6 = 2, "tunnel IPv6", else Miss::Drop;
    /// The same, over IPv4: one table with endpoints of both families would send each packet up on a kernel's datapath.
    TunnelIpv4 = 4, "tunnel IPv4", else Miss::Drop;
    /// Does a guest's packet come from an address that somebody may have? Fragments pass a meter of the port's.
    Martians = 6, "martians", else Miss::Goto(Stage::Guard);
    /// May this guest send this: MAC, IPv6, IPv4 and ARP source, router advertisements, DHCP server messages?
    Guard = 8, "guard", else Miss::Drop;
    /// May this guest say this about neighbours: targets and link-layer options of its solicitations and advertisements?
    NeighborGuard = 12, "neighbor guard", else Miss::Goto(Stage::Punt);
    /// Is it for the controller: Router Solicitation, DHCPv6, DHCPv4? Each guest's punts pass a meter of its own.
    Punt = 16, "punt", else Miss::Goto(Stage::Neighbor);
    /// The same as martians, of what comes from outside.
    Border = 18, "border", else Miss::Goto(Stage::Outside);
    /// What came from an external network: is it for a router's gateway here, does it ask for one, does it tell of next
    /// hops?
    Outside = 20, "outside", else Miss::Goto(Stage::Switch);
    /// Can a flow answer it: a Neighbor Solicitation or an ARP request for an address of a router or of a guest?
    Neighbor = 24, "neighbor", else Miss::Goto(Stage::Egress);
    /// Turns the solicitation into an advertisement: addresses and flags, of an answer or to a duplicate address probe.
    /// Turns an ARP request into its reply.
    Advertise = 26, "advertise", else Miss::Drop;
    /// Turns the solicitation into an advertisement: fields that exist only once it is one.
    AdvertiseOptions = 28, "advertise options", else Miss::Drop;
    /// Is what this guest sends under rules, and whose? Looks its connection up.
    Egress = 32, "egress", else Miss::Drop;
    /// Does a rule of the guest's security groups let it send this, or does it answer a connection that it may take?
    EgressRules = 36, "egress rules", else Miss::Drop;
    /// Is it for a router of this network? Sets the router register.
    Router = 40, "router", else Miss::Goto(Stage::Switch);
    /// What does the router do with it: echo reply, or longest prefix, hop limit, next hop?
    Route = 44, "route", else Miss::Drop;
    /// Which of the next hops that share the traffic of a route?
    Path = 46, "path", else Miss::Drop;
    /// Does it fit the next network?
    Fit = 47, "fit", else Miss::Goto(Stage::NextHop);
    /// Which MAC has the next hop?
    NextHop = 48, "next hop", else Miss::Drop;
    /// Which guest's packet does a router not take? What it may be told passes the meter of its punts.
    Refuse = 50, "refuse", else Miss::Drop;
    /// Which router's address on the network where the packet came in tells the guest, and what? To the controller.
    Report = 52, "report", else Miss::Drop;
    /// Is it IPv4 that a router's gateway here sends outside from its own address?
    Translate = 54, "translate", else Miss::Goto(Stage::Switch);
    /// Where is this MAC: a local port, a tunnel to its hypervisor, or the provider network? Multicast goes to the members
    /// of the network.
    Switch = 56, "switch", else Miss::Drop;
    /// Is what is sent to this guest under rules, and whose? Looks its connection up.
    Ingress = 60, "ingress", else Miss::Drop;
    /// Does a rule of the guest's security groups let it have this, or is it an answer on a connection that it may make?
    IngressRules = 64, "ingress rules", else Miss::Drop;
    /// Out of the port in the output register.
    Deliver = 72, "deliver", else Miss::Drop;
}

impl Stage {
    /// The table's number.
    pub const fn table(self) -> TableId {
        TableId(self as u8)
    }

    /// The instruction that takes a packet there.
    pub fn goto(self) -> Instruction {
        Instruction::GotoTable(self.table())
    }

    /// The stage that is this table.
    pub fn of(table: TableId) -> Option<Self> {
        let mut stages = STAGES.iter().map(|spec| spec.stage);
        stages.find(|stage| stage.table() == table)
    }

    /// The name that it has in the documentation.
    pub fn name(self) -> &'static str {
        let spec = STAGES.iter().find(|spec| spec.stage == self);
        spec.map_or("", |spec| spec.name)
    }
}

impl StageSpec {
    /// The question that the stage answers.
    pub fn asks(&self) -> &'static str {
        self.asks.trim()
    }
}

/// A packet only moves down.
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
