//! What a database shows of how guests are plugged in, which Nova and os-vif ask the API for.

use super::DATAPATH_TYPE;
use super::observe::{LONGEST_NAME, NotReady};
use super::schema::{Bridge, OpenVswitch};
use sextant_model::Machine;
use std::collections::BTreeSet;

/// The type of the interfaces whose guests serve the socket that the switch connects to.
const VHOSTUSER: &str = "dpdkvhostuserclient";
/// Where Neutron has the sockets unless it is configured.
const DIRECTORY: &str = "/var/run/openvswitch";
/// A socket's path has 107 octets (unix(7)), of which its name has 14 and a slash.
pub(super) const LONGEST_DIRECTORY: usize = 92;

pub(super) fn machine(
    root: OpenVswitch<'_>,
    bridge: Option<Bridge<'_>>,
) -> Result<Machine, NotReady> {
    let ids = root.external_ids();
    let directory = directory(ids.get("sextant-vhostuser-socket-dir"))?;
    let shown = bridge.map(|bridge| bridge.datapath_type());
    let datapath_type = datapath_type(ids.get(DATAPATH_TYPE).or(shown));
    let speaks = has_vhostuser(datapath_type, &root.iface_types());
    // No port's host has a longer name.
    let name = ids.get("hostname");
    let name = name.filter(|name| name.len() <= LONGEST_NAME);
    Ok(Machine {
        name: name.map(str::to_owned),
        datapath_type: datapath_type.to_owned(),
        vhostuser_directory: speaks.then_some(directory),
    })
}

/// A datapath by its name, also where the database leaves it out (ovs-vswitchd.conf.db(5)).
fn datapath_type(text: Option<&str>) -> &str {
    match text {
        None | Some("") => "system",
        Some(other) => other,
    }
}

/// Whether a switch can connect to guests' sockets: only the userspace datapath of one that was built with DPDK can.
fn has_vhostuser(datapath_type: &str, interface_types: &BTreeSet<&str>) -> bool {
    datapath_type == "netdev" && interface_types.contains(VHOSTUSER)
}

fn directory(text: Option<&str>) -> Result<String, NotReady> {
    let path = text.unwrap_or(DIRECTORY);
    if !path.starts_with('/') || path.len() > LONGEST_DIRECTORY || path.contains(char::is_control) {
        return Err(NotReady::BadSocketDirectory(path.to_owned()));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_without_a_datapath_type_has_the_systems() {
        for system in [None, Some(""), Some("system")] {
            assert_eq!(datapath_type(system), "system");
        }
        assert_eq!(datapath_type(Some("netdev")), "netdev");
    }

    #[test]
    fn guests_speak_vhost_user_where_the_switch_does() {
        let all = BTreeSet::from(["dpdkvhostuserclient", "tap"]);
        let without_dpdk = BTreeSet::from(["dpdkvhostuser", "tap"]);
        assert!(has_vhostuser("netdev", &all));
        assert!(!has_vhostuser("netdev", &without_dpdk));
        assert!(!has_vhostuser("system", &all));
    }

    #[test]
    fn sockets_are_in_a_directory_that_their_paths_fit_into() {
        let longest = format!("/{}", "d".repeat(LONGEST_DIRECTORY - 1));
        for good in ["/", "/var/lib/vhost_sockets", &longest] {
            assert_eq!(directory(Some(good)), Ok(good.to_owned()));
        }
        assert_eq!(directory(None), Ok(DIRECTORY.to_owned()));
        for bad in ["", "sockets", "/a\nb", &format!("{longest}d")] {
            let refused = NotReady::BadSocketDirectory(bad.to_owned());
            assert_eq!(directory(Some(bad)), Err(refused));
        }
    }
}
