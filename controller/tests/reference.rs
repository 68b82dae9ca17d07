//! The generated references in `docs/` are what the code says, and the sample configuration is right.

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
        assert!(committed == reference::page(page), "{} is not what `make reference` writes", path.display());
    }
}

#[test]
fn the_sample_configuration_is_right() {
    Config::read(&project("examples/sextant.toml")).and_then(|config| config.check()).unwrap();
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let error = Config::read(&project("Cargo.toml")).unwrap_err().to_string();
    assert!(error.contains("unknown field") && error.contains("line 1"), "{error}");
}
