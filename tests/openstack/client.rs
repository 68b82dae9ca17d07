//! Somebody who types commands of the unmodified `openstack` client, beside a controller.

use serde_json::Value;
use sextant_lab::Loopback;
use sextant_lab::openstack::{OpenStackClient, Printed};
use std::error::Error;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// A controller, and somebody who types commands.
pub(crate) struct Client {
    openstack: OpenStackClient,
    /// Runs for as long as somebody types.
    _controller: Loopback,
    typed: usize,
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
        Ok(Self {
            _controller: controller,
            openstack: OpenStackClient::start(None, words)?,
            typed: 0,
        })
    }

    /// How many commands were typed.
    pub(crate) fn typed(&self) -> usize {
        self.typed
    }

    /// Types a command.
    pub(crate) fn types(&mut self, command: &str) -> Result<Printed, Box<dyn Error>> {
        self.typed += 1;
        Ok(self.openstack.types(&command.replace("\\\n", " "))?)
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
