//! What `trace` says by name, and how a packet is said to it.

use super::cloud::{self, Cloud};
use super::{Door, Said};
use sextant_model::{Direction, Ipv6Mode, Object, RemoteEnd, SecurityGroup, SecurityGroupRule};
use std::sync::Arc;

/// `app` on h1 in network red, `web` on h2 in network blue, and router `edge` between them. `web` takes SSH from the group
/// of `app`.
fn named() -> Cloud {
    let mut cloud = Cloud::with_hypervisors(2);
    cloud.router("r1");
    cloud.change_router("r1", |router| router.meta.name = "edge".to_owned());
    for (network, prefix) in [("red", "2001:db8:a::/64"), ("blue", "2001:db8:b::/64")] {
        cloud.network(network);
        cloud.change_network(network, |found| found.meta.name = network.to_owned());
        let subnet = format!("{network}6");
        cloud.subnet(&subnet, network, prefix, Some(Ipv6Mode::Slaac));
        cloud.change_subnet(&subnet, |found| found.meta.name = subnet.clone());
        cloud.interface(&format!("r1-{network}"), "r1", network);
    }
    for (port, network, hypervisor, name) in
        [("a1", "red", "h1", "app"), ("b1", "blue", "h2", "web")]
    {
        cloud.guest(port, network, hypervisor);
        cloud.change_port(port, |port| port.meta.name = name.to_owned());
    }
    for (id, name) in [(cloud::OPEN, "default"), ("ssh", "ssh")] {
        let mut group = SecurityGroup {
            id: cloud::group_id(id),
            meta: Default::default(),
            stateful: true,
        };
        group.meta.name = name.to_owned();
        cloud.put(Object::SecurityGroup(Arc::new(group)));
    }
    let ssh = SecurityGroupRule {
        remote: RemoteEnd::Group(cloud::group_id(cloud::OPEN)),
        ..cloud::service(Direction::Ingress, 6, Some((22, 22)))
    };
    cloud.rule("ssh-in", "ssh", ssh);
    let others = cloud::service(Direction::Ingress, 6, Some((443, 443)));
    let others = SecurityGroupRule {
        remote: RemoteEnd::Group(cloud::group_id(cloud::OPEN)),
        ..others
    };
    cloud.rule("https-in", "ssh", others);
    cloud.put_under("b1", &["ssh"]);
    cloud
}

async fn trace(cloud: Cloud, name: &str, arguments: &[&str]) -> Said {
    Door::of(cloud, name)
        .ask(&[&["trace"], arguments].concat())
        .await
}

fn last(said: &Said) -> &str {
    said.out.lines().last().unwrap_or(&said.err)
}

#[tokio::test]
async fn each_step_names_what_its_flow_serves() {
    let said = trace(named(), "named", &["app", "tcp to web port 22"]).await;
    for (stage, serves) in [
        ("classify", "port 'app' of network 'red'"),
        (
            "egress rules",
            "rule of security group 'default': egress IPv6 of any protocol to anybody",
        ),
        ("router", "router 'edge' on network 'red'"),
        (
            "route",
            "router 'edge', subnet 'blue6' 2001:db8:b::/64 of network 'blue'",
        ),
        ("next hop", "port 'web' of network 'blue'"),
        (
            "ingress rules",
            "rule of security group 'ssh': ingress IPv6 6 22 from members of security group 'default'",
        ),
    ] {
        let shown = said.out.lines().any(|line| {
            let words: Vec<&str> = line.split("0x").collect();
            words[0].trim().ends_with(stage) && line.ends_with(&format!(" {serves}"))
        });
        assert!(shown, "{stage}: {serves}\n{}{}", said.out, said.err);
    }
    assert_eq!(
        last(&said),
        "It is delivered to port 'web' on hypervisor h2, through the tunnel from h1."
    );
    assert!(!said.out.contains("actions="), "{}", said.out);
    let said = trace(
        named(),
        "flows-too",
        &["--flows", "app", "tcp to web port 22"],
    )
    .await;
    assert!(said.out.contains("actions="), "{}{}", said.out, said.err);
}

#[tokio::test]
async fn programs_get_ids_with_the_names() {
    let said = trace(named(), "ids", &["--json", "app", "tcp to web port 443"]).await;
    let rows = said.out.lines().map(serde_json::from_str);
    let rows: Vec<serde_json::Value> = rows.map(Result::unwrap).collect();
    let serves = rows.iter().filter_map(|row| row["serves"].as_array());
    let rules: Vec<&serde_json::Value> = serves
        .flatten()
        .filter(|object| object["kind"] == "security group rule")
        .collect();
    let ids: Vec<String> = ["open-out6", "https-in"]
        .map(|name| cloud::rule_id(name).to_string())
        .into();
    let shown: Vec<&str> = rules
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    assert_eq!(shown, ids, "{}", said.err);
}

