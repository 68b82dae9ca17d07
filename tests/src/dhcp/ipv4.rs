//! DHCPv4 clients: dhclient, dhcpcd and busybox's udhcpc, and what they got.

use super::{
    DhcpClient, DhcpLease, dhclient_files, first_lease, folder, private_mounts, write, write_script,
};
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use crate::process::Process;
use crate::tools::Tools;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// What a DHCPv4 client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The subnet mask.
    pub mask: Ipv4Addr,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// DNS servers.
    pub dns_servers: Vec<Ipv4Addr>,
    /// The domain.
    pub domain: String,
    /// The MTU, as the client writes it.
    pub mtu: String,
    /// The classless routes, as the client writes them.
    pub routes: String,
}

impl Dhcpv4Lease {
    /// What a client's variables say.
    ///
    /// # Errors
    /// There is no address, mask or server.
    pub fn read(lease: &DhcpLease) -> Result<Self, LabError> {
        let variables = &lease.variables;
        let routes = match word(variables, "new_rfc3442_classless_static_routes") {
            "" => word(variables, "new_classless_static_routes"),
            routes => routes,
        };
        Ok(Self {
            address: address(variables, "new_ip_address")?,
            mask: address(variables, "new_subnet_mask")?,
            server: address(variables, "new_dhcp_server_identifier")?,
            dns_servers: word(variables, "new_domain_name_servers")
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect(),
            domain: word(variables, "new_domain_name").to_owned(),
            mtu: word(variables, "new_interface_mtu").to_owned(),
            routes: routes.to_owned(),
        })
    }
}

fn address<T: FromStr>(variables: &BTreeMap<String, String>, name: &str) -> Result<T, LabError> {
    let value = word(variables, name).parse();
    value
        .map_err(|_| LabError::unexpected(format!("`{name}` of a lease"), format!("{variables:?}")))
}

fn word<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    variables.get(name).map_or("", String::as_str)
}

/// Runs `dhclient -4`.
pub(crate) fn dhclient(
    guest: &Guest,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dhclient"])?;
    let folder = folder(guest, "dhclient4")?;
    write_script(&folder, DHCLIENT_ACTIONS)?;
    write(&folder.join("conf"), DHCLIENT_CONFIG)?;
    write(&folder.join("leases"), "")?;
    let files = dhclient_files(&folder);
    let mut words = vec!["dhclient", "-4", "-d", "-v"];
    words.extend(files.iter().map(String::as_str));
    words.push(DEVICE);
    let process = guest.spawn(&words)?;
    first_lease(process, folder, timeout)
}

/// Ends the guest's dhclient and releases its lease: `dhclient -4 -r`.
pub(crate) fn dhclient_release(guest: &Guest) -> Result<(), LabError> {
    let files = dhclient_files(&folder(guest, "dhclient4")?);
    let mut words = vec!["dhclient", "-4", "-r", "-v"];
    words.extend(files.iter().map(String::as_str));
    words.push(DEVICE);
    guest.run(&words).map(drop)
}

/// Runs `dhcpcd -4`.
pub(crate) fn dhcpcd(
    guest: &Guest,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dhcpcd", "mount"])?;
    let folder = folder(guest, "dhcpcd4")?;
    let script = write_script(&folder, "")?;
    let config = folder.join("conf").display().to_string();
    write(Path::new(&config), DHCPCD_CONFIG)?;
    let private = private_mounts(guest, &folder);
    let words = [
        "sh", "-e", "-c", &private, "sh", "dhcpcd", "-4", "-B", "-d", "-f", &config, "-c", &script,
        DEVICE,
    ];
    let namespace = guest.namespace();
    let process = namespace.spawn_command(&mut namespace.command(&words), "dhcpcd")?;
    first_lease(process, folder, timeout)
}

/// Runs udhcpc, with these options besides. It renews on SIGUSR1 and releases on SIGUSR2.
pub(crate) fn udhcpc(
    guest: &Guest,
    options: &[&str],
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["busybox"])?;
    let folder = folder(guest, "udhcpc")?;
    let script = write_script(&folder, UDHCPC_VARIABLES)?;
    let mut words = vec!["busybox", "udhcpc", "-f", "-i", DEVICE, "-s", &script];
    words.extend(["-O", "staticroutes", "-O", "mtu", "-O", "bootfile"]);
    words.extend(options);
    let process: Process = guest.spawn(&words)?;
    first_lease(process, folder, timeout)
}

/// Classless routes are not among what it knows.
const DHCLIENT_CONFIG: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
also request rfc3442-classless-static-routes, interface-mtu;
initial-interval 1;
";

/// What a client with a lease does to its interface; dhclient leaves it to its script.
const DHCLIENT_ACTIONS: &str = r#"
case "$reason" in
BOUND | RENEW | REBIND | REBOOT)
    ip -4 addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    ;;
EXPIRE | FAIL | RELEASE | STOP)
    ip -4 addr flush dev "$interface"
    ;;
esac
"#;

const DHCPCD_CONFIG: &str = "\
clientid
option domain_name_servers, domain_name, interface_mtu, classless_static_routes, host_name
noipv6
noipv4ll
";

/// Gives its variables the names that the lab reads, and its interface the address.
const UDHCPC_VARIABLES: &str = r#"
case "$1" in
bound) reason=BOUND ;;
renew) reason=RENEW ;;
*) reason=$1 ;;
esac
case "$1" in
bound | renew) ip -4 addr replace "$ip/$mask" dev "$interface" ;;
deconfig) ip -4 addr flush dev "$interface" ;;
esac
new_ip_address=$ip
new_subnet_mask=$subnet
new_dhcp_server_identifier=$serverid
new_domain_name_servers=$dns
new_domain_name=$domain
new_interface_mtu=$mtu
new_classless_static_routes=$staticroutes
new_boot_file=${bootfile:-$boot_file}
"#;

#[cfg(test)]
mod tests {
    use super::super::lease;
    use super::*;

    #[test]
    fn a_lease_is_read_from_the_variables() {
        let text = "new_ip_address='192.0.2.11'\nnew_subnet_mask='255.255.255.0'\n\
            new_dhcp_server_identifier='192.0.2.1'\nnew_domain_name_servers='192.0.2.53'\n\
            new_classless_static_routes='0.0.0.0/0 192.0.2.1'\nreason='BOUND'\n";
        let lease = Dhcpv4Lease::read(&lease(text)).unwrap();
        assert_eq!(lease.address, Ipv4Addr::new(192, 0, 2, 11));
        assert_eq!(lease.routes, "0.0.0.0/0 192.0.2.1");
        assert!(Dhcpv4Lease::read(&super::super::lease("reason='BOUND'\n")).is_err());
    }
}
