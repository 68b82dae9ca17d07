//! First-hop security on real Open vSwitch: what a malicious guest makes of its frames, and what of it arrives at a
//! neighbour on the same hypervisor and at one on another (RFC 6105, RFC 7113, RFC 7610, RFC 6980, RFC 7112).
//!
//! The same frames are sent once more with port security off: then they do arrive, and so each of them is one that would.
//! The neighbours have none either way, so that no security group of theirs stops what the guards let through.

use serde_json::json;
use sextant_lab::story::{Failure, Plugged, World};
use sextant_lab::{Capture, Datapath, Guest, Lab, LabError, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const END: &[u8] = b"guest.py END";

/// What a guest sends rightfully. Everything else that `guest.py` knows is an attack, but for [`PUT_TOGETHER`].
const RIGHTFUL: &[&str] = &[
    "dhcpv4 discover",
    "mld report",
    "own address",
    "own address behind headers",
    "own address in fragments",
    "own na",
    "own na without a mac",
    "own ns",
    "ping",
    "probe for a free address",
];

/// Fragments with headers between the fragment header and the upper layer. The kernel's connection tracker puts them
/// together; that of Open vSwitch's userspace datapath does not, and so no rule lets them pass there.
const PUT_TOGETHER: &str = "own address in fragments behind headers";

/// What not even a guest without port security gets through: networks have no tags, no packet comes from no address, and no
/// Neighbor Discovery in fragments.
const NEVER: &[&str] = &[
    "dhcpv4 offer",
    "na in two fragments",
    "no address",
    "ns in two fragments",
    "ra behind two fragment headers",
    "ra in a vlan",
    "ra in two fragments",
];

/// A fragment header on a whole packet (RFC 6946). The kernel's datapath shows it as a first fragment, so that it counts as
/// Neighbor Discovery in fragments (RFC 6980 §5); that of Open vSwitch's userspace datapath shows it as no fragment.
const ATOMIC: &str = "ra in an atomic fragment";

#[test]
fn a_guest_speaks_for_itself_alone() {
    let mut world = World::start().expect("the lab starts");
    if let Err(failure) = story(&mut world) {
        panic!("{failure}\n{}", world.lab.logs());
    }
}

fn story(world: &mut World) -> Result<(), Failure> {
    world.guests()?;
    let (lab, cloud, guests) = world.ready()?;
    let (mallory, near, far) = (&guests.slaac1, &guests.slaac1b, &guests.slaac2);
    for plugged in [mallory, near, far] {
        plugged.guest.wait_address(plugged.address(), SOON)?;
        plugged.guest.wait_default_route(SOON)?;
    }
    unguard(lab, near, 1, 1)?;
    unguard(lab, far, 2, 1)?;
    let router = (
        cloud.slaac.gateway.mac.as_str(),
        cloud.slaac.gateway_link_local().to_string(),
    );
    let together = (lab.datapath() == Datapath::System).then_some(PUT_TOGETHER);
    let rightful = RIGHTFUL.iter().copied().chain(together);
    let rightful: BTreeSet<String> = rightful.map(str::to_owned).collect();

    let sent = Sent::by(mallory, near, far, (router.0, &router.1))?;
    assert_eq!(sent.arrived_near, rightful, "on the same hypervisor");
    assert_eq!(sent.arrived_far, rightful, "on the other hypervisor");
    assert!(!is_deceived(&near.guest)? && !is_deceived(&far.guest)?);

    unguard(lab, mallory, 1, 2)?;
    let sent = Sent::by(mallory, near, far, (router.0, &router.1))?;
    let atomic = (lab.datapath() == Datapath::System).then_some(ATOMIC);
    let never = NEVER.iter().copied().chain(atomic);
    let never: BTreeSet<String> = never.map(str::to_owned).collect();
    assert_eq!(
        &sent.all - &sent.arrived_near,
        never,
        "withheld on the same hypervisor"
    );
    assert_eq!(
        &sent.all - &sent.arrived_far,
        never,
        "withheld on the other hypervisor"
    );
    for guest in [&near.guest, &far.guest] {
        guest.wait_network("a prefix from nowhere", SOON, |guest| {
            Ok(if is_deceived(guest)? {
                Ok(())
            } else {
                Err("none".to_owned())
            })
        })?;
    }
    Ok(())
}

/// Takes the guard off a port, and waits until its hypervisor has this many without.
fn unguard(lab: &Lab, plugged: &Plugged, host: usize, open: usize) -> Result<(), Failure> {
    let path = format!("/v2.0/ports/{}", plugged.port.id);
    let off = json!({"port": {"port_security_enabled": false, "security_groups": []}});
    let (status, body) = lab.api().put(&path, &off)?;
    assert_eq!(status, 200, "{body}");
    Ok(wait_for("ports without guard", SOON, || {
        let flows = lab.hypervisor(host).dump_flows("br-int");
        let flows = flows.map_err(|error| error.to_string())?;
        let unguarded =
            |flow: &&String| flow.contains("table=8,") && flow.contains("priority=2000");
        (flows.iter().filter(unguarded).count() == open)
            .then_some(())
            .ok_or_else(|| flows.join("\n"))
    })?)
}

/// Whether a guest believes what the advertisements of `guest.py` say.
fn is_deceived(guest: &Guest) -> Result<bool, LabError> {
    let addresses = guest.global_addresses()?;
    let prefix =
        |address: &sextant_lab::Address| address.address.segments()[..3] == [0x2001, 0xdb8, 0xbad];
    Ok(addresses.iter().any(prefix))
}

/// The names of what was sent and of what of it arrived.
struct Sent {
    all: BTreeSet<String>,
    arrived_near: BTreeSet<String>,
    arrived_far: BTreeSet<String>,
}

impl Sent {
    /// Sends every case, and listens to both neighbours until the last frame has come.
    fn by(
        mallory: &Plugged,
        near: &Plugged,
        far: &Plugged,
        router: (&str, &str),
    ) -> Result<Self, Failure> {
        let captures = (near.guest.capture("")?, far.guest.capture("")?);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("first_hop_security/guest.py");
        let own_mac = mallory.guest.mac();
        let output = mallory.guest.run(&[
            "/usr/bin/python3",
            &script.to_string_lossy(),
            own_mac,
            &link_local(&mallory.guest)?,
            near.guest.mac(),
            &link_local(&near.guest)?,
            router.0,
            router.1,
        ])?;
        let names = names(&output.stdout);
        Ok(Self {
            arrived_near: arrived(captures.0, &names)?,
            arrived_far: arrived(captures.1, &names)?,
            all: names.into_values().collect(),
        })
    }
}

fn link_local(guest: &Guest) -> Result<String, Failure> {
    Ok(guest.wait_link_local(SOON)?.to_string())
}

/// `NUMBER NAME` a line.
fn names(text: &str) -> BTreeMap<u32, String> {
    let line = |line: &str| {
        let (number, name) = line.split_once(' ')?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// The cases of which a neighbour got what makes them work: a whole packet, or the first fragment of one.
fn arrived(capture: Capture, names: &BTreeMap<u32, String>) -> Result<BTreeSet<String>, Failure> {
    capture.wait_bytes(END, SOON)?;
    let fields = [
        "ipv6.flow",
        "ip.id",
        "arp.dst.proto_ipv4",
        "ipv6.fraghdr.offset",
    ];
    let rows = capture.stop()?.fields("", &fields)?;
    let is_first = |row: &Vec<String>| {
        row[3]
            .split(',')
            .all(|offset| matches!(offset, "" | "0" | "0x0000"))
    };
    let found = rows
        .iter()
        .filter(|row| is_first(row))
        .filter_map(|row| number(row));
    Ok(found
        .filter_map(|number| names.get(&number).cloned())
        .collect())
}

/// The number of a frame's case.
fn number(row: &[String]) -> Option<u32> {
    let hexadecimal = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let first = |text: &str| hexadecimal(text.split(',').next()?);
    let label = first(&row[0]);
    let identification = first(&row[1]);
    let target = row[2]
        .strip_prefix("198.51.100.")
        .and_then(|octet| octet.parse().ok());
    label.or(identification).or(target)
}
