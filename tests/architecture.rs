//! Guards what is costly to change later: which crate may use which, and that the pure crates
//! stay pure (time, randomness and ids are arguments there, and nothing touches the world).
//!
//! The tables below are the rules; everything else reads manifests and sources.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "architecture/edges.rs"]
mod edges;
#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/prose.rs"]
mod prose;
#[path = "architecture/purity.rs"]
mod purity;
#[path = "architecture/tokens.rs"]
mod tokens;

/// Who may use whom in this workspace, in every kind of dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sextant-model", &[]),
    ("rust-openflow", &[]),
    ("sextant-ovsdb-client", &[]),
    ("sextant-flows", &["sextant-model", "rust-openflow"]),
    ("sextant-responders", &["sextant-model"]),
    ("sextant", LIBRARIES),
    (
        "sextant-lab",
        &[
            "sextant-model",
            "rust-openflow",
            "sextant-ovsdb-client",
            "sextant-flows",
            "sextant-responders",
            "sextant",
        ],
    ),
    (
        "sextant-examples",
        &[
            "sextant-model",
            "rust-openflow",
            "sextant-ovsdb-client",
            "sextant-flows",
            "sextant-responders",
            "sextant-lab",
        ],
    ),
];

const LIBRARIES: &[&str] = &[
    "sextant-model",
    "rust-openflow",
    "sextant-ovsdb-client",
    "sextant-flows",
    "sextant-responders",
];

/// The pure crates' sources, and the one module in each that may be otherwise: a file and the folder of its name.
const PURE: &[(&str, Option<&str>)] = &[
    ("model", None),
    ("openflow", Some("connection.rs")),
    ("ovsdb-client", Some("connection.rs")),
    ("flows", None),
    ("responders", None),
];

/// The layers of the API, each of which knows those before it only.
const API: &[&str] = &["contract", "rights", "requests"];

/// The sides of the controller: each faces other neighbours, and they meet in snapshots and events alone.
const SIDES: &[&str] = &["api", "control", "hypervisor", "switch"];

/// How many lines a function has at most, and how many a file.
const LINES_OF_A_FUNCTION: usize = 60;
const LINES_OF_A_FILE: usize = 500;

/// How many words a sentence of a document has at most.
const WORDS_OF_A_SENTENCE: usize = 35;

/// The documents, and the folders of documents.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "openflow/README.md",
    "ovsdb-client/README.md",
];

