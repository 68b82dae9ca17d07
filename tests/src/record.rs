//! Who owns a lab and which processes are its own. A process id alone can come to mean another
//! process, so it is always written down, and compared, together with the process's start time.

use crate::error::LabError;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Environment variable that every process of a lab carries, and its children inherit.
pub(crate) const MARKER: &str = "SEXTANT_LAB";

/// The file that a process of the lab has in the lab's folder while it runs.
#[derive(Debug)]
pub(crate) struct ProcessRecord {
    file: PathBuf,
}

impl ProcessRecord {
    pub(crate) fn write(folder: &Path, pid: u32) -> Result<Self, LabError> {
        let file = folder.join(pid.to_string());
        let started = Identity::of(pid).map_or(0, |identity| identity.started);
        fs::write(&file, started.to_string())
            .map_err(LabError::io(format!("write {}", file.display())))?;
        Ok(Self { file })
    }

    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// A process, beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks after boot, as in `/proc/PID/stat`.
    pub(crate) started: u64,
}

impl Identity {
    /// The process that has this id; none when there is no such process or it is a zombie.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let started = start_time(&stat)?;
        Some(Self { pid, started })
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// `PID START`, as the owner's file has it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (pid, started) = text.trim().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            started: started.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.started)
    }
}

/// The processes written down in a lab's folder, whether they live or not.
pub(crate) fn recorded(folder: &Path) -> Vec<Identity> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let started = fs::read_to_string(entry.path()).ok()?.trim().parse().ok()?;
            Some(Identity { pid, started })
        })
        .collect()
}

/// The processes that carry a lab's mark in their environment.
pub(crate) fn marked(lab: &str) -> Vec<Identity> {
    let mark = format!("{MARKER}={lab}");
    living(|pid| has_mark(pid, mark.as_bytes()))
}

/// The processes in one of the namespaces whose group was led by a recorded process. A daemon
/// that writes its title over its environment has no mark, and may outlive its leader.
pub(crate) fn followers(leaders: &[Identity], namespaces: &BTreeSet<u64>) -> Vec<Identity> {
    living(|pid| {
        let group = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| group(&stat));
        let namespace = fs::metadata(format!("/proc/{pid}/ns/net")).map(|file| file.ino());
        leaders.iter().any(|leader| Some(leader.pid) == group)
            && namespace.is_ok_and(|inode| namespaces.contains(&inode))
    })
}

fn living(wanted: impl Fn(u32) -> bool) -> Vec<Identity> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| wanted(*pid))
        .filter_map(Identity::of)
        .collect()
}

fn has_mark(pid: u32, mark: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark)
    })
}

/// Field 5 of `/proc/PID/stat`.
fn group(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}

/// Field 22 of `/proc/PID/stat`, proc(5); the program's name before it may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_id() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = Identity {
            started: me.started - 1,
            ..me
        };
        assert!(!earlier.is_alive());
        assert_eq!(Identity::parse(&me.to_string()), Some(me));
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let fields = "1 ".repeat(18);
        assert_eq!(
            start_time(&format!("7 (a) b)) S {fields}4711 9")),
            Some(4711)
        );
        assert_eq!(start_time(&format!("7 (a) Z {fields}4711 9")), None);
    }
}
