//! Check strings of oslo.policy (its module `_parser`), and the checks that Neutron adds: what has to hold for a rule to allow.
//!
//! `not` binds closer than `and`, and `and` closer than `or`. The empty text and `@` allow everybody, `!` nobody.

use super::fault::CheckFault;
use super::words::{Word, words};
use regex_lite::{Regex, RegexBuilder};
use std::iter::Peekable;

/// How deep parentheses and `not` may be nested.
const DEEPEST: usize = 64;
/// The longest pattern of a field, as octets of its program.
const LARGEST_PATTERN: usize = 64 * 1024;

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RuleCheck {
    Always(bool),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// What another rule says.
    Rule(String),
    /// The caller has a role.
    Role(Template),
    /// The object has a value.
    Field(FieldCheck),
    /// A subject is the same as something of the object.
    Same(Subject, Template),
}

/// A value that an attribute of the object has to have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldCheck {
    /// The plural of the resource.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) wanted: Wanted,
}

/// A value, or a pattern that it begins with.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Text(String),
    Pattern(Regex),
}

/// What is compared with something of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Literal(String),
    Fact(CallerFact),
}

/// What is known of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerFact {
    User,
    Project,
    SystemScope,
    IsAdmin,
    IsAdminProject,
}

/// A text with attributes of the object in it, as `%(NAME)s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Part>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Attribute(String),
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Pattern(one), Self::Pattern(other)) => one.as_str() == other.as_str(),
            (Self::Text(_), Self::Pattern(_)) | (Self::Pattern(_), Self::Text(_)) => false,
        }
    }
}

impl RuleCheck {
    /// Reads a check string.
    pub(crate) fn parse(text: &str) -> Result<Self, CheckFault> {
        let mut reader = Reader {
            words: words(text).into_iter().peekable(),
            depth: 0,
        };
        if reader.words.peek().is_none() {
            return Ok(Self::Always(true));
        }
        let check = reader.any()?;
        match reader.words.next() {
            None => Ok(check),
            Some(word) => Err(CheckFault::Surplus(word.text())),
        }
    }

    /// The names of the rules that it refers to.
    pub(crate) fn references(&self) -> Vec<&str> {
        match self {
            Self::All(checks) | Self::Any(checks) => {
                checks.iter().flat_map(Self::references).collect()
            }
            Self::Not(check) => check.references(),
            Self::Rule(name) => vec![name],
            Self::Always(_) | Self::Role(_) | Self::Field(_) | Self::Same(..) => Vec::new(),
        }
    }

    fn one(text: &str) -> Result<Self, CheckFault> {
        match text {
            "@" => return Ok(Self::Always(true)),
            "!" => return Ok(Self::Always(false)),
            _ => {}
        }
        let Some((kind, value)) = text.split_once(':') else {
            return Err(CheckFault::NoKind(text.to_owned()));
        };
        match kind {
            "rule" => Ok(Self::Rule(value.to_owned())),
            "role" => Template::parse(value).map(Self::Role),
            "field" => FieldCheck::parse(text, value).map(Self::Field),
            "http" | "https" => Err(CheckFault::Remote(text.to_owned())),
            _ => {
                let subject = Subject::parse(kind)?;
                Ok(Self::Same(subject, Template::parse(value)?))
            }
        }
    }
}

/// Reads words into checks.
struct Reader<'a, I: Iterator<Item = Word<'a>>> {
    words: Peekable<I>,
    depth: usize,
}

