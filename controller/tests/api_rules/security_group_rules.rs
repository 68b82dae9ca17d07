//! Rules of security groups: what goes together, and what they do to their group.

use crate::api::Cloud;
use crate::{id, made};
use serde_json::{Value, json};

/// An ingress rule of a group with some more attributes.
fn rule(group: &Value, more: &Value) -> Value {
    let mut rule = json!({"security_group_id": group["id"], "direction": "ingress"});
    let more = more.as_object().unwrap().clone();
    rule.as_object_mut().unwrap().extend(more);
    rule
}

async fn refusal(cloud: &Cloud, group: &Value, more: &Value) -> (u16, String, String) {
    let body = json!({"security_group_rule": rule(group, more)});
    cloud.post("security-group-rules", body).await.error()
}

#[tokio::test]
async fn rules_that_contradict_themselves_are_refused_in_neutrons_words() {
    let cloud = Cloud::new();
    let group = made(&cloud, "security_group", json!({})).await;
    let wrong = wrong_ports().into_iter().chain(wrong_protocols());
    for (more, kind, message) in wrong.chain(wrong_remotes(&group)) {
        let expected = (400, kind.to_owned(), message);
        assert_eq!(refusal(&cloud, &group, &more).await, expected, "{more}");
    }
    let nobody = "00000000-0000-0000-0000-000000000001";
    let expected = (
        404,
        "SecurityGroupNotFound".to_owned(),
        format!("Security group {nobody} does not exist"),
    );
    for name in ["security_group_id", "remote_group_id"] {
        assert_eq!(
            refusal(&cloud, &group, &json!({name: nobody})).await,
            expected
        );
    }
}

