//! Routing between guests on two hypervisors, who are ordinary Linux.

use serde_json::json;
use sextant_lab::Guest;
use sextant_lab::story::{Failure, Outcome, SOON, TwoNetworks, World, ensure};

fn start() -> Result<TwoNetworks, Failure> {
    TwoNetworks::start(World::start()?, json!({}))
}

/// What ping says once an address has answered three times; the first packets of a tunnel wait for its other end's MAC.
fn ping(from: &Guest, to: &str) -> Result<String, Failure> {
    let words = ["ping", "-n", "-c", "3", "-i", "0.1", "-w", "15", to];
    Ok(from.run(&words)?.stdout)
}

#[test]
fn dual_stack_guests_of_two_hypervisors_reach_each_other_and_their_routers() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start()?;
    for (from, to) in [(&red, &blue), (&blue, &red)] {
        let targets = [
            (to.ipv4().to_string(), 63),
            (to.ipv6().to_string(), 63),
            (from.gateway4(), 64),
            (to.gateway4(), 64),
        ];
        for (target, hop_limit) in targets {
            let said = ping(&from.guest, &target)?;
            let all = said.contains("3 received");
            let hops = said.contains(&format!("ttl={hop_limit} "));
            ensure(all && hops, || said)?;
        }
    }
    Ok(())
}

/// What ping says of two requests that are not answered.
fn refused(from: &Guest, ttl: &str, to: &str) -> Result<String, Failure> {
    let script = format!("ping -n -c 2 -i 0.2 -W 2 -t {ttl} {to} || true");
    Ok(from.run(&["sh", "-c", &script])?.stdout)
}

#[test]
fn a_guest_is_told_by_its_router_why_nothing_is_forwarded() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start()?;
    let far = (blue.ipv6().to_string(), blue.ipv4().to_string());
    let [gateway6, gateway4] = red.gateways();
    for (gateway, ttl, target, wanted) in [
        (&gateway6, "1", far.0.as_str(), "Time exceeded: Hop limit"),
        (&gateway4, "1", far.1.as_str(), "Time to live exceeded"),
        (
            &gateway6,
            "64",
            "2001:db8:c::9",
            "Destination unreachable: No route",
        ),
        (
            &gateway4,
            "64",
            "203.0.113.9",
            "Destination Net Unreachable",
        ),
        (
            &gateway6,
            "64",
            "2001:db8:b::9",
            "Destination unreachable: Address unreachable",
        ),
        (
            &gateway4,
            "64",
            "198.51.100.99",
            "Destination Host Unreachable",
        ),
    ] {
        let said = refused(&red.guest, ttl, target)?;
        let told = said.lines().any(|line| {
            line.to_lowercase().contains(&format!("from {gateway} ")) && line.contains(wanted)
        });
        ensure(told, || format!("{target}: {said}"))?;
    }
    Ok(())
}

#[test]
fn a_guest_that_routes_is_reached_by_a_route() -> Outcome {
    let TwoNetworks {
        world,
        router,
        red,
        blue,
    } = start()?;
    let (far6, far4) = ("2001:db8:ff::1", "203.0.113.1");
    for far in [far6, far4] {
        blue.guest.run(&["ip", "addr", "add", far, "dev", "lo"])?;
    }
    let api = world.lab.api();
    let routes = json!({"router": {"routes": [
        {"destination": "2001:db8:ff::/48", "nexthop": blue.ipv6().to_string()},
        {"destination": "203.0.113.0/24", "nexthop": blue.ipv4().to_string()},
    ]}});
    let pairs = json!({"port": {"allowed_address_pairs": [
        {"ip_address": far6}, {"ip_address": far4},
    ]}});
    for (path, wanted) in [
        (format!("/v2.0/routers/{}", router.id), &routes),
        (format!("/v2.0/ports/{}", blue.port.id), &pairs),
    ] {
        let (status, body) = api.put(&path, wanted)?;
        ensure(status == 200, || format!("{path}: {status} {body}"))?;
    }
    for far in [far6, far4] {
        let said = ping(&red.guest, far)?;
        ensure(said.contains("3 received"), || said)?;
    }
    Ok(())
}

