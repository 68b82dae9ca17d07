//! A network with a router in OVN, as Sextant has one when both are measured.

use super::packets::Asker;
use crate::GuestSpec;
use crate::error::LabError;
use crate::ovn::Ovn;

/// A network whose router advertises a /64, with addresses as in `ipv6_ra_configs` (ovn-nb(5)).
pub(super) fn make_network(ovn: &Ovn, address_mode: &str) -> Result<(), LabError> {
    let mode =
        format!("set logical_router_port to-net ipv6_ra_configs:address_mode={address_mode}");
    let commands = [
        "ls-add net",
        "lr-add load",
        "lrp-add load to-net fa:16:3e:00:00:fe 2001:db8:1::1/64",
        &mode,
        "lsp-add net to-load",
        "lsp-set-type to-load router",
        "lsp-set-addresses to-load router",
        "lsp-set-options to-load router-port=to-net",
    ];
    let words = commands.iter().flat_map(|command| {
        let separator = ["--"].into_iter();
        separator.chain(command.split(' '))
    });
    let words: Vec<&str> = words.skip(1).collect();
    ovn.nbctl(&words).map(drop)
}

/// A port of it that is held to its addresses, as Sextant's are.
pub(super) fn make_port(ovn: &Ovn, guest: &GuestSpec, asker: &Asker) -> Result<(), LabError> {
    let port = guest.port_id.as_str();
    let addresses = format!("{} {}", guest.mac, asker.address);
    let words = [
        &["lsp-add", "net", port][..],
        &["--", "lsp-set-addresses", port, &addresses],
        &["--", "lsp-set-port-security", port, &addresses],
    ];
    ovn.nbctl(&words.concat()).map(drop)
}

/// The guest of a port gets its address by DHCPv6.
pub(super) fn serve_dhcpv6(ovn: &Ovn, guest: &GuestSpec) -> Result<(), LabError> {
    let port = guest.port_id.as_str();
    let options = [
        "--id=@options",
        "create",
        "dhcp_options",
        r#"cidr="2001:db8:1::/64""#,
        r#"options:server_id="fa:16:3e:00:00:fe""#,
    ];
    let set = [
        "--",
        "set",
        "logical_switch_port",
        port,
        "dhcpv6_options=@options",
    ];
    ovn.nbctl(&[&options[..], &set].concat()).map(drop)
}

/// Something that is no port of Sextant's.
pub(super) fn guest(name: &str, asker: &Asker) -> GuestSpec {
    let octets = asker.mac.map(|octet| format!("{octet:02x}"));
    GuestSpec {
        name: name.into(),
        port_id: format!("load-{name}"),
        mac: octets.join(":"),
    }
}
