//! The programs a lab runs, and the Debian package that each comes from. They are looked up
//! before anything is made, so that a machine that lacks one says so in one line.

use crate::error::LabError;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// Program and Debian package.
const PACKAGES: &[(&str, &str)] = &[
    ("base64", "coreutils"),
    ("busybox", "busybox"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcp6c", "wide-dhcpv6-client"),
    ("dhcpcd", "dhcpcd-base"),
    ("dibbler-client", "dibbler-client"),
    ("dibbler-server", "dibbler-server"),
    ("dnsmasq", "dnsmasq-base"),
    ("etcd", "etcd-server"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("jq", "jq"),
    ("kea-dhcp6", "kea-dhcp6-server"),
    ("keepalived", "keepalived"),
    ("mount", "mount"),
    ("ndisc6", "ndisc6"),
    ("ovn-controller", "ovn-host"),
    ("ovn-nbctl", "ovn-common"),
    ("ovn-northd", "ovn-central"),
    ("ovs-appctl", "openvswitch-common"),
    ("ovs-ofctl", "openvswitch-common"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovsdb-client", "openvswitch-common"),
    ("ovsdb-server", "openvswitch-common"),
    ("ovsdb-tool", "openvswitch-common"),
    ("perfdhcp", "kea-admin"),
    ("ping", "iputils-ping"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("radvd", "radvd"),
    ("rdisc6", "ndisc6"),
    ("tcpdump", "tcpdump"),
    ("tracepath", "iputils-tracepath"),
    ("traceroute", "traceroute"),
    ("tshark", "tshark"),
    ("unshare", "util-linux"),
];

/// Where daemons live; not in every user's `PATH`.
const SYSTEM_FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A program that is not installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTool {
    /// The program's name.
    pub program: String,
    /// The Debian package that has it, when the lab knows.
    pub package: Option<&'static str>,
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.package {
            Some(package) => write!(
                f,
                "{} (apt-get install {package}, or `{}`)",
                self.program,
                setup(package)
            ),
            None => write!(f, "{}", self.program),
        }
    }
}

/// OVN is only compared with, so that nobody else has to install it.
fn setup(package: &str) -> &'static str {
    match package.starts_with("ovn-") {
        true => "scripts/setup ovn",
        false => "make setup",
    }
}

impl MissingTool {
    pub(crate) fn list(missing: &[Self]) -> String {
        let names: Vec<String> = missing.iter().map(Self::to_string).collect();
        names.join(", ")
    }
}

/// Looks programs up.
#[derive(Debug)]
pub struct Tools;

impl Tools {
    /// What every lab needs.
    pub const BASE: &'static [&'static str] = &[
        "ethtool",
        "ip",
        "ovs-appctl",
        "ovs-ofctl",
        "ovs-vsctl",
        "ovs-vswitchd",
        "ovsdb-server",
        "ovsdb-tool",
        "ping",
    ];

    /// Checks that every program is installed.
    ///
    /// # Errors
    /// [`LabError::MissingTools`] names each one that is not, with its Debian package.
    pub fn check(programs: &[&str]) -> Result<(), LabError> {
        let missing: Vec<MissingTool> = programs
            .iter()
            .filter(|program| find(program).is_none())
            .map(|program| MissingTool {
                program: (*program).to_owned(),
                package: package_of(program),
            })
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(LabError::MissingTools(missing))
        }
    }
}

/// The path of a program, from `PATH` and the system's folders.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn package_of(program: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(name, _)| *name == program)
        .map(|(_, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = Tools::check(&["sh", "no-such-program-here"]).unwrap_err();
        assert_eq!(error.to_string(), "missing tools: no-such-program-here");
        let known = MissingTool {
            program: "tshark".into(),
            package: package_of("tshark"),
        };
        assert_eq!(
            known.to_string(),
            "tshark (apt-get install tshark, or `make setup`)"
        );
        let compared = MissingTool {
            program: "ovn-northd".into(),
            package: package_of("ovn-northd"),
        };
        assert_eq!(
            compared.to_string(),
            "ovn-northd (apt-get install ovn-central, or `scripts/setup ovn`)"
        );
    }

    #[test]
    fn what_is_installed_passes() {
        Tools::check(&["sh"]).unwrap();
    }

    #[test]
    fn every_base_tool_has_a_package() {
        assert!(Tools::BASE.iter().all(|tool| package_of(tool).is_some()));
    }
}