/// Tests that type one command after another, and are longer.
const LONG: &[&str] = &["tests/openstack/rights.rs", "tests/openstack/ways.rs"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

#[test]
fn crates_use_only_what_the_design_allows() {
    let wrong = edges::forbidden(&metadata(), ALLOWED);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_crates_touch_no_world() {
    let mut wrong = Vec::new();
    for (folder, exception) in PURE {
        let sources = workspace().join(folder).join("src");
        let files = purity::sources(&sources);
        assert!(!files.is_empty(), "no sources in {}", sources.display());
        for file in files {
            let inside = file.strip_prefix(&sources).expect("a file of the folder");
            let excepted = |exception: &str| {
                inside == Path::new(exception)
                    || inside.starts_with(Path::new(exception).with_extension(""))
            };
            if exception.is_some_and(excepted) {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("a source file");
            let name = Path::new(folder).join("src").join(inside);
            wrong.extend(purity::offences(&name.display().to_string(), &text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sides_of_the_controller_do_not_know_each_other() {
    let imports = layers::imports(&workspace().join("controller/src"), &["crate"]);
    for side in SIDES {
        assert!(imports.contains_key(*side), "no sources in {side}");
    }
    let wrong = layers::between(&imports, SIDES);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_imports_within_the_controller_go_round_in_a_circle() {
    let imports = layers::imports(&workspace().join("controller/src"), &["crate"]);
    let wrong = layers::circles(&imports);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_layers_of_the_api_know_those_before_them_only() {
    let api = workspace().join("controller/src/api");
    let imports = layers::imports(&api, &["crate", "api"]);
    assert_eq!(imports.len(), API.len(), "{imports:?}");
    let wrong = layers::upwards(&imports, API);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_imports_within_the_api_go_round_in_a_circle() {
    let api = workspace().join("controller/src/api");
    for layer in API {
        let imports = layers::imports(&api.join(layer), &["crate", "api", layer]);
        assert!(!imports.is_empty(), "no sources in {layer}");
        let wrong = layers::circles(&imports);
        assert!(wrong.is_empty(), "{layer}: {}", wrong.join("\n"));
    }
}

/// All sources of the workspace, by their paths in it.
fn all_sources() -> Vec<(String, String)> {
    let metadata = metadata();
    let mut all = Vec::new();
    for (member, _) in ALLOWED {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let mut packages = packages.filter(|package| package["name"] == *member);
        let manifest = packages.next().expect("a member")["manifest_path"].clone();
        let manifest = PathBuf::from(manifest.as_str().expect("a path"));
        let folder = manifest.parent().expect("a folder");
        let name = folder.file_name().expect("a name");
        for (path, text) in house::sources(folder) {
            let inside = path.strip_prefix(folder).expect("a file of the folder");
            let path = Path::new(name).join(inside).display().to_string();
            all.push((path, text));
        }
    }
    assert!(all.len() > 500, "{} sources", all.len());
    all
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        if lines > LINES_OF_A_FILE {
            wrong.push(format!("{path} has {lines} lines"));
        }
        if !LONG.contains(&path.as_str()) {
            let long = house::long_functions(&text, LINES_OF_A_FUNCTION);
            wrong.extend(long.iter().map(|what| format!("{path}:{what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sentences_of_documents_are_short() {
    let root = workspace();
    let mut wrong = Vec::new();
    for name in DOCUMENTS {
        let path = root.join(name);
        let files = match path.is_dir() {
            true => prose::documents(&path),
            false => vec![path],
        };
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a document");
            let long = prose::long_sentences(&text, WORDS_OF_A_SENTENCE);
            wrong.extend(
                long.iter()
                    .map(|what| format!("{}: {what}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_long_sentence_is_caught_and_code_and_tables_are_not() {
    let document = "# A heading of five words\n\nOne two three\nfour. `One code of many words` ends.\n\
                    ```\nOne two three four five\n```\n| one two three four | five |\n\
                    - One two three.\n- four five six: [Seven](eight.md)\n";
    assert_eq!(prose::long_sentences(document, 4), [""; 0]);
    assert_eq!(
        prose::long_sentences(document, 3),
        ["4 words: One two three four."]
    );
}

#[test]
fn a_module_is_a_file_of_its_name() {
    let in_folders = all_sources().into_iter().map(|(path, _)| path);
    let wrong = in_folders.filter(|path| {
        // What several test programs share would be a program of its own without a folder.
        let is_shared = path.contains("/tests/") || path.contains("/benches/");
        path.ends_with("/mod.rs") && !is_shared
    });
    assert_eq!(Vec::from_iter(wrong), [""; 0]);
}

#[test]
fn a_type_has_a_name_of_its_own_in_its_crate() {
    let mut crates: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in all_sources() {
        if let Some(name) = house::crate_of(&path) {
            crates.entry(name).or_default().push((path, text));
        }
    }
    let mut wrong = Vec::new();
    for files in crates.values() {
        let files = files.iter().map(|(path, text)| (&**path, &**text));
        wrong.extend(house::names_twice(files));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_closure_has_no_name_of_its_own() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        if house::crate_of(&path).is_some() {
            let lines = house::named_closures(&text).into_iter();
            wrong.extend(lines.map(|line| format!("{path}:{line}: a closure with a name")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_closure_that_has_a_name_is_caught_with_its_line() {
    for closure in [
        "let f = |a| a;",
        "let mut f =\n move || { g() };",
        "let f: &dyn Fn(u8) -> [u8; 2] = &|a: u8| [a, a];",
        "let f = async move |a| a;",
    ] {
        let source = format!("// let f = |a| a;\nfn g() {{ {closure} }}");
        assert_eq!(house::named_closures(&source), [2], "{closure}");
    }
}

#[test]
fn what_only_looks_like_a_closure_with_a_name_passes() {
    for source in [
        "let a; a = |b| b;",
        "let a = b.map(|c| c) | d;",
        "let a = b || c;",
        "let Some(A { b: [c, ..] } | A { c }) = d else { return |e| e };",
        "if let Some(a) = b.find(|c| c) && d == e {}",
        "let a = \"let b = |c| c;\";",
        "#[cfg(test)]\nmod tests { fn f() { let g = |a| a; } }",
    ] {
        assert_eq!(house::named_closures(source), [0; 0], "{source}");
    }
}

#[test]
fn a_name_of_two_types_is_caught_with_its_places() {
    let one =
        "struct Query<'a>(&'a str);\n// struct Reply;\n#[cfg(test)]\nmod tests { enum Verdict {} }";
    let other = "pub(crate) trait Query {}\nenum Verdict { Reply }";
    assert_eq!(
        house::names_twice([("a.rs", one), ("b.rs", other)]),
        ["Query is in a.rs and in b.rs"]
    );
}

#[test]
fn a_long_function_is_caught_with_its_place() {
    let source = "struct S(fn(u8));\ntrait T { fn f(a: [u8; 3]); }\n\
                  fn short() { \"}\"; }\nfn long() -> [u8; 2] {\n // }\n {}\n '}'\n}\n";
    assert_eq!(house::long_functions(source, 3), ["4: long has 5 lines"; 1]);
    assert_eq!(house::long_functions(source, 5), [""; 0]);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let source = "use crate::api::contract::draft::Draft;\nuse crate::api::{rights, requests::{query, tags}};\n\
                  // crate::api::comment\nfn f() { crate::api::here::g() }\nuse crate::apis::other;";
    let named = layers::named(source, &["crate", "api"]);
    assert_eq!(
        Vec::from_iter(named),
        ["contract", "here", "requests", "rights"]
    );
}

#[test]
fn an_import_upwards_or_of_another_side_and_a_circle_are_caught() {
    let imports = [
        ("contract", vec!["rights"]),
        ("requests", vec!["contract"]),
        ("rights", vec!["contract"]),
    ];
    let named = |(module, names): (&str, Vec<&str>)| {
        let names = names.into_iter().map(str::to_owned);
        (module.to_owned(), names.collect())
    };
    let imports = imports.into_iter().map(named).collect();
    assert_eq!(
        layers::upwards(&imports, API),
        ["contract may not use rights"]
    );
    assert_eq!(
        layers::between(&imports, &["requests", "contract"]),
        ["requests may not use contract"]
    );
    assert_eq!(
        layers::circles(&imports),
        [
            "contract is in a circle of imports",
            "rights is in a circle of imports"
        ]
    );
}

fn package(name: &str, dependencies: &[&str]) -> Value {
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    json!({"name": name, "dependencies": dependencies})
}

#[test]
fn an_edge_that_the_table_lacks_is_caught() {
    let metadata = json!({"packages": [
        package("sextant-model", &["serde", "sextant-flows"]),
        package("sextant-flows", &["sextant-model", "rust-openflow"]),
        package("rust-openflow", &[]),
    ]});
    assert_eq!(
        edges::forbidden(&metadata, ALLOWED),
        ["sextant-model may not use sextant-flows"]
    );
}

#[test]
fn a_member_that_the_table_lacks_is_caught() {
    let metadata = json!({"packages": [package("sextant-utils", &[])]});
    assert_eq!(
        edges::forbidden(&metadata, ALLOWED),
        ["sextant-utils is a crate that the design does not know"]
    );
}

#[test]
fn a_renamed_dependency_is_caught_by_its_real_name() {
    let mut responders = package("sextant-responders", &["rust-openflow"]);
    responders["dependencies"][0]["rename"] = "wire".into();
    let metadata = json!({"packages": [responders, package("rust-openflow", &[])]});
    assert_eq!(
        edges::forbidden(&metadata, ALLOWED),
        ["sextant-responders may not use rust-openflow"]
    );
}

#[test]
fn each_impurity_is_caught_with_its_place() {
    for (source, named) in [
        ("use tokio::net;", "tokio"),
        ("#[tokio::main]\nfn f() {}", "tokio"),
        ("fn f(s: std::net::TcpStream) {}", "TcpStream"),
        ("use std::net::{IpAddr, TcpListener};", "TcpListener"),
        ("use std::{\n net::UdpSocket};", "UdpSocket"),
        ("let f = std::fs::read(p);", "std::fs"),
        ("use std::{collections::BTreeMap, fs};", "std::fs"),
        ("let t = Instant::now();", "Instant::now"),
        ("let t = std::time::Instant :: now ();", "Instant::now"),
        ("let f = SystemTime::now;", "SystemTime::now"),
        ("use rand::Rng;", "rand::"),
        ("let x: u8 = rand::random();", "rand::"),
        ("getrandom::fill(&mut b);", "getrandom"),
        ("let id = Uuid::new_v4();", "Uuid::new_v4"),
    ] {
        let source = format!("//! A module.\n{source}");
        let found = purity::offences("a.rs", &source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(
            found[0].ends_with(&format!(": {named} in a pure crate")),
            "{found:?}"
        );
        assert!(found[0].starts_with("a.rs:2:") || found[0].starts_with("a.rs:3:"));
    }
}

#[test]
fn words_that_only_look_impure_pass() {
    for source in [
        "// tokio would be wrong here; so would Instant::now()\n/* std::fs /* nested */ rand */",
        "const S: &str = \"tokio \\\" Instant::now()\"; const R: &str = r#\"std::fs \" rand::x\"#;",
        "fn f<'a>(now: &'a Instant, c: char) -> bool { c == '\"' && brand(operand, rand) }",
        "use std::net::{IpAddr, Ipv6Addr}; use ipnet::Ipv6Net;",
        "#[cfg(test)]\nmod tests { fn f() { { Instant::now(); } } }",
        "#[cfg(test)]\nuse rand::Rng;",
    ] {
        let found = purity::offences("a.rs", source);
        assert_eq!(found, Vec::<String>::new(), "{source}");
    }
}

#[test]
fn what_follows_a_test_module_is_read_again() {
    let source = "#[cfg(test)]\nmod tests {\n}\nuse tokio::spawn;";
    assert_eq!(
        purity::offences("a.rs", source),
        ["a.rs:4: tokio in a pure crate"]
    );
}
