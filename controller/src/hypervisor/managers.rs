//! Where a hypervisor's switch finds all controllers: where its database does, by the targets of its managers
//! (ovs-vswitchd.conf.db(5), `Manager`), which an operator types.

use super::schema::Manager;
use sextant_ovsdb_client::Replica;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The port of a manager whose target names none.
const DEFAULT_PORT: &str = "6640";

/// The targets for a switch of those managers that listen on this port, each with its controller on `openflow_port`.
pub(super) fn controllers(
    replica: &Replica,
    ovsdb_port: u16,
    openflow_port: u16,
    encrypted: bool,
) -> BTreeSet<String> {
    let ovsdb_port = ovsdb_port.to_string();
    let scheme = if encrypted { "ssl" } else { "tcp" };
    let managers = replica.all::<Manager>();
    let hosts = managers.filter_map(|(_, manager)| {
        let (host, port) = host_and_port(manager.target())?;
        (port == ovsdb_port).then(|| host.to_owned())
    });
    hosts
        .map(|host| format!("{scheme}:{host}:{openflow_port}"))
        .collect()
}

/// The address in a target of the database or the switch; none if it names its host.
pub(super) fn address(target: &str) -> Option<IpAddr> {
    let (host, _) = host_and_port(target)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Whether the database waits for connections at a target, rather than to connect there.
pub(super) fn listens(target: &str) -> bool {
    host_and_port(target).is_none()
}

/// The port that a target names, where the database connects to it.
pub(super) fn port(target: &str) -> Option<&str> {
    host_and_port(target).map(|(_, port)| port)
}

/// The controller of a target, if one of the managers is at the same address.
pub(super) fn owner(replica: &Replica, controller: &str) -> Option<IpAddr> {
    let own = address(controller)?;
    let mut managers = replica.all::<Manager>();
    managers
        .any(|(_, manager)| address(manager.target()) == Some(own))
        .then_some(own)
}

/// The host of a target that the database connects to, with brackets if it is an IPv6 address, and the port.
fn host_and_port(target: &str) -> Option<(&str, &str)> {
    let rest = target
        .strip_prefix("tcp:")
        .or_else(|| target.strip_prefix("ssl:"))?;
    let end = match rest.starts_with('[') {
        true => rest.find(']')? + 1,
        false => rest.find(':').unwrap_or(rest.len()),
    };
    let (host, port) = rest.split_at_checked(end)?;
    match port.strip_prefix(':') {
        Some(port) => Some((host, port)),
        None => port.is_empty().then_some((host, DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_a_host_and_mostly_a_port() {
        for (target, expected) in [
            ("tcp:[2001:db8::1]:6640", Some(("[2001:db8::1]", "6640"))),
            ("ssl:192.0.2.1:7000", Some(("192.0.2.1", "7000"))),
            ("tcp:controller-1:6640", Some(("controller-1", "6640"))),
            ("tcp:[2001:db8::1]", Some(("[2001:db8::1]", "6640"))),
            ("tcp:192.0.2.1", Some(("192.0.2.1", "6640"))),
            ("ptcp:6640:127.0.0.1", None),
            ("unix:/run/db.sock", None),
            ("tcp:[2001:db8::1", None),
            ("tcp:[2001:db8::1]x", None),
        ] {
            assert_eq!(host_and_port(target), expected, "{target}");
        }
    }
}
