//! The user's workflow of Neutron's guide, word for word, typed into the unmodified `openstack` command.

use crate::stage::{CONFIG, POOL, Prefix, Stage};
use serde_json::Value;
use sextant_lab::story::site::Site;
use sextant_lab::story::{Failure, Outcome, SOON, ensure};
use sextant_lab::{DelegatingServer, wait_for};
use std::path::Path;

/// The API of the lab's controller.
const ENDPOINT: &str = "http://[::1]:9696";

/// What a command of the client shows.
fn openstack(site: &Site, command: &str) -> Result<Value, Failure> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/openstack");
    let client = client.display().to_string();
    let mut words = vec![client.as_str(), "--os-auth-type", "none"];
    words.extend(["--os-endpoint", ENDPOINT]);
    words.extend(command.split_whitespace().skip(1));
    let shown = site.world.lab.in_ctl(&words)?.stdout;
    match shown.trim() {
        "" => Ok(Value::Null),
        shown => serde_json::from_str(shown)
            .map_err(|error| Failure::Observed(format!("no JSON: {error}: {shown}"))),
    }
}

#[test]
fn the_guides_workflow_in_its_own_words() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &POOL)?;
        workflow(site, &stage)
    })
}

fn workflow(site: &Site, stage: &Stage) -> Outcome {
    openstack(site, "openstack network create ipv6-pd -f json")?;
    let created = openstack(
        site,
        "openstack subnet create --ip-version 6 --ipv6-ra-mode slaac \
         --ipv6-address-mode slaac --use-default-subnet-pool \
         --network ipv6-pd ipv6-pd-1 -f json",
    )?;
    ensure(
        [&created["cidr"], &created["subnetpool_id"]] == ["::/64", "prefix_delegation"],
        || created.to_string(),
    )?;
    let router = &stage.gateway.router.id;
    openstack(
        site,
        &format!("openstack router set --name router1 {router}"),
    )?;
    openstack(site, "openstack router add subnet router1 ipv6-pd-1")?;
    let shown = wait_shown(site, |cidr| cidr.starts_with("2001:db8:2222:"))?;
    let cidr = shown["cidr"].as_str().unwrap_or_default();
    let start = cidr.trim_end_matches("/64").parse();
    let expected = start.map(|start| Prefix(start).shown());
    let as_expected = |expected: Value| {
        let mut fields = expected.as_object().into_iter().flatten();
        fields.all(|(name, value)| shown[name] == *value)
    };
    ensure(expected.is_ok_and(as_expected), || shown.to_string())?;
    openstack(site, "openstack router remove subnet router1 ipv6-pd-1")?;
    wait_shown(site, |cidr| cidr == "::/64").map(drop)
}

/// `openstack subnet show`, once the prefix is one like that.
fn wait_shown(site: &Site, fits: impl Fn(&str) -> bool) -> Result<Value, Failure> {
    let shown = wait_for("the prefix of ipv6-pd-1", SOON, || {
        let shown = openstack(site, "openstack subnet show ipv6-pd-1 -f json");
        let shown = shown.map_err(|error| format!("{error:?}"))?;
        match shown["cidr"].as_str() {
            Some(cidr) if fits(cidr) => Ok(shown),
            _ => Err(shown.to_string()),
        }
    })?;
    Ok(shown)
}
