//! Debian's cloud-init gets an instance's key and user data.

use crate::{address, boot, network, start};
use serde_json::{Value, json};
use sextant_lab::story::{Failure, Outcome, World, ensure};
use sextant_lab::{Guest, LabError, NovaRequest, PlayedNova, SubnetSpec, start_metadata};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// What Nova has of each instance.
fn nova(request: &NovaRequest) -> Option<String> {
    let instance = request.header("x-instance-id");
    let path = request.line.split(' ').nth(1).unwrap_or_default();
    let text = match path.trim_end_matches('/') {
        "/openstack" => "2018-08-27\nlatest\n".to_owned(),
        "/openstack/2018-08-27/meta_data.json" | "/openstack/latest/meta_data.json" => json!({
            "uuid": instance,
            "hostname": "guest",
            "public_keys": {"mine": format!("ssh-ed25519 {instance}")},
        })
        .to_string(),
        "/openstack/2018-08-27/user_data" | "/openstack/latest/user_data" => {
            format!("#cloud-config\n# {instance}\n")
        }
        _ => return None,
    };
    Some(text)
}

/// Where `scripts/setup cloud-init` puts it.
fn packages() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let packages = target.join("cloud-init/root/usr/lib/python3/dist-packages");
    match packages.join("cloudinit").is_dir() {
        true => Ok(packages),
        false => Err("no cloud-init: run `scripts/setup cloud-init`".to_owned()),
    }
}

/// What cloud-init gets in a guest.
fn crawl(guest: &Guest, packages: &Path, url: &str) -> Result<Value, LabError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("metadata/cloud_init.py");
    let script = script.display().to_string();
    let python_path = format!("PYTHONPATH={}", packages.display());
    let words = ["env", &python_path, "/usr/bin/python3", &script, url];
    let output = guest.run(&words)?;
    Ok(serde_json::from_str(output.stdout.trim()).unwrap_or_default())
}

fn gets_key_and_user_data(guest: &Guest, packages: &Path, url: &str) -> Outcome {
    let found = crawl(guest, packages, url)?;
    let instance = format!("instance-{}", guest.name());
    let expected = json!({
        "instance": instance,
        "keys": {"mine": format!("ssh-ed25519 {instance}")},
        "userdata": format!("#cloud-config\n# {instance}\n"),
    });
    ensure(found == expected, || format!("{url}: {found}"))
}

#[test]
fn cloud_init_gets_key_and_user_data_over_each_version_alone() -> Outcome {
    let packages = packages().map_err(Failure::Observed)?;
    let world = start()?;
    let host = world.lab.hypervisor(1);
    let _nova = PlayedNova::start(host, nova)?;
    let _service = start_metadata(host)?;
    let four = network(&world, "four", json!({"gateway_ip": null}))?;
    let (guest, port) = boot(&world, &four, "a", json!({}))?;
    let _client = guest.dhcpcd4(SOON)?;
    gets_key_and_user_data(&guest, &packages, "http://169.254.169.254")?;
    ensure(port.addresses.len() == 1, || address(&port))?;
    let guest = ipv6_alone(&world)?;
    gets_key_and_user_data(&guest, &packages, "http://[fe80::a9fe:a9fe%eth0]")
}

/// A guest on a network without IPv4 and without a router.
fn ipv6_alone(world: &World) -> Result<Guest, LabError> {
    let network = world.lab.api().create_network("six")?;
    let spec = SubnetSpec::with_mode("2001:db8:6::/64", "slaac");
    world.lab.api().create_subnet(&network, &spec)?;
    let (guest, _) = boot(world, &network, "b", json!({}))?;
    guest.wait_link_local(SOON)?;
    Ok(guest)
}
