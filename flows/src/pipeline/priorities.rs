//! The priorities: one row each, by stage. Of the flows of a stage that match a packet the highest wins.

use super::Stage;

/// How a priority is described.
#[derive(Clone, Copy, Debug)]
pub struct PrioritySpec {
    /// The stages that have it.
    pub stages: &'static [Stage],
    /// Its name.
    pub name: &'static str,
    /// The lowest that such a flow has.
    pub lowest: u16,
    /// The highest that such a flow has.
    pub highest: u16,
    holds: &'static str,
}

impl PrioritySpec {
    /// Which flows have it.
    pub fn holds(&self) -> &'static str {
        self.holds.trim()
    }

    /// Whether flows of that stage have that priority by it.
    pub fn covers(&self, stage: Stage, priority: u16) -> bool {
        self.stages.contains(&stage) && (self.lowest..=self.highest).contains(&priority)
    }
}

/// A row: which flows; constant, priority, and how many above it belong to it.
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
        /// What nothing else matches goes on.
        MISS = 0;
    }
    classify [Classify] {
        /// Frames that bridges keep among themselves, whatever port they come from.
        RESERVED = 300;
        /// What comes by a port.
        PORT = 100;
    }
    tunnel [TunnelIpv6, TunnelIpv4] {
        /// From a hypervisor's endpoint.
        ENDPOINT = 100;
        /// From any other endpoint: its counters say how much there was.
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
        /// Anything, from a port without port security.
        UNGUARDED = 2000;
        /// What no guarded guest may send, whatever its addresses.
        NEVER = 1000;
        /// From an address of the port.
        ALLOWED = 500;
    }
    neighbor_guard [NeighborGuard] {
        /// Neighbor Discovery that Open vSwitch could not read.
        NEVER = 1000;
        /// About an address of the port.
        ALLOWED = 500;
        /// About any other.
        OTHERWISE = 100;
    }
    punt [Punt] {
        /// What the controller answers.
        SERVED = 100;
    }
    outside [Outside] {
        /// Next hops, from where they are known to be: they have a meter of their own.
        KNOWN_HOP = 310;
        /// Answers to a router.
        ANSWER = 300;
        /// What tells all of a next hop.
        TO_ALL = 200;
        /// ARP of next hops. Below the answers: a request of the next hop itself is answered, too.
        ARP = 90;
        /// What is translated, to look at its length first.
        TRANSLATED = 60;
        /// What is for a router.
        ROUTER = 50;
    }
    known [Neighbor, Outside] {
        /// Who asks for the address of a port.
        KNOWN = 100;
        /// Who asks for an anycast address: one that is a port's own is nobody else's.
        ANYCAST = 90;
    }
    neighbor [Neighbor] {
        /// Who asks for an address of its own.
        OWN = 200;
    }
    advertise [Advertise] {
        /// Everything that is asked from a port, where the switch cannot answer.
        BY_CONTROLLER = 300;
        /// Duplicate address probes. They have no option, and whoever finds a duplicate does not care for its MAC.
        PROBE = 200;
        /// What is asked without an option, which no flow can add to the answer.
        BARE = 190;
        /// Who asks for an anycast address.
        ANYCAST = 150;
        /// Who asks for another.
        ANSWER = 100;
    }
    advertise_options [AdvertiseOptions] {
        /// Who asks for the address of a port, where the switch cannot answer.
        KNOWN_BY_CONTROLLER = 200;
        /// Who asks for an anycast address, where the switch cannot answer.
        ANYCAST_BY_CONTROLLER = 190;
        /// What has become an advertisement.
        OPTIONS = 100;
    }
    entry [Egress, Ingress] {
        /// What a port sent and its network brings back.
        OWN = 3000;
        /// Ports without port security.
        UNFILTERED = 2000;
        /// What is allowed whatever the rules say.
        ALWAYS = 1000;
        /// What is not, whatever the rules say.
        NEVER = 900;
        /// What the rules are for; one above, its fragments, where they pass a meter.
        RULED = 100 + 1;
    }
    rules [EgressRules, IngressRules] {
        /// What belongs to a connection of the other end's making.
        ANSWERS = 500;
        /// The rest of a fragmented packet, on a connection that was allowed before.
        REST_KNOWN = 320;
        /// What rules allow, on a connection that was allowed before.
        KNOWN = 310;
        /// What rules allow, otherwise.
        ALLOWED = 300;
        /// What rules of stateless groups allow: a stateful one that allows it too comes first, so that there will be
        /// answers.
        STATELESS = 290;
        /// The rest of a fragmented packet, otherwise.
        REST = 280;
        /// Halves of rules whose other end is a group; those of one rule have to share a priority (ovs-fields(7),
        /// conjunctive matches).
        STATEFUL_HALF = 210;
        /// The same for stateless groups.
        STATELESS_HALF = 200;
        /// What no rule allows any more.
        WITHDRAWN = 10;
    }
    router [Router] {
        /// What is translated and too long for the network inside.
        TOO_BIG = 120;
        /// What is translated.
        TRANSLATED = 110;
        /// What is for a router's port.
        PORT = 100;
    }
    route [Route] {
        /// Echo requests to a router.
        ECHO = 2000;
        /// What else is for a router itself.
        OWN_ADDRESS = 1900;
        /// What no router forwards.
        NEVER_FORWARDED = 1800;
        /// What has no hop left. Below what routers answer and what they never forward, above every route.
        HOP_LIMIT = 1700;
        /// To everywhere by a gateway. Below every other route, one to everywhere by way of a guest too.
        DEFAULT_ROUTE = 98;
        /// What no route is for.
        NO_ROUTE = 0;
    }
    routes [Route, Path] {
        /// A route to `::/0`. Each bit of the prefix adds 2, and a connected prefix 1.
        ROUTE = 100 + 257;
    }
    fit [Fit] {
        /// What does not fit.
        LONGER = 100;
    }
    next_hop [NextHop] {
        /// Fixed addresses of ports.
        FIXED = 100;
        /// Addresses that somebody announced. Below fixed ones: those are theirs whose port has them.
        HELD = 95;
        /// Neighbours outside whose MAC is known.
        OUTSIDE = 90;
        /// Next hops outside that do not answer.
        SOUGHT = 80;
        /// Neighbours outside that nobody has asked for yet.
        UNRESOLVED = 60;
        /// What another hypervisor sends outside.
        ONWARD = 50;
        /// Addresses that nobody has announced. Below all that leaves by a gateway: on an external network whoever is looked
        /// for is asked for outside.
        UNHELD = 40;
        /// Addresses that nobody has.
        UNREACHABLE = 0;
    }
    refuse [Refuse] {
        /// ICMP for a router itself, which is discarded without a word.
        SILENT = 200;
        /// What comes by a port.
        PORT = 100;
    }
    report [Report] {
        /// By the port of a router that speaks.
        PORT = 100;
    }
    translate [Translate] {
        /// What came from outside and goes back.
        BACK = 200;
        /// What leaves; one above, its fragments, where they pass a meter.
        LEAVING = 100 + 1;
    }
    switch [Switch] {
        /// What the connection tracker makes nothing of, and would leave with a guest's address.
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
        /// Any other MAC, on a network that is outside as well.
        OUTSIDE = 5;
    }
    deliver [Deliver] {
        /// Whatever has come so far.
        OUT = 0;
    }
}
