//! The runbooks: each alert has one, and they name only what exists.

use crate::{Outcome, catalogue, rules};
use sextant_lab::grafana;
use std::collections::BTreeMap;
use std::fs;

/// What a runbook has, in this order.
const PARTS: [&str; 3] = ["\n## Meaning\n", "\n## Look\n", "\n## Mend\n"];

/// The text of each runbook, by its name.
fn runbooks() -> Outcome<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(grafana("../docs/runbooks"))? {
        let path = entry?.path();
        let name = path.file_stem().ok_or("no name")?;
        found.insert(
            name.to_string_lossy().into_owned(),
            fs::read_to_string(&path)?,
        );
    }
    Ok(found)
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() -> Outcome {
    let alerts = rules::alerts()?;
    for alert in &alerts {
        let expected = format!("{}docs/runbooks/{}.md", rules::FILES, alert.alert);
        assert_eq!(alert.annotations.runbook_url, expected);
    }
    let mut named: Vec<String> = alerts.into_iter().map(|alert| alert.alert).collect();
    named.sort();
    assert_eq!(Vec::from_iter(runbooks()?.into_keys()), named);
    Ok(())
}

#[test]
fn every_runbook_says_what_it_means_where_to_look_and_how_to_mend_it() -> Outcome {
    for (name, text) in runbooks()? {
        assert!(text.starts_with(&format!("# {name}\n")), "{name}");
        let places: Vec<_> = PARTS.iter().map(|part| text.find(part)).collect();
        assert!(places.iter().all(Option::is_some), "{name}: {places:?}");
        assert!(places.is_sorted(), "{name}: {places:?}");
    }
    Ok(())
}

#[test]
fn runbooks_name_only_commands_metrics_and_alerts_that_exist() -> Outcome {
    let commands = fs::read_to_string(grafana("../docs/cli.md"))?;
    let runbooks = runbooks()?;
    let (mut verbs, mut queries) = (0, 0);
    for (name, text) in &runbooks {
        for verb in verbs_of(text) {
            let heading = format!("## `sextant {verb}`\n");
            assert!(commands.contains(&heading), "{name}: sextant {verb}");
            verbs += 1;
        }
        for word in words_of(text) {
            let is_metric = !word.starts_with("sextant_") || catalogue::is_metric(word);
            assert!(is_metric, "{name}: {word}");
            let is_alert = !word.starts_with("Sextant") || word == "Sextant";
            assert!(is_alert || runbooks.contains_key(word), "{name}: {word}");
        }
        for expr in queries_of(text) {
            catalogue::check(expr).map_err(|error| format!("{name}: {error}"))?;
            queries += 1;
        }
    }
    assert!(verbs > 20 && queries > 20, "{verbs} and {queries}");
    Ok(())
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// The verbs of the command line, in spans of code and after a prompt.
fn verbs_of(text: &str) -> impl Iterator<Item = &str> {
    let places = ["`sextant ", "\n# sextant ", "\n$ sextant "];
    let rest = places
        .into_iter()
        .flat_map(|place| text.split(place).skip(1));
    rest.filter_map(|rest| {
        rest.split(|c: char| !c.is_ascii_lowercase() && c != '-')
            .next()
    })
}

/// The lines of blocks of PromQL, each an expression.
fn queries_of(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```promql\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("\n```").next());
    blocks.flat_map(str::lines)
}

#[test]
fn what_a_runbook_names_is_found() {
    let text = "Ask `sextant why PORT`.\n\n```console\n# sextant check-config FILE   # sextant_x\n```\n\
                ```promql\nsextant_a > 0\nup\n```\n";
    assert_eq!(Vec::from_iter(verbs_of(text)), ["why", "check-config"]);
    assert_eq!(Vec::from_iter(queries_of(text)), ["sextant_a > 0", "up"]);
    assert!(words_of(text).any(|word| word == "sextant_x"));
}
