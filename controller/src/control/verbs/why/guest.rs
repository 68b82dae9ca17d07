//! What the guest sends, what of it passes, and how it was answered.

use super::Case;
use crate::clock;
use crate::control::OperatorView;
use crate::control::table::count_of;
use crate::control::verbs::finding::Finding;
use crate::flow_counters::NoCounters;
use crate::port_history::PortEvent;
use rust_openflow::multipart::{FlowStats, FlowStatsRequest};
use rust_openflow::{Field, Match};
use sextant_flows::pipeline::Stage;
use sextant_model::{Binding, Direction, IpVersion, Ipv6Mode};
use std::time::Duration;

/// What came in from a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Packets that the guest sent.
    packets: u64,
    /// How many of them were from its own MAC and addresses. `None` if these flows are younger than the port's.
    own: Option<u64>,
    /// For how many seconds they are counted.
    seconds: u32,
    /// How many were dropped while this was looked at, for [`LOOK`]. `None`: it was not, or the flows are new since.
    dropped_lately: Option<u64>,
}

/// How long it is looked whether packets are still dropped.
const LOOK: Duration = Duration::from_secs(2);

impl Sent {
    /// How many packets did not pass guard.
    fn dropped(&self) -> u64 {
        let passed = self.own.unwrap_or(self.packets);
        self.packets.saturating_sub(passed)
    }

    /// Whether some packets pass, and too many do not.
    fn is_mixed(&self) -> bool {
        let dropped = self.dropped();
        dropped < self.packets && dropped * 4 > self.packets
    }

    /// With what a reading [`LOOK`] later adds.
    fn and_later(self, later: &Self) -> Self {
        let goes_on = later.seconds >= self.seconds && later.own.is_some();
        let dropped_lately = goes_on.then(|| later.dropped().saturating_sub(self.dropped()));
        Self {
            dropped_lately,
            ..*later
        }
    }
}

/// Asks the switch for what the guest sent. Counters do not tell when: where many packets were dropped, they are read again
/// after a while, so that what is over is not taken for what goes on.
pub(super) fn sent(
    known: &OperatorView,
    binding: Option<&Binding>,
) -> Option<Result<Sent, NoCounters>> {
    let binding = binding?;
    let ofport = binding.ofport?;
    Some(read(known, binding, ofport).and_then(|sent| {
        if !sent.is_mixed() {
            return Ok(sent);
        }
        clock::pause(LOOK);
        let later = read(known, binding, ofport)?;
        Ok(sent.and_later(&later))
    }))
}

fn read(known: &OperatorView, binding: &Binding, ofport: u16) -> Result<Sent, NoCounters> {
    let from_guest = FlowStatsRequest {
        matches: Match::new().with(Field::IN_PORT, ofport),
        ..FlowStatsRequest::all()
    };
    let flows = known.counters.ask(&binding.chassis, from_guest)?;
    Ok(counted(&flows))
}

fn counted(flows: &[FlowStats]) -> Sent {
    /// Flows of one bundle are not made in the same instant.
    const SLACK: u32 = 2;
    let [classify, guard] = [Stage::Classify, Stage::Guard].map(|stage| {
        let of_stage = flows.iter().filter(|flow| flow.table == stage.table());
        Vec::from_iter(of_stage)
    });
    let seconds = classify.iter().map(|flow| flow.duration_sec).max();
    let seconds = seconds.unwrap_or(0);
    let guarded = guard.iter().map(|flow| flow.duration_sec).min();
    let is_whole = guarded.is_some_and(|guarded| guarded + SLACK >= seconds);
    Sent {
        packets: classify.iter().map(|flow| flow.packets).sum(),
        own: is_whole.then(|| guard.iter().map(|flow| flow.packets).sum()),
        seconds,
        dropped_lately: None,
    }
}

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let Some(sent) = &case.sent else {
        return vec![];
    };
    let mut findings = vec![traffic(case, sent)];
    findings.extend(duplicate(case));
    if matches!(sent, Ok(sent) if sent.packets > 0) {
        findings.extend(advertised(case));
        findings.extend(leased(case, IpVersion::V6));
        findings.extend(leased(case, IpVersion::V4));
    }
    findings.extend(groups(case));
    findings
}

