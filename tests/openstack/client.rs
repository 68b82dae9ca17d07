//! The unmodified `openstack` client, driven by a runner that pays its start once.

use serde_json::Value;
use sextant_lab::Loopback;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// The interpreter with the clients that `scripts/setup venv` installs.
pub(crate) fn python() -> Result<Command, String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = repository.join(".venv/bin/python");
    match python.is_file() {
        true => Ok(Command::new(python)),
        false => Err("no .venv: run `scripts/setup venv`".to_owned()),
    }
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("openstack")
        .join(name)
}

/// A controller, and somebody who types commands.
pub(crate) struct Client {
    /// Runs for as long as somebody types.
    _controller: Loopback,
    runner: Child,
    keyboard: ChildStdin,
    screen: BufReader<ChildStdout>,
    typed: usize,
}

/// What a command has printed.
#[derive(Debug)]
pub(crate) struct Printed {
    status: i64,
    out: String,
    err: String,
}

impl Client {
    /// Someone at a controller of their own.
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        Self::of_project(&[])
    }

    /// The same, where there are these projects; they work for the first.
    pub(crate) fn of_project(projects: &[&str]) -> Result<Self, Box<dyn Error>> {
        let controller = Loopback::start(&[])?;
        let endpoint = format!("http://{}", controller.addresses().api);
        Self::with(controller, &[&[&*endpoint], projects].concat())
    }

    /// Someone whose commands say who they are and where everything is.
    pub(crate) fn typing(controller: Loopback) -> Result<Self, Box<dyn Error>> {
        Self::with(controller, &[])
    }

    fn with(controller: Loopback, words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut runner = python()?
            .arg(script("runner.py"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(keyboard), Some(screen)) = (runner.stdin.take(), runner.stdout.take()) else {
            return Err("the runner has no keyboard".into());
        };
        Ok(Self {
            _controller: controller,
            runner,
            keyboard,
            screen: BufReader::new(screen),
            typed: 0,
        })
    }

    /// How many commands were typed.
    pub(crate) fn typed(&self) -> usize {
        self.typed
    }

    /// Types a command.
    pub(crate) fn types(&mut self, command: &str) -> Result<Printed, Box<dyn Error>> {
        let line = command.replace("\\\n", " ");
        writeln!(self.keyboard, "{line}")?;
        let mut answer = String::new();
        self.screen.read_line(&mut answer)?;
        let answer: Value = serde_json::from_str(&answer)?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        self.typed += 1;
        Ok(Printed {
            status: answer["status"].as_i64().unwrap_or(-1),
            out: text("out"),
            err: text("err"),
        })
    }

    /// A command that succeeds and has nothing to say.
    #[track_caller]
    pub(crate) fn does(&mut self, command: &str) -> Outcome {
        let printed = self.types(command)?;
        assert!(
            printed.status == 0 && printed.out.trim().is_empty(),
            "{command}: {printed:?}"
        );
        Ok(())
    }

    /// A command that shows something, in which all of `expected` is. Returns the whole of it.
    #[track_caller]
    pub(crate) fn shows(
        &mut self,
        command: &str,
        expected: Value,
    ) -> Result<Value, Box<dyn Error>> {
        let shown = self.reads(command)?;
        assert!(
            has(&shown, &expected),
            "{command}: {shown:#} has not all of {expected:#}"
        );
        Ok(shown)
    }

    /// All that a command shows.
    #[track_caller]
    pub(crate) fn reads(&mut self, command: &str) -> Result<Value, Box<dyn Error>> {
        let printed = self.types(&format!("{command} -f json"))?;
        assert_eq!(printed.status, 0, "{command}: {printed:?}");
        Ok(serde_json::from_str(&printed.out)?)
    }

    /// A command that is refused, with these words among others.
    #[track_caller]
    pub(crate) fn is_refused(&mut self, command: &str, words: &str) -> Outcome {
        let printed = self.types(command)?;
        assert!(
            printed.status != 0 && printed.err.contains(words),
            "{command}: {printed:?} without {words:?}"
        );
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

/// Whether everything expected is there: of an object all fields, of a list all items in order.
fn has(shown: &Value, expected: &Value) -> bool {
    if let (Some(shown), Some(expected)) = (shown.as_object(), expected.as_object()) {
        return expected
            .iter()
            .all(|(name, value)| shown.get(name).is_some_and(|shown| has(shown, value)));
    }
    if let (Some(shown), Some(expected)) = (shown.as_array(), expected.as_array()) {
        return shown.len() == expected.len()
            && shown
                .iter()
                .zip(expected)
                .all(|(shown, value)| has(shown, value));
    }
    shown == expected
}
