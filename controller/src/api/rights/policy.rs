//! An operator's file of rules: read, and checked as a whole before any of it counts.

use super::base::{BaseRule, base_rule};
use super::relations::{Who, names_relation};
use super::table::rule_named;
use super::unset::is_unset;
use crate::api::contract::policy::{Policy, PolicyFault};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest file, in octets. Neutron's own rules, all of them with comments, have 150,000.
const LONGEST: u64 = 1024 * 1024;
/// How deep rules may refer to rules.
const DEEPEST: usize = 32;
/// How many checks a rule may take at most, with all rules that it refers to.
const DEAREST: u64 = 10_000;

/// Rules that an operator has set.
#[derive(Clone, Debug, Default)]
pub struct PolicyFile {
    pub(crate) policy: Arc<Policy>,
    unknown: Vec<String>,
}

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is too long.
    #[error("{path}: it is longer than {LONGEST} octets")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is not as it should be.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        why: String,
    },
}

impl PolicyFile {
    /// Reads a file. An empty path names none.
    ///
    /// # Errors
    /// The file cannot be read, or one of its rules could not be decided on.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        if path.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let text = text(path)?;
        Self::parse(&text).map_err(|fault| PolicyError::Malformed {
            path: path.into(),
            why: fault.to_string(),
        })
    }

    /// The rules that count for nothing: Sextant asks for none of these names, and no rule that counts refers to them.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    fn parse(text: &str) -> Result<Self, PolicyFault> {
        let policy = Policy::parse(text)?;
        let mut weights = Weights {
            policy: &policy,
            known: BTreeMap::new(),
            path: Vec::new(),
        };
        for (name, _) in policy.rules() {
            weights.of_rule(name)?;
        }
        let unknown = unknown(&policy, &weights);
        Ok(Self {
            policy: Arc::new(policy),
            unknown,
        })
    }
}

fn text(path: &Path) -> Result<String, PolicyError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    match read {
        Ok(octets) if octets as u64 > LONGEST => Err(PolicyError::TooLong { path: path.into() }),
        Ok(_) => Ok(text),
        Err(error) => Err(PolicyError::Unreadable {
            path: path.into(),
            error,
        }),
    }
}

/// The rules that nothing asks for.
fn unknown(policy: &Policy, weights: &Weights<'_>) -> Vec<String> {
    let names = policy.rules().map(|(name, _)| name.to_owned());
    let mut next: Vec<String> = names.filter(|name| is_asked_for(name)).collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = next.pop() {
        let references = weights.references(&name).unwrap_or_default();
        if reached.insert(name) {
            next.extend(references);
        }
    }
    let names = policy.rules().map(|(name, _)| name.to_owned());
    names.filter(|name| !reached.contains(name)).collect()
}

/// Whether Sextant asks for a rule of this name, without another rule that refers to it.
fn is_asked_for(name: &str) -> bool {
    rule_named(name).is_some()
        || is_unset(name)
        || names_relation(name)
        || name == "context_can_set_project_id"
}

/// How many checks rules take. What refers to itself has no weight, and is refused.
struct Weights<'a> {
    policy: &'a Policy,
    known: BTreeMap<String, u64>,
    /// The rules that led here.
    path: Vec<String>,
}

