//! `kea-dhcp6`. Its configuration and its environment say where it keeps its files.

use super::{DelegatedLease, PrefixPool, write, write_script};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::Tools;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// What it says when it listens.
pub(super) const BEGUN: &str = "DHCP6_STARTED";
/// Its leases, in its folder.
pub(super) const LEASES: &str = "leases.csv";

/// Kea's own library that runs a script for what becomes of leases.
const HOOK: &str = "/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so";

/// Routes what is delegated.
pub(super) const ROUTES: &str = r#"#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case "$1" in
leases6_committed)
    number=0
    while [ "$number" -lt "$LEASES6_SIZE" ]; do
        eval "type=\$LEASES6_AT${number}_TYPE"
        eval "prefix=\$LEASES6_AT${number}_ADDRESS/\$LEASES6_AT${number}_PREFIX_LEN"
        if [ "$type" = IA_PD ]; then
            ip -6 route replace "$prefix" via "$QUERY6_REMOTE_ADDR" dev "$QUERY6_IFACE_NAME"
        fi
        number=$((number + 1))
    done
    ;;
lease6_release | lease6_expire)
    if [ "$LEASE6_TYPE" = IA_PD ]; then
        ip -6 route del "$LEASE6_ADDRESS/$LEASE6_PREFIX_LEN"
    fi
    ;;
esac
exit 0
"#;

pub(super) fn prepare(folder: &Path, pool: &PrefixPool<'_>) -> Result<(), LabError> {
    let script = folder.join("routes");
    write_script(&script, ROUTES)?;
    let parts = pool.prefix.split_once('/');
    let parts = parts.and_then(|(prefix, length)| Some((prefix, length.parse::<u8>().ok()?)));
    let (prefix, length) = parts.ok_or_else(|| LabError::unexpected("a pool", pool.prefix))?;
    let times = pool.lifetimes;
    let config = json!({"Dhcp6": {
        "interfaces-config": {"interfaces": [DEVICE]},
        "data-directory": folder,
        "lease-database": {"type": "memfile", "name": folder.join(LEASES), "lfc-interval": 0},
        "expired-leases-processing": {"reclaim-timer-wait-time": 1, "hold-reclaimed-time": 0},
        "hooks-libraries": [{"library": HOOK, "parameters": {"name": script, "sync": false}}],
        "renew-timer": times.renew,
        "rebind-timer": times.rebind,
        "preferred-lifetime": times.preferred,
        "valid-lifetime": times.valid,
        "subnet6": [{
            "subnet": pool.prefix,
            "interface": DEVICE,
            "pd-pools": [{"prefix": prefix, "prefix-len": length, "delegated-len": pool.length}],
        }],
        "loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
    }});
    write(&folder.join("kea.conf"), &config.to_string())
}

pub(super) fn spawn(namespace: &Namespace, folder: &Path) -> Result<Process, LabError> {
    Tools::check(&["kea-dhcp6"])?;
    let config = folder.join("kea.conf").display().to_string();
    let mut command = namespace.command(&["kea-dhcp6", "-c", &config]);
    command
        .env("KEA_PIDFILE_DIR", folder)
        .env("KEA_LOCKFILE_DIR", folder);
    namespace.spawn_command(&mut command, "kea")
}

/// Reads a file to which Kea appends a line whenever a lease changes: the last one of a prefix counts, and a lifetime of 0
/// ends it.
pub(super) fn leases(text: &str) -> Vec<DelegatedLease> {
    let mut last = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        if let Some((lease, lives)) = lease(&fields) {
            last.insert(lease.prefix, (lease, lives));
        }
    }
    let living = last.into_values().filter(|(_, lives)| *lives);
    living.map(|(lease, _)| lease).collect()
}

/// The lease of a line, and whether it lives.
fn lease(fields: &[&str]) -> Option<(DelegatedLease, bool)> {
    /// `lease_type` of a prefix, and `state` of a lease that is in use.
    const PREFIX: &str = "2";
    const IN_USE: &str = "0";
    let &[address, duid, valid, _, _, _, kind, iaid, length, ..] = fields else {
        return None;
    };
    let lease = DelegatedLease {
        duid: duid.to_owned(),
        iaid: iaid.parse().ok()?,
        prefix: address.parse().ok()?,
        length: length.parse().ok()?,
    };
    let lives = valid != "0" && fields.get(13) == Some(&IN_USE);
    (kind == PREFIX).then_some((lease, lives))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,\
        iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source\n";
    const GIVEN: &str = "2001:db8:2222::,00:02:22:b8,12,1795866701,1,8,2,1,64,0,0,,,0,,,\n";
    const RELEASED: &str = "2001:db8:2222::,00:02:22:b8,0,1795866694,1,0,2,1,64,0,0,,,0,,,\n";

    #[test]
    fn a_lease_is_read_until_it_is_released() {
        let found = leases(&[HEADER, GIVEN, GIVEN].concat());
        let wanted = DelegatedLease {
            duid: "00:02:22:b8".to_owned(),
            iaid: 1,
            prefix: "2001:db8:2222::".parse().unwrap(),
            length: 64,
        };
        assert_eq!(found, [wanted]);
        assert!(leases(&[HEADER, GIVEN, RELEASED].concat()).is_empty());
    }

    #[test]
    fn an_address_is_no_prefix() {
        let address = "2001:db8::5,00:02:22:b8,12,1795866701,1,8,0,1,128,0,0,,,0,,,\n";
        assert!(leases(&[HEADER, address].concat()).is_empty());
    }
}
