//! Who calls, by a real Keystone: the `openstack` command with passwords, tokens that end, services, and the guide's proxy.

use super::client::{Client, Outcome};
use super::keystone::{Beside, Keystone, password};
use serde_json::{Value, json};
use sextant_lab::{Api, Loopback, wait_for};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// What is asked of Sextant with a token, and with a service's beside it.
fn status(api: &Api, token: &str, service: Option<&str>) -> Result<u16, String> {
    let mut headers = vec![("X-Auth-Token", token)];
    headers.extend(service.map(|service| ("X-Service-Token", service)));
    let reply = api.request("GET", "/v2.0/networks", &headers, "");
    reply
        .map(|reply| reply.status)
        .map_err(|error| error.to_string())
}

/// Registers a controller in the catalogue.
fn register(keystone: &Keystone, api: &Api, controller: &Loopback) -> Outcome {
    let token = keystone.token(api, "admin", "admin")?;
    let service = json!({"name": "neutron", "type": "network"});
    let service = keystone.make(api, &token, "service", service)?;
    let url = format!("http://{}", controller.addresses().api);
    let given =
        json!({"service_id": service["id"], "region_id": "one", "interface": "public", "url": url});
    keystone.make(api, &token, "endpoint", given).map(drop)
}

#[test]
fn the_command_works_with_the_passwords_of_a_real_keystone() -> Outcome {
    let keystone = Keystone::start(3600)?;
    let mut controller = keystone.controller("token_cache_time = 1")?;
    let people = [
        ("sextant", "service", "service"),
        ("alice", "red", "member"),
        ("rita", "red", "reader"),
    ];
    keystone.people(&controller.api()?, &people)?;
    // Keystone has refused its user, whom it did not know.
    controller.start_again()?;
    let api = controller.api()?;
    register(&keystone, &api, &controller)?;
    let mut openstack = Client::typing(controller)?;
    let admin = keystone.options("admin", "admin");
    let alice = keystone.options("alice", "red");
    let rita = keystone.options("rita", "red");

    let lent =
        format!("openstack {admin} network create --share --provider-network-type vxlan lent");
    openstack.shows(&lent, json!({"name": "lent", "shared": true}))?;
    let own = openstack.shows(
        &format!("openstack {alice} network create blue"),
        json!({"name": "blue", "shared": false}),
    )?;
    openstack.shows(
        &format!(
            "openstack {alice} subnet create --network blue --ip-version 6 \
             --subnet-range 2001:db8:1::/64 --ipv6-ra-mode slaac --ipv6-address-mode slaac blue6"
        ),
        json!({"project_id": own["project_id"]}),
    )?;
    openstack.shows(
        &format!("openstack {alice} port create --network blue one"),
        json!({"name": "one", "project_id": own["project_id"]}),
    )?;
    let refused = format!("openstack {alice} network create --external outside");
    openstack.is_refused(&refused, "403")?;
    openstack.shows(
        &format!("openstack {rita} port list"),
        json!([{"Name": "one"}]),
    )?;
    let refused = format!("openstack {rita} network create grey");
    openstack.is_refused(&refused, "403")?;
    let whole = format!(
        "openstack {} --os-system-scope all network list --name blue",
        keystone.user("admin")
    );
    openstack.shows(&whole, json!([{"ID": own["id"]}]))?;
    let wrong = format!(
        "openstack {} network list",
        alice.replace("hunter2", "wrong")
    );
    openstack.is_refused(&wrong, "401")?;

    application_credentials(&mut openstack, &keystone, &alice)?;
    revoked(&keystone, &api)
}

/// Application credentials act as their user, within their rules.
fn application_credentials(openstack: &mut Client, keystone: &Keystone, alice: &str) -> Outcome {
    let rules = r#"'[{"service": "network", "method": "GET", "path": "/v2.0/networks"}]'"#;
    for (name, rules) in [
        ("whole", ""),
        ("narrow", &*format!("--access-rules {rules}")),
    ] {
        let made = openstack.reads(&format!(
            "openstack {alice} application credential create {rules} {name}"
        ))?;
        let text = |field: &str| made[field].as_str().ok_or(format!("no {field}: {made}"));
        let options = format!(
            "--os-identity-api-version 3 --os-region-name one --os-auth-url {} \
             --os-auth-type v3applicationcredential --os-application-credential-id {} \
             --os-application-credential-secret {}",
            keystone.url(),
            text("ID")?,
            text("Secret")?
        );
        let listed = openstack.reads(&format!("openstack {options} network list"))?;
        let names: Vec<&Value> = listed.as_array().into_iter().flatten().collect();
        assert_eq!(names.len(), 2, "{listed}");
        let ports = format!("openstack {options} port list");
        match rules.is_empty() {
            true => drop(openstack.shows(&ports, json!([{"Name": "one"}]))?),
            false => openstack.is_refused(&ports, "401")?,
        }
    }
    Ok(())
}

