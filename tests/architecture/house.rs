//! What keeps sources easy to find one's way in: short files and functions, one name a type, none for a closure, and
//! one convention for modules.

use crate::purity::without_tests;
use crate::tokens::{Token, tokens};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All Rust files of a member of the workspace, with their text.
pub(crate) fn sources(member: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![member.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry of a folder").path();
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            // What cargo builds for a crate outside of the workspace is no source.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if is_source {
                let text = std::fs::read_to_string(&path).expect("a source file");
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

/// The functions that are longer than `most` lines: from `fn` to the closing brace.
pub(crate) fn long_functions(source: &str, most: usize) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        // The name tells a function from a type, as in `fn(u8)`.
        if pair[0].text != "fn" || pair[1].text == "(" {
            continue;
        }
        let Some(end) = end_of_body(&tokens[at..]) else {
            continue;
        };
        let lines = end + 1 - pair[0].line;
        if lines > most {
            let (name, line) = (&pair[1].text, pair[0].line);
            found.push(format!("{line}: {name} has {lines} lines"));
        }
    }
    found
}

/// The line of the brace that closes a function. `None`: it has no body.
fn end_of_body(function: &[Token]) -> Option<usize> {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for token in function {
        match token.text.as_str() {
            "(" | "[" => others += 1,
            ")" | "]" => others = others.saturating_sub(1),
            ";" if braces == 0 && others == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

/// The crate that a source of a member belongs to: its library, or one of its programs. `None`: it has tests only.
pub(crate) fn crate_of(path: &str) -> Option<String> {
    let (member, inside) = path.split_once("/src/")?;
    let mut names = inside.split(['/', '.']);
    if inside
        .split('/')
        .any(|name| name == "tests.rs" || name == "tests")
    {
        return None;
    }
    match names.next() {
        Some("bin") => names.next().map(|program| format!("{member}/{program}")),
        _ => Some(member.to_owned()),
    }
}

/// The types of one name that several files declare. What only tests have does not count.
pub(crate) fn names_twice<'s>(files: impl IntoIterator<Item = (&'s str, &'s str)>) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, source) in files {
        for name in types(source) {
            places.entry(name).or_default().push(file);
        }
    }
    let twice = places.into_iter().filter(|(_, files)| files.len() > 1);
    twice
        .map(|(name, files)| format!("{name} is in {}", files.join(" and in ")))
        .collect()
}

/// The names of the types that a source declares.
fn types(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut names = Vec::new();
    for pair in tokens.windows(2) {
        let declares = matches!(pair[0].text.as_str(), "struct" | "enum" | "trait");
        // A macro has `$name` there, which is another with each call.
        if declares && pair[1].text.starts_with(char::is_uppercase) {
            names.push(pair[1].text.clone());
        }
    }
    names
}

/// The closures that `let` gives a name, by their lines. What only tests have does not count.
pub(crate) fn named_closures(source: &str) -> Vec<usize> {
    let tokens = without_tests(&tokens(source));
    let lets = (0..tokens.len()).filter(|at| tokens[*at].text == "let");
    lets.filter(|at| bound(&tokens[*at..]).is_some_and(is_closure))
        .map(|at| tokens[at].line)
        .collect()
}

/// What a `let` binds, from behind its `=`. `None`: nothing yet.
fn bound(binding: &[Token]) -> Option<&[Token]> {
    let mut depth = 0_usize;
    for (at, token) in binding.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return None,
            "=" if depth == 0 => return Some(&binding[at + 1..]),
            _ => {}
        }
    }
    None
}

/// Whether an expression begins with the parameters of a closure. It may be borrowed, `move` or `async`.
fn is_closure(expression: &[Token]) -> bool {
    let mut words = expression.iter().map(|token| token.text.as_str());
    words.find(|word| !["&", "mut", "move", "async"].contains(word)) == Some("|")
}
