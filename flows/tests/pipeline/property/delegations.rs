//! Steps of a random cloud's delegated prefixes.

use super::names::{network, subnet, subnet_id};
use super::steps::Step;
use crate::support::Cloud;
use crate::support::cloud::network_id;
use ipnet::Ipv6Net;
use sextant_model::{Delegation, PrefixSource};
use std::sync::Arc;

impl Step {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    pub(super) fn apply_to_delegations(&self, cloud: &mut Cloud) {
        match *self {
            Self::SubnetDelegated(n, s, on)
                if cloud.intent.subnets.contains_key(&subnet_id(n, s)) =>
            {
                cloud.change_subnet(&subnet(n, s), |subnet| {
                    subnet.prefix_source = match on {
                        true => PrefixSource::Delegated,
                        false => PrefixSource::Given,
                    };
                });
            }
            Self::Delegated(n, s, own, until) => {
                let other = if own { 0 } else { 4 };
                let prefix = format!("2001:db8:{n}:{}::/64", s + other);
                let prefix = prefix.parse().unwrap();
                let delegation = Some(Arc::new(delegation(prefix, until)));
                cloud.facts.delegate(subnet_id(n, s), delegation);
            }
            Self::NotDelegated(n, s) => cloud.facts.delegate(subnet_id(n, s), None),
            _ => {}
        }
    }
}

fn delegation(prefix: Ipv6Net, valid_until: i64) -> Delegation {
    Delegation {
        network: network_id(&network(2)),
        prefix,
        server: vec![],
        renew_at: 0,
        rebind_at: 0,
        preferred_until: valid_until,
        valid_until,
    }
}
