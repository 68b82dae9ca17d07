//! What is wrong with a file, without the file's text: passwords may be in it, and what is wrong is logged.

use std::fmt;

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
