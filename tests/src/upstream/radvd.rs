//! radvd, which advertises a router.

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::process::Process;
use std::path::Path;

/// Starts radvd in a namespace, with its files in this folder, where `name` tells them from others.
pub(super) fn start(
    namespace: &Namespace,
    folder: &Path,
    name: &str,
    configuration: &str,
) -> Result<Process, LabError> {
    let file = folder.join(format!("{name}-radvd.conf"));
    let pid = folder.join(format!("{name}-radvd.pid"));
    std::fs::write(&file, configuration)
        .map_err(LabError::io(format!("write {}", file.display())))?;
    namespace.spawn(&[
        "radvd",
        "--nodaemon",
        "--logmethod",
        "stderr",
        "--config",
        &file.display().to_string(),
        "--pidfile",
        &pid.display().to_string(),
    ])
}
