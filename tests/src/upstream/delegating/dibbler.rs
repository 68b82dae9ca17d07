//! `dibbler-server`. All its paths are compiled in, so a mount namespace of its own (which `ip netns exec` makes) puts folders
//! of the lab in their place.

use super::{DelegatedLease, PrefixPool, write, write_script};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::Tools;
use std::fs;
use std::path::Path;

/// What it says when it listens.
pub(super) const BEGUN: &str = "Server begins operation";
/// Its leases, in its folder.
pub(super) const LEASES: &str = "var/server-AddrMgr.xml";

/// Which client had which prefix, in its folder.
pub(super) const CACHE: &str = "var/server-cache.xml";

/// Routes what is delegated.
pub(super) const ROUTES: &str = r#"#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[ -n "$PREFIX1" ] || exit 0
case "$1" in
add | update) ip -6 route replace "$PREFIX1/$PREFIX1LEN" via "$REMOTE_ADDR" dev "$IFACE" ;;
delete | expire) ip -6 route del "$PREFIX1/$PREFIX1LEN" ;;
esac
exit 0
"#;

pub(super) fn prepare(folder: &Path, pool: &PrefixPool<'_>) -> Result<(), LabError> {
    let script = folder.join("routes");
    write_script(&script, ROUTES)?;
    for name in ["var", "log"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(LabError::io(format!("make {}", path.display())))?;
    }
    let times = pool.lifetimes;
    let config = format!(
        "log-level 8\nlog-mode short\nscript \"{}\"\n\
         iface \"{DEVICE}\" {{\n  T1 {}\n  T2 {}\n  preferred-lifetime {}\n  valid-lifetime {}\n  \
         pd-class {{\n    pd-pool {}\n    pd-length {}\n  }}\n}}\n",
        script.display(),
        times.renew,
        times.rebind,
        times.preferred,
        times.valid,
        pool.prefix,
        pool.length,
    );
    write(&folder.join("etc/server.conf"), &config)
}

pub(super) fn spawn(namespace: &Namespace, folder: &Path) -> Result<Process, LabError> {
    Tools::check(&["dibbler-server", "mount"])?;
    let folder = folder.display();
    let private = format!(
        "mount --bind {folder}/var /var/lib/dibbler\n\
         mount --bind {folder}/log /var/log/dibbler\n\
         mount --bind {folder}/etc /etc/dibbler\n\
         exec \"$@\""
    );
    let words = ["sh", "-e", "-c", &private, "sh", "dibbler-server", "run"];
    namespace.spawn_command(&mut namespace.command(&words), "dibbler-server")
}

/// Reads the part of dibbler's XML that has leases: a DUID and an `AddrPD` come before the `AddrPrefix`, each on a line of its
/// own.
pub(super) fn leases(text: &str) -> Vec<DelegatedLease> {
    let (mut duid, mut iaid) = (None, None);
    let mut leases = vec![];
    for line in text.lines().map(str::trim) {
        if line.starts_with("<duid ") {
            duid = content(line).map(str::to_owned);
        } else if line.starts_with("<AddrPD ") {
            iaid = attribute(line, "IAID").and_then(|iaid| iaid.parse().ok());
        } else if line.starts_with("<AddrPrefix ")
            && let Some(lease) = lease(line, duid.as_deref(), iaid)
        {
            leases.push(lease);
        }
    }
    leases
}

fn lease(line: &str, duid: Option<&str>, iaid: Option<u32>) -> Option<DelegatedLease> {
    Some(DelegatedLease {
        duid: duid?.to_owned(),
        iaid: iaid?,
        prefix: content(line)?.parse().ok()?,
        length: attribute(line, "length")?.parse().ok()?,
    })
}

fn content(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('>')?;
    rest.split('<').next()
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_read_with_their_clients() {
        let text = r#"<AddrMgr>
  <cache size="1"/>
  <AddrClient>
    <duid length="22">00:02:22:b8</duid>
    <AddrPD unicast="fe80::1" T1="3" T2="6" IAID="1" state="CONFIGURED" ifacename="eth0" iface="2">
      <duid length="22">00:02:22:b8</duid>
      <AddrPrefix timestamp="1795866717" pref="8" valid="12" length="64">2001:db8:2222:6a0e::</AddrPrefix>
    </AddrPD>
  </AddrClient>
</AddrMgr>
"#;
        let wanted = DelegatedLease {
            duid: "00:02:22:b8".to_owned(),
            iaid: 1,
            prefix: "2001:db8:2222:6a0e::".parse().unwrap(),
            length: 64,
        };
        assert_eq!(leases(text), [wanted]);
        assert!(leases("<AddrMgr>\n  <cache size=\"1\"/>\n</AddrMgr>\n").is_empty());
    }
}
