//! Real DHCPv6 and DHCPv4 clients in a guest, with every file they write in the lab's folder.
//!
//! All run a script of the lab instead of their distribution's. It writes the client's variables, one file for each
//! event. Then it writes one line to the client's log, which the lab waits for. The machine's own resolv.conf, leases
//! and DUIDs stay untouched.

pub(crate) mod dibbler;
pub(crate) mod ipv4;
pub(crate) mod networkd;
pub(crate) mod wide;

use crate::deadline::wait_for;
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use crate::process::Process;
use crate::tools::Tools;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the lab's scripts say when a client has what it asked for.
const DONE: &str = "sextant-lab: lease ";
const ENDING: Duration = Duration::from_secs(5);
/// Link-local addresses pass duplicate address detection in a second or two.
const LINK_LOCAL: Duration = Duration::from_secs(10);

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpLease {
    /// Why the client ran its script: `BOUND6`, `RENEW6`, `INFORM6` …
    pub reason: String,
    /// The addresses of the IA_NA; empty for an Information-Request.
    pub addresses: Vec<Ipv6Addr>,
    /// DNS servers (RFC 3646).
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domain search list (RFC 3646), without trailing dots.
    pub domains: Vec<String>,
    /// Every variable that the client gave its script.
    pub variables: BTreeMap<String, String>,
}

/// What a client is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// An address and options, by Solicit.
    Address,
    /// Options alone, by Information-Request.
    Options,
}

/// What a client knows of earlier leases when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nothing.
    Empty,
    /// What its last run wrote down.
    Kept,
}

/// A client that goes on running, and renews, until it is dropped.
#[derive(Debug)]
pub struct DhcpClient {
    process: Process,
    folder: PathBuf,
}

impl DhcpClient {
    /// The running client and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until dhclient has written a lease of this address down: it calls its script before.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what is written there.
    pub fn wait_written(&self, address: Ipv6Addr, timeout: Duration) -> Result<(), LabError> {
        let file = self.folder.join("leases");
        wait_for("dhclient to write its lease", timeout, || {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            let written = text.contains(&format!("iaaddr {address} "));
            written.then_some(()).ok_or(text)
        })
    }

    /// Ends the client with SIGTERM, on which dibbler and dhcp6c release their lease.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not end in time.
    pub fn end(mut self, timeout: Duration) -> Result<(), LabError> {
        self.process.terminate(timeout).map(drop)
    }

    /// Waits for the client's next lease, such as after a renewal.
    ///
    /// # Errors
    /// [`LabError::Timeout`] or [`LabError::Ended`] with the client's log.
    pub fn wait_lease(&mut self, timeout: Duration) -> Result<DhcpLease, LabError> {
        let event = self.process.wait_line("a DHCP lease", timeout, |line| {
            let (_, event) = line.split_once(DONE)?;
            Some(event.trim().to_owned())
        })?;
        let file = self.folder.join(event);
        let text =
            fs::read_to_string(&file).map_err(LabError::io(format!("read {}", file.display())))?;
        Ok(lease(&text))
    }
}

/// A client ends on SIGTERM and takes its own processes along; dhcpcd takes back what it
/// configured, too.
impl Drop for DhcpClient {
    fn drop(&mut self) {
        let _ = self.process.terminate(ENDING);
    }
}

pub(crate) fn dhclient(
    guest: &Guest,
    options: &[&str],
    memory: Memory,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dhclient"])?;
    guest.wait_link_local(LINK_LOCAL)?;
    let folder = folder(guest, "dhclient")?;
    write_script(&folder, DHCLIENT_ACTIONS)?;
    write(&folder.join("conf"), DHCLIENT_CONFIG)?;
    if memory == Memory::Empty {
        write(&folder.join("leases"), "")?;
    }
    let files = dhclient_files(&folder);
    let mut words = vec!["dhclient", "-6", "-d", "-v"];
    words.extend(files.iter().map(String::as_str));
    words.extend(options);
    words.push(DEVICE);
    let process = guest.spawn(&words)?;
    first_lease(process, folder, timeout)
}

/// Ends the guest's dhclient and releases its lease: `dhclient -6 -r`.
pub(crate) fn dhclient_release(guest: &Guest) -> Result<(), LabError> {
    let files = dhclient_files(&folder(guest, "dhclient")?);
    let mut words = vec!["dhclient", "-6", "-r", "-v"];
    words.extend(files.iter().map(String::as_str));
    words.push(DEVICE);
    guest.run(&words).map(drop)
}

/// Where it finds and writes everything.
fn dhclient_files(folder: &Path) -> Vec<String> {
    let files = [
        ("-lf", "leases"),
        ("-pf", "pid"),
        ("-cf", "conf"),
        ("-sf", "script"),
    ];
    files
        .into_iter()
        .flat_map(|(option, name)| [option.to_owned(), folder.join(name).display().to_string()])
        .collect()
}

pub(crate) fn dhcpcd(
    guest: &Guest,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dhcpcd", "mount"])?;
    guest.wait_link_local(LINK_LOCAL)?;
    let folder = folder(guest, "dhcpcd")?;
    let script = write_script(&folder, "")?;
    let config = folder.join("conf").display().to_string();
    write(Path::new(&config), DHCPCD_CONFIG)?;
    let private = private_mounts(guest, &folder);
    let words = [
        "sh", "-e", "-c", &private, "sh", "dhcpcd", "-6", "-B", "-d", "-f", &config, "-c", &script,
        DEVICE,
    ];
    let namespace = guest.namespace();
    let process = namespace.spawn_command(&mut namespace.command(&words), "dhcpcd")?;
    first_lease(process, folder, timeout)
}

