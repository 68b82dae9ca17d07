//! The lab's servers by themselves, with the client that Neutron runs.

use crate::stage::Start;
use crate::wire::{self, RELEASE, RENEW};
use sextant_lab::story::{Outcome, SOON, ensure, link_local};
use sextant_lab::{
    DelegatingServer, Lab, LabOptions, Lifetimes, OutsideRouter, PrefixPool, Upstream, wait_for,
};
use std::net::IpAddr;
use std::time::Duration;

const SUBNET: &str = "1319510d-c92c-4532-bf5d-8bcf3da761a1";
const POOL: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:2222::/48",
    length: 64,
    lifetimes: Lifetimes {
        renew: 2,
        rebind: 4,
        preferred: 5,
        valid: 6,
    },
};

#[test]
fn both_servers_delegate_renew_and_forget() -> Outcome {
    let options = LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let upstream = Upstream::start(lab, "physnet1")?;
        let servers: [(&str, Start); 2] = [
            ("kea", DelegatingServer::kea),
            ("dibbler", DelegatingServer::dibbler),
        ];
        for (name, start) in servers {
            let edge = upstream.router(name, None)?;
            let client = upstream.router(&format!("{name}-cpe"), None)?;
            let another = upstream.router(&format!("{name}-cpe2"), None)?;
            delegates(&edge, &client, &another, start)?;
        }
        Ok(())
    })
}

fn delegates(
    edge: &OutsideRouter,
    client: &OutsideRouter,
    another: &OutsideRouter,
    start: Start,
) -> Outcome {
    let mut server = start(edge, &POOL)?;
    let duid = wire::duid(SUBNET, ":");
    let (renewals, releases) = (wire::sent(edge, &[RENEW])?, wire::sent(edge, &[RELEASE])?);
    let (mut dibbler, lease) = client.dibbler_for(SUBNET, SOON)?;
    let given = &lease.variables["PREFIX1"];
    ensure(given.starts_with("2001:db8:2222:"), || given.clone())?;
    let known = server.wait_lease(&duid, SOON)?;
    ensure(
        known.prefix.to_string() == *given && (known.length, known.iaid) == (64, 1),
        || format!("{known:?}, {given}"),
    )?;
    let prefix = format!("{given}/64");
    let next_hop = link_local(&client.mac()?);
    routed(edge, &prefix, Some(next_hop.into()))?;

    renewals.wait_packets(1, SOON)?;
    let renewal = &wire::messages(renewals)?[0];
    ensure(
        renewal.client == wire::duid(SUBNET, "") && renewal.iaid == "1",
        || format!("{renewal:?}"),
    )?;
    let renewed = dibbler.wait_lease(SOON)?;
    ensure(renewed.reason == "RENEW6", || renewed.reason.clone())?;

    server.stop()?;
    server.start_again()?;
    server.wait_lease(&duid, Duration::ZERO)?;
    dibbler.end(SOON)?;
    releases.wait_packets(1, SOON)?;
    server.wait_no_lease(&duid, SOON)?;
    routed(edge, &prefix, None)?;

    moves_and_is_forgotten(edge, client, another, &server)
}

/// Who asks from elsewhere gets the prefix that it has, and who says nothing any more loses it in the end.
fn moves_and_is_forgotten(
    edge: &OutsideRouter,
    client: &OutsideRouter,
    another: &OutsideRouter,
    server: &DelegatingServer,
) -> Outcome {
    let (mut dibbler, lease) = client.dibbler_for(SUBNET, SOON)?;
    let given = &lease.variables["PREFIX1"];
    let prefix = format!("{given}/64");
    routed(edge, &prefix, Some(link_local(&client.mac()?).into()))?;
    dibbler.process().kill();

    let (mut dibbler, lease) = another.dibbler_for(SUBNET, SOON)?;
    let again = &lease.variables["PREFIX1"];
    ensure(again == given, || format!("{again}, not {given}"))?;
    routed(edge, &prefix, Some(link_local(&another.mac()?).into()))?;
    dibbler.process().kill();
    server.wait_no_lease(&wire::duid(SUBNET, ":"), SOON)?;
    routed(edge, &prefix, None)
}

/// Waits until the prefix is routed this way.
pub(crate) fn routed(edge: &OutsideRouter, prefix: &str, by: Option<IpAddr>) -> Outcome {
    wait_for(&format!("{prefix} by way of {by:?}"), SOON, || {
        let next_hop = edge.route_to(prefix).map_err(|error| error.to_string())?;
        match next_hop == by {
            true => Ok(()),
            false => Err(format!("{next_hop:?}")),
        }
    })
    .map_err(Into::into)
}