impl Weights<'_> {
    fn of_rule(&mut self, name: &str) -> Result<u64, PolicyFault> {
        if let Some(weight) = self.known.get(name) {
            return Ok(*weight);
        }
        if self.path.iter().any(|before| before == name) {
            let path = self.path.join(" -> ");
            return Err(self.fault(format!("rules go round in a circle: {path} -> {name}")));
        }
        if self.path.len() >= DEEPEST {
            let why = format!("rules refer to rules more than {DEEPEST} deep");
            return Err(self.fault(why));
        }
        let references = self.references(name)?;
        self.path.push(name.to_owned());
        let mut weight: u64 = 1;
        for reference in references {
            weight = weight.saturating_add(self.of_rule(&reference)?);
        }
        if weight > DEAREST {
            let why =
                format!("with the rules that it refers to, it takes more than {DEAREST} checks");
            return Err(self.fault(why));
        }
        self.path.pop();
        self.known.insert(name.to_owned(), weight);
        Ok(weight)
    }

    /// The rules that one depends on.
    fn references(&self, name: &str) -> Result<Vec<String>, PolicyFault> {
        if let Some(rule) = self.policy.rule(name) {
            return Ok(owned(rule.check.references()));
        }
        match (base_rule(name), rule_named(name)) {
            (Some(BaseRule::Check(check)), _) => Ok(owned(check.references())),
            (Some(BaseRule::Relation(who)), _) => Ok(self.set_for(*who, name)),
            (None, Some(rule)) => Ok(self.set_for(rule.who, name)),
            (None, None) => match self.path.iter().any(|before| is_asked_for(before)) {
                true => Err(self.fault(format!("there is no rule {name:?}"))),
                // A rule that nobody asks for may refer to others of Neutron's that Sextant lacks.
                false => Ok(Vec::new()),
            },
        }
    }

    /// The base rules in the file that take the place of these relations.
    fn set_for(&self, who: Who, name: &str) -> Vec<String> {
        let names = who.relations().flat_map(|(relation, _)| relation.names());
        let set = names.filter(|base| **base != name && self.policy.rule(base).is_some());
        owned(set.copied().collect())
    }

    /// A fault of the rule of the file that led here.
    fn fault(&self, why: String) -> PolicyFault {
        let mut path = self.path.iter().rev();
        let rule = path.find_map(|name| Some((name, self.policy.rule(name)?)));
        match rule {
            Some((name, rule)) => PolicyFault {
                line: rule.line,
                why: format!("{name:?}: {why}"),
            },
            None => PolicyFault { line: 1, why },
        }
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        PolicyFile::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn rules_that_sextant_lacks_are_named() {
        let text = "create_trunk: role:x\nget_port: rule:mine\nmine: role:x\nget_port:name: '!'\nadmin_only: role:x\nupdate_network:frobs: '@'\nactivate: '!'\n";
        let file = PolicyFile::parse(text).unwrap();
        assert_eq!(file.unknown(), ["create_trunk", "update_network:frobs"]);
        let alone = PolicyFile::parse("owner: role:x\nget_trunk: rule:owner\n").unwrap();
        assert_eq!(alone.unknown(), ["get_trunk", "owner"]);
        let by_another = "owner: role:x\nget_port: rule:admin_or_owner\n";
        let by_another = PolicyFile::parse(by_another).unwrap();
        assert_eq!(by_another.unknown(), [""; 0]);
    }

    #[test]
    fn circles_are_refused() {
        for (text, expected) in [
            (
                "a: rule:a\n",
                "line 1: \"a\": rules go round in a circle: a -> a",
            ),
            (
                "x: '@'\na: rule:b\nb: not rule:a\n",
                "line 3: \"b\": rules go round in a circle: a -> b -> a",
            ),
            (
                "owner: rule:admin_or_owner\n",
                "line 1: \"owner\": rules go round in a circle: owner -> admin_or_owner -> owner",
            ),
            (
                "context_is_admin: rule:admin_only\n",
                "line 1: \"context_is_admin\": rules go round in a circle: context_is_admin -> admin_only -> context_is_admin",
            ),
            (
                "admin_only: rule:delete_network\n",
                "line 1: \"admin_only\": rules go round in a circle: admin_only -> delete_network -> admin_only",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn what_would_take_long_is_refused() {
        let chain: String = (0..100)
            .map(|n| format!("a{n}: rule:a{}\n", n + 1))
            .collect();
        assert!(error(&chain).contains("more than 32 deep"));
        let doubling: String = (0..30)
            .map(|n| format!("b{n}: rule:b{0} or rule:b{0}\n", n + 1))
            .collect();
        assert!(error(&(doubling + "b30: '@'\n")).contains("more than 10000 checks"));
    }

    #[test]
    fn a_rule_that_counts_refers_to_rules_that_are_there() {
        assert_eq!(
            error("x: '@'\nget_port: rule:nobody or rule:x\n"),
            "line 2: \"get_port\": there is no rule \"nobody\""
        );
        let of_others = PolicyFile::parse("update_trunk: rule:create_trunk\n").unwrap();
        assert_eq!(of_others.unknown(), ["update_trunk"]);
    }
}
