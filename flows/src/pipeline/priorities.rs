//! The priorities: one row each, by stage. Among the flows of a stage that match a packet, the highest priority wins.

use super::Stage;

/// A priority and its description.
#[derive(Clone, Copy, Debug)]
pub struct PrioritySpec {
    /// The stages that have it.
    pub stages: &'static [Stage],
    /// Its name.
    pub name: &'static str,
    /// The lowest priority of such a flow.
    pub lowest: u16,
    /// The highest priority of such a flow.
    pub highest: u16,
    holds: &'static str,
}

impl PrioritySpec {
    /// Which flows have it.
    #[must_use]
    pub fn holds(&self) -> &'static str {
        self.holds.trim()
    }

    /// Whether flows of that stage may have that priority by this row.
    #[must_use]
    pub fn covers(&self, stage: Stage, priority: u16) -> bool {
        self.stages.contains(&stage) && (self.lowest..=self.highest).contains(&priority)
    }
}

/// A row: which flows; constant, priority, and how many priorities above it belong to it.
macro_rules! priorities {
    ($($module:ident [$($stage:ident),+] {
        $($(#[doc = $holds:literal])+ $name:ident = $priority:literal $(+ $above:literal)?;)+
    })+) => {
        $(
            #[doc = concat!($("`", stringify!($stage), "` "),+)]
            pub(crate) mod $module {
                use super::Stage;

                pub(super) const STAGES: &[Stage] = &[$(Stage::$stage),+];
                $($(#[doc = $holds])+ pub(crate) const $name: u16 = $priority;)+
            }
        )+

        /// All priorities, by stage.
        pub const PRIORITIES: &[PrioritySpec] = &[$($(PrioritySpec {
            stages: $module::STAGES,
            name: stringify!($name),
            lowest: $priority,
            highest: $priority $(+ $above)?,
            holds: concat!($($holds),+),
        }),+),+];
    };
}

priorities! {
    miss [Martians, NeighborGuard, Punt, Border, Outside, Neighbor, Router, Fit, Translate] {
        /// What no other flow matches goes on.
        MISS = 0;
    }
    classify [Classify] {
        /// Frames that bridges keep among themselves, from any port.
        RESERVED = 300;
        /// Frames with a tag inside a tag, from any port.
        STACKED = 290;
        /// Probes, from any tunnel.
        PROBE = 110;
        /// What comes in by a port that is captured.
        CAPTURED = 105;
        /// What comes in by a port.
        PORT = 100;
        /// What else comes in by a port that is captured, and is dropped.
        CAPTURED_IN_VAIN = 95;
    }
    tunnel [TunnelIpv6, TunnelIpv4] {
        /// From the endpoint of a hypervisor that may send here.
        ENDPOINT = 100;
        /// From any other endpoint: its counters say how many there were.
        UNKNOWN = 10;
    }
    martians [Martians, Border] {
        /// Neighbor Discovery in fragments (RFC 6980).
        FRAGMENTED_DISCOVERY = 400;
        /// What hosts send before they have an address.
        BEFORE_ANY_ADDRESS = 300;
        /// Addresses that nobody has.
        NOBODYS = 200;
        /// Fragments, which pass a meter.
        FRAGMENT = 100;
    }
    guard [Guard] {
        /// Anything from a port without port security.
        UNGUARDED = 2000;
        /// What no guarded guest may send, whatever its addresses.
        NEVER = 1000;
        /// From an address of the port.
        ALLOWED = 500;
    }
    neighbor_guard [NeighborGuard] {
        /// Neighbor Discovery that Open vSwitch could not read.
        NEVER = 1000;
        /// Neighbor Discovery about an address of the port.
        ALLOWED = 500;
        /// Neighbor Discovery about any other address.
        OTHERWISE = 100;
    }
    punt [Punt] {
        /// What the controller answers, and what the metadata service does.
        SERVED = 100;
    }
    outside [Outside] {
        /// Packets of next hops from a known MAC: they have a meter of their own.
        KNOWN_HOP = 310;
        /// Answers to a router.
        ANSWER = 300;
        /// Packets that tell all hosts of a next hop.
        TO_ALL = 200;
        /// ARP of next hops. Below the answers, since a request that a next hop itself sends is answered, too.
        ARP = 90;
        /// Packets to translate, whose length is checked first.
        TRANSLATED = 60;
        /// Packets for a router.
        ROUTER = 50;
    }
    known [Neighbor, Outside] {
        /// Solicitations and requests for an address of a port.
        KNOWN = 100;
        /// Solicitations for an anycast address. An address that a port has comes first.
        ANYCAST = 90;
    }
    neighbor [Neighbor] {
        /// Solicitations and requests of a guest for an address of its own.
        OWN = 200;
    }
    advertise [Advertise] {
        /// All solicitations from a port, where the switch cannot answer.
        BY_CONTROLLER = 300;
        /// Duplicate address probes for an anycast address.
        ANYCAST_PROBE = 210;
        /// Duplicate address probes. They have no option, and a prober that finds a duplicate does not need its MAC.
        PROBE = 200;
        /// Solicitations without an option, which no flow can add to the answer.
        BARE = 190;
        /// Solicitations for an anycast address.
        ANYCAST = 150;
        /// All other solicitations, and ARP requests.
        ANSWER = 100;
    }
    advertise_options [AdvertiseOptions] {
        /// Solicitations for an address of a port, where the switch cannot answer.
        KNOWN_BY_CONTROLLER = 200;
        /// Solicitations for an anycast address, where the switch cannot answer.
        ANYCAST_BY_CONTROLLER = 190;
        /// Packets that have become an advertisement.
        OPTIONS = 100;
    }
    entry [Egress, Ingress] {
        /// Packets that a port sent and that come back to it.
        OWN = 3000;
        /// Ports without port security.
        UNFILTERED = 2000;
        /// Allowed whatever the rules are.
        ALWAYS = 1000;
        /// Forbidden whatever the rules are.
        NEVER = 900;
        /// Subject to the rules. One above are its fragments, where they pass a meter.
        RULED = 100 + 1;
    }
    rules [EgressRules, IngressRules] {
        /// Packets of a connection that the other end opened.
        ANSWERS = 500;
        /// Later fragments, on a connection that was allowed before.
        REST_KNOWN = 320;
        /// Allowed by rules, on a connection that was allowed before.
        KNOWN = 310;
        /// Allowed by rules, otherwise.
        ALLOWED = 300;
        /// Allowed by rules of stateless groups. A stateful rule that allows the same comes first, so that answers
        /// pass.
        STATELESS = 290;
        /// Later fragments, otherwise.
        REST = 280;
        /// Halves of rules whose other end is a group. The halves of one rule need the same priority (ovs-fields(7),
        /// conjunctive matches).
        STATEFUL_HALF = 210;
        /// Halves of rules of stateless groups.
        STATELESS_HALF = 200;
        /// Allowed by no rule any more.
        WITHDRAWN = 10;
    }
    router [Router] {
        /// To translate, and too long for the network inside.
        TOO_BIG = 120;
        /// To translate.
        TRANSLATED = 110;
        /// For a router's port.
        PORT = 100;
    }
    route [Route] {
        /// Echo requests to a router.
        ECHO = 2000;
        /// Everything else for a router itself.
        OWN_ADDRESS = 1900;
        /// What no router forwards.
        NEVER_FORWARDED = 1800;
        /// Packets whose hop limit ends here. Below what routers answer and what they never forward, above every route.
        HOP_LIMIT = 1700;
        /// The default route by a gateway. Below every other route, even one to everywhere by way of a guest.
        DEFAULT_ROUTE = 98;
        /// Packets without a route.
        NO_ROUTE = 0;
    }
    routes [Route, Path] {
        /// A route to `::/0`. Each bit of the prefix adds 2, and a connected prefix 1.
        ROUTE = 100 + 257;
    }
    fit [Fit] {
        /// Packets that are too long.
        LONGER = 100;
    }
    next_hop [NextHop] {
        /// Fixed addresses of ports.
        FIXED = 100;
        /// Addresses that a port announced. Below fixed addresses, which belong to their port.
        HELD = 95;
        /// Neighbours outside whose MAC is known.
        OUTSIDE = 90;
        /// Next hops outside that do not answer.
        SOUGHT = 80;
        /// Neighbours outside that nobody has asked for yet.
        UNRESOLVED = 60;
        /// Packets that another hypervisor sends outside.
        ONWARD = 50;
        /// Addresses that no port has announced. Below all that leaves by a gateway: on an external network the
        /// controller asks outside.
        UNHELD = 40;
        /// Addresses that nobody has.
        UNREACHABLE = 0;
    }
    refuse [Refuse] {
        /// ICMP for a router itself, which is discarded without an error.
        SILENT = 200;
        /// Packets that came in by a port.
        PORT = 100;
    }
    report [Report] {
        /// Errors by a router's port.
        PORT = 100;
    }
    translate [Translate] {
        /// Packets that came from outside and go back.
        BACK = 200;
        /// Packets that leave. One above are their fragments, where they pass a meter.
        LEAVING = 100 + 1;
    }
    switch [Switch] {
        /// Packets that the connection tracker cannot place: they would leave with a guest's address.
        INVALID = 200;
        /// The MAC of a port.
        PORT = 100;
        /// A MAC that several ports may use, from guests.
        SHARED_FROM_GUESTS = 60;
        /// A MAC that several ports may use, otherwise.
        SHARED = 50;
        /// A group, from guests.
        GROUP_FROM_GUESTS = 20;
        /// A group, otherwise.
        GROUP = 10;
        /// Any other MAC, on a provider network.
        OUTSIDE = 5;
    }
    replicate [Replicate] {
        /// A shard of those who may use a MAC.
        SHARED = 20;
        /// A shard of the members of a network.
        GROUP = 10;
    }
    metadata [Metadata] {
        /// Answers to an address of a guest.
        ANSWER = 100;
    }
    deliver [Deliver] {
        /// To a port that is captured.
        CAPTURED = 10;
        /// Every packet that comes this far.
        OUT = 0;
    }
}
