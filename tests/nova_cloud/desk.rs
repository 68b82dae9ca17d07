//! Somebody who types commands of the unmodified `openstack` client, beside the cloud's controller.

use super::Outcome;
use serde_json::Value;
use sextant_lab::{CONTROLLER, Namespace};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// A keyboard and a screen. Without a name before it, a command is `alice`'s.
pub(crate) struct Desk {
    runner: Child,
    keyboard: ChildStdin,
    screen: BufReader<ChildStdout>,
}

impl Desk {
    pub(crate) fn sit_down(namespace: &Namespace) -> Result<Self, Box<dyn Error>> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = tests.join("../.venv/bin/python");
        let script = tests.join("openstack/runner.py");
        let words = [&*python.to_string_lossy(), &*script.to_string_lossy()];
        let mut runner = namespace
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(keyboard), Some(screen)) = (runner.stdin.take(), runner.stdout.take()) else {
            return Err("the runner has no keyboard".into());
        };
        Ok(Self {
            runner,
            keyboard,
            screen: BufReader::new(screen),
        })
    }

    /// What a command of somebody prints.
    fn types(&mut self, who: &str, command: &str) -> Result<String, Box<dyn Error>> {
        let project = if who == "admin" { "admin" } else { "red" };
        writeln!(
            self.keyboard,
            "openstack --os-identity-api-version 3 --os-region-name one --os-auth-url http://[{CONTROLLER}]:5000/v3 \
             --os-username {who} --os-password {who}-hunter2 --os-user-domain-name Default \
             --os-project-name {project} --os-project-domain-name Default {command}"
        )?;
        let mut answer = String::new();
        self.screen.read_line(&mut answer)?;
        let answer: Value = serde_json::from_str(&answer)?;
        match answer["status"].as_i64() {
            Some(0) => Ok(answer["out"].as_str().unwrap_or_default().to_owned()),
            _ => Err(format!("{command}: {answer:#}").into()),
        }
    }

    /// A command of `alice` that succeeds.
    pub(crate) fn does(&mut self, command: &str) -> Outcome {
        self.types("alice", command).map(drop)
    }

    /// A command of `admin` that succeeds.
    pub(crate) fn orders(&mut self, command: &str) -> Outcome {
        self.types("admin", command).map(drop)
    }

    /// What a command of `alice` shows.
    pub(crate) fn reads(&mut self, command: &str) -> Result<Value, Box<dyn Error>> {
        let printed = self.types("alice", &format!("{command} -f json"))?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// What a command of `admin` shows.
    pub(crate) fn inspects(&mut self, command: &str) -> Result<Value, Box<dyn Error>> {
        let printed = self.types("admin", &format!("{command} -f json"))?;
        Ok(serde_json::from_str(&printed)?)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}
