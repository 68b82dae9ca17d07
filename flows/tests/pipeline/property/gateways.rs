//! Random changes to ways out of the cloud.

use super::names::{has_network, hypervisor, joined, network, router, subnet, subnet_id};
use super::steps::{PHYSICAL, Step};
use crate::support::Cloud;
use crate::support::cloud::{id, pool_id, port_id};
use sextant_model::{ExternalSettings, MacAddr, Outside, PrefixSource, Publish, RouterId};
use std::net::Ipv6Addr;

const HEARD: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);

impl Step {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "and where there is nothing to change"
    )]
    pub(super) fn apply_to_gateways(&self, cloud: &mut Cloud) {
        let has_router =
            |cloud: &Cloud, r| cloud.intent.routers.contains_key(&RouterId(id(&router(r))));
        let gateway = |r| format!("gw-{}", router(r));
        match *self {
            Self::Gateway(r, n) if has_router(cloud, r) && has_network(cloud, n) => {
                cloud.gateway(&router(r), &network(n));
            }
            Self::NoGateway(r) if has_router(cloud, r) => cloud.no_gateway(&router(r)),
            Self::GatewayUp(r, up) if cloud.intent.ports.contains_key(&port_id(&gateway(r))) => {
                cloud.change_port(&gateway(r), |port| port.admin_state_up = up);
            }
            Self::SubnetGateway(n, s, on)
                if cloud.intent.subnets.contains_key(&subnet_id(n, s)) =>
            {
                let address = format!("2001:db8:{n}:{s}::1").parse().unwrap();
                cloud.change_subnet(&subnet(n, s), |subnet| {
                    subnet.gateway_ip = on.then_some(address);
                });
            }
            Self::Gone(h, gone) if joined(cloud, h) => cloud.mark_gone(&hypervisor(h), gone),
            Self::Learn(h, n, bits) => {
                cloud.learn(&hypervisor(h), &network(n), known(bits));
            }
            Self::SubnetFromPool(n, s, pool)
                if cloud.intent.subnets.contains_key(&subnet_id(n, s)) =>
            {
                cloud.change_subnet(&subnet(n, s), |subnet| {
                    subnet.prefix_source = PrefixSource::Pool(pool_id(&self::pool(pool)));
                });
            }
            Self::PoolScope(pool, scope) => {
                let scope = scope.map(|scope| format!("scope{scope}"));
                cloud.pool(&self::pool(pool), scope.as_deref(), "operator");
            }
            Self::External(bits) => cloud.external(PHYSICAL, usage(bits)),
            _ => {}
        }
    }
}

fn pool(n: u8) -> String {
    format!("pool{n}")
}

fn known(bits: u8) -> Option<Outside> {
    let neighbor = (HEARD.into(), MacAddr([2, 0, 0, 0, 0, bits & 4]));
    (bits != 0).then(|| Outside {
        default_router: (bits & 1 != 0).then_some(HEARD),
        neighbors: (bits & 2 != 0).then_some(neighbor).into_iter().collect(),
    })
}

fn usage(bits: u8) -> ExternalSettings {
    ExternalSettings {
        ipv6_gateway: (bits & 1 != 0).then_some(HEARD),
        publish: if bits & 2 != 0 {
            Publish::NdProxy
        } else {
            Publish::Routes
        },
        distributed: bits & 4 != 0,
    }
}
