//! Dependencies between members of the workspace, from `cargo metadata`.

use serde_json::Value;
use std::collections::BTreeSet;

/// One line for each dependency between members that the table does not allow, and for each
/// member that it does not have.
pub(crate) fn forbidden(metadata: &Value, allowed: &[(&str, &[&str])]) -> Vec<String> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let members: BTreeSet<&str> = packages().map(name).collect();
    packages()
        .flat_map(|package| wrong_in(package, &members, allowed))
        .collect()
}

fn wrong_in(package: &Value, members: &BTreeSet<&str>, allowed: &[(&str, &[&str])]) -> Vec<String> {
    let user = name(package);
    let Some((_, may)) = allowed.iter().find(|(member, _)| *member == user) else {
        return vec![format!("{user} is a crate that the design does not know")];
    };
    let used: BTreeSet<&str> = package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(name)
        .collect();
    used.intersection(members)
        .filter(|used| !may.contains(used))
        .map(|used| format!("{user} may not use {used}"))
        .collect()
}

/// The `name` key is a dependency's real name also when it is renamed.
fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}
