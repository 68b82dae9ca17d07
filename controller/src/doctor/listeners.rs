//! Where Sextant listens: whether the addresses are there and free, or Sextant's own already.

use super::Examined;
use super::process::RunningProcess;
use super::user::ServiceUser;
use crate::config::Config;
use crate::control::Finding;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpSocket;

const CHECK: &str = "listeners";
/// The first port that everybody may listen at, unless the system says otherwise.
const UNPRIVILEGED: u16 = 1024;

/// Who listens at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// The process that is checked.
    Sextant,
    /// Another one, with its name where that can be seen.
    Other(Option<(u32, String)>),
}

/// What is to say of the listeners.
pub(super) fn findings(examined: &Examined<'_>) -> Vec<Finding> {
    let (mut free, mut held, mut findings) = (vec![], vec![], vec![]);
    for (key, address) in addresses(examined.config) {
        let said = format!("{key} {address}");
        match try_out(address) {
            Ok(()) => match forbidden(&examined.user, address, first_unprivileged()) {
                Some(wrong) => {
                    findings.push(Finding::bad(CHECK, format!("{said}: {}", wrong.0), wrong.1))
                }
                None => free.push(said),
            },
            Err(error) => match of_error(&error, || holder(address, examined.process)) {
                None => held.push(said),
                Some((wrong, advice)) => {
                    findings.push(Finding::bad(CHECK, format!("{said}: {wrong}"), advice));
                }
            },
        }
    }
    let good = [("Free", free), ("Sextant listens at", held)];
    for (what, all) in good.into_iter().filter(|(_, all)| !all.is_empty()) {
        findings.push(Finding::good(CHECK, format!("{what}: {}.", all.join(", "))));
    }
    findings
}

fn addresses(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let web = config.web.listen.0.map(|address| ("web.listen", address));
    let others = [
        ("api_listen", config.api_listen),
        ("openflow_listen", config.openflow_listen),
        ("ovsdb_listen", config.ovsdb_listen),
        ("metrics_listen", config.metrics_listen),
    ];
    others.into_iter().chain(web).collect()
}

/// Takes the address as Sextant does, but does not listen there.
fn try_out(address: SocketAddr) -> io::Result<()> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// What is wrong, and what to do. None: Sextant itself has it.
fn of_error(error: &io::Error, holder: impl FnOnce() -> Holder) -> Option<(String, String)> {
    let address = "another address";
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return Some((
            "no interface of this machine has that address.".to_owned(),
            "give it to one, or name an address of ip address".to_owned(),
        ));
    }
    if error.kind() != io::ErrorKind::AddrInUse {
        return Some((format!("{error}."), address.to_owned()));
    }
    match holder() {
        Holder::Sextant => None,
        Holder::Other(Some((pid, name))) => Some((
            format!("process {pid} ({name}) has it."),
            format!("end that process, or {address}"),
        )),
        Holder::Other(None) => Some((
            "another process has it.".to_owned(),
            format!("ss -ltnp tells which; end it, or {address}"),
        )),
    }
}

/// Whether the user may not listen at such a low port.
fn forbidden(user: &ServiceUser, address: SocketAddr, first: u16) -> Option<(String, String)> {
    (user.uid != 0 && address.port() < first).then(|| {
        let says = format!("{} may not listen at a port below {first}.", user.name);
        (says, format!("a port from {first} on"))
    })
}

fn first_unprivileged() -> u16 {
    let set = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let set = set.ok().and_then(|set| set.trim().parse().ok());
    set.unwrap_or(UNPRIVILEGED)
}

/// Who listens at an address, as far as this user may see that.
fn holder(address: SocketAddr, process: Option<RunningProcess>) -> Holder {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let tables = tables.map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| listening(line, address.port()))
        .collect();
    let found = processes().find(|pid| has_one_of(*pid, &sockets));
    match (found, process) {
        (Some(pid), Some(process)) if pid == process.pid => Holder::Sextant,
        (Some(pid), _) => {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            Holder::Other(Some((pid, name.unwrap_or_default().trim().to_owned())))
        }
        // Who may not see the files of others believes the process that answers.
        (None, Some(_)) if rustix::process::geteuid().as_raw() != 0 => Holder::Sextant,
        (None, _) => Holder::Other(None),
    }
}

/// The socket of a row of proc_pid_net(5) that listens at this port.
fn listening(row: &str, port: u16) -> Option<String> {
    const LISTENS: &str = "0A";
    let fields: Vec<&str> = row.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let is_it = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTENS;
    is_it.then(|| Some(format!("socket:[{}]", fields.get(9)?)))?
}

fn processes() -> impl Iterator<Item = u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn has_one_of(pid: u32, sockets: &[String]) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let mut files = files.into_iter().flatten().flatten();
    files.any(|file| {
        let target = std::fs::read_link(file.path());
        target.is_ok_and(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener};

    #[test]
    fn who_has_an_address_is_named() {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let error = try_out(address).unwrap_err();
        let own = std::process::id();
        let (wrong, _) = of_error(&error, || holder(address, None)).unwrap();
        assert!(wrong.starts_with(&format!("process {own} (")), "{wrong}");
        let process = RunningProcess { pid: own, uid: 0 };
        assert_eq!(of_error(&error, || holder(address, Some(process))), None);
        drop(listener);
        try_out(address).unwrap();
    }

    #[test]
    fn an_address_that_nobody_has_cannot_be_listened_at() {
        let error = try_out("[2001:db8::7]:9696".parse().unwrap()).unwrap_err();
        let (wrong, _) = of_error(&error, || Holder::Sextant).unwrap();
        assert!(wrong.starts_with("no interface"), "{wrong}");
        let error = io::Error::from(rustix::io::Errno::AFNOSUPPORT);
        assert!(of_error(&error, || Holder::Sextant).is_some());
    }

    #[test]
    fn low_ports_are_roots() {
        let address = "[::1]:443".parse().unwrap();
        let of = |uid| RunningProcess { pid: 1, uid };
        let [root, other] = [0, 4711].map(|uid| ServiceUser::of(Some(&of(uid)), None));
        assert_eq!(forbidden(&root, address, 1024), None);
        assert!(forbidden(&other, address, 1024).is_some());
        assert_eq!(forbidden(&other, address, 443), None);
    }
}
