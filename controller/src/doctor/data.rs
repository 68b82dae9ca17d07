//! The data folder: there, the user's, and with room.

use super::Examined;
use super::user::{FileUse, ServiceUser};
use crate::control::Finding;
use crate::store::EMBEDDED_FILE;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CHECK: &str = "data folder";
/// A store that is compacted takes its own size once more, and a small one this much.
const LEAST: u64 = 64 << 20;
/// The permissions of others.
const OTHERS: u32 = 0o077;

/// What is to say of the data folder.
pub(super) fn findings(examined: &Examined<'_>) -> Vec<Finding> {
    let (user, folder) = (&examined.user, &*examined.config.data_dir);
    let made = examined.unit.as_ref().is_some_and(|unit| {
        let mut made = unit.state_directories.iter();
        made.any(|name| folder == Path::new("/var/lib").join(name))
    });
    match std::fs::metadata(folder) {
        Ok(found) => of_present(user, folder, &found),
        Err(_) if made => vec![Finding::good(
            CHECK,
            format!("systemd makes {} when Sextant starts.", folder.display()),
        )],
        Err(_) => vec![of_missing(user, folder)],
    }
}

fn of_present(user: &ServiceUser, folder: &Path, found: &Metadata) -> Vec<Finding> {
    let shown = folder.display();
    let own = format!("chown -R {} {shown}; or data_dir", user.name);
    if !found.is_dir() {
        let says = format!("data_dir = {shown}: this is no folder.");
        return vec![Finding::bad(CHECK, says, "data_dir")];
    }
    if let Ok(Some(closed)) = user.stopped_at(folder) {
        let says = format!("{} may not pass through {}.", user.name, closed.display());
        return vec![Finding::bad(CHECK, says, own)];
    }
    if !user.may(found, FileUse::Write) {
        let says = format!("{} may not write to {shown}.", user.name);
        return vec![Finding::bad(CHECK, says, own)];
    }
    let file = folder.join(EMBEDDED_FILE);
    let store = std::fs::metadata(&file).ok();
    if store
        .as_ref()
        .is_some_and(|store| !user.may(store, FileUse::Change))
    {
        let says = format!("{} may not write to {}.", user.name, file.display());
        return vec![Finding::bad(CHECK, says, own)];
    }
    let mut findings = vec![room(folder, store.map_or(0, |store| store.len()))];
    if store_is_open(found) && file.exists() {
        let says = format!("Others may look into {shown}, which has every tenant's networks.");
        findings.push(Finding::hint(CHECK, says, format!("chmod 700 {shown}")));
    }
    findings
}

fn store_is_open(folder: &Metadata) -> bool {
    folder.mode() & OTHERS != 0
}

/// Who may make the first folder that is missing?
fn of_missing(user: &ServiceUser, folder: &Path) -> Finding {
    let mut above = folder
        .ancestors()
        .skip(1)
        .map(|path| match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        });
    let present = above.find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    let shown = folder.display();
    match present {
        Some((_, found)) if found.is_dir() && user.may(&found, FileUse::Write) => {
            Finding::good(CHECK, format!("{shown} is made when Sextant starts."))
        }
        Some((path, _)) => Finding::bad(
            CHECK,
            format!(
                "{shown} is not there, and {} may not make it in {}.",
                user.name,
                path.display()
            ),
            format!("install -d -m 700 -o {} {shown}; or data_dir", user.name),
        ),
        None => Finding::bad(CHECK, format!("{shown} cannot be looked at."), "data_dir"),
    }
}

fn room(folder: &Path, store: u64) -> Finding {
    let Ok(disk) = statvfs(folder) else {
        let says = format!("How much room {} has cannot be seen.", folder.display());
        return Finding::unclear(CHECK, says, format!("df {}", folder.display()));
    };
    let is_read_only = disk.f_flag.contains(StatVfsMountFlags::RDONLY);
    of_room(folder, disk.f_bavail * disk.f_frsize, store, is_read_only)
}

fn of_room(folder: &Path, free: u64, store: u64, is_read_only: bool) -> Finding {
    let (shown, mib) = (folder.display(), free >> 20);
    if is_read_only {
        let says = format!("{shown} is on a file system that is mounted read-only.");
        return Finding::bad(CHECK, says, "mount it for writing; or data_dir");
    }
    if free < store.max(LEAST) {
        let says = format!("{shown} has {mib} MiB left: writes fail once it is full, with 503.");
        return Finding::bad(CHECK, says, "make room there, or move it: data_dir");
    }
    Finding::good(
        CHECK,
        format!("{shown} can be written to, and has {mib} MiB left."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FindingState;

    #[test]
    fn there_has_to_be_room_for_the_store_once_more() {
        let state = |free, store, read_only| of_room(Path::new("/d"), free, store, read_only).state;
        assert_eq!(state(64 << 20, 1 << 20, false), FindingState::Good);
        assert_eq!(state(63 << 20, 1 << 20, false), FindingState::Bad);
        assert_eq!(state(1 << 30, 2 << 30, false), FindingState::Bad);
        assert_eq!(state(1 << 40, 0, true), FindingState::Bad);
    }
}
