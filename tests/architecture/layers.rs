//! The modules of a folder as layers: which of them imports which, and whether imports go round in a circle.

use crate::purity::sources;
use crate::tokens::tokens;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Who imports whom: for each module the modules of the same folder that it names.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// Who imports whom among the files of a folder, which is the module `path`. What is in a module's folder is the module's.
pub(crate) fn imports(folder: &Path, path: &[&str]) -> Imports {
    let mut imports = Imports::new();
    for file in sources(folder) {
        let inside = file.strip_prefix(folder).expect("a file of the folder");
        let text = std::fs::read_to_string(&file).expect("a source file");
        let module = module_of(inside);
        let named = named(&text, path);
        let others = named.into_iter().filter(|name| *name != module);
        imports.entry(module.clone()).or_default().extend(others);
    }
    let modules: BTreeSet<String> = imports.keys().cloned().collect();
    for named in imports.values_mut() {
        named.retain(|name| modules.contains(name));
    }
    imports
}

fn module_of(inside: &Path) -> String {
    let first = inside.components().next().expect("a file name");
    let name = first.as_os_str().to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// The names that follow `path::` in a source, also where several are imported at once.
pub(crate) fn named(source: &str, path: &[&str]) -> BTreeSet<String> {
    let wanted: Vec<&str> = path.iter().flat_map(|name| [*name, ":", ":"]).collect();
    let tokens = tokens(source);
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let mut found = BTreeSet::new();
    for at in 0..words.len().saturating_sub(wanted.len()) {
        if words[at..].starts_with(&wanted) {
            let after = &words[at + wanted.len()..];
            found.extend(first_names(after).into_iter().map(str::to_owned));
        }
    }
    found
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names<'a>(words: &[&'a str]) -> Vec<&'a str> {
    if words.first() != Some(&"{") {
        return words.first().copied().into_iter().collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for pair in words.windows(2) {
        match pair[0] {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (pair[0] == "{" || pair[0] == ",") && pair[1] != "}" {
            names.push(pair[1]);
        }
    }
    names
}

/// The imports that go against the order: of a module that comes later.
pub(crate) fn upwards(imports: &Imports, order: &[&str]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for (module, named) in imports {
        match place(module) {
            None => wrong.push(format!("{module} is no layer")),
            Some(own) => {
                let above = named.iter().filter(|name| place(name) > Some(own));
                wrong.extend(above.map(|name| format!("{module} may not use {name}")));
            }
        }
    }
    wrong
}

/// The imports of one of these modules by another of them.
pub(crate) fn between(imports: &Imports, apart: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for module in apart {
        let named = imports.get(*module).into_iter().flatten();
        let others = named.filter(|name| apart.contains(&name.as_str()));
        wrong.extend(others.map(|name| format!("{module} may not use {name}")));
    }
    wrong
}

/// The modules that import each other in a circle, directly or by way of others.
pub(crate) fn circles(imports: &Imports) -> Vec<String> {
    let goes_round = |module: &&String| reachable(imports, module).contains(*module);
    let modules = imports.keys().filter(goes_round);
    modules
        .map(|module| format!("{module} is in a circle of imports"))
        .collect()
}

fn reachable(imports: &Imports, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for name in imports.get(module).into_iter().flatten() {
            if reached.insert(name.clone()) {
                next.push(name);
            }
        }
    }
    reached
}