/// Who has the gateway's address in its cache would send to the old MAC until that does not answer.
#[test]
fn guests_are_told_where_their_gateways_are_now() -> Outcome {
    let TwoNetworks { world, red, .. } = start()?;
    let [gateway6, gateway4] = red.gateways();
    for gateway in [&gateway6, &gateway4] {
        let said = ping(&red.guest, gateway)?;
        ensure(said.contains("3 received"), || said)?;
    }
    let told = format!(
        "(arp and arp[6:2] = 1 and src host {gateway4} and dst host {gateway4}) or \
         (icmp6 and ip6[40] = 136 and src host {gateway6} and dst host ff02::1)"
    );
    let told = red.guest.capture(&told)?;
    let macs = ["fa:16:3e:99:99:06", "fa:16:3e:99:99:04"];
    for (port, mac) in red.router_ports.iter().zip(macs) {
        let wanted = json!({"port": {"mac_address": mac}});
        let path = format!("/v2.0/ports/{}", port.id);
        let (status, body) = world.lab.api().put(&path, &wanted)?;
        ensure(status == 200, || body.to_string())?;
    }
    told.wait_packets(6, SOON)?;
    let known = red.guest.neighbors()?;
    let gateway = known
        .iter()
        .find(|known| known.address.to_string() == gateway6);
    let moved = gateway.is_some_and(|gateway| gateway.mac.as_deref() == Some(macs[0]));
    ensure(moved, || format!("{gateway:?}"))?;
    for gateway in [&gateway6, &gateway4] {
        let said = ping(&red.guest, gateway)?;
        ensure(said.contains("3 received"), || said)?;
    }
    Ok(())
}

/// RFC 4291 §2.6.1 and §2.8, RFC 4861 §7.2.4.
#[test]
fn routers_answer_for_their_groups_and_to_solicitations_without_options() -> Outcome {
    let TwoNetworks {
        world: _world,
        red,
        blue,
        ..
    } = start()?;
    let anycast = |guest: &sextant_lab::story::DualStack| {
        let prefix = guest.ipv6().to_bits() >> 64 << 64;
        std::net::Ipv6Addr::from_bits(prefix).to_string()
    };
    for target in [anycast(&red), anycast(&blue)] {
        let said = ping(&red.guest, &target)?;
        ensure(said.contains("3 received"), || said)?;
    }
    let [router, _] = red.gateways();
    for group in ["ff02::1%eth0", "ff02::2%eth0"] {
        let words = format!("ping -n -c 2 -W 2 {group} || true");
        let said = red.guest.run(&["sh", "-c", &words])?.stdout;
        ensure(said.contains("bytes from fe80::"), || said)?;
    }
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("routing/bare.py");
    let mac = red.guest.mac();
    let said = red
        .guest
        .run(&["/usr/bin/python3", &script.to_string_lossy(), mac, &router])?;
    ensure(said.stdout.contains("answered with fa:16:3e:"), || {
        said.stdout
    })
}

/// Whoever was to tell guests is killed before it can, while the switch is away.
#[test]
fn what_went_is_told_by_a_controller_that_was_started_later() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let (lab, controller, cloud, guests) = world.parts()?;
    let (host, told) = (lab.hypervisor(1), &guests.slaac1);
    host.kill_vswitchd();
    lab.api()
        .remove_interface(&cloud.router, &cloud.slaac.subnet)?;
    controller.kill();
    let address = told.address();
    let known = told.guest.addresses()?;
    let known = known.iter().find(|known| known.address == address);
    ensure(known.is_some_and(|known| !known.deprecated), || {
        format!("{known:?}")
    })?;

    controller.start_again()?;
    host.start_vswitchd()?;
    told.guest
        .wait_network("an address that is deprecated", SOON, |guest| {
            let addresses = guest.addresses()?;
            let deprecated = addresses
                .iter()
                .any(|known| known.address == address && known.deprecated);
            Ok(match deprecated {
                true => Ok(()),
                false => Err(format!("{addresses:?}")),
            })
        })?;
    Ok(())
}
