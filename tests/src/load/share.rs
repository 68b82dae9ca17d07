//! Holds a process to a share of a processor, by the quota of a control group (cgroups(7)).

use crate::error::LabError;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Microseconds for which a quota holds.
const PERIOD: f64 = 100_000.0;
/// Where version 1's `cpu` controller is, and where version 2's tree.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];

/// A control group with a quota. It goes when it is dropped, which must be after its processes have ended.
#[derive(Debug)]
pub struct ProcessorShare(PathBuf);

impl ProcessorShare {
    /// A group whose processes together get so many processors.
    ///
    /// # Errors
    /// [`LabError::Io`] where this machine lets nobody make one.
    pub fn new(processors: f64) -> Result<Self, LabError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [first, second] = HIERARCHIES;
        let is_first = Path::new(first).join("cpu.cfs_quota_us").exists();
        let hierarchy = if is_first { first } else { second };
        let name = format!("sextant-load-{}-{number}", std::process::id());
        let group = Path::new(hierarchy).join(name);
        fs::create_dir(&group).map_err(LabError::io(format!("make {}", group.display())))?;
        let share = Self(group);
        let quota = (processors * PERIOD).round();
        match is_first {
            true => {
                share.write("cpu.cfs_period_us", &PERIOD.to_string())?;
                share.write("cpu.cfs_quota_us", &quota.to_string())?;
            }
            false => share.write("cpu.max", &format!("{quota} {PERIOD}"))?,
        }
        Ok(share)
    }

    /// Puts a process with all its threads into the group.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no such process.
    pub fn hold(&self, pid: u32) -> Result<(), LabError> {
        self.write("cgroup.procs", &pid.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<(), LabError> {
        let path = self.0.join(file);
        fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))
    }
}

impl Drop for ProcessorShare {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
