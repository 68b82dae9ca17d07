//! Subnets of both families outside, in a VLAN: their gateways are the next hops, and IPv4 alone is translated.

use serde_json::json;
use sextant_lab::story::site::{Gateway, Site, connects, does_not_reach, ipv4, ipv6, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Capture, Namespace, Network, OutsideRouter, SubnetSpec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VLAN: u16 = 100;
const FAR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const FAR4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUTSIDE: [&str; 2] = ["2001:db8:e1::/64", "203.0.113.0/24"];
const GATEWAYS: [&str; 2] = ["2001:db8:e1::1/64", "203.0.113.1/24"];
/// Another router outside, and what is behind it.
const BRANCH6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xe1, 0, 0, 0, 0, 0xb);
const BRANCH4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);
const BEHIND6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfb, 0, 0, 0, 0, 1);
const BEHIND4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const INSIDE: [&str; 2] = ["2001:db8:b::/64", "10.0.0.0/24"];

/// The external network, with subnets that nobody hands out.
fn outside(site: &Site) -> Result<Network, Failure> {
    let network = site.external(Some(VLAN))?;
    for cidr in OUTSIDE {
        let spec = SubnetSpec {
            cidr,
            more: json!({"enable_dhcp": false})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            ..SubnetSpec::default()
        };
        site.world.lab.api().create_subnet(&network, &spec)?;
    }
    Ok(network)
}

/// IPv4 by DHCP; its script sets no route in a namespace.
fn configure_ipv4(guest: &Plugged) -> Outcome {
    let (_client, _lease) = guest.guest.dhclient4(SOON)?;
    let route = ["ip", "-4", "route", "replace", "default", "via", "10.0.0.1"];
    guest.guest.run(&route)?;
    Ok(())
}

#[test]
fn a_dual_stack_gateway_in_a_vlan_translates_ipv4_alone() -> Outcome {
    Site::tell("", translates)
}

fn translates(site: &mut Site) -> Outcome {
    let edge = site.upstream.router("edge", Some(VLAN))?;
    for address in GATEWAYS {
        edge.address(address)?;
    }
    edge.far(FAR6.into())?;
    edge.far(FAR4.into())?;
    let external = outside(site)?;
    let gateway = site.gateway(&external)?;
    edge.route(INSIDE[0], Some(ipv6(&gateway.port).into()))?;
    let inside = site.segment(&gateway, &INSIDE)?;
    let guests = site.guests(&inside, [("near", 1), ("away", 3)])?;
    let translated = ipv4(&gateway.port);
    for (guest, host) in guests.iter().zip([1, 3]) {
        configure_ipv4(guest)?;
        ipv6_as_it_is(&edge, guest)?;
        ipv4_from(&edge, guest, translated)?;
        // The guest takes no notice of the MTU that DHCP tells it: both ends find out.
        for far in [IpAddr::from(FAR6), FAR4.into()] {
            let (client, server) = (guest.guest.namespace(), edge.namespace());
            connects(client, server, far, &[])?;
            connects(client, server, far, &["--reverse"])?;
        }
        for host in [1, host] {
            let flows = site.world.lab.hypervisor(host).fast_tcp_flows()?;
            ensure(!flows.is_empty(), || format!("no TCP on h{host}"))?;
        }
    }
    reaches(edge.namespace(), ipv6(&gateway.port))?;
    reaches(edge.namespace(), gateway.link_local())?;
    ping4(edge.namespace(), translated)?;
    edge.route(INSIDE[1], Some(translated.into()))?;
    leave_ipv4_as_it_is(site, &external, &gateway)?;
    for guest in &guests {
        ipv4_from(&edge, guest, ipv4(&guest.port))?;
        ping4(edge.namespace(), ipv4(&guest.port))?;
    }
    by_way_of_another(site, &gateway, &guests)
}

/// What only another router outside has is reached by the routes that lead there, and by no others.
fn by_way_of_another(site: &Site, gateway: &Gateway, guests: &[Plugged]) -> Outcome {
    let branch = site.upstream.router("branch", Some(VLAN))?;
    branch.address(&format!("{BRANCH6}/64"))?;
    branch.address(&format!("{BRANCH4}/24"))?;
    branch.far(BEHIND6.into())?;
    branch.far(BEHIND4.into())?;
    branch.route(INSIDE[0], Some(ipv6(&gateway.port).into()))?;
    branch.route(INSIDE[1], Some(ipv4(&gateway.port).into()))?;
    does_not_reach(guests[1].guest.namespace(), BEHIND6)?;
    let route = |to: String, by: String| json!({"destination": to, "nexthop": by});
    let routes = [
        route(format!("{BEHIND6}/128"), BRANCH6.to_string()),
        route(format!("{BEHIND4}/32"), BRANCH4.to_string()),
    ];
    let wanted = json!({"router": {"routes": routes}});
    let path = format!("/v2.0/routers/{}", gateway.router.id);
    let (status, body) = site.world.lab.api().put(&path, &wanted)?;
    ensure(status == 200, || format!("{status} {body}"))?;
    for guest in guests {
        reaches(guest.guest.namespace(), BEHIND6)?;
        reaches(branch.namespace(), guest.address())?;
        ping4(guest.guest.namespace(), BEHIND4)?;
        reaches(guest.guest.namespace(), FAR6)?;
    }
    Ok(())
}

fn leave_ipv4_as_it_is(site: &Site, external: &Network, gateway: &Gateway) -> Outcome {
    let info = json!({"network_id": external.id, "enable_snat": false});
    let wanted = json!({"router": {"external_gateway_info": info}});
    let path = format!("/v2.0/routers/{}", gateway.router.id);
    let (status, body) = site.world.lab.api().put(&path, &wanted)?;
    ensure(status == 200, || format!("{status} {body}"))
}

/// Three answers, and what ping said of them.
fn ping4(from: &Namespace, to: Ipv4Addr) -> Result<String, Failure> {
    let to = to.to_string();
    let words = ["ping", "-n", "-c", "3", "-i", "0.1", "-w", "15", &to];
    Ok(from.run(&words)?.stdout)
}

/// The values of a field among captured packets, each once.
fn seen(capture: Capture, fields: &[&str]) -> Result<Vec<Vec<String>>, Failure> {
    let mut rows = capture.stop()?.fields("", fields)?;
    rows.sort();
    rows.dedup();
    Ok(rows)
}

fn ipv6_as_it_is(edge: &OutsideRouter, guest: &Plugged) -> Outcome {
    reaches(edge.namespace(), guest.address())?;
    let capture = edge.capture("icmp6 and ip6[40] == 128 and dst host 2001:db8:fa::1")?;
    reaches(guest.guest.namespace(), FAR6)?;
    capture.wait_packets(5, SOON)?;
    let rows = seen(capture, &["ipv6.src", "ipv6.hlim"])?;
    let wanted = vec![vec![guest.address().to_string(), "63".to_owned()]];
    ensure(rows == wanted, || format!("{rows:?}"))
}

/// Who is asked outside sees this address, and answers it.
fn ipv4_from(edge: &OutsideRouter, guest: &Plugged, address: Ipv4Addr) -> Outcome {
    let filter = format!("icmp[icmptype] == icmp-echo and src host {address}");
    let capture = edge.capture(&filter)?;
    let said = ping4(guest.guest.namespace(), FAR4)?;
    ensure(said.contains("ttl=63 "), || said)?;
    capture.wait_packets(3, SOON)?;
    let rows = seen(capture, &["ip.src", "ip.ttl"])?;
    let wanted = vec![vec![address.to_string(), "63".to_owned()]];
    ensure(rows == wanted, || format!("{rows:?}"))
}