fn traffic(case: &Case<'_>, sent: &Result<Sent, NoCounters>) -> Finding {
    const CHECK: &str = "guest";
    /// A guest may be quiet for so many seconds.
    const LEAST: u32 = 5;
    let port = case.port;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            return Finding::unclear(
                CHECK,
                format!("What the guest sends is not known: {error}."),
                "see the hypervisor above".to_owned(),
            );
        }
    };
    let Sent {
        packets, seconds, ..
    } = *sent;
    let mac = port.mac_address;
    match sent.dropped() {
        _ if packets == 0 && seconds < LEAST => Finding::unclear(
            CHECK,
            format!(
                "Its flows are there for {seconds} s only, and the guest has sent nothing since."
            ),
            "ask again in a few seconds".to_owned(),
        ),
        _ if packets == 0 => Finding::bad(
            CHECK,
            format!("The guest has sent nothing in {seconds} s."),
            "look at its console: does it run, is its interface up, has it the right driver?"
                .to_owned(),
        ),
        dropped if dropped == packets => Finding::bad(
            CHECK,
            format!(
                "Nothing that the guest sent passes guard ({packets} packets): it comes from another MAC or address than the \
                 port's."
            ),
            format!(
                "in the guest: ip address; its MAC has to be {mac}. Or allow the other one: openstack port set \
                 --allowed-address ip-address=ADDRESS,mac-address=MAC {}",
                port.id
            ),
        ),
        dropped if sent.is_mixed() => some_dropped(sent, dropped),
        _ => Finding::good(
            CHECK,
            format!("It sent {packets} packets in {seconds} s from its MAC and addresses."),
        ),
    }
}

/// What goes on is worth a look. What is over is told.
fn some_dropped(sent: &Sent, dropped: u64) -> Finding {
    const CHECK: &str = "guest";
    let Sent {
        packets, seconds, ..
    } = *sent;
    let dropped = format!(
        "{dropped} of the {packets} packets that the guest sent in {seconds} s were dropped in guard: not from its MAC or \
         addresses."
    );
    let looked = LOOK.as_secs();
    match sent.dropped_lately {
        Some(0) => Finding::note(
            CHECK,
            format!("{dropped} None of them in the last {looked} s."),
        ),
        Some(lately) => Finding::hint(
            CHECK,
            format!("{dropped} It goes on: {lately} in the last {looked} s."),
            "in the guest: ip address, and compare with the port's addresses and allowed_address_pairs",
        ),
        None => Finding::hint(CHECK, dropped, "ask again in a few seconds"),
    }
}

/// The guest itself said that somebody else has its address.
fn duplicate(case: &Case<'_>) -> Option<Finding> {
    let event = newest(case, &["decline"])?;
    Some(Finding::bad(
        "duplicate",
        format!("The guest found its address in use by another, and declined it ({}).", ago(event)),
        "find who else has the address: in a guest of the network, arping -D or ndisc6; then: openstack port set --fixed-ip".to_owned(),
    ))
}

fn advertised(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "advertisements";
    let awaits = case.subnets().iter().any(|subnet| {
        subnet.enable_dhcp
            && subnet.ipv6_ra_mode.is_some()
            && !case.routers_of(subnet.id).is_empty()
    });
    if !awaits {
        return None;
    }
    Some(
        match newest(case, &["router_solicitation", "icmpv6", "frame"]) {
            Some(event) if event.outcome == "router_advertisement" => Finding::good(
                CHECK,
                format!("A Router Solicitation was answered {}.", ago(event)),
            ),
            Some(event) => Finding::bad(
                CHECK,
                format!(
                    "A Router Solicitation got no answer ({}): {}.",
                    ago(event),
                    event.outcome
                ),
                "the guest sends what RFC 4861 does not allow: update its network stack".to_owned(),
            ),
            None => Finding::note(
                CHECK,
                "No Router Solicitation of the guest was seen; advertisements come by themselves, too.",
            ),
        },
    )
}

