//! Frames for many receivers, on a real Open vSwitch: beside it, many hypervisors are played, of which it knows by their
//! databases.
//!
//! One list of datapath actions takes 630 tunnels of a userspace datapath. Open vSwitch sends through no more of them,
//! and follows no resubmit. So more receivers than these have to be reached, and without the slow path.

use serde_json::{Value, json};
use sextant_lab::load::Simulator;
use sextant_lab::story::{Failure, World};
use sextant_lab::{
    CONTROLLER, Capture, Guest, Hypervisor, LabError, LabOptions, Network, PortSpec, SubnetSpec,
    UNDERLAY_DEVICE, wait_for,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Other hypervisors, each with a member of the network.
const ELSEWHERE: usize = 700;
/// Members of the network on the hypervisor, beside the guest that sends.
const HERE: usize = 70;
const SOON: Duration = Duration::from_secs(120);
const NO_QUOTAS: &str = "[quotas]\nquota_port = -1\n";
/// An echo request in a VXLAN tunnel over IPv6: next header and type, behind 70 octets of headers.
const ECHO: &str = "ip6[6] == 17 and ip6[76] == 58 and ip6[110] == 128";
/// ARP in such a tunnel.
const ARP: &str = "ip6[6] == 17 and ip6[68:2] == 0x0806";
const ALL_NODES: &[&str] = &["-6", "ff02::1%eth0"];
/// A shard's flows, and what each does for a receiver.
const REPLICATE: u8 = 58;
const THROUGH_A_TUNNEL: &str = "->tun_ipv6_dst";
const TO_A_GUEST: &str = "resubmit(,60)";

/// One real hypervisor, and the others; a network with members on all of them.
struct Replication {
    guest: Guest,
    _elsewhere: Simulator,
    world: World,
}

impl Replication {
    fn start() -> Result<Self, Failure> {
        let options = LabOptions {
            hypervisors: 1,
            ..LabOptions::default()
        };
        let world = World::start_in(options, NO_QUOTAS)?;
        let host = world.lab.hypervisor(1);
        host.join("vxlan")?;
        let api = world.lab.api();
        let network = api.create_network("all")?;
        for cidr in ["2001:db8:a::/64", "10.9.0.0/16"] {
            let spec = SubnetSpec {
                cidr,
                ..SubnetSpec::default()
            };
            api.create_subnet(&network, &spec)?;
        }
        let simulator = Simulator::start_in(world.lab.control(), ELSEWHERE)?;
        simulator.connect_databases((CONTROLLER, 6640).into());
        for (number, port) in ports(&world, &network, ELSEWHERE)?.into_iter().enumerate() {
            simulator.plug(number, vec![port]);
        }
        let port = api.create_port(&network, &PortSpec::default())?;
        let guest = host.add_guest(&port.guest("sender"))?;
        plug_in(host, &ports(&world, &network, HERE)?)?;
        let addresses = port.addresses.iter();
        for address in addresses.filter(|address| address.is_ipv4()) {
            guest.run(&[
                "ip",
                "address",
                "add",
                &format!("{address}/16"),
                "dev",
                "eth0",
            ])?;
        }
        guest.wait_link_local(SOON)?;
        let replication = Self {
            guest,
            _elsewhere: simulator,
            world,
        };
        replication.wait_known()?;
        replication.wait_resolved()?;
        Ok(replication)
    }

    fn host(&self) -> &Hypervisor {
        self.world.lab.hypervisor(1)
    }

    /// How often flows of shards do this.
    fn copies(&self, what: &str) -> Result<usize, String> {
        let flows = self
            .host()
            .flows("br-int")
            .map_err(|error| error.to_string())?;
        let flows = flows.iter().filter(|flow| flow.table == REPLICATE);
        Ok(flows.map(|flow| flow.rule.matches(what).count()).sum())
    }

    /// The switch has flows for all receivers.
    fn wait_known(&self) -> Result<(), Failure> {
        wait_for("flows for all receivers", SOON, || {
            let found = [THROUGH_A_TUNNEL, TO_A_GUEST].map(|what| self.copies(what));
            match &found {
                [Ok(ELSEWHERE), Ok(here)] if *here == HERE + 1 => Ok(()),
                _ => Err(format!("{found:?}")),
            }
        })?;
        Ok(())
    }

    fn capture(&self, what: &str) -> Result<Capture, LabError> {
        Capture::start_of_burst(self.host().namespace(), UNDERLAY_DEVICE, what)
    }

    /// The guest sends an echo request to all. Nobody answers.
    fn ping(&self, to: &[&str]) {
        let ping = [&["ping", "-c", "1", "-W", "1"], to].concat();
        drop(self.guest.run(&ping));
    }

    /// The switch has found the MAC of its tunnels' next hop, and has done with what it did before that.
    fn wait_resolved(&self) -> Result<(), Failure> {
        wait_for("a frame in every tunnel", SOON, || {
            let capture = self.capture(ECHO);
            let capture = capture.map_err(|error| error.to_string())?;
            self.ping(ALL_NODES);
            let sent = capture.wait_packets(ELSEWHERE, Duration::from_secs(2));
            sent.map_err(|error| error.to_string())
        })?;
        Ok(())
    }

    /// The guest sends something once, which other hypervisors and other guests here get once each.
    fn expect_one_each(&self, what: &str, to: &[&str]) -> Result<(), Failure> {
        let before = sent_to_guests(self.host())?;
        let capture = self.capture(what)?;
        self.ping(to);
        capture.wait_packets(ELSEWHERE, SOON)?;
        let packets = capture.stop()?;
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        for fields in packets.fields("", &["ipv6.dst"])? {
            let outer = fields.first().and_then(|all| all.split(',').next());
            *copies
                .entry(outer.unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        assert_eq!(copies.len(), ELSEWHERE);
        let (least, most) = (copies.values().min(), copies.values().max());
        let unlike = most.zip(least).map(|(most, least)| most - least);
        assert!(unlike <= Some(1), "but for one under way: {copies:?}");
        let after = sent_to_guests(self.host())?;
        let served = after
            .iter()
            .zip(&before)
            .filter(|(after, before)| after > before);
        assert_eq!(served.count(), HERE);
        Ok(())
    }
}

/// The ids of so many new ports.
fn ports(world: &World, network: &Network, count: usize) -> Result<Vec<String>, Failure> {
    const AT_ONCE: usize = 250;
    let mut ids = vec![];
    while ids.len() < count {
        let port = json!({ "network_id": network.id });
        let wanted = vec![port; AT_ONCE.min(count - ids.len())];
        let (_, made) = world
            .lab
            .api()
            .post("/v2.0/ports", &json!({ "ports": wanted }))?;
        let made = made["ports"].as_array().into_iter().flatten();
        let made: Vec<String> = made
            .filter_map(|port: &Value| Some(port["id"].as_str()?.to_owned()))
            .collect();
        assert!(!made.is_empty(), "ports are created");
        ids.extend(made);
    }
    Ok(ids)
}

/// Plugs ports in that have no guest: the switch's own devices.
fn plug_in(host: &Hypervisor, ports: &[String]) -> Result<(), Failure> {
    for (number, port) in ports.iter().enumerate() {
        let device = format!("member{number}");
        let id = format!("external_ids:iface-id={port}");
        let add = ["--", "add-port", "br-int", &device];
        let set = ["--", "set", "interface", &device, "type=internal", &id];
        host.vsctl(&[&["--no-wait"], &add[..], &set].concat())?;
    }
    for number in 0..ports.len() {
        let device = format!("member{number}");
        wait_for("the device of a port", SOON, || {
            let up = host.run(&["ip", "link", "set", "dev", &device, "up"]);
            up.map_err(|error| error.to_string())
        })?;
    }
    Ok(())
}

/// How many frames each of these devices was sent.
fn sent_to_guests(host: &Hypervisor) -> Result<Vec<u64>, Failure> {
    let found = host
        .run(&["ip", "-json", "-statistics", "link", "show"])?
        .stdout;
    let devices: Vec<Value> = serde_json::from_str(&found)
        .map_err(|error| Failure::Observed(format!("{error}: {found}")))?;
    let is_member = |device: &&Value| {
        let name = device["ifname"].as_str().unwrap_or_default();
        name.starts_with("member")
    };
    let members = devices.iter().filter(is_member);
    let sent: Vec<u64> = members
        .filter_map(|device| device["stats64"]["rx"]["packets"].as_u64())
        .collect();
    assert_eq!(sent.len(), HERE, "{found}");
    Ok(sent)
}

#[test]
fn a_frame_for_all_reaches_each_of_many_hypervisors_and_guests_without_the_slow_path()
-> Result<(), Failure> {
    let replication = Replication::start()?;
    replication.expect_one_each(ECHO, ALL_NODES)?;
    replication.expect_one_each(ARP, &["-4", "10.9.255.254"])?;
    let flows = replication
        .host()
        .appctl(&["dpctl/dump-flows", "-m"])?
        .stdout;
    assert!(flows.contains("recirc("), "{flows}");
    assert!(!flows.contains("slow_path"), "{flows}");
    Ok(())
}
