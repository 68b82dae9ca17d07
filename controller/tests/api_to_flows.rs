//! From a request to a switch's flows and back: everything between is real, the switch is the test's own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a switch that has nothing needs to do little"
)]

#[path = "switch/mod.rs"]
mod fake;
#[path = "switch/served.rs"]
mod served;

use fake::{DATAPATH, SOON, Switch, usual};
use rust_openflow::{Command, Message};
use serde_json::{Value, json};
use served::Served;
use sextant_controller::state::Event;
use sextant_model::{Chassis, ChassisId, Encap, EncapKind, Plugged, PortId};
use std::collections::BTreeMap;
use tokio::time::timeout;

/// A controller without its listeners for people and hypervisors, and the one switch there is.
struct World {
    served: Served,
    switch: Switch,
    network: Value,
    plugged: u16,
}

/// What a switch was told between two confirmations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    added: usize,
    deleted: usize,
}

impl World {
    /// A cloud with one hypervisor and a network of one stateful subnet.
    async fn start(name: &str) -> Self {
        let served = Served::start(name).await;
        let read = Event::HypervisorRead {
            chassis: chassis(),
            interfaces: BTreeMap::new(),
        };
        served.events.send(read).await.unwrap();
        let mut world = Self {
            switch: Switch::connect(served.address).await,
            served,
            network: Value::Null,
            plugged: 0,
        };
        let network = json!({"network": {"name": "n"}});
        world.network = world.served.ask("POST", "networks", network).await["network"]["id"].take();
        let subnet = json!({"network_id": world.network, "ip_version": 6, "cidr": "2001:db8::/64"});
        world
            .served
            .ask("POST", "subnets", json!({ "subnet": subnet }))
            .await;
        world
    }

    async fn status(&self, port: PortId) -> String {
        let shown = self
            .served
            .ask("GET", &format!("ports/{port}"), Value::Null)
            .await;
        shown["port"]["status"].as_str().unwrap().to_owned()
    }

    /// Makes a port and plugs it in. Under no group, it changes nothing here before it is plugged in.
    async fn connect(&mut self) -> PortId {
        let port = json!({"port": {"network_id": self.network, "security_groups": []}});
        let made = self.served.ask("POST", "ports", port).await;
        let id: PortId = made["port"]["id"].as_str().unwrap().parse().unwrap();
        self.plugged += 1;
        let plugged = Plugged {
            chassis: ChassisId::new("h1"),
            ofport: Some(self.plugged),
        };
        self.served
            .events
            .send(Event::Plugged(id, plugged))
            .await
            .unwrap();
        id
    }

    /// Does what the switch is told until this port is active, and not before a barrier was answered.
    async fn confirm(&mut self, port: PortId) -> Told {
        let mut told = Told::default();
        loop {
            let Some((xid, message)) = self.switch.next().await else {
                panic!("the controller hung up")
            };
            told.count(&message);
            let confirms = message == Message::BarrierRequest && told != Told::default();
            if confirms {
                assert_eq!(self.status(port).await, "DOWN", "nothing is confirmed");
            }
            if let Some(reply) = usual(&message) {
                self.switch.send(xid, &reply).await;
            }
            if confirms {
                self.becomes_active(port).await;
                return told;
            }
        }
    }

    /// Waits for the news that a confirmation makes.
    async fn becomes_active(&self, port: PortId) {
        let active = async {
            while self.status(port).await != "ACTIVE" {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, active).await.expect("it becomes active");
    }
}

impl Told {
    fn count(&mut self, message: &Message) {
        let Message::BundleAdd(add) = message else {
            return;
        };
        let Message::FlowMod(flow) = &*add.message else {
            return;
        };
        match flow.command {
            Command::Delete | Command::DeleteStrict => self.deleted += 1,
            Command::Add | Command::Modify | Command::ModifyStrict => self.added += 1,
        }
    }
}

fn chassis() -> Chassis {
    Chassis {
        datapath_id: Some(DATAPATH),
        observed: true,
        ..Chassis::new(
            ChassisId::new("h1"),
            Encap {
                endpoints: "2001:db8::1".parse().unwrap(),
                kind: EncapKind::Vxlan,
            },
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_active_once_its_flows_are_confirmed_however_many_there_are_no_others_are_sent() {
    let mut world = World::start("one").await;
    let mut told = Vec::new();
    for _ in 0..40 {
        let port = world.connect().await;
        told.push(world.confirm(port).await);
    }
    // The first brings what its network and its hypervisor need as well.
    let (first, second) = (told[0], told[2]);
    assert!(first.added > second.added, "{told:?}");
    // Beyond 32 the members of the network are divided into shards, once.
    let (together, divided) = (&told[2..32], &told[33..]);
    for others in [together, divided] {
        assert!(
            others.iter().all(|told| *told == others[0]),
            "a port costs the same beside few as beside many others: {told:?}"
        );
    }
    assert!(divided[0].added <= second.added, "{told:?}");
    assert!(told[32].added <= second.added + 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_changes_reaches_the_switch_and_nothing_else_does() {
    let mut world = World::start("changed").await;
    let mut ports = Vec::new();
    for _ in 0..3 {
        let port = world.connect().await;
        world.confirm(port).await;
        ports.push(port);
    }
    let path = format!("ports/{}", ports[1]);
    let pairs = json!({"port": {"allowed_address_pairs": [{"ip_address": "2001:db8::/80"}]}});
    world.served.ask("PUT", &path, pairs).await;
    let mut told = Told::default();
    loop {
        let (xid, message) = world.switch.next().await.unwrap();
        told.count(&message);
        if let Some(reply) = usual(&message) {
            world.switch.send(xid, &reply).await;
        }
        if message == Message::BarrierRequest && told != Told::default() {
            break;
        }
    }
    assert!(told.added > 0 && told.added < 12, "{told:?}");
    for port in ports {
        assert_eq!(world.status(port).await, "ACTIVE", "nobody was cut off");
    }
}
