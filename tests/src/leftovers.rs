//! Removing a lab: its processes, namespaces and folder. The same steps serve a lab that ends
//! and, at the start of the next one, a lab whose process died without cleaning up.
//!
//! Names of a lab's things begin with `sx<pid>x<n>`, where the process id is its owner's. Those names and the records
//! in its folder say what belongs to it. A lab whose owner lives is left alone.

use crate::deadline::Deadline;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::record::{self, Identity};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where labs keep their files: short, since the path of a unix socket may have 108 bytes.
const ROOT: &str = "/run/sextant-lab";
const PREFIX: &str = "sx";
/// What the owner's file of a lab says that shall outlive its owner.
const KEPT: &str = "kept";
const ENDING: Duration = Duration::from_secs(5);

/// The folder of a lab.
pub(crate) fn home(lab: &str) -> PathBuf {
    Path::new(ROOT).join(lab)
}

/// The folder of a lab's process records.
pub(crate) fn records(lab: &str) -> PathBuf {
    home(lab).join("pids")
}

/// The name of the `serial`th lab of this process.
pub(crate) fn name(serial: u32) -> String {
    format!("{PREFIX}{}x{serial}", std::process::id())
}

/// Makes a lab's folder and writes down that this process owns it.
pub(crate) fn claim(lab: &str) -> Result<(), LabError> {
    let records = records(lab);
    fs::create_dir_all(&records).map_err(LabError::io(format!("make {}", records.display())))?;
    let me = Identity::of(std::process::id())
        .ok_or_else(|| LabError::unexpected("this process in /proc", "nothing"))?;
    write_owner(lab, &me.to_string())
}

/// Lets a lab outlive this process, until [`remove_kept`].
pub(crate) fn keep(lab: &str) -> Result<(), LabError> {
    write_owner(lab, KEPT)
}

fn write_owner(lab: &str, owner: &str) -> Result<(), LabError> {
    let file = home(lab).join("owner");
    fs::write(&file, owner).map_err(LabError::io(format!("write {}", file.display())))
}

/// Removes every lab whose owner is dead, and returns their names.
///
/// # Errors
/// When the folder of labs cannot be made or locked.
pub fn remove_orphans() -> Result<Vec<String>, LabError> {
    remove_where(|_, owner| owner == Owner::Dead)
}

/// Removes the labs that were left running on purpose: those named, or all when none is.
/// Returns their names.
///
/// # Errors
/// When the folder of labs cannot be made or locked.
pub fn remove_kept(only: &[String]) -> Result<Vec<String>, LabError> {
    remove_where(|lab, owner| owner == Owner::Kept && (only.is_empty() || only.contains(lab)))
}

fn remove_where(doomed: impl Fn(&String, Owner) -> bool) -> Result<Vec<String>, LabError> {
    fs::create_dir_all(ROOT).map_err(LabError::io(format!("make {ROOT}")))?;
    let lock = Path::new(ROOT).join("lock");
    let lock = File::create(&lock).map_err(LabError::io(format!("open {}", lock.display())))?;
    lock.lock().map_err(LabError::io("lock the labs' folder"))?;
    let labs: Vec<String> = labs()
        .into_iter()
        .filter(|lab| doomed(lab, owner_of(lab)))
        .collect();
    labs.iter().for_each(|lab| remove(lab));
    Ok(labs)
}

/// Ends a lab's processes and removes its namespaces and folder. Goes on at every failure:
/// what is gone already is no obstacle.
pub(crate) fn remove(lab: &str) {
    let prefix = format!("{lab}-");
    let mut namespaces = Namespace::names();
    namespaces.retain(|name| name.starts_with(&prefix));
    end_processes(lab, &namespaces);
    for namespace in &namespaces {
        let _ = Namespace::delete(namespace);
    }
    let _ = fs::remove_dir_all(home(lab));
}

fn end_processes(lab: &str, namespaces: &[String]) {
    let inodes = namespaces
        .iter()
        .filter_map(|name| Namespace::inode(name))
        .collect();
    let mut doomed = record::recorded(&records(lab));
    doomed.extend(record::followers(&doomed, &inodes));
    doomed.extend(record::marked(lab));
    let dying: Vec<_> = doomed.into_iter().filter_map(kill).collect();
    let deadline = Deadline::after(ENDING);
    for process in dying {
        let _ = deadline.wait_readable(&[process.as_fd()]);
    }
}

/// Kills through a descriptor that cannot come to mean another process; the caller may wait
/// on it for the end.
fn kill(process: Identity) -> Option<std::os::fd::OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    if !process.is_alive() {
        return None;
    }
    pidfd_send_signal(&descriptor, Signal::KILL).ok()?;
    Some(descriptor)
}

/// The names of all labs that have a namespace or a folder.
fn labs() -> Vec<String> {
    let folders = fs::read_dir(ROOT).into_iter().flatten();
    let mut labs: Vec<String> = folders
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .chain(Namespace::names())
        .filter_map(|name| lab_of(&name).map(str::to_owned))
        .collect();
    labs.sort_unstable();
    labs.dedup();
    labs
}

/// `sx12x0` of `sx12x0` and `sx12x0-h1`; none for a name that is no lab's.
fn lab_of(name: &str) -> Option<&str> {
    let lab = name.split('-').next()?;
    owner_pid(lab).map(|_| lab)
}

fn owner_pid(lab: &str) -> Option<u32> {
    let (pid, serial) = lab.strip_prefix(PREFIX)?.split_once('x')?;
    serial.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Alive,
    Dead,
    Kept,
}

fn owner_of(lab: &str) -> Owner {
    let file = fs::read_to_string(home(lab).join("owner")).unwrap_or_default();
    let alive = match (file.trim(), Identity::parse(&file), owner_pid(lab)) {
        (KEPT, _, _) => return Owner::Kept,
        (_, Some(owner), _) => owner.is_alive(),
        (_, None, Some(pid)) => Identity::of(pid).is_some(),
        (_, None, None) => false,
    };
    if alive { Owner::Alive } else { Owner::Dead }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_labs_are_taken_for_labs() {
        assert_eq!(lab_of("sx12x0-h1"), Some("sx12x0"));
        assert_eq!(lab_of("sx12x0"), Some("sx12x0"));
        for other in ["sx", "sx12", "sxax0", "sx12xy", "qrouter-1", "lock"] {
            assert_eq!(lab_of(other), None, "{other}");
        }
    }
}
