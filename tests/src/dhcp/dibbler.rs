//! dibbler-client. All its paths are compiled in. So a mount namespace of its own, which `ip netns exec` makes,
//! replaces three folders by folders of the lab. They are `/etc`, where it writes resolv.conf, `/var/lib/dibbler` and
//! `/var/log/dibbler`.
//!
//! It sends Release (RFC 9915 §18.2.7) when it gets SIGTERM.

use super::{DhcpClient, DhcpLease, Wanted, first_lease, folder, write, write_script};
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use crate::leftovers;
use crate::namespace::Namespace;
use crate::tools::Tools;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs it until it has what is wanted.
pub(crate) fn run(
    guest: &Guest,
    wanted: Wanted,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dibbler-client", "mount"])?;
    guest.wait_link_local(super::LINK_LOCAL)?;
    let identity = match wanted {
        Wanted::Address => "ia",
        Wanted::Options => "stateless",
    };
    let config = format!(
        "duid-type duid-ll\n\
         iface {DEVICE} {{\n  {identity}\n  option dns-server\n  option domain\n}}\n"
    );
    run_with(
        guest.namespace(),
        folder(guest, "dibbler")?,
        &config,
        timeout,
    )
}

/// Runs it until it has a prefix, with Neutron's settings for a subnet. The DUID has enterprise 8888 and the subnet's
/// id, and the IAID is 1.
pub(crate) fn run_for_prefix(
    router: &Namespace,
    subnet_id: &str,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dibbler-client", "mount"])?;
    let identifier = subnet_id.replace('-', "");
    let config = format!(
        "duid-type duid-en 8888 0x{identifier}\ndownlink-prefix-ifaces \"none\"\n\
         iface {DEVICE} {{\n  pd 1\n}}\n"
    );
    let folder = leftovers::home(router.lab()).join(format!("{}-dibbler", router.name()));
    run_with(router, folder, &config, timeout)
}

fn run_with(
    namespace: &Namespace,
    folder: PathBuf,
    config: &str,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    make_folders(&folder)?;
    let script = write_script(&folder, VARIABLES)?;
    let config = format!("log-mode short\nlog-level 7\nscript \"{script}\"\n{config}");
    write(&folder.join("etc/dibbler/client.conf"), &config)?;
    let private = private_mounts(&folder);
    let words = ["sh", "-e", "-c", &private, "sh", "dibbler-client", "run"];
    let process = namespace.spawn_command(&mut namespace.command(&words), "dibbler")?;
    first_lease(process, folder, timeout)
}

/// Gives its variables the names that the lab reads: option 23 has the DNS servers, 24 the
/// domains (RFC 3646).
const VARIABLES: &str = r#"
case "$1 $CLNT_MESSAGE" in
"update INF-REQUEST") reason=INFORM6 ;;
"add "*) reason=BOUND6 ;;
"update "*) reason=RENEW6 ;;
*) reason=RELEASE6 ;;
esac
new_ip6_address=$ADDR1
new_dhcp6_name_servers=$SRV_OPTION23
new_dhcp6_domain_search=$SRV_OPTION24
"#;

fn make_folders(folder: &Path) -> Result<(), LabError> {
    ["etc/dibbler", "var", "log"].iter().try_for_each(|name| {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(LabError::io(format!("make {}", path.display())))
    })
}

fn private_mounts(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "mount --bind {folder}/var /var/lib/dibbler\n\
         mount --bind {folder}/log /var/log/dibbler\n\
         mount --bind {folder}/etc /etc\n\
         exec \"$@\""
    )
}
