//! Steps of a random cloud's security groups.

use super::names::{group, guest};
use super::steps::{GROUPS, Step, What, Whom};
use crate::support::Cloud;
use crate::support::cloud::{OPEN, anything, group_id, port_id, service};
use sextant_model::{Direction, IpVersion, Key, ObjectKey, RemoteEnd, SecurityGroupRule};

impl Step {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    pub(super) fn apply_to_groups(&self, cloud: &mut Cloud) {
        let exists = |cloud: &Cloud, g| cloud.intent.ports.contains_key(&port_id(&guest(g)));
        let name = |n, r| format!("rule{n}-{r}");
        match *self {
            Self::GuestGroups(g, bits) if exists(cloud, g) => {
                let groups: Vec<_> = (0..GROUPS)
                    .filter(|n| bits & 1 << n != 0)
                    .map(group)
                    .collect();
                let named: Vec<_> = groups.iter().map(String::as_str).collect();
                let open: &[&str] = &[OPEN];
                cloud.put_under(&guest(g), if bits == 0 { open } else { &named });
            }
            Self::Group(n, stateful) => cloud.put_group(&group(n), stateful),
            Self::DeleteGroup(n) => {
                cloud.delete(&Key::Object(ObjectKey::SecurityGroup(group_id(&group(n)))))
            }
            Self::Rule(n, r, egress, what, whom) => {
                cloud.rule(&name(n, r), &group(n), rule(egress, what, whom));
            }
            Self::DeleteRule(n, r) => cloud.delete_rule(&name(n, r)),
            _ => {}
        }
    }
}

fn rule(egress: bool, what: What, whom: Whom) -> SecurityGroupRule {
    let direction = if egress {
        Direction::Egress
    } else {
        Direction::Ingress
    };
    let (what, family) = match what {
        What::Anything => (anything(direction), IpVersion::V6),
        What::Udp => (service(direction, 17, None), IpVersion::V6),
        What::Udp5000To5003 => (service(direction, 17, Some((5000, 5003))), IpVersion::V6),
        What::Udp5001 => (service(direction, 17, Some((5001, 5001))), IpVersion::V6),
        What::Ipv4 => (anything(direction), IpVersion::V4),
    };
    let remote = match whom {
        Whom::Anybody => RemoteEnd::Anybody,
        Whom::Network(n) => RemoteEnd::Prefix(format!("2001:db8:{n}::/48").parse().unwrap()),
        Whom::Group(n) => RemoteEnd::Group(group_id(&group(n))),
    };
    SecurityGroupRule {
        ethertype: family,
        remote,
        ..what
    }
}