impl<'a, I: Iterator<Item = Word<'a>>> Reader<'a, I> {
    fn any(&mut self) -> Result<RuleCheck, CheckFault> {
        let mut checks = vec![self.all()?];
        while self.words.next_if_eq(&Word::Or).is_some() {
            checks.push(self.all()?);
        }
        Ok(one_or(checks, RuleCheck::Any))
    }

    fn all(&mut self) -> Result<RuleCheck, CheckFault> {
        let mut checks = vec![self.single()?];
        while self.words.next_if_eq(&Word::And).is_some() {
            checks.push(self.single()?);
        }
        Ok(one_or(checks, RuleCheck::All))
    }

    /// A check, one that is denied, or what is within parentheses.
    fn single(&mut self) -> Result<RuleCheck, CheckFault> {
        match self.words.next() {
            Some(Word::Check(text)) => RuleCheck::one(text),
            Some(Word::Not) => {
                self.deeper()?;
                let denied = RuleCheck::Not(Box::new(self.single()?));
                self.depth -= 1;
                Ok(denied)
            }
            Some(Word::Open) => {
                self.deeper()?;
                let inner = self.any()?;
                self.depth -= 1;
                match self.words.next() {
                    Some(Word::Close) => Ok(inner),
                    Some(word) => Err(CheckFault::Missing(format!("before {:?}", word.text()))),
                    None => Err(CheckFault::Open),
                }
            }
            Some(word) => Err(CheckFault::Missing(format!("before {:?}", word.text()))),
            None => Err(CheckFault::Missing("at the end".to_owned())),
        }
    }

    fn deeper(&mut self) -> Result<(), CheckFault> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(CheckFault::Deep(DEEPEST)),
            false => Ok(()),
        }
    }
}

fn one_or(mut checks: Vec<RuleCheck>, several: fn(Vec<RuleCheck>) -> RuleCheck) -> RuleCheck {
    match checks.len() {
        1 => checks.remove(0),
        _ => several(checks),
    }
}

impl FieldCheck {
    fn parse(whole: &str, text: &str) -> Result<Self, CheckFault> {
        // A name may have a colon, as router:external.
        let parts = text.split_once('=').and_then(|(field, value)| {
            let (resource, name) = field.split_once(':')?;
            Some((resource, name, value))
        });
        let Some((resource, name, value)) = parts else {
            return Err(CheckFault::NoField(whole.to_owned()));
        };
        Ok(Self {
            resource: resource.to_owned(),
            name: name.to_owned(),
            wanted: Wanted::parse(value)?,
        })
    }
}

impl Wanted {
    fn parse(value: &str) -> Result<Self, CheckFault> {
        let Some(pattern) = value.strip_prefix('~') else {
            return Ok(Self::Text(value.to_owned()));
        };
        // As Python matches: from the beginning of the value on.
        let regex = RegexBuilder::new(&format!("^(?:{pattern})"))
            .size_limit(LARGEST_PATTERN)
            .build();
        match regex {
            Ok(regex) => Ok(Self::Pattern(regex)),
            Err(error) => Err(CheckFault::Pattern(pattern.to_owned(), error.to_string())),
        }
    }
}

impl Subject {
    fn parse(kind: &str) -> Result<Self, CheckFault> {
        let fact = match kind {
            "user_id" | "user" => CallerFact::User,
            "project_id" | "tenant_id" | "tenant" => CallerFact::Project,
            "system_scope" => CallerFact::SystemScope,
            "is_admin" => CallerFact::IsAdmin,
            "is_admin_project" => CallerFact::IsAdminProject,
            "True" | "False" | "None" => return Ok(Self::Literal(kind.to_owned())),
            _ => return Self::quoted(kind),
        };
        Ok(Self::Fact(fact))
    }

    fn quoted(kind: &str) -> Result<Self, CheckFault> {
        for mark in ['\'', '"'] {
            let inner = kind
                .strip_prefix(mark)
                .and_then(|rest| rest.strip_suffix(mark));
            if let Some(inner) = inner {
                return Ok(Self::Literal(inner.to_owned()));
            }
        }
        match kind.parse::<i64>() {
            Ok(number) => Ok(Self::Literal(number.to_string())),
            Err(_) => Err(CheckFault::UnknownKind(kind.to_owned())),
        }
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, CheckFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%(") {
            let Some((name, after)) = after.split_once(")s") else {
                return Err(CheckFault::Template(text.to_owned()));
            };
            parts.extend(plain(before));
            parts.push(Part::Attribute(name.to_owned()));
            rest = after;
        }
        parts.extend(plain(rest));
        Ok(Self(parts))
    }
}

