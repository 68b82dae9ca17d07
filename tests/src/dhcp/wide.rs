//! dhcp6c of the WIDE project. The path of its DUID is compiled in: a mount namespace of its own
//! (which `ip netns exec` makes) puts a folder of the lab in place of `/var/lib/dhcpv6`.
//!
//! It says Release (RFC 9915 §18.2.7) when it is ended with SIGTERM.

use super::{DhcpClient, DhcpLease, Wanted, first_lease, folder, write, write_script};
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use crate::tools::Tools;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Runs it until it has what is wanted.
pub(crate) fn run(
    guest: &Guest,
    wanted: Wanted,
    timeout: Duration,
) -> Result<(DhcpClient, DhcpLease), LabError> {
    Tools::check(&["dhcp6c", "mount"])?;
    guest.wait_link_local(super::LINK_LOCAL)?;
    let folder = folder(guest, "wide")?;
    let script = write_script(&folder, &variables(wanted))?;
    let (settings, pid) = (folder.join("conf"), folder.join("pid"));
    write(&settings, &config(wanted, &script))?;
    let private = private_mount(&folder)?;
    let (settings, pid) = (settings.display().to_string(), pid.display().to_string());
    let words = [
        "sh", "-e", "-c", &private, "sh", "dhcp6c", "-f", "-D", "-c", &settings, "-p", &pid, DEVICE,
    ];
    let namespace = guest.namespace();
    let process = namespace.spawn_command(&mut namespace.command(&words), "dhcp6c")?;
    first_lease(process, folder, timeout)
}

/// Gives its variables the names that the lab reads. dhcp6c tells its script no address, but
/// has configured it by then.
fn variables(wanted: Wanted) -> String {
    let lease = match wanted {
        Wanted::Address => format!(
            "reason=BOUND6\n\
             new_ip6_address=$(ip -6 -o addr show dev {DEVICE} scope global \
             | sed -n 's,.* inet6 \\([^/]*\\)/.*,\\1,p')"
        ),
        Wanted::Options => "reason=INFORM6".to_owned(),
    };
    format!(
        "{lease}\n\
         new_dhcp6_name_servers=$new_domain_name_servers\n\
         new_dhcp6_domain_search=$new_domain_name"
    )
}

fn config(wanted: Wanted, script: &str) -> String {
    let (what, association) = match wanted {
        Wanted::Address => ("send ia-na 0", "id-assoc na 0 { };\n"),
        Wanted::Options => ("information-only", ""),
    };
    format!(
        "interface {DEVICE} {{\n  {what};\n  request domain-name-servers, domain-name;\n  \
         script \"{script}\";\n}};\n{association}"
    )
}

fn private_mount(folder: &Path) -> Result<String, LabError> {
    let state = folder.join("var");
    fs::create_dir_all(&state).map_err(LabError::io(format!("make {}", state.display())))?;
    Ok(format!(
        "mount --bind {} /var/lib/dhcpv6\nexec \"$@\"",
        state.display()
    ))
}
