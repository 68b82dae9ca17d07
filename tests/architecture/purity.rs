//! What a pure crate's source may not mention, found in its tokens: comments, strings and code
//! for tests do not count.

use crate::tokens::{Token, tokens};
use std::path::{Path, PathBuf};

/// Paths that reach the world, each as it is named in the message.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "std::fs",
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "getrandom",
    "Uuid::new_v4",
    "Uuid::now_v7",
];

/// The Rust files below a folder, without those that hold only tests.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_stem().is_none_or(|stem| stem != "tests"))
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

/// `FILE:LINE: WHAT in a pure crate` for every mention.
pub(crate) fn offences(file: &str, source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found: Vec<(usize, &str)> = FORBIDDEN
        .iter()
        .flat_map(|path| mentions(&tokens, path).map(move |line| (line, *path)))
        .chain(imports_of_fs(&tokens).map(|line| (line, "std::fs")))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .iter()
        .map(|(line, what)| format!("{file}:{line}: {what} in a pure crate"))
        .collect()
}

fn mentions<'a>(all: &'a [Token], path: &str) -> impl Iterator<Item = usize> + use<'a> {
    let wanted: Vec<String> = tokens(path).into_iter().map(|token| token.text).collect();
    all.windows(wanted.len())
        .filter(move |window| window.iter().map(|token| &token.text).eq(&wanted))
        .map(|window| window[0].line)
}

/// `fs` anywhere in the tree of a `use std::…;`, which need not be right behind `std::`.
fn imports_of_fs(tokens: &[Token]) -> impl Iterator<Item = usize> {
    tokens
        .split(|token| token.text == ";")
        .filter_map(|statement| {
            let start = statement
                .windows(2)
                .position(|pair| pair[0].text == "use" && pair[1].text == "std")?;
            let tree = &statement[start..];
            tree.iter().find(|token| token.text == "fs")
        })
        .map(|token| token.line)
}

/// Leaves out every item under `#[cfg(test)]`: up to its `;`, or to the end of its braces.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let texts = rest.iter().take(ATTRIBUTE.len()).map(|token| &*token.text);
        if texts.eq(ATTRIBUTE) {
            rest = after_item(&rest[ATTRIBUTE.len()..]);
        } else {
            kept.push(first.clone());
            rest = after;
        }
    }
    kept
}

fn after_item(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(token.text.as_str(), ";" | "}") {
            return &tokens[index + 1..];
        }
    }
    &[]
}