/// Text without attributes in it, where `%%` stands for `%`.
fn plain(text: &str) -> Option<Part> {
    (!text.is_empty()).then(|| Part::Text(text.replace("%%", "%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        RuleCheck::parse(text).map_or_else(|fault| format!("error: {fault}"), |check| shown(&check))
    }

    fn shown(check: &RuleCheck) -> String {
        match check {
            RuleCheck::Always(allows) => allows.to_string(),
            RuleCheck::All(checks) => format!("all[{}]", list(checks)),
            RuleCheck::Any(checks) => format!("any[{}]", list(checks)),
            RuleCheck::Not(check) => format!("not {}", shown(check)),
            RuleCheck::Rule(name) => format!("rule {name}"),
            RuleCheck::Role(name) => format!("role {:?}", name.0),
            RuleCheck::Field(field) => {
                format!("{}.{} is {:?}", field.resource, field.name, field.wanted)
            }
            RuleCheck::Same(subject, template) => format!("{subject:?} = {:?}", template.0),
        }
    }

    fn list(checks: &[RuleCheck]) -> String {
        checks.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn not_binds_closer_than_and_and_that_closer_than_or() {
        for (text, expected) in [
            ("", "true"),
            ("  ", "true"),
            ("@", "true"),
            ("!", "false"),
            ("rule:a", "rule a"),
            (
                "rule:a or rule:b and rule:c",
                "any[rule a, all[rule b, rule c]]",
            ),
            (
                "rule:a and rule:b or rule:c",
                "any[all[rule a, rule b], rule c]",
            ),
            (
                "(rule:a or rule:b) AND rule:c",
                "all[any[rule a, rule b], rule c]",
            ),
            ("not rule:a and rule:b", "all[not rule a, rule b]"),
            ("not (rule:a and rule:b)", "not all[rule a, rule b]"),
            ("not not @", "not not true"),
            ("((rule:a:b))", "rule a:b"),
            ("role:x or ! or @", "any[role [Text(\"x\")], false, true]"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn checks_compare_the_caller_with_the_object() {
        for (text, expected) in [
            (
                "role:%(role)s_ops",
                "role [Attribute(\"role\"), Text(\"_ops\")]",
            ),
            (
                "tenant_id:%(network:tenant_id)s",
                "Fact(Project) = [Attribute(\"network:tenant_id\")]",
            ),
            ("is_admin:True", "Fact(IsAdmin) = [Text(\"True\")]"),
            ("'ops':%(name)s", "Literal(\"ops\") = [Attribute(\"name\")]"),
            (
                "True:%(shared)s",
                "Literal(\"True\") = [Attribute(\"shared\")]",
            ),
            ("5:%(mtu)s", "Literal(\"5\") = [Attribute(\"mtu\")]"),
            ("user_id:100%%", "Fact(User) = [Text(\"100%\")]"),
            (
                "field:networks:router:external=True",
                "networks.router:external is Text(\"True\")",
            ),
            (
                "field:port:device_owner=~^network:",
                "port.device_owner is Pattern(Regex(\"^(?:^network:)\"))",
            ),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("member", "\"member\" is no check"),
            ("role:a role:b", "\"role:b\" is one too many"),
            ("role:a and", "a check is missing at the end"),
            ("and role:a", "a check is missing before \"and\""),
            ("(role:a", "a ) is missing"),
            ("(role:a role:b)", "a check is missing before \"role:b\""),
            ("role:a)", "\")\" is one too many"),
            ("()", "a check is missing before \")\""),
            ("http://policy.example/%(name)s", "asks another service"),
            ("domain:x", "\"domain\" is no kind of check"),
            ("field:networks:shared", "is no field"),
            ("field:shared=True", "is no field"),
            ("field:ports:name=~(", "is no pattern"),
            ("project_id:%(project_id)", "has a %( without its )s"),
            (&"(".repeat(5000), "more than 64 levels deep"),
            (&"not ".repeat(5000), "more than 64 levels deep"),
        ] {
            let said = parsed(text);
            assert!(
                said.starts_with("error: ") && said.contains(expected),
                "{text:.40}: {said}"
            );
        }
    }
}
