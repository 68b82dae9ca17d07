//! Guests on networks of a physical one, whose router is an ordinary Linux outside the cloud.

use serde_json::json;
use sextant_lab::story::{Failure, World};
use sextant_lab::{
    Advertised, Guest, Hypervisor, LabError, Network, Port, PortSpec, SubnetSpec, Upstream,
    wait_for,
};
use std::net::Ipv6Addr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);
const PHYSICAL: &str = "physnet1";
const UNTAGGED: Advertised = Advertised {
    vlan: None,
    prefix: Ipv6Addr::new(0x2001, 0xdb8, 0xe0, 0, 0, 0, 0, 0),
};
const TAGGED: Advertised = Advertised {
    vlan: Some(100),
    prefix: Ipv6Addr::new(0x2001, 0xdb8, 0xe1, 0, 0, 0, 0, 0),
};

/// Two hypervisors that are attached to a physical network, which advertises.
fn attached() -> Result<(World, Upstream), Failure> {
    let mut world = World::start()?;
    world.join()?;
    let upstream = Upstream::start(&world.lab, PHYSICAL)?;
    for host in world.lab.hypervisors() {
        upstream.attach(host)?;
        wait_patch(host)?;
    }
    Ok((world, upstream))
}

fn wait_patch(host: &Hypervisor) -> Result<(), LabError> {
    for side in ["int", "ext"] {
        let name = format!("sextant-{side}-{PHYSICAL}");
        host.vsctl(&["--timeout=30", "wait-until", "interface", &name, "ofport>0"])?;
    }
    Ok(())
}

/// The network and subnet of a prefix that somebody outside advertises: SLAAC without Sextant's advertisements.
fn outside(world: &World, name: &str, advertised: Advertised) -> Result<Network, LabError> {
    let network = world.lab.api().create_network_with(
        name,
        json!({
            "provider:network_type": advertised.vlan.map_or("flat", |_| "vlan"),
            "provider:physical_network": PHYSICAL,
            "provider:segmentation_id": advertised.vlan,
        }),
    )?;
    let spec = SubnetSpec {
        cidr: &format!("{}/64", advertised.prefix),
        more: json!({"ipv6_address_mode": "slaac"})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        ..SubnetSpec::default()
    };
    world.lab.api().create_subnet(&network, &spec)?;
    Ok(network)
}

fn plug(
    world: &World,
    network: &Network,
    name: &str,
    host: usize,
) -> Result<(Guest, Port), LabError> {
    let spec = PortSpec {
        name,
        ..PortSpec::default()
    };
    let port = world.lab.api().create_port(network, &spec)?;
    let guest = world.lab.hypervisor(host).add_guest(&port.guest(name))?;
    world.wait_status(&port, "ACTIVE")?;
    Ok((guest, port))
}

fn address(port: &Port) -> Ipv6Addr {
    match port.addresses[..] {
        [std::net::IpAddr::V6(address)] => address,
        ref other => panic!("{other:?}"),
    }
}

/// Every echo request is answered.
fn reaches(from: &Guest, to: Ipv6Addr) -> Result<(), Failure> {
    let report = from.ping(to, 5, INTERVAL)?;
    match report.received {
        5 => Ok(()),
        _ => Err(Failure::Observed(format!(
            "{} to {to}: {report}",
            from.name()
        ))),
    }
}

#[test]
fn guests_take_addresses_and_routes_from_the_router_outside() -> Result<(), Failure> {
    let (world, upstream) = attached()?;
    let flat = outside(&world, "flat", UNTAGGED)?;
    let tagged = outside(&world, "tagged", TAGGED)?;
    let radvd = upstream.advertise(&world.lab, &[UNTAGGED, TAGGED])?;
    for (network, advertised, names) in [
        (&flat, UNTAGGED, ["f1", "f2"]),
        (&tagged, TAGGED, ["t1", "t2"]),
    ] {
        let (one, one_port) = plug(&world, network, names[0], 1)?;
        let (two, two_port) = plug(&world, network, names[1], 2)?;
        let gateway = Ipv6Addr::from_bits(advertised.prefix.to_bits() | 1);
        for (guest, port) in [(&one, &one_port), (&two, &two_port)] {
            guest.wait_address(address(port), SOON)?;
            let route = guest.wait_default_route(SOON)?;
            assert!(
                route
                    .gateway
                    .is_some_and(|gateway| gateway.is_unicast_link_local())
            );
            assert_eq!(guest.global_addresses()?.len(), 1, "of this segment alone");
            reaches(guest, gateway)?;
        }
        reaches(&one, address(&two_port))?;
        reaches(&two, address(&one_port))?;
    }
    drop(radvd);
    Ok(())
}

#[test]
fn a_mapping_that_goes_takes_its_patch_ports_and_nothing_else() -> Result<(), Failure> {
    let (world, _upstream) = attached()?;
    let host = world.lab.hypervisor(1);
    let ports = |bridge: &str| -> Result<String, String> {
        let listed = host.vsctl(&["list-ports", bridge]);
        listed
            .map(|output| output.stdout)
            .map_err(|error| error.to_string())
    };
    host.vsctl(&[
        "remove",
        "open_vswitch",
        ".",
        "external_ids",
        "sextant-bridge-mappings",
    ])?;
    wait_for("the patch ports to go", SOON, || {
        let (int, ext) = (ports("br-int")?, ports("br-ex")?);
        if int.contains(PHYSICAL) || ext.contains(PHYSICAL) {
            return Err(format!("{int}{ext}"));
        }
        Ok(())
    })?;
    assert_eq!(ports("br-ex").map_err(Failure::Observed)?.trim(), "phys0");
    assert!(
        ports("br-int")
            .map_err(Failure::Observed)?
            .contains("sextant-vxlan")
    );
    Ok(())
}

#[test]
fn one_that_leaves_leaves_the_bridge_of_the_physical_network_as_it_was() -> Result<(), Failure> {
    let (world, _upstream) = attached()?;
    let host = world.lab.hypervisor(1);
    host.leave()?;
    wait_for("br-int to go", SOON, || {
        let bridges = host
            .vsctl(&["list-br"])
            .map_err(|error| error.to_string())?;
        match bridges.stdout.contains("br-int") {
            true => Err(bridges.stdout),
            false => Ok(()),
        }
    })?;
    let ports = host.vsctl(&["list-ports", "br-ex"])?.stdout;
    assert_eq!(ports.trim(), "phys0");
    Ok(())
}
