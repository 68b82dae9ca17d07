//! The audit file: a JSON object a line for each write that the API was asked for.
//!
//! A thread of its own writes, so that a disk that is full or hangs delays no answer. What cannot be written is counted and
//! complained of. SIGHUP has the file opened anew, also after it was moved away.

use crate::metrics::Metrics;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// How many lines wait for the disk at most.
const MOST: usize = 10_000;
/// For its user, and for the group that may read logs.
const MODE: u32 = 0o640;
/// How long the last lines may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Takes lines for the file.
#[derive(Clone, Debug)]
pub struct AuditFile {
    sender: SyncSender<Told>,
    /// Whether the latest file has a name.
    is_kept: Arc<AtomicBool>,
    metrics: Metrics,
}

enum Told {
    Line(Vec<u8>),
    /// Write to this file from now on. Empty: to none.
    Open(PathBuf),
    /// Say when everything before this is written.
    Flush(SyncSender<()>),
}

impl AuditFile {
    /// Writes to this file, if its name is not empty.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn open(path: &Path, metrics: Metrics) -> io::Result<Self> {
        let (sender, told) = sync_channel(MOST);
        let mut writer = AuditWriter::new(metrics.clone());
        writer.reopen(path.to_owned());
        let thread = std::thread::Builder::new().name("sextant-audit".to_owned());
        thread.spawn(move || writer.run(&told))?;
        Ok(Self {
            sender,
            is_kept: Arc::new(AtomicBool::new(has_name(path))),
            metrics,
        })
    }

    /// Writes to this file from now on, which is opened anew.
    pub fn reopen(&self, path: &Path) {
        self.is_kept.store(has_name(path), Ordering::Relaxed);
        if self.sender.try_send(Told::Open(path.to_owned())).is_err() {
            tracing::warn!(
                "the audit file is not opened anew: its disk does not take what waits for it"
            );
        }
    }

    /// Whether anything is written at all.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// Writes an object.
    pub(crate) fn write(&self, record: &Value) {
        let line = format!("{record}\n").into_bytes();
        match self.sender.try_send(Told::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.audit_lines_lost.inc();
            }
        }
    }

    /// Waits until everything is written, for a bounded time.
    pub fn finish(&self) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Told::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FAREWELL);
        }
    }
}

/// Owns the file.
struct AuditWriter {
    path: PathBuf,
    file: Option<File>,
    /// Whether the last line could not be written.
    fails: bool,
    metrics: Metrics,
}

impl AuditWriter {
    fn new(metrics: Metrics) -> Self {
        Self {
            path: PathBuf::new(),
            file: None,
            fails: false,
            metrics,
        }
    }

    fn run(mut self, told: &Receiver<Told>) {
        while let Ok(told) = told.recv() {
            match told {
                Told::Line(line) => self.write(&line),
                Told::Open(path) => self.reopen(path),
                Told::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    /// It is opened at once, so that who configures it learns at once if it cannot be.
    fn reopen(&mut self, path: PathBuf) {
        self.path = path;
        self.file = None;
        let opened = self.is_wanted().then(|| self.opened().map(drop));
        if let Some(Err(error)) = opened {
            self.complain(&error);
        }
    }

    fn is_wanted(&self) -> bool {
        has_name(&self.path)
    }

    fn write(&mut self, line: &[u8]) {
        if !self.is_wanted() {
            return;
        }
        match self.opened().and_then(|file| append(file, line)) {
            Ok(()) => {
                if std::mem::take(&mut self.fails) {
                    tracing::info!(path = %self.path.display(), "the audit file is written again");
                }
            }
            Err(error) => {
                self.metrics.audit_lines_lost.inc();
                self.file = None;
                self.complain(&error);
            }
        }
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true).mode(MODE);
            self.file = Some(options.open(&self.path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.fails, true) {
            tracing::error!(path = %self.path.display(), %error, "the audit file cannot be written: writes of the API are in the log alone");
        }
    }
}

fn has_name(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Appends a line as a whole, or nothing of it.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| {
        // What was written of it is cut off. Where that fails as well, the line stays broken.
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    #[test]
    fn lines_go_on_where_the_file_is_opened_anew_and_those_that_are_lost_are_counted() {
        let folder = std::env::temp_dir().join(format!("sextant-audit-{}", std::process::id()));
        let _folder = Folder(folder.clone());
        let metrics = Metrics::new().unwrap();
        let path = folder.join("audit.jsonl");
        let audit = AuditFile::open(&path, metrics.clone()).unwrap();
        audit.write(&json!({"n": 1}));
        audit.finish();
        assert_eq!(metrics.audit_lines_lost.get(), 1, "there is no folder");
        std::fs::create_dir_all(&folder).unwrap();
        audit.write(&json!({"n": 2}));
        audit.finish();
        assert_eq!(lines(&path), [json!({"n": 2})]);
        let moved = folder.join("audit.jsonl.1");
        std::fs::rename(&path, &moved).unwrap();
        audit.write(&json!({"n": 3}));
        audit.reopen(&path);
        audit.write(&json!({"n": 4}));
        audit.finish();
        assert_eq!(lines(&moved), [json!({"n": 2}), json!({"n": 3})]);
        assert_eq!(lines(&path), [json!({"n": 4})]);
        assert!(audit.is_kept());
        audit.reopen(Path::new(""));
        assert!(!audit.is_kept());
        audit.write(&json!({"n": 5}));
        audit.finish();
        assert_eq!(lines(&path).len(), 1);
        assert_eq!(metrics.audit_lines_lost.get(), 1);
    }

    #[test]
    fn a_disk_without_room_loses_lines_and_delays_nobody() {
        let metrics = Metrics::new().unwrap();
        let audit = AuditFile::open(Path::new("/dev/full"), metrics.clone()).unwrap();
        audit.write(&json!({}));
        audit.finish();
        assert_eq!(metrics.audit_lines_lost.get(), 1);
    }
}
