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
