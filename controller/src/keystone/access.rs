//! Access rules: the only requests that an application credential is good for, where it has any.

use serde::Deserialize;

/// Sextant's type in Keystone's catalogue.
const SERVICE_TYPE: &str = "network";

/// The longest path in octets that a rule allows. The API's own have less than half of it.
const LONGEST: usize = 512;
/// The most pieces of all rules. What is over it allows nothing, so that no request takes longer than this times [`LONGEST`].
const MOST: usize = 16 << 10;

/// The rules of an application credential for Sextant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<DescribedRule>")]
pub(super) struct AccessRules(Vec<AccessRule>);

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AccessRule {
    method: String,
    pieces: Vec<Piece>,
}

/// One kind of request, as Keystone describes it.
#[derive(Deserialize)]
struct DescribedRule {
    service: String,
    method: String,
    path: String,
}

/// A request, as far as access rules ask.
#[derive(Clone, Copy, Debug)]
pub struct AskedRequest<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
}

impl From<Vec<DescribedRule>> for AccessRules {
    fn from(rules: Vec<DescribedRule>) -> Self {
        let mut room = MOST;
        let rules = rules
            .into_iter()
            .filter(|rule| rule.service == SERVICE_TYPE);
        let rules = rules.filter_map(|DescribedRule { method, path, .. }| {
            let pieces = pattern(&path)?;
            room = room.checked_sub(pieces.len())?;
            Some(AccessRule { method, pieces })
        });
        Self(rules.collect())
    }
}

impl AccessRules {
    pub(super) fn allow(&self, asked: AskedRequest<'_>) -> bool {
        self.looking_at(asked, &mut 0)
    }

    /// Whether a rule allows it. `octets` counts how many octets of the path are looked at, again for each piece.
    fn looking_at(&self, asked: AskedRequest<'_>, octets: &mut usize) -> bool {
        asked.path.len() <= LONGEST
            && self.0.iter().any(|rule| {
                rule.method == asked.method && matches(&rule.pieces, asked.path, octets)
            })
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
fn matches(pieces: &[Piece], path: &str, octets: &mut usize) -> bool {
    let path = path.as_bytes();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    // What is before this cannot be reached any more.
    let mut from = 0;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        if *piece == Piece::Rest {
            next[from] = reached[from];
        }
        for at in from..path.len() {
            next[at + 1] = match piece {
                Piece::Octet(wanted) => reached[at] && *wanted == path[at],
                Piece::Segment => path[at] != b'/' && (reached[at] || next[at]),
                Piece::Rest => reached[at + 1] || next[at],
            };
        }
        *octets += path.len() - from;
        match next.iter().position(|reached| *reached) {
            Some(first) => from = first,
            None => return false,
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(described: &[(&str, &str, &str)]) -> AccessRules {
        let rule = |(service, method, path): &(&str, &str, &str)| DescribedRule {
            service: (*service).to_owned(),
            method: (*method).to_owned(),
            path: (*path).to_owned(),
        };
        AccessRules::from(described.iter().map(rule).collect::<Vec<_>>())
    }

    fn get(path: &str) -> AskedRequest<'_> {
        AskedRequest {
            method: "GET",
            path,
        }
    }

    fn allows(service: &str, method: &str, path: &str, asked: &str) -> bool {
        rules(&[(service, method, path)]).allow(get(asked))
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

    #[test]
    fn no_path_and_no_rules_take_long() {
        let anywhere = format!("/**{}", "/*".repeat(10));
        let many = rules(&vec![("network", "GET", anywhere.as_str()); 1000]);
        let mut octets = 0;
        assert!(!many.looking_at(get(&"/x".repeat(32_500)), &mut octets));
        assert_eq!(octets, 0, "a path that is too long is not looked at");
        assert!(!many.looking_at(get(&"x/".repeat(256)), &mut octets));
        assert_eq!(
            octets,
            MOST / 22 * 512,
            "what cannot match any more is left"
        );
        let endless = format!("**{}", "*x".repeat(250));
        let many = rules(&vec![("network", "GET", endless.as_str()); 1000]);
        octets = 0;
        assert!(!many.looking_at(get(&"x".repeat(511).replace("xx", "x/")), &mut octets));
        assert!(octets <= MOST * LONGEST, "{octets}");
    }

    #[test]
    fn rules_count_as_long_as_there_is_room() {
        let long = format!("/{}", "a".repeat(MOST - 10));
        let rules = rules(&[
            ("network", "GET", &long),
            ("network", "GET", "/v2.0/networks"),
            ("network", "GET", "/v2.0/**"),
        ]);
        assert!(rules.allow(get("/v2.0/p")));
        assert_eq!(rules.0.len(), 2);
    }
}
