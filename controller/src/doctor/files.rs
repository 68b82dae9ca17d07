//! The files that the configuration names: whether the process may read them.

use super::Examined;
use super::user::{FileUse, ServiceUser};
use crate::config::Config;
use crate::control::Finding;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CHECK: &str = "files";
/// The folder for logs of the package's unit.
const LOGS: &str = "/var/log/sextant";
/// Everybody may read it.
const FOR_ALL: u32 = 0o004;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Plain,
    /// It is a private key, or has passwords.
    Secret,
}

/// What is to say of the files.
pub(super) fn findings(examined: &Examined<'_>) -> Vec<Finding> {
    let config = examined.config;
    let own = examined
        .file
        .map(|file| ("--config", file, kind_of(config)));
    let named = own.into_iter().chain(named(config));
    let named = named.filter(|(_, path, _)| !path.as_os_str().is_empty());
    let named: Vec<_> = named.collect();
    let wrong = named.iter();
    let mut findings: Vec<Finding> = wrong
        .filter_map(|(key, path, kind)| fault(&examined.user, key, path, *kind))
        .collect();
    findings.extend(audit(examined));
    if findings.is_empty() && !named.is_empty() {
        let says = format!(
            "{} may read all that are named ({}).",
            examined.user.name,
            named.len()
        );
        findings.push(Finding::good(CHECK, says));
    }
    findings
}

/// A configuration is secret where it has a password.
fn kind_of(config: &Config) -> FileKind {
    let secrets = [
        &config.store.password,
        &config.keystone.password,
        &config.keystone.application_credential_secret,
        &config.nova.password,
        &config.nova.application_credential_secret,
        &config.metadata.shared_secret,
    ];
    match secrets.iter().all(|secret| secret.0.is_empty()) {
        true => FileKind::Plain,
        false => FileKind::Secret,
    }
}

fn named(config: &Config) -> [(&'static str, &Path, FileKind); 12] {
    let (tls, theirs, store) = (&config.tls, &config.hypervisor_tls, &config.store);
    use FileKind::{Plain, Secret};
    [
        ("tls.certificate", &tls.certificate, Plain),
        ("tls.private_key", &tls.private_key, Secret),
        ("tls.client_ca", &tls.client_ca, Plain),
        ("hypervisor_tls.certificate", &theirs.certificate, Plain),
        ("hypervisor_tls.private_key", &theirs.private_key, Secret),
        ("hypervisor_tls.client_ca", &theirs.client_ca, Plain),
        ("store.ca", &store.ca, Plain),
        ("store.certificate", &store.certificate, Plain),
        ("store.private_key", &store.private_key, Secret),
        ("keystone.cafile", &config.keystone.cafile, Plain),
        ("nova.cafile", &config.nova.cafile, Plain),
        ("policy_file", &config.policy_file, Plain),
    ]
}

/// Whether the audit file can be written.
fn audit(examined: &Examined<'_>) -> Option<Finding> {
    let (user, path) = (&examined.user, &*examined.config.audit_file);
    let folder = match path.parent()? {
        here if here.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let is_writable = match (std::fs::metadata(path), std::fs::metadata(folder)) {
        (Ok(file), _) => user.may(&file, FileUse::Change),
        (Err(_), Ok(folder)) => user.may(&folder, FileUse::Write),
        // systemd makes it with the start.
        (Err(_), Err(_)) => examined.unit.is_some() && folder == Path::new(LOGS),
    };
    (!is_writable).then(|| {
        let (shown, name, folder) = (path.display(), &user.name, folder.display());
        Finding::bad(
            CHECK,
            format!("audit_file = {shown}: {name} may not write it, so writes of the API are in the log alone."),
            format!("install -d -m 750 -o {name} {folder}"),
        )
    })
}

fn fault(user: &ServiceUser, key: &str, path: &Path, kind: FileKind) -> Option<Finding> {
    let (shown, name) = (path.display(), &user.name);
    // What is missing, the configuration and the certificates tell.
    let found = std::fs::metadata(path).ok()?;
    if let Ok(Some(closed)) = user.stopped_at(path) {
        let says = format!(
            "{key} = {shown}: {name} may not pass through {}.",
            closed.display()
        );
        let advice = format!("chgrp sextant {0}; chmod g+x {0}", closed.display());
        return Some(Finding::bad(CHECK, says, advice));
    }
    if !user.may(&found, FileUse::Read) {
        let says = format!("{key} = {shown}: {name} may not read it.");
        let advice = format!("chgrp sextant {shown}; chmod g+r {shown}");
        return Some(Finding::bad(CHECK, says, advice));
    }
    (kind == FileKind::Secret && found.mode() & FOR_ALL != 0).then(|| {
        let says = format!("{key} = {shown}: everybody on this machine may read what is secret.");
        Finding::bad(CHECK, says, format!("chmod o-r {shown}"))
    })
}
