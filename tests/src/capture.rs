//! Packets on a wire: tcpdump writes them to a file, tshark reads them. A capture has started
//! when [`Capture::start`] returns, and a wait for packets ends when they are in the file.

use crate::command;
use crate::deadline::Deadline;
use crate::error::LabError;
use crate::leftovers;
use crate::log;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::Tools;
use serde_json::Value;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static SERIAL: AtomicU32 = AtomicU32::new(0);
const STARTING: Duration = Duration::from_secs(10);
/// Sizes of pcap's file header and record header in bytes (draft-ietf-opsawg-pcap §4, §5).
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

/// How many octets of each packet of a burst are kept.
const HEADERS: &str = "256";

impl Capture {
    /// Starts to capture on a device; `filter` as in pcap-filter(7), empty for everything.
    ///
    /// # Errors
    /// [`LabError::MissingTools`]; [`LabError::Ended`] when tcpdump refuses the filter.
    pub fn start(namespace: &Namespace, device: &str, filter: &str) -> Result<Self, LabError> {
        Self::start_with(namespace, device, filter, &[])
    }

    /// The same, of the first octets of each packet, which have its headers. Of whole packets, the kernel keeps some 30 until
    /// tcpdump has its turn; of these, thousands.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn start_of_burst(
        namespace: &Namespace,
        device: &str,
        filter: &str,
    ) -> Result<Self, LabError> {
        Self::start_with(namespace, device, filter, &["-s", HEADERS])
    }

    fn start_with(
        namespace: &Namespace,
        device: &str,
        filter: &str,
        options: &[&str],
    ) -> Result<Self, LabError> {
        let lab = namespace.lab();
        Tools::check(&["tcpdump", "tshark"])?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let file = leftovers::home(lab).join(format!("capture{serial}.pcap"));
        fs::write(&file, []).map_err(LabError::io(format!("create {}", file.display())))?;
        let path = file.to_string_lossy();
        let mut words = vec![
            "tcpdump",
            "-i",
            device,
            "-n",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-w",
            &path,
        ];
        words.extend(options);
        words.extend((!filter.is_empty()).then_some(filter));
        let log = file.with_extension("log");
        let records = leftovers::records(lab);
        let mut process = Process::spawn(&mut namespace.command(&words), &log, &records)?;
        process.wait_line("start of the capture", STARTING, |line| {
            line.contains("listening on").then_some(())
        })?;
        Ok(Self { process, file })
    }

    /// Waits until at least `count` packets are in the capture.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the number seen.
    pub fn wait_packets(&self, count: usize, timeout: Duration) -> Result<(), LabError> {
        let what = format!("capture of {count} packets");
        self.wait_file(&what, timeout, |file| records_in(file) >= count)
    }

    /// Waits until a packet with these bytes is in the capture; all packets that came before it are, too.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the number of packets seen.
    pub fn wait_bytes(&self, bytes: &[u8], timeout: Duration) -> Result<(), LabError> {
        let what = format!("capture of a packet with {}", bytes.escape_ascii());
        self.wait_file(&what, timeout, |file| {
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    /// Looks at the file, and again each time that it has grown.
    fn wait_file(
        &self,
        what: &str,
        timeout: Duration,
        done: impl Fn(&[u8]) -> bool,
    ) -> Result<(), LabError> {
        let deadline = Deadline::after(timeout);
        let changes = log::watch(&self.file)?;
        loop {
            let file = self.read()?;
            if done(&file) {
                return Ok(());
            }
            if !deadline.wait_readable(&[changes.as_fd()])? {
                return Err(deadline.missed(what, format!("{} packets", records_in(&file))));
            }
            log::forget_events(&changes);
        }
    }

    fn read(&self) -> Result<Vec<u8>, LabError> {
        fs::read(&self.file).map_err(LabError::io(format!("read {}", self.file.display())))
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when tcpdump does not end.
    pub fn stop(mut self) -> Result<Packets, LabError> {
        self.process.interrupt(STARTING)?;
        Ok(Packets {
            count: records_in(&self.read()?),
            file: self.file.clone(),
        })
    }
}

/// Captured packets, in a file that lives as long as the lab.
#[derive(Clone, Debug)]
pub struct Packets {
    file: PathBuf,
    count: usize,
}

impl Packets {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The pcap file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// One row a packet with the wanted tshark fields (`ipv6.src`, `icmpv6.type` …). A field
    /// that a packet has several times gives its values joined by commas, the outermost first;
    /// one that it lacks gives an empty text. `filter` is a display filter, empty for all.
    ///
    /// # Errors
    /// [`LabError::Command`] with tshark's words for an unknown field or a bad filter.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>, LabError> {
        let mut words = vec!["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"];
        for field in fields {
            words.extend(["-e", field]);
        }
        let text = self.tshark(filter, &words)?;
        let rows = text.lines();
        Ok(rows
            .map(|row| row.split('\t').map(str::to_owned).collect())
            .collect())
    }

    /// tshark's full dissection, one value a packet.
    ///
    /// # Errors
    /// As [`Packets::fields`].
    pub fn json(&self, filter: &str) -> Result<Vec<Value>, LabError> {
        let text = self.tshark(filter, &["-T", "json", "--no-duplicate-keys"])?;
        serde_json::from_str(&text).map_err(|error| LabError::unexpected("tshark's JSON", error))
    }

    /// tshark's one-line summaries, for a message to a person.
    ///
    /// # Errors
    /// As [`Packets::fields`].
    pub fn summary(&self) -> Result<String, LabError> {
        self.tshark("", &[])
    }

    fn tshark(&self, filter: &str, words: &[&str]) -> Result<String, LabError> {
        let mut command = command::program("tshark");
        command.args(["-n", "-r"]).arg(&self.file).args(words);
        if !filter.is_empty() {
            command.args(["-Y", filter]);
        }
        command::run(&mut command).map(|output| output.stdout)
    }
}

/// How many whole records a pcap file has.
fn records_in(file: &[u8]) -> usize {
    let mut rest = file.get(FILE_HEADER..).unwrap_or_default();
    let mut count = 0;
    while let Some(after) = skip_record(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// The captured length is the third 32-bit word of a record's header, in this machine's order.
fn skip_record(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(8..12)?.try_into().ok().map(u32::from_ne_bytes)?;
    bytes.get(RECORD_HEADER + usize::try_from(length).ok()?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_records_count() {
        let mut file = vec![0; FILE_HEADER];
        for length in [4_u32, 0] {
            file.extend([0; 8]);
            file.extend(length.to_ne_bytes());
            file.extend([0; 4]);
            file.extend(vec![9; length as usize]);
        }
        assert_eq!(records_in(&file), 2);
        file.pop();
        assert_eq!(records_in(&file), 1);
        assert_eq!(records_in(&file[..10]), 0);
    }
}