/// Answers after which nothing is wrong.
const SETTLED: [&str; 3] = ["reply", "ack", "noted"];
/// Answers after which the client has to go on.
const OFFERED: [&str; 2] = ["advertise", "offer"];

const DHCPV4_MESSAGES: [&str; 4] = ["discover", "request", "inform", "release"];
const DHCPV6_MESSAGES: [&str; 7] = [
    "solicit",
    "request",
    "renew",
    "rebind",
    "confirm",
    "information_request",
    "release",
];

/// Whether guests get addresses of this version from a server.
fn asks_for_lease(case: &Case<'_>, version: IpVersion) -> bool {
    case.subnets().iter().any(|subnet| {
        let dhcpv6 = subnet
            .ipv6_address_mode
            .is_some_and(|mode| mode == Ipv6Mode::Dhcpv6Stateful);
        subnet.enable_dhcp
            && IpVersion::of_prefix(subnet.cidr) == version
            && (version == IpVersion::V4 || dhcpv6)
    })
}

fn leased(case: &Case<'_>, version: IpVersion) -> Option<Finding> {
    if !asks_for_lease(case, version) {
        return None;
    }
    let (check, messages): (_, &[&str]) = match version {
        IpVersion::V4 => ("DHCP", &DHCPV4_MESSAGES),
        IpVersion::V6 => ("DHCPv6", &DHCPV6_MESSAGES),
    };
    let mut latest = case.events.iter().rev();
    let message = latest.find(|event| messages.contains(&event.what) && event.is_of(version));
    let Some(event) = message else {
        return Some(Finding::unclear(
            check,
            format!(
                "No {check} message of the guest was seen since Sextant started, or among its last events."
            ),
            format!("in the guest: does its {check} client run on this interface?"),
        ));
    };
    Some(judge_lease(case, check, event))
}

/// What the last answer of a server means.
fn judge_lease(case: &Case<'_>, check: &'static str, event: &PortEvent) -> Finding {
    let (what, outcome) = (event.what, &*event.outcome);
    if SETTLED.contains(&outcome) {
        Finding::good(
            check,
            format!("Its {what} was answered with {outcome} {}.", ago(event)),
        )
    } else if !OFFERED.contains(&outcome) {
        Finding::bad(
            check,
            format!("Its {what} got no lease ({}): {outcome}.", ago(event)),
            format!(
                "compare the client's MAC, DUID and requested address with the port: openstack port show {}",
                case.port.id
            ),
        )
    } else if event.times > 2 {
        Finding::bad(
            check,
            format!(
                "The guest asks ({what}, {} times) and is answered, but does not go on.",
                event.times
            ),
            format!(
                "in the guest: a firewall on its own interface, or the log of its {check} client"
            ),
        )
    } else {
        Finding::good(
            check,
            format!("Its {what} was answered with {outcome} {}.", ago(event)),
        )
    }
}

impl PortEvent {
    /// `request` is a message of both versions: its answer says of which. Release is answered in DHCPv6 only.
    fn is_of(&self, version: IpVersion) -> bool {
        let answers: &[&str] = match version {
            IpVersion::V4 => &["reply", "advertise"],
            IpVersion::V6 => &["ack", "nak", "offer"],
        };
        !answers.contains(&&*self.outcome)
    }
}

fn newest<'c>(case: &'c Case<'_>, messages: &[&str]) -> Option<&'c PortEvent> {
    let mut events = case.events.iter().rev();
    events.find(|event| messages.contains(&event.what))
}

