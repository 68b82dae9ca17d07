//! The control socket.

use super::{ConfigError, is_ours};
use crate::control::{LONGEST_PATH, OWN_SOCKET, SOCKET};
use serde::Deserialize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `[control]`: the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The socket. Empty: none.
    pub socket: PathBuf,
}

impl Default for Control {
    /// Root's socket is in a system folder, and that of the folder's owner; other users' below their current folder.
    fn default() -> Self {
        let ours = Path::new(SOCKET).parent().and_then(Path::to_str);
        let socket = match ours.is_some_and(is_ours) {
            true => SOCKET,
            false => OWN_SOCKET,
        };
        Self {
            socket: socket.into(),
        }
    }
}

impl Control {
    /// The socket to listen on, if any.
    pub fn socket(&self) -> Option<&PathBuf> {
        let is_there = !self.socket.as_os_str().is_empty();
        is_there.then_some(&self.socket)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.socket.as_os_str().as_bytes().len() <= LONGEST_PATH {
            return Ok(());
        }
        Err(ConfigError::Refused {
            key: "control.socket",
            value: self.socket.display().to_string(),
            rule: "the path of a socket has at most 103 octets",
        })
    }
}
