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
    let leases = world.leases()?;
    let [dhclient, dhcpcd, information] =
        [&leases.dhclient, &leases.dhcpcd, &leases.information].map(|(_, lease)| lease.clone());
    let (_, _, guests) = world.ready()?;
    leased("dhclient", &guests.stateful1, &dhclient, narrator)?;
    leased("dhcpcd", &guests.stateful2, &dhcpcd, narrator)?;
    ensure(information.addresses.is_empty(), || {
        format!("a stateless guest got {:?}", information.addresses)
    })?;
    options("dhclient -S", &information)?;
    narrator.observe(format_args!(
        "dhclient -S: DNS {DNS}, domain openstacklocal, by Information-Request"
    ));
    Ok(())
}

fn leased(client: &str, plugged: &Plugged, lease: &DhcpLease, narrator: &mut Narrator) -> Outcome {
    let expected = plugged.address();
    ensure(lease.addresses == [expected], || {
        format!("{client} got {:?}, not {expected}", lease.addresses)
    })?;
    options(client, lease)?;
    plugged.guest.wait_address(expected, SOON)?;
    narrator.observe(format_args!(
        "{client}: {expected}, DAD passed, DNS {DNS}, domain openstacklocal"
    ));
    Ok(())
}

fn options(client: &str, lease: &DhcpLease) -> Outcome {
    let servers: Vec<String> = lease.dns_servers.iter().map(ToString::to_string).collect();
    ensure(servers == [DNS], || {
        format!("{client} got DNS servers {servers:?}")
    })?;
    ensure(lease.domains == ["openstacklocal"], || {
        format!("{client} got domains {:?}", lease.domains)
    })
}
