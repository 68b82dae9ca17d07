//! systemd-networkd, without systemd as process 1. Its paths are compiled in. So a mount namespace of its own, which
//! `ip netns exec` makes, replaces `/run` by a folder of the lab. `/sys` is read-only there, else it would wait for
//! udev to name its interface.

use super::{ENDING, folder, write};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::guest::{DEVICE, Guest};
use crate::process::Process;
use crate::tools::Tools;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Where systemd keeps its daemons; in no user's `PATH`.
const DAEMON: &str = "/lib/systemd/systemd-networkd";

/// A running systemd-networkd.
#[derive(Debug)]
pub struct Networkd {
    process: Process,
    links: PathBuf,
}

impl Networkd {
    /// The running daemon and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until its state file has these values for its link: `DNS`, `DOMAINS` and so on. The file has a value once
    /// for each source that it was learned from.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it says instead.
    pub fn wait_link(&self, values: &[(&str, &str)], timeout: Duration) -> Result<(), LabError> {
        wait_for("systemd-networkd's link", timeout, || {
            let text = self.link().map_err(|error| error.to_string())?;
            match values.iter().all(|(name, value)| {
                let lines = text.lines().filter_map(|line| line.split_once('='));
                let mut values = lines.filter(|(key, _)| key == name);
                values.any(|(_, found)| found.split(' ').any(|word| word == *value))
            }) {
                true => Ok(()),
                false => Err(format!("{text}\nlog:\n{}", self.process.log_text())),
            }
        })
    }

    /// Everything that it says of its links.
    fn link(&self) -> std::io::Result<String> {
        let files = fs::read_dir(&self.links)?;
        files.map(|file| fs::read_to_string(file?.path())).collect()
    }
}

/// It ends on SIGTERM, and keeps what it configured.
impl Drop for Networkd {
    fn drop(&mut self) {
        let _ = self.process.terminate(ENDING);
    }
}

pub(crate) fn run(guest: &Guest) -> Result<Networkd, LabError> {
    Tools::check(&["mount"])?;
    let folder = folder(guest, "networkd")?;
    let settings = folder.join("run/systemd/network");
    fs::create_dir_all(&settings).map_err(LabError::io(format!("make {}", settings.display())))?;
    write(&settings.join("eth0.network"), &config())?;
    let private = private_mounts(&folder.display().to_string());
    let words = ["sh", "-e", "-c", &private, "sh", DAEMON];
    let namespace = guest.namespace();
    let process = namespace.spawn_command(&mut namespace.command(&words), "networkd")?;
    let links = folder.join("run/systemd/netif/links");
    Ok(Networkd { process, links })
}

/// What a cloud image has, and the domains of DHCP besides.
fn config() -> String {
    format!(
        "[Match]\nName={DEVICE}\n\
         [Network]\nDHCP=yes\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n\
         [DHCPv4]\nUseDomains=yes\n[DHCPv6]\nUseDomains=yes\n[IPv6AcceptRA]\nUseDomains=yes\n"
    )
}

fn private_mounts(folder: &str) -> String {
    format!(
        "mkdir -p {folder}/run/systemd/netif/links {folder}/run/systemd/netif/leases\n\
         mkdir -p {folder}/run/systemd/netif/lldp\n\
         chown -R systemd-network:systemd-network {folder}/run/systemd/netif\n\
         chmod 755 {folder}/run {folder}/run/systemd\n\
         mount -o bind,remount,ro /sys\n\
         mount --bind {folder}/run /run\n\
         export SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=debug\n\
         exec \"$@\""
    )
}