fn first_lease(
    process: Process,
    folder: PathBuf,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    let mut client = DhcpClient { process, folder };
    let lease = client.wait_lease(timeout)?;
    Ok((client, lease))
}

/// Asks for what a lease here may hold, at once and without random delay.
const DHCLIENT_CONFIG: &str = "\
also request dhcp6.name-servers, dhcp6.domain-search;
";

/// What a client with a lease does to its interface; dhclient leaves it to its script.
const DHCLIENT_ACTIONS: &str = r#"
case "$reason" in
BOUND6 | RENEW6 | REBIND6)
    if [ -n "$new_ip6_address" ]; then
        ip -6 addr replace "$new_ip6_address/$new_ip6_prefixlen" dev "$interface" \
            valid_lft "$new_max_life" preferred_lft "$new_preferred_life"
    fi
    ;;
EXPIRE6 | RELEASE6 | STOP6)
    if [ -n "$old_ip6_address" ]; then
        ip -6 addr del "$old_ip6_address/$old_ip6_prefixlen" dev "$interface"
    fi
    ;;
esac
"#;

const DHCPCD_CONFIG: &str = "\
duid
slaac hwaddr
option rapid_commit
option domain_name_servers, domain_name, domain_search
option dhcp6_name_servers, dhcp6_domain_search
noipv4
";

fn folder(guest: &Guest, client: &str) -> Result<PathBuf, LabError> {
    let folder = guest.home().join(client);
    fs::create_dir_all(&folder).map_err(LabError::io(format!("make {}", folder.display())))?;
    Ok(folder)
}

/// dhcpcd's paths are compiled in: mounts of its own in its own mount namespace (which
/// `ip netns exec` makes) put the lab's folders in their place.
fn private_mounts(guest: &Guest, folder: &Path) -> String {
    let lab = guest.home().display().to_string();
    let inside = lab.trim_start_matches("/run/");
    let folder = folder.display();
    let mut script = String::new();
    let _ = writeln!(script, "mkdir -p {folder}/var {folder}/run");
    let _ = writeln!(script, "mount --bind {folder}/var /var/lib/dhcpcd");
    let _ = writeln!(script, "mount -t tmpfs tmpfs {folder}/run");
    let _ = writeln!(script, "mkdir -p {folder}/run/{inside} {folder}/run/dhcpcd");
    let _ = writeln!(script, "mount --bind {lab} {folder}/run/{inside}");
    let _ = writeln!(script, "mount --rbind {folder}/run /run");
    script.push_str("exec \"$@\"");
    script
}

/// A script that writes its variables to a file of their own and names it in the log when they
/// tell of a lease.
fn write_script(folder: &Path, actions: &str) -> Result<String, LabError> {
    let path = folder.join("script");
    let folder = folder.display();
    let text = format!(
        r#"#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
{actions}
event=$(mktemp {folder}/event.XXXXXX)
set > "$event"
case "$reason" in
BOUND6 | RENEW6 | REBIND6 | REBOOT6 | INFORM6 | BOUND | RENEW | REBIND | REBOOT) echo "{DONE}${{event##*/}}" >&2 ;;
esac
exit 0
"#
    );
    write(&path, &text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .map_err(LabError::io(format!("make {} executable", path.display())))?;
    Ok(path.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(format!("write {}", path.display())))
}

/// Reads what `set` printed: `NAME='value'`.
fn lease(text: &str) -> DhcpLease {
    let variables: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect();
    let addresses = variables.iter().filter(|(name, _)| {
        *name == "new_ip6_address"
            || name.starts_with("new_dhcp6_ia_na") && name.contains("_ia_addr")
    });
    DhcpLease {
        reason: words(&variables, "reason").map(str::to_owned).collect(),
        addresses: addresses
            .filter_map(|(_, value)| value.parse().ok())
            .collect(),
        dns_servers: words(&variables, "new_dhcp6_name_servers")
            .filter_map(|word| word.parse().ok())
            .collect(),
        domains: words(&variables, "new_dhcp6_domain_search")
            .map(|domain| domain.trim_end_matches('.').to_owned())
            .collect(),
        variables,
    }
}

fn words<'v>(
    variables: &'v BTreeMap<String, String>,
    name: &str,
) -> impl Iterator<Item = &'v str> + use<'v> {
    let value = variables.get(name).map_or("", String::as_str);
    value.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_dhclient_are_read() {
        let lease = lease(
            "new_dhcp6_domain_search='openstacklocal. example.org.'\n\
             new_dhcp6_name_servers='2001:db8::53 2001:db8::54'\n\
             new_ip6_address='2001:db8::1234'\nreason='BOUND6'\n",
        );
        assert_eq!(lease.reason, "BOUND6");
        assert_eq!(
            lease.addresses,
            ["2001:db8::1234".parse::<Ipv6Addr>().unwrap()]
        );
        assert_eq!(lease.dns_servers.len(), 2);
        assert_eq!(lease.domains, ["openstacklocal", "example.org"]);
    }

    #[test]
    fn the_variables_of_dhcpcd_are_read() {
        let lease = lease("new_dhcp6_ia_na1_ia_addr1='2001:db8::5'\nreason='BOUND6'\n");
        assert_eq!(
            lease.addresses,
            ["2001:db8::5".parse::<Ipv6Addr>().unwrap()]
        );
    }
}
