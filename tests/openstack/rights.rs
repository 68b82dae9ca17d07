//! Who may do what, and how much of it: security groups, access policies, quotas.

use super::client::{Client, Outcome};
use serde_json::{Value, json};

#[test]
fn security_groups_and_rules() -> Outcome {
    let mut openstack = Client::start()?;
    openstack.shows(
        "openstack security group create --description 'web servers' --tag tier web",
        json!({"name": "web", "description": "web servers", "stateful": true, "tags": ["tier"],
            "is_shared": false}),
    )?;
    let web = openstack.shows("openstack security group show web", json!({"name": "web"}))?;
    let out = openstack.reads("openstack security group rule list --egress web")?;
    let rows = out.as_array().into_iter().flatten();
    let mut ranges: Vec<_> = rows.filter_map(|row| row["IP Range"].as_str()).collect();
    ranges.sort_unstable();
    assert_eq!(ranges, ["0.0.0.0/0", "::/0"], "{out}");
    let rule = openstack.shows(
        "openstack security group rule create --ethertype IPv6 --protocol tcp --dst-port 443 \
         --remote-ip 2001:db8::/32 --description https web",
        json!({"direction": "ingress", "ether_type": "IPv6", "protocol": "tcp",
            "port_range_min": 443, "port_range_max": 443, "remote_ip_prefix": "2001:db8::/32",
            "remote_group_id": null, "description": "https", "security_group_id": web["id"]}),
    )?;
    openstack.shows(
        "openstack security group rule list --ingress web",
        json!([{"ID": rule["id"], "IP Protocol": "tcp", "Ethertype": "IPv6",
            "IP Range": "2001:db8::/32", "Port Range": "443:443", "Direction": "ingress",
            "Remote Security Group": null}]),
    )?;
    let id = rule["id"].as_str().unwrap_or_default();
    openstack.shows(
        &format!("openstack security group rule show {id}"),
        json!({"id": id, "protocol": "tcp", "port_range_max": 443}),
    )?;
    openstack.is_refused(
        "openstack security group rule create --ethertype IPv6 --protocol tcp --dst-port 443 \
         --remote-ip 2001:db8::/32 web",
        "Security group rule already exists. Rule id is",
    )?;
    let pings = openstack.shows(
        "openstack security group rule create --ethertype IPv6 --protocol ipv6-icmp \
         --icmp-type 128 --remote-group web web",
        json!({"protocol": "ipv6-icmp", "port_range_min": 128, "port_range_max": null,
            "remote_group_id": web["id"], "remote_ip_prefix": null}),
    )?;
    openstack.is_refused(
        "openstack security group rule create --ethertype IPv4 --protocol tcp \
         --remote-ip 2001:db8::/32 web",
        "Conflicting value ethertype IPv4 for CIDR 2001:db8::/32",
    )?;
    let pings = pings["id"].as_str().unwrap_or_default();
    openstack.does(&format!(
        "openstack security group rule delete {id} {pings}"
    ))?;
    openstack.shows(
        "openstack security group rule list --ingress web",
        json!([]),
    )?;
    openstack
        .does("openstack security group set --name www --description renamed --stateless web")?;
    openstack.shows(
        "openstack security group show www",
        json!({"id": web["id"], "description": "renamed", "stateful": false}),
    )?;
    openstack.does("openstack security group unset --tag tier www")?;
    let listed = openstack.reads("openstack security group list")?;
    let names: Vec<_> = listed.as_array().into_iter().flatten().collect();
    assert_eq!(
        names.iter().filter(|group| group["Name"] == "www").count(),
        1,
        "{listed}"
    );
    openstack.shows("openstack network create guests", json!({"name": "guests"}))?;
    openstack.shows(
        "openstack port create --network guests --security-group www one",
        json!({"security_group_ids": [web["id"]]}),
    )?;
    openstack.is_refused("openstack security group delete www", "409")?;
    openstack.does("openstack port set --no-security-group one")?;
    openstack.shows("openstack port show one", json!({"security_group_ids": []}))?;
    openstack.does("openstack security group delete www")?;
    openstack.is_refused(
        "openstack security group show www",
        "No SecurityGroup found for www",
    )?;
    assert!(openstack.typed() >= 20);
    Ok(())
}

