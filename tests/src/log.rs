//! The log of a running program: a file that the program writes and the lab follows line by line. inotify signals new
//! lines, so waiting costs nothing and misses nothing. Unlike a pipe, a file survives the lab's process.

use crate::deadline::Deadline;
use crate::error::LabError;
use rustix::fs::inotify;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Follows one file from a position on.
#[derive(Debug)]
pub(crate) struct LogFollower {
    path: PathBuf,
    file: File,
    changes: OwnedFd,
    unfinished: String,
    lines: std::collections::VecDeque<String>,
}

impl LogFollower {
    /// Follows from `offset` bytes after the file's start.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, LabError> {
        let what = format!("follow {}", path.display());
        let mut file = File::open(path).map_err(LabError::io(&what))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(LabError::io(&what))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            changes: watch(path)?,
            unfinished: String::new(),
            lines: std::collections::VecDeque::new(),
        })
    }

    /// The next complete line for which `pick` has an answer. It waits until `ended` (a descriptor that becomes
    /// readable when the writer is gone) or the deadline.
    pub(crate) fn find<T>(
        &mut self,
        ended: &OwnedFd,
        deadline: Deadline,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<Found<T>, LabError> {
        let mut writer_gone = false;
        loop {
            self.read()?;
            while let Some(line) = self.lines.pop_front() {
                if let Some(picked) = pick(&line) {
                    return Ok(Found::Line(picked));
                }
            }
            if writer_gone {
                return Ok(Found::WriterEnded);
            }
            if !deadline.wait_readable(&[self.changes.as_fd(), ended.as_fd()])? {
                return Ok(Found::DeadlineMissed);
            }
            forget_events(&self.changes);
            writer_gone =
                Deadline::after(std::time::Duration::ZERO).wait_readable(&[ended.as_fd()])?;
        }
    }

    fn read(&mut self) -> Result<(), LabError> {
        let mut bytes = Vec::new();
        self.file
            .read_to_end(&mut bytes)
            .map_err(LabError::io(format!("read {}", self.path.display())))?;
        self.unfinished.push_str(&String::from_utf8_lossy(&bytes));
        while let Some(end) = self.unfinished.find('\n') {
            let rest = self.unfinished.split_off(end + 1);
            let line = std::mem::replace(&mut self.unfinished, rest);
            self.lines.push_back(line.trim_end().to_owned());
        }
        Ok(())
    }
}

/// How a search in a log ended.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Line(T),
    WriterEnded,
    DeadlineMissed,
}

/// A descriptor that turns readable whenever the file grows.
pub(crate) fn watch(path: &Path) -> Result<OwnedFd, LabError> {
    let what = format!("watch {}", path.display());
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(LabError::errno(&what))?;
    inotify::add_watch(&fd, path, inotify::WatchFlags::MODIFY).map_err(LabError::errno(&what))?;
    Ok(fd)
}

/// Empties the descriptor: the file itself says what is new.
pub(crate) fn forget_events(changes: &OwnedFd) {
    let mut buffer = [0_u8; 4096];
    while rustix::io::read(changes, &mut buffer).is_ok_and(|read| read > 0) {}
}

/// The last `count` lines of a file; empty when it cannot be read.
pub(crate) fn tail(path: &Path, count: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
