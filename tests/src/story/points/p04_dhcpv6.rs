//! DHCPv6 with real clients.

use crate::DhcpLease;
use crate::story::world::{DNS, Plugged, SOON};
use crate::story::{Narrator, Outcome, Point, World, ensure};

pub(super) const POINT: Point = Point {
    number: 4,
    title: "DHCPv6: dhclient and dhcpcd get the addresses that the API shows; stateless guests get DNS and domain",
    asked: "dhclient -6, dhcpcd, dhclient -6 -S",
    run,
};

fn run(world: &mut World, narrator: &mut Narrator) -> Outcome {
    let (_, _, guests) = world.ready()?;
    let (_client, lease) = guests.stateful1.guest.dhclient(SOON)?;
    leased("dhclient", &guests.stateful1, &lease, narrator)?;
    let (_client, lease) = guests.stateful2.guest.dhcpcd(SOON)?;
    leased("dhcpcd", &guests.stateful2, &lease, narrator)?;
    let (_client, lease) = guests.stateless2.guest.dhclient_info(SOON)?;
    ensure(lease.addresses.is_empty(), || format!("a stateless guest got {:?}", lease.addresses))?;
    options("dhclient -S", &lease)?;
    narrator.observe(format_args!("dhclient -S: DNS {DNS}, domain openstacklocal, by Information-Request"));
    Ok(())
}

fn leased(client: &str, plugged: &Plugged, lease: &DhcpLease, narrator: &mut Narrator) -> Outcome {
    let expected = plugged.address();
    ensure(lease.addresses == [expected], || format!("{client} got {:?}, not {expected}", lease.addresses))?;
    options(client, lease)?;
    plugged.guest.wait_address(expected, SOON)?;
    narrator.observe(format_args!("{client}: {expected}, DAD passed, DNS {DNS}, domain openstacklocal"));
    Ok(())
}

fn options(client: &str, lease: &DhcpLease) -> Outcome {
    let servers: Vec<String> = lease.dns_servers.iter().map(ToString::to_string).collect();
    ensure(servers == [DNS], || format!("{client} got DNS servers {servers:?}"))?;
    ensure(lease.domains == ["openstacklocal"], || format!("{client} got domains {:?}", lease.domains))
}
