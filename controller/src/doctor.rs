//! `sextant doctor`: whether an installation can work, before it runs and while it does; and whether a hypervisor can take part,
//! seen from outside.
//!
//! Each check looks at the world and gives [`Finding`]s. What it makes of what it saw is a pure function beside it.

mod callers;
mod certificates;
mod clocks;
mod data;
mod etcd;
mod files;
mod hypervisor;
mod listeners;
mod process;
mod service;
mod user;

use crate::config::{Config, ConfigError, StoreKind};
use crate::control::{Finding, FindingState};
use process::RunningProcess;
use serde_json::json;
use service::Unit;
use sextant_ovsdb_client::Remote;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use user::ServiceUser;

/// What is to be checked.
#[derive(Debug)]
pub struct Installation {
    /// The file of the configuration, if there is one.
    pub file: Option<PathBuf>,
    /// The configuration; none if it cannot be read.
    pub config: Option<Config>,
    /// Everything that is wrong with it.
    pub faults: Vec<ConfigError>,
}

/// What the checks share.
struct Examined<'a> {
    file: Option<&'a Path>,
    config: &'a Config,
    unit: Option<Unit>,
    process: Option<RunningProcess>,
    user: ServiceUser,
}

/// Checks an installation or, if one is named, a hypervisor.
pub async fn examine(installation: &Installation, hypervisor: Option<&Remote>) -> Vec<Finding> {
    let config = installation.config.clone().unwrap_or_default();
    if let Some(remote) = hypervisor {
        let controller = installation.file.is_some().then_some(&config);
        return hypervisor::examine(remote, controller, config.control.socket()).await;
    }
    let (process, mut findings) = process::ask(config.control.socket()).await;
    findings.extend(configuration(installation));
    if installation.config.is_none() {
        return findings;
    }
    let unit = service::unit().await;
    let examined = Examined {
        file: installation.file.as_deref(),
        user: ServiceUser::of(process.as_ref(), unit.as_ref()),
        config: &config,
        unit,
        process,
    };
    findings.extend(examined.findings().await);
    findings
}

impl Examined<'_> {
    async fn findings(&self) -> Vec<Finding> {
        let mut findings = service::findings(self.unit.as_ref());
        findings.extend(service::open_files(self).await);
        if self.config.store.kind == StoreKind::Embedded {
            findings.extend(data::findings(self));
        }
        findings.extend(files::findings(self));
        findings.extend(certificates::findings(self.config));
        findings.extend(listeners::findings(self));
        let (etcd, callers) =
            tokio::join!(etcd::findings(self.config), callers::findings(self.config));
        findings.extend(etcd);
        findings.extend(callers);
        findings
    }
}

fn configuration(installation: &Installation) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    let file = installation.file.as_ref();
    let faults = installation.faults.iter();
    // Those of certificates are told by their own check.
    let faults = faults.filter(|fault| !matches!(fault, ConfigError::Tls { .. }));
    let mut findings: Vec<Finding> = faults
        .map(|fault| {
            let advice = "correct the key; docs/configuration.md has all of them";
            Finding::bad(CHECK, format!("{fault}."), advice)
        })
        .collect();
    if findings.is_empty() {
        findings.push(match file {
            Some(file) => Finding::good(CHECK, format!("{}: every key makes sense.", file.display())),
            None => Finding::note(
                CHECK,
                "No file is named (--config): every key has its default, or what options and environment say.",
            ),
        });
    }
    findings
}

/// Runs what blocks, for at most so long.
async fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let work = tokio::time::timeout(patience, spawn_blocking(work)).await;
    work.ok()?.ok()
}

/// The findings as text for people, or as JSON, one object a line.
pub fn shown(findings: &[Finding], as_json: bool) -> String {
    let lines = findings.iter().map(|finding| match as_json {
        true => format!("{}\n", json!(finding)),
        false => finding.show_with_advice(),
    });
    lines.collect()
}

/// Whether nothing is wrong.
pub fn is_well(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.state != FindingState::Bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(text: &str) -> Vec<Finding> {
        let config: Config = toml::from_str(text).unwrap();
        configuration(&Installation {
            file: Some("/etc/sextant/sextant.toml".into()),
            faults: config.faults(),
            config: Some(config),
        })
    }

    #[test]
    fn every_fault_of_the_configuration_is_told() {
        let findings = examined("log = 'loud'\n[gateway]\ngone_after = 0\n");
        let said: Vec<&str> = findings.iter().map(|finding| &*finding.says).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("log = \"loud\""), "{said:?}");
        assert!(said[1].starts_with("gateway.gone_after = 0"), "{said:?}");
        assert!(!is_well(&findings));
        assert!(is_well(&examined("")));
    }

    #[test]
    fn people_get_lines_and_programs_get_objects() {
        let findings = [Finding::bad("clock", "It is late.", "set it")];
        let lines = format!(
            "BAD      clock             It is late.\n{:27}Do: set it\n",
            ""
        );
        assert_eq!(shown(&findings, false), lines);
        let object = shown(&findings, true);
        let object: Finding = serde_json::from_str(&object).unwrap();
        assert_eq!(object, findings[0]);
    }
}