#[test]
fn access_policies() -> Outcome {
    let mut openstack = Client::of_project(&["red", "blue"])?;
    let network = openstack.shows(
        "openstack network create --project red lent",
        json!({"shared": false}),
    )?;
    let for_blue = openstack.shows(
        "openstack network rbac create --type network --action access_as_shared \
         --target-project blue lent",
        json!({"object_type": "network", "action": "access_as_shared", "object_id": network["id"]}),
    )?;
    assert_ne!(for_blue["target_project_id"], network["project_id"]);
    openstack.shows("openstack network show lent", json!({"shared": false}))?;
    let for_all = openstack.shows(
        "openstack network rbac create --type network --action access_as_shared \
         --target-all-projects lent",
        json!({"target_project_id": "*"}),
    )?;
    openstack.shows("openstack network show lent", json!({"shared": true}))?;
    openstack.is_refused(
        "openstack network rbac create --type network --action access_as_shared \
         --target-all-projects lent",
        "An RBAC policy already exists with those values.",
    )?;
    let policies = openstack.reads("openstack network rbac list --type network --long")?;
    let ids = |list: &Value| -> Vec<Value> {
        let rows = list.as_array().into_iter().flatten();
        rows.map(|row| row["ID"].clone()).collect()
    };
    let (mut listed, mut made) = (
        ids(&policies),
        vec![for_blue["id"].clone(), for_all["id"].clone()],
    );
    listed.sort_by_key(Value::to_string);
    made.sort_by_key(Value::to_string);
    assert_eq!(listed, made, "{policies}");
    openstack.shows(
        "openstack network rbac list --target-project blue",
        json!([{"ID": for_blue["id"], "Object Type": "network", "Object ID": network["id"]}]),
    )?;
    let for_all = for_all["id"].as_str().unwrap_or_default();
    openstack.does(&format!("openstack network rbac delete {for_all}"))?;
    openstack.shows("openstack network show lent", json!({"shared": false}))?;
    let for_blue = for_blue["id"].as_str().unwrap_or_default();
    openstack.does(&format!(
        "openstack network rbac set --target-project red {for_blue}"
    ))?;
    openstack.shows(
        &format!("openstack network rbac show {for_blue}"),
        json!({"target_project_id": network["project_id"]}),
    )?;
    openstack.does(&format!("openstack network rbac delete {for_blue}"))?;
    openstack.shows("openstack network rbac list", json!([]))?;
    assert!(openstack.typed() >= 14);
    Ok(())
}

#[test]
fn quotas() -> Outcome {
    let mut openstack = Client::of_project(&["red", "blue"])?;
    let limit = |shown: &Value, resource: &str| {
        let mut rows = shown.as_array().into_iter().flatten();
        let row = rows.find(|row| row["Resource"] == resource);
        row.map(|row| row["Limit"].clone())
    };
    let defaults = openstack.reads("openstack quota show --network --default red")?;
    assert_eq!(limit(&defaults, "ports"), Some(json!(500)), "{defaults}");
    openstack.does("openstack quota set --networks 1 --ports 2 --secgroups -1 red")?;
    let shown = openstack.reads("openstack quota show --network red")?;
    assert_eq!(limit(&shown, "networks"), Some(json!(1)), "{shown}");
    assert_eq!(limit(&shown, "security_groups"), Some(json!(-1)), "{shown}");
    assert_eq!(limit(&shown, "subnets"), limit(&defaults, "subnets"));
    let others = openstack.reads("openstack quota show --network blue")?;
    assert_eq!(others, defaults);
    openstack.shows(
        "openstack network create --project red only",
        json!({"name": "only"}),
    )?;
    openstack.is_refused(
        "openstack network create --project red another",
        "Quota exceeded for resources: ['network'].",
    )?;
    openstack.shows(
        "openstack network create --project blue another",
        json!({"name": "another"}),
    )?;
    let used = openstack.reads("openstack quota show --network --usage red")?;
    let rows: Vec<&Value> = used.as_array().into_iter().flatten().collect();
    let networks = rows.iter().find(|row| row["Resource"] == "networks");
    assert_eq!(
        networks.map(|row| row["In Use"].clone()),
        Some(json!(1)),
        "{used}"
    );
    openstack.is_refused(
        "openstack quota set --networks 0 red",
        "Quota limit 0 for network must be greater than or equal to already used 1",
    )?;
    openstack.does("openstack quota set --networks 0 --force red")?;
    openstack.does("openstack quota delete --network red")?;
    let again = openstack.reads("openstack quota show --network red")?;
    assert_eq!(again, defaults);
    assert!(openstack.typed() >= 12);
    Ok(())
}