#[tokio::test]
async fn the_last_line_says_where_it_ends_and_why() {
    for (number, (packet, sentence)) in [
        (
            "tcp to web port 23",
            "It is dropped in stage 'ingress rules' on hypervisor h2, through the tunnel from h1: port 'web' is under security \
             group 'ssh', and no rule lets it get this.",
        ),
        (
            "icmp6,icmp_type=133,nw_ttl=255 to ff02::2",
            "Hypervisor h1 sends it to the controller, which answers with a Router Advertisement.",
        ),
        (
            "icmp6,nw_ttl=1 to web",
            "which answers with an ICMP error from router 2001:db8:a::",
        ),
        (
            "to 2001:db8:cc::1",
            ": the router has no route to it.",
        ),
        (
            "to fe80::1 from 2001:db8:a::66",
            "nobody on network 'red' has fe80::1",
        ),
        (
            "tcp to web port 22 from 2001:db8:a::66",
            "It is dropped in stage 'guard' on hypervisor h1: port 'app' may not send from this MAC or address",
        ),
        ("icmp6,dl_dst=02:00:00:00:00:99 to web", "no port of network 'red' that is plugged in and up has MAC 02:00:00:00:00:99."),
        ("udp from 192.0.2.1 to web", "has no address for this packet"),
        (
            "udp from 192.0.2.1 to 2001:db8::1",
            "of one IP version, its protocol of another",
        ),
        ("udp6 to 192.0.2.1", "of one IP version, its protocol of another"),
        ("icmp to 192.0.2.1", "has no router of this cloud"),
        ("tcp to", "'to' is followed by nothing"),
        ("tcp to web port ssh", "'ssh' is no port number"),
        ("tcp to nobody", "no port has 'nobody'"),
        ("arp to web", "are for IP only"),
    ]
    .into_iter()
    .enumerate()
    {
        let said = trace(named(), &format!("end-{number}"), &["app", packet]).await;
        let line = last(&said);
        assert!(line.contains(sentence), "{packet}: {line}\n{}", said.out);
    }
}

#[tokio::test]
async fn who_is_asked_itself_answers() {
    let mut cloud = named();
    cloud.route("r1", &[("2001:db8:ff::/48", "2001:db8:b::99")]);
    let router = cloud.get_port("r1-red").ipv6_addresses().next().unwrap().1;
    let said = trace(cloud.clone(), "router", &["app", &format!("to {router}")]).await;
    assert_eq!(
        last(&said),
        "Hypervisor h1 answers it itself: the answer is delivered to port 'app'.",
        "{}",
        said.out
    );
    let said = trace(cloud, "extra", &["app", "icmp to 2001:db8:ff::1"]).await;
    let route = "route of router 'edge' to 2001:db8:ff::/48 by 2001:db8:b::99";
    assert!(said.out.contains(route), "{}{}", said.out, said.err);
}

#[tokio::test]
async fn a_packet_for_many_is_said_with_all_who_get_it() {
    let mut cloud = named();
    for port in ["a2", "a3"] {
        cloud.guest(port, "red", "h2");
        cloud.change_port(port, |found| found.meta.name = format!("app-{port}"));
    }
    let said = trace(cloud, "many", &["app", "udp port 5353 to ff02::fb"]).await;
    let expected = "It is delivered to 2 ports: port 'app-a2' on hypervisor h2, port 'app-a3' on hypervisor h2.";
    assert_eq!(last(&said), expected, "{}", said.out);
}

#[tokio::test]
async fn a_port_whose_switch_is_not_here_cannot_be_captured() {
    let door = Door::of(named(), "captured");
    let file = door.folder.join("app.pcapng");
    let said = door
        .ask(&["capture", "app", "--file", &file.to_string_lossy()])
        .await;
    let expected = "sextant: the switch of hypervisor h1 is not connected here\n";
    assert_eq!((said.success, said.err.as_str()), (false, expected));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_flow_is_explained_by_the_same_names() {
    let door = Door::of(named(), "explained");
    let said = door
        .ask(&["trace", "--json", "app", "tcp to web port 22"])
        .await;
    let rows = said.out.lines().map(serde_json::from_str);
    let rows: Vec<serde_json::Value> = rows.map(Result::unwrap).collect();
    let row = rows.iter().find(|row| row["stage"] == "egress rules");
    let cookie = row.unwrap()["cookie"].as_str().unwrap();
    let said = door.ask(&["explain", cookie, "--chassis", "h1"]).await;
    let rule = cloud::rule_id("open-out6");
    let serves = format!(
        "  serves:   rule of security group 'default': egress IPv6 of any protocol to anybody ({rule})\n"
    );
    assert!(said.out.contains(&serves), "{}{}", said.out, said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_may_stand_anywhere() {
    let [app, packet] = ["app", "tcp to web port 22"];
    let mut answers = Vec::new();
    for (number, words) in [
        [app, packet, "--length", "70"],
        [app, "--length", "70", packet],
        ["--length", "70", app, packet],
    ]
    .iter()
    .enumerate()
    {
        let said = trace(named(), &format!("order-{number}"), words).await;
        assert!(said.success, "{}", said.err);
        answers.push(said.out);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let said = trace(named(), "loose", &["app", "--length", "70", "tcp", "to"]).await;
    assert!(!said.success, "{}", said.out);
    let said = trace(named(), "no-command", &["app", packet, "--switch"]).await;
    let wanted = "a value is required for '--switch";
    assert!(said.err.contains(wanted), "{}", said.err);
}
