//! Without a subnet outside: the next hop of the configuration, else one that is heard.

use serde_json::{Value, json};
use sextant_lab::story::site::{Gateway, QUICK, Site, does_not_reach, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{FlowDump, Network, OutsideRouter, SubnetSpec};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// The address behind each of two routers outside.
const FAR: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 2),
];
const PREFIX: &str = "2001:db8:a::/64";
const CHOSEN: &str = "2001:db8:bad::/64";
const CONFIGURED: &str = "[external.physnet1]\nipv6_gateway = \"fe80::1\"\n";
const PROXY: &str = "[external.physnet1]\npublish = \"nd-proxy\"\n";
const ADVERTISEMENTS: &str = "icmp6 and ip6[40] == 134";

/// A router outside with something behind it, which knows the way to guests.
fn outside(site: &Site, name: &str, far: Ipv6Addr) -> Result<OutsideRouter, Failure> {
    let router = site.upstream.router(name, None)?;
    router.far(far.into())?;
    Ok(router)
}

fn both_ways(guest: &Plugged, router: &OutsideRouter, far: Ipv6Addr) -> Outcome {
    reaches(guest.guest.namespace(), far)?;
    reaches(router.namespace(), guest.address())
}

/// A gateway on a network without subnets, and guests at the gateway and elsewhere.
fn cloud(site: &Site) -> Result<(Gateway, [Plugged; 2]), Failure> {
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    ensure(gateway.port.addresses.is_empty(), || {
        gateway.port.body.to_string()
    })?;
    let inside = site.segment(&gateway, &[PREFIX])?;
    let guests = site.guests(&inside, [("near", 1), ("away", 3)])?;
    Ok((gateway, guests))
}

#[test]
fn a_configured_next_hop_is_used_and_followed_whoever_else_advertises() -> Outcome {
    Site::tell(CONFIGURED, configured)
}

fn configured(site: &mut Site) -> Outcome {
    let edge = outside(site, "edge", FAR[0])?;
    edge.address("fe80::1/64")?;
    let (gateway, guests) = cloud(site)?;
    edge.route(PREFIX, Some(gateway.link_local().into()))?;
    for guest in &guests {
        both_ways(guest, &edge, FAR[0])?;
    }
    reaches_router(&edge, &gateway)?;
    heard_but_not_used(site, &gateway, &guests[1])?;
    follows_its_mac(site, &edge, &guests[1])?;
    without_routes_nothing_comes(&edge, &gateway, &guests[0])?;
    a_restart_touches_nothing(site, &guests[1])
}

/// The router's own address outside.
fn reaches_router(edge: &OutsideRouter, gateway: &Gateway) -> Outcome {
    reaches(edge.namespace(), gateway.link_local())
}

fn heard_but_not_used(site: &Site, gateway: &Gateway, guest: &Plugged) -> Outcome {
    let other = outside(site, "other", FAR[1])?;
    other.route(PREFIX, Some(gateway.link_local().into()))?;
    let host = site.world.lab.hypervisor(1);
    let heard = sextant_lab::Capture::start(host.namespace(), "phys0", ADVERTISEMENTS)?;
    let _advertiser = other.advertise("high")?;
    heard.wait_packets(2, SOON)?;
    does_not_reach(guest.guest.namespace(), FAR[1])?;
    reaches(guest.guest.namespace(), FAR[0])
}

/// Another machine takes the next hop's place, and says nothing of it.
fn follows_its_mac(site: &Site, edge: &OutsideRouter, guest: &Plugged) -> Outcome {
    let mut ping = guest.guest.spawn_ping(FAR[0], QUICK)?;
    ping.wait_answers(100, SOON)?;
    let before = edge.mac()?;
    shown(site, &format!("fe80::1 {before}"))?;
    edge.set_mac("02:00:00:00:00:99")?;
    let changed = Instant::now();
    ping.wait_answers(200, SOON)?;
    let (took, report) = (changed.elapsed(), ping.stop()?);
    println!(
        "the next hop's MAC, which was {before}, changed: 200 more answers after {:.1} s; {} of {} requests lost",
        took.as_secs_f64(),
        report.lost.len(),
        report.sent
    );
    shown(site, "fe80::1 02:00:00:00:00:99")?;
    site.world.controller.ask(&["neighbors", "flush"])?;
    reaches(guest.guest.namespace(), FAR[0])?;
    shown(site, "fe80::1 02:00:00:00:00:99")
}

/// `sextant neighbors` has a row with these words.
fn shown(site: &Site, words: &str) -> Outcome {
    let said = site.world.controller.ask(&["neighbors"])?.stdout;
    let mut rows = said
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    ensure(rows.any(|row| row.join(" ").contains(words)), || {
        format!("{words}: {said}")
    })
}

