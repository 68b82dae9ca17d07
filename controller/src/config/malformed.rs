//! What is wrong with a file, without the file's text: passwords may be in it, and what is wrong is logged.

use super::Config;
use serde::Deserialize;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

/// Where a file is not as it should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedFile(String);

impl fmt::Display for MalformedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl MalformedFile {
    pub(super) fn of(text: &str, mut error: toml::de::Error) -> Self {
        error.set_input(None);
        // Without the file, it still says which key has a value of the wrong kind.
        let why = error.to_string().trim_end().replace('\n', " ");
        Self(match error.span() {
            Some(span) => {
                let (line, column) = position(text, span.start);
                format!("line {line}, column {column}: {why}")
            }
            None => why,
        })
    }
}

/// Everything that is wrong with a file: its syntax, or else each key that is unknown or has a wrong value.
pub(super) fn faults(text: &str) -> Vec<MalformedFile> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let keys = one_by_one(table).into_iter();
        errors.extend(keys.filter_map(|key| Config::deserialize(Deserializer::from(key)).err()));
    }
    let faults = errors.into_iter();
    faults.map(|error| MalformedFile::of(text, error)).collect()
}

/// A file for each key, where every key has a default.
fn one_by_one(file: Spanned<DeTable<'_>>) -> Vec<Spanned<DeTable<'_>>> {
    let span = file.span();
    let mut files = vec![];
    for (key, value) in file.into_inner() {
        let place = value.span();
        let value = value.into_inner();
        let values: Vec<_> = match value.as_table() {
            Some(section) if !section.is_empty() => {
                let keys = section.iter();
                keys.map(|(key, value)| DeTable::from_iter([(key.clone(), value.clone())]))
                    .map(DeValue::Table)
                    .collect()
            }
            Some(_) | None => vec![value],
        };
        files.extend(values.into_iter().map(|value| {
            let value = Spanned::new(place.clone(), value);
            Spanned::new(span.clone(), DeTable::from_iter([(key.clone(), value)]))
        }));
    }
    files
}

/// The line and the column of an octet, from 1 on.
fn position(text: &str, octet: usize) -> (usize, usize) {
    let before = text.get(..octet).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let begun = before.rsplit('\n').next().unwrap_or_default();
    (line, begun.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn error(text: &str) -> String {
        let error = toml::from_str::<Config>(text).unwrap_err();
        super::MalformedFile::of(text, error).to_string()
    }

    #[test]
    fn no_secret_is_in_what_is_wrong() {
        for line in [
            "password = hunter2",
            "password = \"hunter2",
            "password = \"hunter2\\q\"",
            "password = 'hunter2''",
            "password = \"a\" hunter2",
            "password = [\"hunter2\"]",
            "application_credential_secret = hunter2",
            "application_credential_secret = \"hunter2\"\nunknown = 1",
            "password = \"hunter2\"\npassword = \"hunter2\"",
        ] {
            let error = error(&format!("auth = \"keystone\"\n[keystone]\n{line}\n"));
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.starts_with("line "), "{error}");
        }
        for section in ["keystone", "store"] {
            let error = error(&format!("[{section}]\npassword = 4711\n"));
            assert!(!error.contains("4711"), "{error}");
            assert!(error.contains(&format!("{section}.password")), "{error}");
        }
    }

    #[test]
    fn every_wrong_key_is_named_with_its_place() {
        let text = "log = 3\napi_listen = 'localhost:9696'\n[ra]\nmin_interval = 30\nlifetime = 'long'\nmost = 1\n[reserve]\n";
        let faults: Vec<String> = super::faults(text)
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = [
            ("line 1, column 7: ", "in `log`"),
            ("line 2, column 14: ", "names are not looked up"),
            ("line 5, column 12: ", "in `ra.lifetime`"),
            ("line 6, column 1: ", "unknown field `most`"),
            ("line 7, column ", "unknown field `reserve`"),
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (place, why) in expected {
            let is_there = |fault: &&String| fault.starts_with(place) && fault.contains(why);
            assert!(
                faults.iter().any(|fault| is_there(&fault)),
                "{place}{why}: {faults:#?}"
            );
        }
        assert_eq!(super::faults("[ra]\nmin_interval = 30\n"), []);
        let syntax = super::faults("a = \nb = 'x\n");
        assert!(syntax.len() > 1, "{syntax:?}");
    }

    #[test]
    fn the_place_is_said() {
        let of_a_key = error("[keystone]\ntimeout = \"ü\"\n");
        assert!(
            of_a_key.starts_with("line 2, column 11: invalid type"),
            "{of_a_key}"
        );
        assert!(of_a_key.ends_with("in `keystone.timeout`"), "{of_a_key}");
        let of_a_line = error("log = \"ü\" x\n");
        assert!(of_a_line.starts_with("line 1, column 11: "), "{of_a_line}");
    }
}
