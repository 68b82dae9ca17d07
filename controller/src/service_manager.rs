//! What the service manager hears of the process: sd_notify(3), datagrams to the socket that `$NOTIFY_SOCKET` names. Without it,
//! nobody is told.

use rustix::time::{ClockId, clock_gettime};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// Who started the process, and wants to know how it is.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment says.
    #[must_use]
    pub fn of_environment() -> Self {
        let named = std::env::var_os("NOTIFY_SOCKET");
        let [pid, limit] = ["WATCHDOG_PID", "WATCHDOG_USEC"]
            .map(|name| std::env::var(name).ok()?.parse::<u64>().ok());
        // The variables of the watchdog are another process's if this one is a child.
        let meant = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = limit.filter(|limit| meant && *limit > 0);
        Self::at(named, watchdog.map(Duration::from_micros))
    }

    /// One that listens on this socket, and takes the process for hung after a silence of `watchdog`.
    #[must_use]
    pub fn at(socket: Option<OsString>, watchdog: Option<Duration>) -> Self {
        let opened = socket.map(|name| open(&name));
        let socket = opened.transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "the service manager cannot be told anything");
            None
        });
        Self {
            watchdog: watchdog.filter(|_| socket.is_some()),
            socket: socket.map(Arc::new),
        }
    }

    /// How often to say that the process is alive: three times before the manager loses its patience.
    #[must_use]
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 3)
    }

    /// Everything listens, or the configuration was read again.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The process is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The process does its work.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, news: &str) {
        let Some((socket, address)) = self.socket.as_deref() else {
            return;
        };
        if let Err(error) = socket.send_to_addr(news.as_bytes(), address) {
            tracing::warn!(%error, news, "the service manager was not told");
        }
    }
}

/// A name that begins with `@` is in Linux's abstract namespace, others are files.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold the process up.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn says_everything(listener: &UnixDatagram, name: &str) {
        let patience = Some(Duration::from_secs(10));
        listener.set_read_timeout(patience).unwrap();
        let manager = ServiceManager::at(Some(name.into()), Some(Duration::from_secs(30)));
        assert_eq!(manager.pulse(), Some(Duration::from_secs(10)));
        manager.ready();
        assert_eq!(heard(listener), "READY=1");
        manager.alive();
        assert_eq!(heard(listener), "WATCHDOG=1");
        manager.reloading();
        let reloading = heard(listener);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(since.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
        manager.stopping();
        assert_eq!(heard(listener), "STOPPING=1");
    }

    #[test]
    fn a_manager_hears_on_its_socket_wherever_that_is() {
        let name = format!("sextant-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let listener = UnixDatagram::bind(&path).unwrap();
        says_everything(&listener, path.to_str().unwrap());
        std::fs::remove_file(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        says_everything(&listener, &format!("@{name}"));
    }

    #[test]
    fn nobody_is_told_where_nobody_asks_or_listens() {
        let alone = ServiceManager::at(None, Some(Duration::from_secs(30)));
        assert_eq!(alone.pulse(), None);
        alone.ready();
        let gone = ServiceManager::at(Some("/nonexistent/notify".into()), None);
        gone.ready();
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let name = format!("sextant-deaf-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixDatagram::bind_addr(&address).unwrap();
        let manager = ServiceManager::at(Some(format!("@{name}").into()), None);
        (0..10_000).for_each(|_| manager.alive());
    }
}
