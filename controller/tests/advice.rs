//! The metrics, keys and commands that `sextant why` and `sextant status` name in what they advise exist.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use sextant_controller::cli::Page;
use sextant_controller::reference;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What an operator can be referred to, as the references have it.
struct Known {
    metrics: BTreeSet<String>,
    /// As `section.key`, and without a section as `key`.
    keys: BTreeSet<String>,
    sections: BTreeSet<String>,
    verbs: BTreeSet<String>,
}

impl Known {
    fn read() -> Self {
        let (mut keys, mut sections) = (BTreeSet::new(), BTreeSet::new());
        let mut section = String::new();
        for line in reference::page(Page::Configuration).lines() {
            if let Some(title) = line.strip_prefix("## ") {
                section = title.trim_matches(['`', '[', ']']).to_owned();
                sections.insert(section.clone());
            } else if let Some(key) = first_cell(line) {
                keys.insert(format!("{section}.{key}"));
            }
        }
        let metrics = reference::page(Page::Metrics);
        let commands = reference::page(Page::Cli);
        let verbs = commands.lines().filter_map(|line| {
            let verb = line
                .strip_prefix("## `sextant ")?
                .split([' ', '`'])
                .next()?;
            Some(verb.to_owned())
        });
        Self {
            metrics: metrics.lines().filter_map(first_cell).collect(),
            keys,
            sections,
            verbs: verbs.collect(),
        }
    }

    /// What of a text does not exist, and how many names of a metric, a key or a verb there are.
    fn missing(&self, text: &str) -> (Vec<String>, [usize; 3]) {
        let (mut missing, mut seen) = (vec![], [0; 3]);
        let mut before = "";
        for word in text.split([' ', ';', ',', ':', '(', ')', '\n']) {
            let word = word.trim_end_matches(['.', '?', '!']);
            let kind = if word.starts_with("sextant_") {
                Some((0, self.metrics.contains(word)))
            } else if word
                .split_once('.')
                .is_some_and(|(section, _)| self.sections.contains(section))
            {
                Some((1, self.keys.contains(word)))
            } else if before == "sextant" {
                Some((2, self.verbs.contains(word)))
            } else {
                None
            };
            if let Some((kind, exists)) = kind {
                seen[kind] += 1;
                missing.extend((!exists).then(|| word.to_owned()));
            }
            before = word;
        }
        (missing, seen)
    }
}

/// The name in the first cell of a row.
fn first_cell(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
    Some(name.to_owned())
}

/// The sources of the verbs that give advice, by their paths.
fn sources() -> Vec<(PathBuf, String)> {
    let verbs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/verbs");
    let below = std::fs::read_dir(verbs.join("why")).unwrap();
    let below = below.map(|entry| entry.unwrap().path());
    let files = below.chain(["why.rs", "status.rs"].map(|name| verbs.join(name)));
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

/// The texts in quotes of a source, without what comments quote.
fn quoted(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    // A backslash and the end of a line stand for nothing, and an escaped quote ends nothing.
    let code = code.join("\n").replace("\\\"", "'").replace("'\"'", "");
    code.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_advice_names_exists() {
    let known = Known::read();
    let (mut wrong, mut all) = (vec![], [0; 3]);
    for (path, source) in sources() {
        for text in quoted(&source) {
            let (missing, seen) = known.missing(&text);
            wrong.extend(
                missing
                    .iter()
                    .map(|name| format!("{}: {name}", path.display())),
            );
            all = [0, 1, 2].map(|kind| all[kind] + seen[kind]);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let [metrics, _, verbs] = all;
    assert!(metrics > 0 && verbs > 5, "{all:?}");
}

#[test]
fn a_name_of_nothing_is_found() {
    let known = Known::read();
    let text = "see sextant_ports_bound, sextant_ports_bond; set ra.lifetime or ra.lifetimes? sextant facts; sextant fact";
    let (missing, seen) = known.missing(text);
    assert_eq!(missing, ["sextant_ports_bond", "ra.lifetimes", "fact"]);
    assert_eq!(seen, [2, 2, 2]);
}
