//! Rules that an operator has set, in the form of oslo.policy's files: names of rules, and what has to hold for each.

mod check;
mod document;
mod fault;
mod words;

pub(crate) use check::{CallerFact, FieldCheck, Part, RuleCheck, Subject, Template, Wanted};

use std::collections::BTreeMap;

/// The rules of a file. They take the place of those of these names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Policy {
    rules: BTreeMap<String, RuleText>,
}

/// A rule of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleText {
    /// The line of its value, from 1 on.
    pub(crate) line: usize,
    pub(crate) check: RuleCheck,
}

/// Where a file is not as it should be, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(crate) struct PolicyFault {
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Policy {
    /// The rules in a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyFault> {
        let rules = document::rules(text)?;
        Ok(Self { rules })
    }

    /// Whether no rule is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What has to hold for a rule, if it is set.
    pub(crate) fn check(&self, name: &str) -> Option<&RuleCheck> {
        self.rules.get(name).map(|rule| &rule.check)
    }

    /// All rules, with their names.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, &RuleText)> {
        self.rules.iter().map(|(name, rule)| (name.as_str(), rule))
    }

    pub(crate) fn rule(&self, name: &str) -> Option<&RuleText> {
        self.rules.get(name)
    }
}