/// A token that is revoked is refused: at once if it is not known, else with the next question.
fn revoked(keystone: &Keystone, api: &Api) -> Outcome {
    let admin = keystone.token(api, "admin", "admin")?;
    let url = format!("{}/auth/tokens", keystone.url());
    for used in [false, true] {
        let token = keystone.token(api, "alice", "red")?;
        if used {
            assert_eq!(status(api, &token, None)?, 200);
        }
        let headers = [
            ("X-Auth-Token", admin.as_str()),
            ("X-Subject-Token", &token),
        ];
        assert_eq!(api.request("DELETE", &url, &headers, "")?.status, 204);
        wait_for("the token to be refused", SOON, || {
            match (status(api, &token, None)?, used) {
                (401, _) => Ok(()),
                (status, false) => panic!("a revoked token got {status}"),
                (status, true) => Err(format!("it got {status}")),
            }
        })?;
    }
    Ok(())
}

#[test]
fn a_service_goes_on_with_a_token_of_a_real_keystone_that_has_expired() -> Outcome {
    let keystone = Keystone::start(8)?;
    let mut controller = keystone.controller("")?;
    let people = [
        ("sextant", "service", "service"),
        ("alice", "red", "member"),
    ];
    keystone.people(&controller.api()?, &people)?;
    // Keystone has refused its user, whom it did not know.
    controller.start_again()?;
    let api = controller.api()?;
    let token = keystone.token(&api, "alice", "red")?;
    wait_for("the token to end", SOON, || {
        match status(&api, &token, None)? {
            401 => Ok(()),
            status => Err(format!("it got {status}")),
        }
    })?;
    // Sextant's own token ends and is renewed meanwhile.
    let service = keystone.token(&api, "sextant", "service")?;
    assert_eq!(status(&api, &token, Some(&service))?, 200);
    let other = keystone.token(&api, "alice", "red")?;
    assert_eq!(status(&api, &other, None)?, 200);
    let other = keystone.token(&api, "alice", "red")?;
    assert_eq!(status(&api, &token, Some(&other))?, 401, "no service");
    Ok(())
}

#[test]
fn the_guides_proxy_works_with_real_keystonemiddleware() -> Outcome {
    let keystone = Keystone::start(3600)?;
    let controller = Loopback::start(&["--auth", "headers"])?;
    let api = controller.api()?;
    let people = [
        ("neutron", "service", "service"),
        ("alice", "red", "member"),
    ];
    keystone.people(&api, &people)?;
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/identity.md");
    let listener = controller.addresses().api;
    let words = [
        &*guide.to_string_lossy(),
        keystone.url(),
        &password("neutron"),
        &listener.ip().to_string(),
        &listener.port().to_string(),
    ];
    let proxy = Beside::start("proxy.py", &words)?;
    let token = keystone.token(&api, "alice", "red")?;
    let url = format!("{}/v2.0/networks", proxy.url);
    let headers = [("X-Auth-Token", token.as_str()), ("X-Roles", "admin")];
    let body = json!({"network": {"name": "blue"}}).to_string();
    let made = api.request("POST", &url, &headers, &body)?;
    assert_eq!(made.status, 201, "{made:?}");
    let network = made.json()["network"].clone();
    assert_eq!(network["name"], "blue");
    assert!(network.get("provider:network_type").is_none(), "{network}");
    let listed = api.request("GET", &url, &headers, "")?;
    assert_eq!(
        listed.json()["networks"][0]["id"],
        network["id"],
        "{listed:?}"
    );
    let one = format!("{url}/{}", network["id"].as_str().unwrap_or_default());
    assert_eq!(api.request("DELETE", &one, &headers, "")?.status, 204);
    let refused = api.request("GET", &url, &[("X-Auth-Token", "wrong")], "")?;
    assert_eq!(refused.status, 401);
    let challenge = format!("Keystone uri=\"{}\"", keystone.url());
    assert_eq!(refused.header("www-authenticate"), Some(&*challenge));
    Ok(())
}
