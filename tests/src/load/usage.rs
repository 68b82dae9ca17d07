//! What a process has used: processor time from `/proc/PID/stat`, memory from
//! `/proc/PID/status` (proc(5)).

use crate::error::LabError;
use std::fs;
use std::time::Duration;

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Time in the process itself, in steps of a clock tick (10 ms).
    pub user: Duration,
    /// Time in the kernel on its behalf, in the same steps.
    pub system: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Usage {
    /// What a process has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no such process.
    pub fn of(pid: u32) -> Result<Self, LabError> {
        let [stat, status] = ["stat", "status"].map(|name| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).map_err(LabError::io(format!("read {path}")))
        });
        let (stat, status) = (stat?, status?);
        let known = processor_time(&stat).zip(resident(&status));
        let Some(((user, system), resident)) = known else {
            return Err(LabError::unexpected(format!("/proc/{pid}"), &stat));
        };
        Ok(Self {
            user,
            system,
            resident,
        })
    }

    /// Processor time that the threads of a process whose names begin so have used.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no such process, [`LabError::Unexpected`] when there is no such thread.
    pub fn of_thread(pid: u32, name: &str) -> Result<Duration, LabError> {
        let folder = format!("/proc/{pid}/task");
        let tasks = fs::read_dir(&folder).map_err(LabError::io(format!("read {folder}")))?;
        let begins = format!("({name}");
        let mut times = tasks.flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            let of_name = stat.split_once(' ')?.1.starts_with(&begins);
            let (user, system) = of_name.then(|| processor_time(&stat)).flatten()?;
            Some(user + system)
        });
        let first = times.next();
        let first =
            first.ok_or_else(|| LabError::unexpected(format!("a thread {name}"), "none"))?;
        Ok(first + times.sum::<Duration>())
    }

    /// Processor time in the process and on its behalf.
    #[must_use]
    pub fn processor(&self) -> Duration {
        self.user + self.system
    }

    /// Processor time since an earlier look.
    #[must_use]
    pub fn processor_since(&self, earlier: &Self) -> Duration {
        self.processor().saturating_sub(earlier.processor())
    }
}

/// Fields 14 and 15; the program's name before them may hold anything.
fn processor_time(stat: &str) -> Option<(Duration, Duration)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_whitespace().skip(11);
    let ticks = rustix::param::clock_ticks_per_second();
    let mut times = fields.map(|used| {
        let used: u64 = used.parse().ok()?;
        Some(Duration::from_millis(used * 1000 / ticks.max(1)))
    });
    times.next()?.zip(times.next()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name() {
        let stat = "7 (a) b)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        let (user, system) = processor_time(stat).unwrap();
        assert_eq!(user, 5 * system);
    }

    #[test]
    fn this_process_has_memory() {
        let me = Usage::of(std::process::id()).unwrap();
        assert!(me.resident > 4096);
        assert_eq!(me.processor_since(&me), Duration::ZERO);
    }

    #[test]
    fn threads_are_found_by_name() {
        let spent = std::thread::Builder::new()
            .name("spender7".into())
            .spawn(|| Usage::of_thread(std::process::id(), "spender"));
        spent.unwrap().join().unwrap().unwrap();
        assert!(Usage::of_thread(std::process::id(), "nobody").is_err());
    }
}
