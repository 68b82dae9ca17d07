//! One thing that was looked at.

use crate::control::visible::in_one_line;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many of several a finding names.
const NAMED: usize = 5;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It cannot be seen from here.
    Unclear,
    /// Wrong: the port's guest lacks something because of it.
    Bad,
}

/// A thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `plugged in`, `security groups`, ….
    pub check: String,
    /// How it is.
    pub state: FindingState,
    /// What was seen, in one sentence.
    pub says: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl fmt::Display for FindingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Unclear => "unclear",
            Self::Bad => "BAD",
        })
    }
}

impl Finding {
    pub(crate) fn good(check: &str, says: impl Into<String>) -> Self {
        Self::new(check, FindingState::Good, says, None)
    }

    pub(crate) fn note(check: &str, says: impl Into<String>) -> Self {
        Self::new(check, FindingState::Note, says, None)
    }

    /// Worth knowing, and with something to do where nothing else is wrong.
    pub(crate) fn hint(check: &str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, FindingState::Note, says, Some(advice.into()))
    }

    pub(crate) fn unclear(check: &str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, FindingState::Unclear, says, Some(advice.into()))
    }

    pub(crate) fn bad(check: &str, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, FindingState::Bad, says, Some(advice.into()))
    }

    pub(crate) fn is_bad(&self) -> bool {
        self.state == FindingState::Bad
    }

    fn new(
        check: &str,
        state: FindingState,
        says: impl Into<String>,
        advice: Option<String>,
    ) -> Self {
        Self {
            check: check.to_owned(),
            state,
            says: in_one_line(&says.into()),
            advice: advice.map(|advice| in_one_line(&advice)),
        }
    }

    /// A line for people.
    pub(crate) fn show(&self) -> String {
        format!("{:7}  {:16}  {}\n", self.state, self.check, self.says)
    }

    /// A line for people, and one with what to do.
    pub(crate) fn show_with_advice(&self) -> String {
        let advice = self.advice.as_ref();
        let advice = advice.map_or_else(String::new, |advice| format!("{:27}Do: {advice}\n", ""));
        format!("{}{advice}", self.show())
    }
}

/// The first names, and how many more there are. `None`: there are none.
pub(super) fn named<N: ToString>(names: impl IntoIterator<Item = N>) -> Option<String> {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => None,
        count if count > NAMED => Some(format!("{shown} and {} more", count - NAMED)),
        _ => Some(shown),
    }
}
