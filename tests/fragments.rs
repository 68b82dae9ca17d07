//! Fragments on real Open vSwitch: what is put together passes, and nobody's fragments end a switch or take the room of
//! others.

use serde_json::json;
use sextant_lab::story::site::{Site, ipv4, ipv6};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{Namespace, Network, OutsideRouter, PortSpec, SubnetSpec};
use std::path::Path;

const OUTSIDE: [&str; 2] = ["2001:db8:e::", "10.9.0."];
const INSIDE: [&str; 2] = ["2001:db8:a::/64", "10.1.0.0/16"];

#[test]
fn large_packets_pass_and_the_longest_end_no_switch() -> Outcome {
    Site::tell("", story)
}

fn story(site: &mut Site) -> Outcome {
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    let inside = site.segment(&gateway, &INSIDE)?;
    let wanted = [("near", 1), ("beside", 1), ("away", 3), ("away4", 3)];
    let [near, beside, away, away4] = site.guests(&inside, wanted)?;
    for plugged in [&near, &beside, &away, &away4] {
        let address = format!("{}/16", ipv4(&plugged.port));
        let guest = &plugged.guest;
        guest.run(&["ip", "addr", "add", &address, "dev", "eth0"])?;
        guest.run(&["ip", "link", "set", "eth0", "mtu", "1430"])?;
    }
    let before = pids(site);
    let targets = [away.address().to_string(), ipv4(&away4.port).to_string()];
    for (from, target) in [&near, &beside].into_iter().zip(&targets) {
        for size in ["3000", "9000"] {
            pings(from.guest.namespace(), target, size)?;
        }
    }
    for from in [&near, &beside] {
        for target in &targets {
            let longest = if target.contains(':') {
                "65527"
            } else {
                "65507"
            };
            ping(
                from.guest.namespace(),
                target,
                &["-c", "1", "-W", "1", "-s", longest],
            )?;
        }
    }
    pings(near.guest.namespace(), &targets[0], "56")?;
    ensure(pids(site) == before, || "a switch has ended".to_owned())?;
    two_senders(site, &inside, &away)?;
    ensure(pids(site) == before, || "a switch has ended".to_owned())?;
    from_outside(site, &external)?;
    unfinished(site, &inside, &away)?;
    ensure(pids(site) == before, || "a switch has ended".to_owned())
}

/// The switches, by process id.
fn pids(site: &Site) -> Vec<Option<u32>> {
    let hosts = site.world.lab.hypervisors().iter();
    hosts.map(|host| host.vswitchd_pid()).collect()
}

/// Two guests that may send from anywhere bring a packet that is too long for the switch, half of it each.
fn two_senders(site: &Site, inside: &Network, victim: &Plugged) -> Outcome {
    let half = |name: &str, host: usize, first: &str, last: &str| -> Outcome {
        let sender = unguarded(site, inside, name, host)?;
        let source = "2001:db8:a::bad";
        let own = sender.guest.mac();
        let to = [victim.guest.mac(), &victim.address().to_string()];
        script(&sender, "piece", &[own, source, to[0], to[1], first, last])
    };
    half("one", 1, "0", "27")?;
    half("other", 2, "27", "54")?;
    let asked = site.plug(inside, "bystander", 3)?;
    site.world.wait_status(&asked.port, "ACTIVE")?;
    asked.guest.wait_address(ipv6(&asked.port), SOON)?;
    pings(asked.guest.namespace(), &victim.address().to_string(), "56")
}

/// A guest without port security.
fn unguarded(site: &Site, network: &Network, name: &str, host: usize) -> Result<Plugged, Failure> {
    let more = json!({"port_security_enabled": false, "security_groups": []});
    let more = more.as_object().cloned().unwrap_or_default();
    let lab = &site.world.lab;
    let port = lab.api().create_port(network, &PortSpec { name, more })?;
    let guest = lab.hypervisor(host).add_guest(&port.guest(name))?;
    site.world.wait_status(&port, "ACTIVE")?;
    Ok(Plugged { guest, port })
}

/// Has a guest run a script of this folder.
fn script(from: &Plugged, name: &str, words: &[&str]) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fragments");
    let script = folder.join(format!("{name}.py"));
    let script = script.to_string_lossy();
    let words = [&["/usr/bin/python3", &script], words].concat();
    from.guest.run(&words)?;
    Ok(())
}

/// A guest on the physical network itself, and a machine outside.
fn from_outside(site: &Site, external: &Network) -> Outcome {
    let api = site.world.lab.api();
    for cidr in ["2001:db8:e::/64", "10.9.0.0/24"] {
        let spec = SubnetSpec {
            cidr,
            ..SubnetSpec::default()
        };
        api.create_subnet(external, &spec)?;
    }
    let guest = site.plug(external, "exposed", 1)?;
    site.world.wait_status(&guest.port, "ACTIVE")?;
    let edge = site.upstream.router("edge", None)?;
    let [six, four] = [ipv6(&guest.port).to_string(), ipv4(&guest.port).to_string()];
    for (address, length) in [(&six, 64), (&four, 24)] {
        let address = format!("{address}/{length}");
        let words = ["ip", "addr", "add", &address, "dev", "eth0"];
        let nodad = address.contains(':').then_some("nodad");
        let words: Vec<&str> = words.into_iter().chain(nodad).collect();
        guest.guest.run(&words)?;
    }
    give(&edge)?;
    let before = pids(site);
    pings(edge.namespace(), &six, "3000")?;
    pings(edge.namespace(), &four, "9000")?;
    for (target, longest) in [(&six, "65527"), (&four, "65507")] {
        ping(
            edge.namespace(),
            target,
            &["-c", "2", "-W", "1", "-s", longest],
        )?;
    }
    pings(edge.namespace(), &six, "56")?;
    ensure(pids(site) == before, || "a switch has ended".to_owned())
}

fn give(edge: &OutsideRouter) -> Outcome {
    let [six, four] = OUTSIDE;
    edge.address(&format!("{six}f:1/64"))?;
    Ok(edge.address(&format!("{four}250/24"))?)
}

/// One guest sends more beginnings than a datapath has room for; its neighbour's packets still arrive.
fn unfinished(site: &Site, inside: &Network, away: &Plugged) -> Outcome {
    let [near, beside] = site.guests(inside, [("greedy", 1), ("modest", 1)])?;
    let to = away.address().to_string();
    let own = near.address().to_string();
    let words = [near.guest.mac(), &own, away.guest.mac(), &to];
    script(&near, "unfinished", &words)?;
    pings(beside.guest.namespace(), &to, "3000")
}

/// Three echo requests of this size are answered.
fn pings(from: &Namespace, target: &str, size: &str) -> Outcome {
    let said = ping(
        from,
        target,
        &["-c", "3", "-i", "0.3", "-w", "20", "-s", size],
    )?;
    ensure(said.contains("3 received"), || {
        format!("{} to {target}, {size} octets: {said}", from.name())
    })
}

/// What ping says, whether it is answered or not.
fn ping(from: &Namespace, target: &str, options: &[&str]) -> Result<String, sextant_lab::LabError> {
    let script = format!("ping -n {} {target} || true", options.join(" "));
    Ok(from.run(&["sh", "-c", &script])?.stdout)
}
