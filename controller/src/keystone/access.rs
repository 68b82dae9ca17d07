//! Access rules: the only requests that an application credential is good for, where it has any.

use serde::Deserialize;

/// Sextant's type in Keystone's catalogue.
const SERVICE_TYPE: &str = "network";

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct AccessRule {
    service: String,
    method: String,
    path: String,
}

/// A request, as far as access rules ask.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
}

impl AccessRule {
    pub(super) fn allows(&self, asked: Asked<'_>) -> bool {
        self.service == SERVICE_TYPE
            && self.method == asked.method
            && pattern(&self.path).is_some_and(|pieces| matches(&pieces, asked.path))
    }
}

/// A piece of a path's pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// This octet.
    Octet(u8),
    /// `*` and `{name}`: at least one octet, and no slash.
    Segment,
    /// `**`: anything.
    Rest,
}

/// The pieces of a pattern. `None` if a brace is not closed.
fn pattern(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let (piece, length) = match first {
            b'{' => (Piece::Segment, rest.find('}')? + 1),
            b'*' if rest.starts_with("**") => (Piece::Rest, 2),
            b'*' => (Piece::Segment, 1),
            octet => (Piece::Octet(octet), octets_of_first(rest)),
        };
        match piece {
            Piece::Octet(_) => pieces.extend(rest.bytes().take(length).map(Piece::Octet)),
            Piece::Segment | Piece::Rest => pieces.push(piece),
        }
        rest = rest.get(length..)?;
    }
    Some(pieces)
}

fn octets_of_first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Whether a path is as the pieces say. What each piece reaches is kept for all ways at once, so that no pattern takes
/// longer than its length times the path's.
fn matches(pieces: &[Piece], path: &str) -> bool {
    let path = path.as_bytes();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        if *piece == Piece::Rest {
            next[0] = reached[0];
        }
        for (at, octet) in path.iter().enumerate() {
            next[at + 1] = match piece {
                Piece::Octet(wanted) => reached[at] && wanted == octet,
                Piece::Segment => *octet != b'/' && (reached[at] || next[at]),
                Piece::Rest => reached[at + 1] || next[at],
            };
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(service: &str, method: &str, path: &str, asked: &str) -> bool {
        let rule = AccessRule {
            service: service.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
        };
        rule.allows(Asked {
            method: "GET",
            path: asked,
        })
    }

    #[test]
    fn a_rule_is_for_a_service_and_a_method() {
        assert!(allows("network", "GET", "/v2.0/ports", "/v2.0/ports"));
        assert!(!allows("compute", "GET", "/v2.0/ports", "/v2.0/ports"));
        assert!(!allows("network", "POST", "/v2.0/ports", "/v2.0/ports"));
    }

    #[test]
    fn stars_and_braces_stand_for_parts_of_a_path() {
        for (path, asked, expected) in [
            ("/v2.0/ports", "/v2.0/ports/1", false),
            ("/v2.0/ports", "/v2x0/ports", false),
            ("/v2.0/ports/*", "/v2.0/ports/1", true),
            ("/v2.0/ports/*", "/v2.0/ports/", false),
            ("/v2.0/ports/*", "/v2.0/ports/1/tags", false),
            ("/v2.0/{kind}/{id}/tags", "/v2.0/ports/1/tags", true),
            ("/v2.0/{kind}/{id}/tags", "/v2.0/ports/1/x/tags", false),
            ("/v2.0/**", "/v2.0/", true),
            ("/v2.0/**", "/v2.0/ports/1/tags", true),
            ("**/tags", "/v2.0/ports/1/tags", true),
            ("**/tags", "/v2.0/ports/1/tags/x", false),
            ("/v2.0/{ports", "/v2.0/{ports", false),
            ("", "/", false),
            ("/ü/*", "/ü/1", true),
        ] {
            let found = allows("network", "GET", path, asked);
            assert_eq!(found, expected, "{path} {asked}");
        }
    }
}
