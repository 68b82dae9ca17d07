//! As whom Sextant runs, and what that user may do with files.

use super::process::RunningProcess;
use super::service::Unit;
use rustix::process::geteuid;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user that the process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceUser {
    pub(super) name: String,
    pub(super) uid: u32,
    groups: Vec<u32>,
}

/// What somebody wants to do with a file, as bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileUse {
    Read = 0o4,
    /// Of a folder: to make and remove files there.
    Write = 0o3,
    /// Of a file.
    Change = 0o6,
    /// Of a folder: to reach what is in it.
    Pass = 0o1,
}

impl ServiceUser {
    /// The user of the process that runs, or whom the unit names, or who asks.
    pub(super) fn of(process: Option<&RunningProcess>, unit: Option<&Unit>) -> Self {
        let [passwd, group] = ["/etc/passwd", "/etc/group"]
            .map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let named = unit.and_then(|unit| unit.user.as_deref());
        let named = named.filter(|_| process.is_none());
        let uid = process.map_or_else(|| geteuid().as_raw(), |process| process.uid);
        Self::found(&passwd, &group, named, uid)
    }

    /// The user of this name, or else of this id, in passwd(5) and group(5).
    fn found(passwd: &str, group: &str, name: Option<&str>, uid: u32) -> Self {
        let named = passwd
            .lines()
            .filter_map(account)
            .find(|row| Some(row.0) == name);
        let own = passwd.lines().filter_map(account).find(|row| row.1 == uid);
        let Some((name, uid, gid)) = named.or(own) else {
            return Self {
                name: format!("user {uid}"),
                uid,
                groups: vec![],
            };
        };
        let others = group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, gid, members] = fields[..] else {
                return None;
            };
            let is_member = members.split(',').any(|member| member == name);
            is_member.then(|| gid.parse().ok())?
        });
        Self {
            groups: std::iter::once(gid).chain(others).collect(),
            name: name.to_owned(),
            uid,
        }
    }

    /// Whether the mode of a file allows it. Root may do everything.
    pub(super) fn may(&self, file: &Metadata, wanted: FileUse) -> bool {
        self.may_by(file.uid(), file.gid(), file.mode(), wanted)
    }

    fn may_by(&self, uid: u32, gid: u32, mode: u32, wanted: FileUse) -> bool {
        let allowed = if uid == self.uid {
            mode >> 6
        } else if self.groups.contains(&gid) {
            mode >> 3
        } else {
            mode
        };
        let wanted = wanted as u32;
        self.uid == 0 || allowed & wanted == wanted
    }

    /// Whether every folder above a file may be passed. Gives the first that may not.
    pub(super) fn stopped_at<'p>(&self, path: &'p Path) -> io::Result<Option<&'p Path>> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for folder in above
            .into_iter()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            if !self.may(&std::fs::metadata(folder)?, FileUse::Pass) {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }
}

/// Name, id and group of a line of passwd(5).
fn account(line: &str) -> Option<(&str, u32, u32)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, ..] = fields[..] else {
        return None;
    };
    Some((name, uid.parse().ok()?, gid.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nsextant:x:990:980::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\nsextant:x:980:\nssl-cert:x:100:web,sextant\n";

    #[test]
    fn a_user_has_its_own_group_and_those_that_name_it() {
        let sextant = ServiceUser::found(PASSWD, GROUP, Some("sextant"), 0);
        assert_eq!((sextant.uid, sextant.groups), (990, vec![980, 100]));
        assert_eq!(ServiceUser::found(PASSWD, GROUP, None, 0).name, "root");
        assert_eq!(ServiceUser::found(PASSWD, GROUP, None, 5).name, "user 5");
    }

    #[test]
    fn the_first_of_owner_group_and_others_that_fits_counts() {
        let sextant = ServiceUser::found(PASSWD, GROUP, Some("sextant"), 0);
        for (uid, gid, mode, wanted, may) in [
            (990, 0, 0o700, FileUse::Write, true),
            (990, 0, 0o077, FileUse::Write, false),
            (0, 980, 0o640, FileUse::Read, true),
            (0, 100, 0o640, FileUse::Read, true),
            (0, 980, 0o640, FileUse::Change, false),
            (0, 0, 0o600, FileUse::Read, false),
            (0, 0, 0o644, FileUse::Read, true),
        ] {
            assert_eq!(
                sextant.may_by(uid, gid, mode, wanted),
                may,
                "{uid} {gid} {mode:o}"
            );
        }
        let root = ServiceUser::found(PASSWD, GROUP, None, 0);
        assert!(root.may_by(990, 980, 0, FileUse::Write));
    }
}