type Refused = (Value, &'static str, String);

fn ports(protocol: &str, first: Value, last: Value, kind: &'static str, message: &str) -> Refused {
    let rule = json!({"protocol": protocol, "port_range_min": first, "port_range_max": last});
    (rule, kind, message.to_owned())
}

fn wrong_ports() -> Vec<Refused> {
    let invalid = "SecurityGroupInvalidPortRange";
    let range = "For TCP/UDP protocols, port_range_min must be <= port_range_max";
    vec![
        ports("tcp", json!(23), json!(22), invalid, range),
        ports("udp", json!(23), json!(null), invalid, range),
        ports("17", json!(null), json!(23), invalid, range),
        ports(
            "sctp",
            json!(0),
            json!(5),
            "SecurityGroupInvalidPortValue",
            "Invalid value for port 0",
        ),
        ports(
            "tcp",
            json!(1),
            json!(65536),
            "SecurityGroupInvalidPortValue",
            "Invalid value for port 65536",
        ),
        ports(
            "tcp",
            json!("x"),
            json!(1),
            "SecurityGroupInvalidPortValue",
            "Invalid value for port x",
        ),
        ports(
            "icmp",
            json!(null),
            json!(3),
            "SecurityGroupMissingIcmpType",
            "ICMP code (port-range-max) 3 is provided but ICMP type (port-range-min) is missing.",
        ),
        ports(
            "1",
            json!(8),
            json!(256),
            "SecurityGroupInvalidIcmpValue",
            "Invalid value for ICMP code (port_range_max) 256. It must be 0 to 255.",
        ),
        ports(
            "gre",
            json!(1),
            json!(2),
            "SecurityGroupInvalidProtocolForPort",
            "Ports cannot be specified for protocol 47. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE.",
        ),
    ]
}

fn wrong_protocols() -> Vec<Refused> {
    let protocols = "(None, 'any', 'ah', 'dccp', 'egp', 'esp', 'gre', 'hopopt', 'icmp', 'igmp', 'ip', 'ipip', \
                     'ipv6-encap', 'ipv6-frag', 'ipv6-icmp', 'icmpv6', 'ipv6-nonxt', 'ipv6-opts', 'ipv6-route', \
                     'ospf', 'pgm', 'rsvp', 'sctp', 'tcp', 'udp', 'udplite', 'vrrp')";
    let unknown = |given: &str| {
        format!(
            "Security group rule protocol {given} not supported. Only protocol values {protocols} and integer \
             representations [0 to 255] are supported."
        )
    };
    vec![
        (
            json!({"port_range_min": 5, "port_range_max": 5}),
            "SecurityGroupProtocolRequiredWithPorts",
            "Must also specify protocol if port range is given.".to_owned(),
        ),
        (
            json!({"protocol": "tcpp"}),
            "SecurityGroupRuleInvalidProtocol",
            unknown("tcpp"),
        ),
        (
            json!({"protocol": 256}),
            "SecurityGroupRuleInvalidProtocol",
            unknown("256"),
        ),
        (
            json!({"protocol": "60", "ethertype": "ipv4"}),
            "SecurityGroupEthertypeConflictWithProtocol",
            "Invalid ethertype IPv4 for protocol 60.".to_owned(),
        ),
    ]
}

fn wrong_remotes(group: &Value) -> Vec<Refused> {
    vec![
        (
            json!({"ethertype": "IPv5"}),
            "SecurityGroupRuleInvalidEtherType",
            "Security group rule for ethertype 'IPv5' not supported. Allowed values are ['IPv4', 'IPv6'].".to_owned(),
        ),
        (
            json!({"remote_ip_prefix": "2001:db8::1"}),
            "SecurityGroupRuleParameterConflict",
            "Conflicting value ethertype IPv4 for CIDR 2001:db8::1/128".to_owned(),
        ),
        (
            json!({"remote_ip_prefix": "10.0.0.0/33"}),
            "InvalidCIDR",
            "Invalid CIDR 10.0.0.0/33 given as IP prefix.".to_owned(),
        ),
        (
            json!({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group["id"]}),
            "SecurityGroupMultipleRemoteEntites",
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.".to_owned(),
        ),
        (
            json!({"direction": "sideways"}),
            "HTTPBadRequest",
            "Invalid input for direction. Reason: sideways is not in valid_values.".to_owned(),
        ),
        (
            json!({"name": "n"}),
            "HTTPBadRequest",
            "Unrecognized attribute(s) 'name'".to_owned(),
        ),
    ]
}

#[tokio::test]
async fn protocols_have_names_and_numbers_and_aliases() {
    let cloud = Cloud::new();
    for (ethertype, given, shown) in [
        ("IPv4", json!("TCP"), json!("tcp")),
        ("IPv4", json!(6), json!("6")),
        ("IPv4", json!("icmp"), json!("icmp")),
        ("IPv6", json!("icmp"), json!("ipv6-icmp")),
        ("IPv6", json!("icmpv6"), json!("ipv6-icmp")),
        ("IPv6", json!("1"), json!("58")),
        ("ipv6", json!(58), json!("58")),
        ("IPv6", json!("any"), json!(null)),
        ("IPv4", json!(255), json!("255")),
    ] {
        let group = made(&cloud, "security_group", json!({})).await;
        let more = json!({"ethertype": ethertype, "protocol": given});
        let made = made(&cloud, "security_group_rule", rule(&group, &more)).await;
        assert_eq!(made["protocol"], shown, "{given}");
    }
}

#[tokio::test]
async fn a_group_has_one_rule_that_says_the_same() {
    let cloud = Cloud::new();
    let group = made(&cloud, "security_group", json!({})).await;
    for (first, twins) in [
        (
            json!({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}),
            vec![
                json!({"protocol": "6", "port_range_min": "22", "port_range_max": "22"}),
                json!({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "0.0.0.0/0"}),
            ],
        ),
        (
            json!({"protocol": "udp", "port_range_min": 1, "port_range_max": 65535}),
            vec![json!({"protocol": "udp", "description": "another"})],
        ),
    ] {
        let made = made(&cloud, "security_group_rule", rule(&group, &first)).await;
        for twin in twins {
            let expected = (
                409,
                "SecurityGroupRuleExists".to_owned(),
                format!(
                    "Security group rule already exists. Rule id is {}.",
                    id(&made)
                ),
            );
            assert_eq!(refusal(&cloud, &group, &twin).await, expected, "{twin}");
        }
    }
    let egress = json!({"direction": "egress", "ethertype": "IPv6"});
    assert_eq!(
        refusal(&cloud, &group, &egress).await.1,
        "SecurityGroupRuleExists"
    );
    let twins = [json!({"protocol": "gre"}), json!({"protocol": "47"})];
    let twins = json!({"security_group_rules": twins.map(|more| rule(&group, &more))});
    let refused = cloud.post("security-group-rules", twins).await;
    assert_eq!(refused.error().1, "SecurityGroupRuleExists");
    let path = format!(
        "security-group-rules?security_group_id={}&protocol=gre",
        id(&group)
    );
    assert_eq!(
        cloud.get(&path).await.ok()["security_group_rules"],
        json!([])
    );
}

#[tokio::test]
async fn a_rule_comes_and_goes_with_its_group_knowing() {
    let cloud = Cloud::new();
    let group = made(&cloud, "security_group", json!({"project_id": "p"})).await;
    let group_path = format!("security-groups/{}", id(&group));
    let prefix = json!({"remote_ip_prefix": "10.1.2.3/8", "description": "ten"});
    let made = made(&cloud, "security_group_rule", rule(&group, &prefix)).await;
    assert_eq!(
        [
            &made["remote_ip_prefix"],
            &made["normalized_cidr"],
            &made["description"]
        ],
        ["10.1.2.3/8", "10.0.0.0/8", "ten"]
    );
    assert!(
        made.get("tags").is_none() && made.get("name").is_none(),
        "{made}"
    );
    let shown = cloud.get(&group_path).await.ok();
    let shown = &shown["security_group"];
    assert_eq!(shown["security_group_rules"].as_array().unwrap().len(), 3);
    assert_ne!(shown["revision_number"], group["revision_number"]);

    let path = format!("security-group-rules/{}", id(&made));
    let described = json!({"security_group_rule": {"description": "all of ten"}});
    let described = cloud.put(&path, described).await.ok();
    assert_eq!(
        described["security_group_rule"]["description"],
        "all of ten"
    );
    let turned = json!({"security_group_rule": {"direction": "egress"}});
    let (status, _, message) = cloud.put(&path, turned).await.error();
    assert_eq!(
        (status, message.as_str()),
        (400, "Cannot update read-only attribute direction")
    );
    cloud.delete(&path).await.ok();
    let missing = (
        404,
        "SecurityGroupRuleNotFound".to_owned(),
        format!("Security group rule {} does not exist", id(&made)),
    );
    assert_eq!(cloud.get(&path).await.error(), missing);
    assert_eq!(cloud.delete(&path).await.error(), missing);
    let tags = cloud
        .put(&format!("{path}/tags"), json!({"tags": []}))
        .await;
    assert_eq!(tags.error().0, 404);
    assert_eq!(
        cloud.get("security-group-rules?tags=a").await.error().0,
        400
    );
}

#[tokio::test]
async fn a_group_goes_with_its_rules_and_those_about_it() {
    let cloud = Cloud::new();
    let group = made(&cloud, "security_group", json!({})).await;
    let other = made(&cloud, "security_group", json!({})).await;
    let about = json!({"remote_group_id": group["id"], "ethertype": "IPv6"});
    for owner in [&group, &other] {
        made(&cloud, "security_group_rule", rule(owner, &about)).await;
    }
    let listed = format!("security-group-rules?remote_group_id={}", id(&group));
    let count = |page: Value| page["security_group_rules"].as_array().unwrap().len();
    assert_eq!(count(cloud.get(&listed).await.ok()), 2);
    cloud
        .delete(&format!("security-groups/{}", id(&group)))
        .await
        .ok();
    assert_eq!(count(cloud.get(&listed).await.ok()), 0);
    let own = format!("security-group-rules?security_group_id={}", id(&group));
    assert_eq!(count(cloud.get(&own).await.ok()), 0);
    let left = cloud
        .get(&format!("security-groups/{}", id(&other)))
        .await
        .ok();
    assert_eq!(
        left["security_group"]["security_group_rules"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
