//! How long a guest may use its addresses, as the last answer of DHCP that its port's history has says.
//!
//! Addresses are the port's, so nothing is stored of a lease. Where the history is too short, nothing is known of it.

use crate::port_history::PortEvent;
use crate::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use sextant_model::{IpVersion, Ipv6Mode, Port, PrefixSource, Subnet};
use std::sync::Arc;

/// By which protocol a guest leased its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseProtocol {
    /// RFC 2131.
    Dhcpv4,
    /// RFC 9915.
    Dhcpv6,
}

/// A lease that a guest has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortLease {
    /// The protocol.
    pub protocol: LeaseProtocol,
    /// How many seconds ago the guest asked for it last.
    pub renewed_ago: i64,
    /// For how many seconds it still holds. Below zero: the guest did not renew it in time.
    pub valid_for: i64,
}

/// The messages that begin, go on with or end a lease, and the answer by which it is so.
struct Exchange {
    protocol: LeaseProtocol,
    begin: &'static [&'static str],
    end: &'static [&'static str],
    answer: &'static str,
    /// The answer to what ends it.
    farewell: &'static str,
}

const EXCHANGES: [Exchange; 2] = [
    Exchange {
        protocol: LeaseProtocol::Dhcpv4,
        begin: &["discover", "request"],
        end: &["decline", "release"],
        answer: "ack",
        farewell: "noted",
    },
    Exchange {
        protocol: LeaseProtocol::Dhcpv6,
        begin: &["solicit", "request", "renew", "rebind"],
        end: &["decline", "release"],
        answer: "reply",
        farewell: "reply",
    },
];

/// The leases of a port's guest that are known at a time, in seconds since 1970.
pub(super) fn leases(
    snapshot: &Snapshot,
    port: &Port,
    events: &[PortEvent],
    now: i64,
) -> Vec<PortLease> {
    let known = EXCHANGES.iter().filter_map(|exchange| {
        let subnets = leased_from(snapshot, port, exchange.protocol);
        let lifetime = i64::from(snapshot.intent.settings.lease_lifetime);
        let renewed = exchange.last(events)?;
        // A server outside may take a prefix back before.
        let delegations = snapshot.facts.delegations();
        let ends = subnets.iter().map(|subnet| match subnet.prefix_source {
            PrefixSource::Delegated => delegations
                .get(&subnet.id)
                .map_or(renewed, |delegation| delegation.valid_until),
            PrefixSource::Given | PrefixSource::Pool(_) => i64::MAX,
        });
        let until = ends.min()?.min(renewed + lifetime);
        Some(PortLease {
            protocol: exchange.protocol,
            renewed_ago: now - renewed,
            valid_for: until - now,
        })
    });
    known.collect()
}

impl Exchange {
    /// When a lease was given or renewed last. `None`: not that is known, or the guest gave it back.
    fn last(&self, events: &[PortEvent]) -> Option<i64> {
        let newest = events.iter().rev().find_map(|event| {
            let begins = self.begin.contains(&event.what) && event.outcome == self.answer;
            let ends = self.end.contains(&event.what) && event.outcome == self.farewell;
            (begins || ends).then_some((begins, event.last))
        });
        newest.filter(|(begins, _)| *begins).map(|(_, when)| when)
    }
}

/// The subnets from which a port has addresses by this protocol.
fn leased_from<'s>(
    snapshot: &'s Snapshot,
    port: &Port,
    protocol: LeaseProtocol,
) -> Vec<&'s Arc<Subnet>> {
    let ids = port.fixed_ips.iter().map(|ip| ip.subnet_id);
    let subnets = ids.filter_map(|id| snapshot.intent.subnets.get(&id));
    subnets
        .filter(|subnet| subnet.enable_dhcp)
        .filter(|subnet| match protocol {
            LeaseProtocol::Dhcpv4 => IpVersion::of_prefix(subnet.cidr) == IpVersion::V4,
            LeaseProtocol::Dhcpv6 => subnet.ipv6_address_mode == Some(Ipv6Mode::Dhcpv6Stateful),
        })
        .collect()
}

impl PortLease {
    /// A few words for people.
    pub(super) fn show(&self) -> String {
        let protocol = match self.protocol {
            LeaseProtocol::Dhcpv4 => "DHCP",
            LeaseProtocol::Dhcpv6 => "DHCPv6",
        };
        match self.valid_for {
            left if left > 0 => format!("{protocol} {left} s"),
            _ => format!("{protocol} OVER"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: &'static str, outcome: &'static str, last: i64) -> PortEvent {
        PortEvent {
            number: 1,
            first: last,
            last,
            times: 1,
            what,
            outcome: outcome.into(),
        }
    }

    #[test]
    fn a_lease_begins_with_an_answer_goes_on_and_ends() {
        let [v4, v6] = &EXCHANGES;
        let mut story = vec![
            event("discover", "offer", 1),
            event("solicit", "advertise", 1),
        ];
        assert_eq!((v4.last(&story), v6.last(&story)), (None, None));
        story.extend([event("request", "ack", 2), event("request", "reply", 3)]);
        assert_eq!((v4.last(&story), v6.last(&story)), (Some(2), Some(3)));
        story.extend([
            event("renew", "reply", 9),
            event("information_request", "reply", 10),
        ]);
        assert_eq!((v4.last(&story), v6.last(&story)), (Some(2), Some(9)));
        story.push(event("request", "nak", 11));
        assert_eq!(v4.last(&story), Some(2));
        story.push(event("release", "noted", 12));
        assert_eq!((v4.last(&story), v6.last(&story)), (None, Some(9)));
        story.push(event("release", "reply", 13));
        assert_eq!(v6.last(&story), None);
    }

    #[test]
    fn what_is_left_of_a_lease_is_said_in_words() {
        let lease = |protocol, valid_for| PortLease {
            protocol,
            renewed_ago: 0,
            valid_for,
        };
        assert_eq!(lease(LeaseProtocol::Dhcpv4, 7).show(), "DHCP 7 s");
        assert_eq!(lease(LeaseProtocol::Dhcpv6, 0).show(), "DHCPv6 OVER");
    }
}
