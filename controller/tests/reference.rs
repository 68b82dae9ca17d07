//! The generated references in `docs/` are what the code says, and the sample configuration is right.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use sextant_controller::cli::Page;
use sextant_controller::config::Config;
use sextant_controller::reference;
use std::path::{Path, PathBuf};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn references_are_as_generated() {
    for (page, name) in [
        (Page::Pipeline, "pipeline"),
        (Page::Metrics, "metrics"),
        (Page::Configuration, "configuration"),
        (Page::Cli, "cli"),
    ] {
        let path = project(&format!("docs/{name}.md"));
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == reference::page(page),
            "{} is not what `make reference` writes",
            path.display()
        );
    }
}

#[test]
fn a_file_with_every_key_says_nothing_and_then_the_defaults() {
    let commented = reference::page(Page::Toml);
    let nothing: Config = toml::from_str(&commented).unwrap();
    assert_eq!(nothing, Config::default());
    let uncommented: String = commented
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut everything: Config = toml::from_str(&uncommented).unwrap();
    assert!(everything.external.remove("PHYSNET").is_some());
    // They depend on who asks.
    everything.data_dir = nothing.data_dir.clone();
    everything.control = nothing.control.clone();
    assert_eq!(everything, nothing);
    let keys = commented
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with("# "));
    let known = sextant_controller::config::KEYS.iter();
    assert_eq!(
        keys.count(),
        known.map(|(_, keys)| keys.len()).sum::<usize>()
    );
    assert!(
        commented.lines().all(|line| line.len() <= 130),
        "{commented}"
    );
}

#[test]
fn every_command_has_a_man_page_with_its_options() {
    let folder = std::env::temp_dir().join(format!("sextant-man-{}", std::process::id()));
    let (code, _, error) = sextant(&["man", "--dir", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{error}");
    let mut command = sextant_controller::cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![];
    look_for_pages(&command, &folder, &mut pages);
    let written = std::fs::read_dir(&folder).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(pages.len(), written);
    assert!(
        pages.contains(&"sextant-store-copy".to_owned()),
        "{pages:?}"
    );
    let (_, main, _) = sextant(&["man"]);
    assert!(
        main.starts_with(".ie") || main.contains(".TH sextant"),
        "{main}"
    );
}

fn look_for_pages(command: &clap::Command, folder: &Path, pages: &mut Vec<String>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
    for option in command.get_opts().filter_map(clap::Arg::get_long) {
        let escaped = format!("\\-\\-{}", option.replace('-', "\\-"));
        assert!(page.contains(&escaped), "{name}: {option}: {page}");
    }
    pages.push(name.to_owned());
    for inner in command.get_subcommands() {
        look_for_pages(inner, folder, pages);
    }
}

#[test]
fn check_config_names_everything_that_is_wrong() {
    let name = format!("sextant-faults-{}.toml", std::process::id());
    let file = std::env::temp_dir().join(name);
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let (code, said, _) = sextant(&["check-config", file.to_str().unwrap()]);
        assert_eq!(code, Some(2));
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let keys = check("api_listen = 'localhost:9696'\n[ra]\nmin = 3\nlifetime = -1\n");
    let values = check("api_listen = '[::]:9696'\n[punt]\nrate = 0\n");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(keys.len(), 3, "{keys:#?}");
    assert!(keys[0].contains("names are not looked up"), "{keys:#?}");
    let named = ["api_listen = ", "auth = ", "punt = "];
    assert!(
        values.len() == 3
            && values
                .iter()
                .zip(named)
                .all(|(said, key)| said.starts_with(key)),
        "{values:#?}"
    );
}

#[test]
fn the_sample_configuration_is_right() {
    Config::read(&project("examples/sextant.toml"))
        .and_then(|config| config.check())
        .unwrap();
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let error = Config::read(&project("Cargo.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("unknown field") && error.contains("Cargo.toml: line "),
        "{error}"
    );
}

fn sextant(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sextant"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn check_config_exits_with_two_when_something_is_wrong() {
    let (wrong, right) = (project("Cargo.toml"), project("examples/sextant.toml"));
    let (wrong, right) = (wrong.to_str().unwrap(), right.to_str().unwrap());
    let (code, said, _) = sextant(&["check-config", right]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), format!("{right}: ok\n").as_str())
    );
    let (code, said, _) = sextant(&["check-config", wrong, "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &said["ok"]),
        (Some(2), &serde_json::Value::Bool(false))
    );
}

#[test]
fn a_listener_beyond_loopback_must_be_allowed() {
    let (code, _, log) = sextant(&[
        "serve",
        "--api-listen",
        "[::]:0",
        "--data-dir",
        "/nonexistent/sextant",
    ]);
    assert_eq!(code, Some(2));
    assert!(
        log.contains("api_listen = [::]:0: not a loopback address"),
        "{log}"
    );
}

#[test]
fn check_config_says_what_is_wrong_with_the_rules() {
    let folder = std::env::temp_dir().join(format!("sextant-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (config, rules) = (folder.join("sextant.toml"), folder.join("policy.yaml"));
    std::fs::write(&config, format!("policy_file = {rules:?}\n")).unwrap();
    let check = |text: &str| {
        std::fs::write(&rules, text).unwrap();
        let (code, said, _) = sextant(&["check-config", config.to_str().unwrap()]);
        (code, said)
    };
    let wrong = check("get_port: role:x\n\nget_network: rule:get_network\n");
    let right = check("get_port: role:x\ncreate_trunk: '!'\n");
    std::fs::remove_dir_all(&folder).unwrap();
    let expected = format!(
        "policy_file = {}: line 3: \"get_network\": rules go round in a circle: get_network -> get_network\n",
        rules.display()
    );
    assert_eq!(wrong, (Some(2), expected));
    assert_eq!(right, (Some(0), format!("{}: ok\n", config.display())));
}
