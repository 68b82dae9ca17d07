//! A controller that runs for a test.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part, and says where it cannot go on"
)]

use std::io::{BufRead, BufReader, Lines};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A process, ended with the test.
pub struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Deref for Serving {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Serving {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Serving {
    /// Runs a command, and returns the lines of its log.
    pub fn spawn(command: &mut Command) -> (Self, Lines<BufReader<ChildStderr>>) {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        (Self(process), log.lines())
    }

    /// `sextant serve` with a configuration, once it is ready.
    pub fn start(file: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
        let (serving, lines) = Self::spawn(command.arg("serve").arg("--config").arg(file));
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ready")), "it did not start");
        std::thread::spawn(move || lines.for_each(drop));
        serving
    }
}
