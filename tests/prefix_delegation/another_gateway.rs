//! Another gateway asks: on another external network with another server, or of another router on the same.

use crate::servers::routed;
use crate::stage::{self, CONFIG, POOL, Stage, addressed, configured, delegated, not_preferred};
use crate::wire::{self, RELEASE};
use serde_json::json;
use sextant_lab::story::site::Site;
use sextant_lab::story::{Outcome, SOON, ensure};
use sextant_lab::{DelegatingServer, PortSpec, PrefixPool};

const VLAN: Option<u16> = Some(200);
const OTHER: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:4444::/48",
    ..POOL
};

#[test]
fn the_server_of_the_network_that_the_gateway_is_on_delegates() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &POOL)?;
        let segment = stage.segment(site, "ipv6-pd", "slaac", &POOL)?;
        let [guest] = site.guests(&segment.network, [("away", 3)])?;
        stage.is_reached_by(&guest, segment.prefix)?;

        let edge = stage::edge(site, "edge2", VLAN)?;
        let server = DelegatingServer::kea(&edge, &OTHER)?;
        let external = site.external(VLAN)?;
        let releases = wire::sent(&stage.edge, &[RELEASE])?;
        stage.set_gateway(site, &json!({"network_id": external.id}))?;

        let prefix = delegated(site, &segment.subnet, &OTHER)?;
        server.wait_lease(&wire::duid(&segment.subnet.id, ":"), SOON)?;
        addressed(site, &guest, prefix)?;
        configured(&guest, prefix)?;
        not_preferred(&guest, segment.prefix)?;
        Stage { edge, ..stage }.is_reached_by(&guest, prefix)?;
        Ok(releases.wait_packets(1, SOON)?)
    })
}

#[test]
fn the_servers_route_follows_from_one_router_to_another() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &POOL)?;
        let segment = stage.segment(site, "ipv6-pd", "slaac", &POOL)?;
        stage.routes(&segment.prefix.to_string())?;

        let api = site.world.lab.api();
        let second = site.gateway(&stage.external)?;
        let port = api.create_port(&segment.network, &PortSpec::default())?;
        let path = format!("/v2.0/routers/{}/add_router_interface", second.router.id);
        let (status, body) = api.put(&path, &json!({"port_id": port.id}))?;
        ensure(status == 200, || format!("{status} {body}"))?;
        api.remove_interface(&stage.gateway.router, &segment.subnet)?;

        let prefix = delegated(site, &segment.subnet, &POOL)?.to_string();
        routed(&stage.edge, &prefix, Some(second.link_local().into()))
    })
}