fn ago(event: &PortEvent) -> String {
    let seconds = clock::now().saturating_sub(event.last).max(0);
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} minutes ago", seconds / 60),
        _ => format!("{} hours ago", seconds / 3600),
    }
}

fn groups(case: &Case<'_>) -> Option<Finding> {
    const CHECK: &str = "security groups";
    let (port, intent) = (case.port, &case.snapshot.intent);
    if !port.port_security_enabled {
        return Some(Finding::note(
            CHECK,
            "Port security is off: everything passes.",
        ));
    }
    let [out, into] = [Direction::Egress, Direction::Ingress].map(|direction| {
        let groups = port.security_groups.iter();
        let rules = groups.flat_map(|id| intent.rules_of(*id));
        rules.filter(|rule| rule.direction == direction).count()
    });
    let listed = format!(
        "openstack security group rule list; openstack port show {}",
        port.id
    );
    Some(match (out, into) {
        _ if port.security_groups.is_empty() => Finding::bad(
            CHECK,
            "The port is in no security group, so only DHCP and Neighbor Discovery pass."
                .to_owned(),
            format!("openstack port set --security-group GROUP {}", port.id),
        ),
        (0, 0) => Finding::bad(
            CHECK,
            "Its security groups have no rules, so only DHCP and Neighbor Discovery pass."
                .to_owned(),
            listed,
        ),
        (0, _) => Finding::bad(
            CHECK,
            "No rule of its security groups lets the guest send anything.".to_owned(),
            listed,
        ),
        (_, 0) => Finding::hint(
            CHECK,
            "No rule of its security groups lets anybody reach the guest.".to_owned(),
            listed,
        ),
        (out, into) => Finding::good(
            CHECK,
            format!(
                "{} for what it sends, {into} for what it gets.",
                count_of(out, "rule")
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_openflow::{Cookie, FlowFlags};

    fn flow(stage: Stage, packets: u64, duration_sec: u32) -> FlowStats {
        FlowStats {
            table: stage.table(),
            duration_sec,
            duration_nsec: 0,
            priority: 100,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowFlags::NONE,
            cookie: Cookie(1),
            packets,
            bytes: 0,
            matches: Match::new(),
            instructions: vec![],
        }
    }

    #[test]
    fn what_passed_is_only_known_where_its_flows_are_as_old_as_the_ports() {
        let port = flow(Stage::Classify, 10, 60);
        let counted = |age| {
            counted(&[
                port.clone(),
                flow(Stage::Guard, 4, 60),
                flow(Stage::Guard, 3, age),
            ])
        };
        let expected = |own| Sent {
            packets: 10,
            own,
            seconds: 60,
            dropped_lately: None,
        };
        assert_eq!(counted(60), expected(Some(7)));
        assert_eq!(counted(59), expected(Some(7)));
        assert_eq!(counted(20), expected(None), "an address was added");
    }

    #[test]
    fn drops_that_are_over_ask_for_nothing() {
        let reading = |packets, own, seconds| Sent {
            packets,
            own,
            seconds,
            dropped_lately: None,
        };
        let earlier = reading(10, Some(4), 60);
        assert!(earlier.is_mixed());
        let found = |later: &Sent| some_dropped(&earlier.and_later(later), later.dropped());
        let over = found(&reading(15, Some(9), 62));
        assert_eq!(over.advice, None, "{over:?}");
        assert!(
            over.says.contains("None of them in the last 2 s"),
            "{over:?}"
        );
        let goes_on = found(&reading(15, Some(6), 62));
        assert!(goes_on.says.contains("It goes on: 3 in"), "{goes_on:?}");
        assert!(goes_on.advice.is_some(), "{goes_on:?}");
        let anew = found(&reading(3, Some(0), 1));
        assert!(anew.advice.is_some(), "its flows are new: {anew:?}");
    }
}
