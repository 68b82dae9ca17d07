//! The host's end of the port by which guests reach the service.

use sextant_model::{
    METADATA_INTERFACE, METADATA_IPV4_PREFIX, METADATA_IPV6, METADATA_LISTENER_IPV4,
    METADATA_LISTENER_PORT,
};
use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::process::{Command, Stdio};

/// The prefix of link-local addresses (RFC 4291 §2.4): guests are heard from addresses all over it.
const LINK_LOCAL: u8 = 10;

/// Why the device cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceError {
    /// There is no `ip`.
    #[error("ip (iproute2) could not be run: {0}")]
    NoIp(std::io::Error),
    /// It refuses.
    #[error("ip: {0}")]
    Refused(String),
    /// Somebody else listens there.
    #[error("{address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The thread that set it up did not end as it should.
    #[error("it was not set up")]
    Ended,
}

/// The device, while it is there. One that is made anew has another index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// Its number in the host.
    pub(super) index: u32,
}

impl Device {
    pub(super) fn name(self) -> &'static str {
        METADATA_INTERFACE
    }

    pub(super) fn ipv4(self) -> SocketAddr {
        SocketAddrV4::new(METADATA_LISTENER_IPV4, METADATA_LISTENER_PORT).into()
    }

    pub(super) fn ipv6(self) -> SocketAddr {
        SocketAddrV6::new(METADATA_IPV6, METADATA_LISTENER_PORT, 0, self.index).into()
    }

    /// Gives it its addresses. Returns whether it has IPv6. The device asks nobody for a MAC: flows set those of guests.
    ///
    /// # Errors
    /// It cannot be given IPv4.
    pub(super) fn set_up(self) -> Result<bool, DeviceError> {
        let name = self.name();
        // Hosts may have switched IPv6 off for new devices. It is this device's own setting.
        for (key, value) in [("disable_ipv6", "0"), ("accept_ra", "0")] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{key}"), value);
        }
        let (_, length) = METADATA_IPV4_PREFIX;
        ip(&format!(
            "link set dev {name} arp off\n\
             address replace {METADATA_LISTENER_IPV4}/{length} dev {name}\n"
        ))?;
        let ipv6 = ip(&format!(
            "link set dev {name} addrgenmode none\n\
             address replace {METADATA_IPV6}/{LINK_LOCAL} dev {name} nodad\n"
        ));
        ip(&format!("link set dev {name} up\n"))?;
        if let Err(error) = &ipv6 {
            tracing::warn!(%error, "guests cannot reach the metadata service over IPv6");
        }
        Ok(ipv6.is_ok())
    }
}

/// Runs commands of `ip`, one a line.
fn ip(commands: &str) -> Result<(), DeviceError> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(DeviceError::NoIp)?;
    if let Some(mut input) = child.stdin.take() {
        let written = input.write_all(commands.as_bytes());
        written.map_err(DeviceError::NoIp)?;
    }
    let output = child.wait_with_output().map_err(DeviceError::NoIp)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(DeviceError::Refused(said.trim().replace('\n', "; ")))
        }
    }
}