/// Guests are behind the router: who believes them to be on the link does not find them.
fn without_routes_nothing_comes(
    edge: &OutsideRouter,
    gateway: &Gateway,
    guest: &Plugged,
) -> Outcome {
    edge.namespace().ip(&["-6", "route", "del", PREFIX])?;
    edge.route(PREFIX, None)?;
    does_not_reach(edge.namespace(), guest.address())?;
    edge.namespace().ip(&["-6", "route", "del", PREFIX])?;
    edge.route(PREFIX, Some(IpAddr::from(gateway.link_local())))?;
    reaches(edge.namespace(), guest.address())
}

fn a_restart_touches_nothing(site: &mut Site, guest: &Plugged) -> Outcome {
    let world = &mut site.world;
    let before = FlowDump::read(world.lab.hypervisors())?;
    let mut ping = guest.guest.spawn_ping(FAR[0], QUICK)?;
    ping.wait_answers(100, SOON)?;
    world.controller.restart()?;
    world.lab.wait_settled(SOON)?;
    ping.wait_answers(200, SOON)?;
    let report = ping.stop()?;
    ensure(report.is_complete(), || format!("a restart: {report}"))?;
    let after = FlowDump::read(world.lab.hypervisors())?;
    let touched = after.came_or_went_since(&before);
    let anew = after.installed_anew_since(&before);
    ensure((touched, anew) == (0, 0), || {
        format!("{touched} flows came or went, {anew} were installed anew")
    })
}

#[test]
fn routers_that_are_heard_are_ranked_and_guests_are_published() -> Outcome {
    Site::tell(PROXY, heard)
}

/// The same, where guests and the external network have their prefixes from one pool.
fn of_one_pool(site: &Site) -> Result<(Network, Gateway, [Plugged; 2]), Failure> {
    let api = site.world.lab.api();
    let external = site.external(None)?;
    let pool = json!({"subnetpool": {"name": "public", "prefixes": ["2001:db8::/32"], "default_prefixlen": 64}});
    let (status, body) = api.post("/v2.0/subnetpools", &pool)?;
    ensure(status == 201, || body.to_string())?;
    let pool = &body["subnetpool"]["id"];
    let from_pool = |network: &Network, cidr, mode, gateway: Value| {
        let more = json!({"subnetpool_id": pool, "gateway_ip": gateway});
        let more = more.as_object().cloned().unwrap_or_default();
        let spec = SubnetSpec {
            cidr,
            mode,
            more,
            ..SubnetSpec::default()
        };
        api.create_subnet(network, &spec)
    };
    from_pool(&external, "2001:db8:e::/64", None, Value::Null)?;
    let gateway = site.gateway(&external)?;
    let inside = api.create_network("inside")?;
    let subnet = from_pool(&inside, PREFIX, Some("slaac"), "2001:db8:a::1".into())?;
    api.add_interface(&gateway.router, &subnet)?;
    let guests = site.guests(&inside, [("near", 1), ("away", 3)])?;
    Ok((external, gateway, guests))
}

fn heard(site: &mut Site) -> Outcome {
    let (external, gateway, guests) = of_one_pool(site)?;
    let one = outside(site, "one", FAR[0])?;
    let two = outside(site, "two", FAR[1])?;
    for router in [&one, &two] {
        router.route(PREFIX, Some(gateway.link_local().into()))?;
    }
    let better = one.advertise("high")?;
    let _worse = two.advertise("low")?;
    for guest in &guests {
        both_ways(guest, &one, FAR[0])?;
        does_not_reach(guest.guest.namespace(), FAR[1])?;
    }
    better.cease()?;
    for guest in &guests {
        both_ways(guest, &two, FAR[1])?;
        does_not_reach(guest.guest.namespace(), FAR[0])?;
    }
    let _better = one.advertise("high")?;
    reaches(guests[1].guest.namespace(), FAR[0])?;
    on_link(&one, &guests)?;
    what_a_tenant_chose_is_not_published(site, &external, &one)?;
    // It says no goodbye, and its lifetime goes on.
    one.namespace()
        .ip(&["link", "set", "dev", "eth0", "down"])?;
    reaches(guests[1].guest.namespace(), FAR[1])
}

/// The prefix of a link outside, on a network inside: its router answers for nobody there.
fn what_a_tenant_chose_is_not_published(
    site: &Site,
    external: &Network,
    router: &OutsideRouter,
) -> Outcome {
    let own = site.gateway(external)?;
    let network = site.segment(&own, &[CHOSEN])?;
    let [thief] = site.guests(&network, [("thief", 2)])?;
    router.route(CHOSEN, None)?;
    does_not_reach(router.namespace(), thief.address())
}

/// Who believes guests to be on the link is answered by their router.
fn on_link(router: &OutsideRouter, guests: &[Plugged]) -> Outcome {
    router.namespace().ip(&["-6", "route", "del", PREFIX])?;
    router.route(PREFIX, None)?;
    for guest in guests {
        reaches(router.namespace(), guest.address())?;
    }
    Ok(())
}
