//! The command line.

use crate::config::{Auth, Config, ConfigError, WebListen, listen_address};
use crate::control::{SupportBundle, Verbs};
use crate::doctor::Installation;
use crate::transfer::{self, Location, TransferError};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use sextant_ovsdb_client::Remote;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// IPv6 for the guests of an OpenStack-style cloud: OpenFlow controller, OVSDB manager and Neutron API in one process.
#[derive(Debug, Parser)]
#[command(name = "sextant", version, propagate_version = true)]
pub struct Cli {
    /// Write logs and results as JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run until SIGTERM or SIGINT. Logs "ready" once everything listens.
    ///
    /// SIGHUP has configuration and certificates read again: what can change while it runs does, and the log names the keys
    /// that wait for a restart.
    Serve(Serve),
    /// Serve metadata to the guests of the hypervisor that it runs on, until SIGTERM or SIGINT. Logs "ready" once it listens.
    ///
    /// It reads `log`, `allow_plaintext` and the section `[metadata]` of the configuration.
    Metadata(MetadataOptions),
    /// Check a configuration file, and say everything that is wrong with it. Exits with 2 if something is.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Check an installation before it runs and while it does, or a hypervisor from outside. Exits with 1 if something is wrong.
    ///
    /// It takes the options of `serve`, and changes nothing. Without `--config` it reads /etc/sextant/sextant.toml where that is.
    Doctor(DoctorOptions),
    /// Copy or check what is stored, while no controller runs on it.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Ask a running Sextant.
    #[command(flatten)]
    Ask(Verbs),
    /// Write everything that helps others to help into a file, without secrets.
    ///
    /// It has the answers of the verbs that read, and the metrics: names and addresses of tenants, but neither the configuration
    /// nor passwords or tokens.
    SupportBundle(SupportBundle),
    /// Print a generated reference page, as Markdown, or a configuration file with every key.
    Reference {
        /// The page.
        page: Page,
    },
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page, as roff.
    Man {
        /// Write a page for each command into this folder instead.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// What to do with what is stored.
///
/// A LOCATION is `embedded`, the file in the configuration's `data_dir`; `etcd`, the cluster that its section `[store]` names; or
/// the name of a backup, which is one file.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy a cloud to where none is, and read it back.
    ///
    /// A LOCATION is `embedded`, the file in the configuration's `data_dir`; `etcd`, the cluster that its section `[store]`
    /// names; or a file, which is a backup.
    Copy {
        /// Where it is.
        #[arg(long, value_name = "LOCATION")]
        from: Location,
        /// Where it is to be.
        #[arg(long, value_name = "LOCATION")]
        to: Location,
        /// Configuration file. Every key has a default.
        #[arg(long, value_name = "FILE", env = "SEXTANT_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Read a cloud whole, and count what is in it. Exits with 1 if something cannot be read.
    Check {
        /// Where it is: `embedded`, `etcd`, or the file of a backup.
        #[arg(value_name = "LOCATION")]
        at: Location,
        /// Configuration file. Every key has a default.
        #[arg(long, value_name = "FILE", env = "SEXTANT_CONFIG")]
        config: Option<PathBuf>,
    },
}

impl StoreCommand {
    /// Does it. Returns what to print.
    ///
    /// # Errors
    /// [`TransferError`] says what is wrong with which store.
    pub async fn run(&self, json: bool) -> Result<String, TransferError> {
        match self {
            Self::Copy { from, to, config } => {
                let copied = transfer::copy(&configuration(config.as_deref())?, from, to).await?;
                Ok(transfer::copied(from, to, copied.len(), json))
            }
            Self::Check { at, config } => {
                let contents = transfer::read(&configuration(config.as_deref())?, at).await?;
                Ok(transfer::checked(at, &contents, json))
            }
        }
    }
}

fn configuration(file: Option<&Path>) -> Result<Config, ConfigError> {
    let config = file.map_or_else(|| Ok(Config::default()), Config::read)?;
    config.check()?;
    Ok(config)
}

/// A generated reference page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// The tables and registers of br-int.
    Pipeline,
    /// The metrics.
    Metrics,
    /// The configuration file.
    Configuration,
    /// A configuration file with every key as a comment.
    Toml,
    /// The command line.
    Cli,
}

/// Options of `serve`. They override the environment, and the environment overrides the file.
#[derive(Clone, Debug, Default, Args)]
pub struct Serve {
    /// Configuration file (TOML). Every key has a default.
    #[arg(long, value_name = "FILE", env = "SEXTANT_CONFIG")]
    pub config: Option<PathBuf>,
    /// The folder for all data.
    #[arg(long, value_name = "DIR", env = "SEXTANT_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace. After commas also TARGET=LEVEL.
    #[arg(long, value_name = "FILTER", env = "SEXTANT_LOG")]
    pub log: Option<String>,
    /// Address of the Neutron API.
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEXTANT_API_LISTEN", value_parser = listen_address)]
    pub api_listen: Option<SocketAddr>,
    /// Address for switches (OpenFlow).
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEXTANT_OPENFLOW_LISTEN", value_parser = listen_address)]
    pub openflow_listen: Option<SocketAddr>,
    /// Address for hypervisors' databases (OVSDB).
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEXTANT_OVSDB_LISTEN", value_parser = listen_address)]
    pub ovsdb_listen: Option<SocketAddr>,
    /// Address for Prometheus.
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEXTANT_METRICS_LISTEN", value_parser = listen_address)]
    pub metrics_listen: Option<SocketAddr>,
    /// Address of the page for operators. Empty: no page.
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEXTANT_WEB_LISTEN")]
    pub web_listen: Option<WebListen>,
    /// Control socket for `sextant facts` and the like. Its owner and group may use it.
    #[arg(long, value_name = "SOCKET", env = "SEXTANT_CONTROL_SOCKET")]
    pub control_socket: Option<PathBuf>,
    /// Who may use the API.
    #[arg(long, env = "SEXTANT_AUTH")]
    pub auth: Option<Auth>,
    /// Allow listeners without TLS on addresses other than loopback, and without `--auth headers` let everyone there be
    /// admin.
    #[arg(long, env = "SEXTANT_ALLOW_PLAINTEXT")]
    pub allow_plaintext: bool,
}

impl Serve {
    /// The configuration: defaults, the file over them, these options over both.
    ///
    /// # Errors
    /// The file is wrong, or what comes of all does not make sense.
    pub fn configuration(&self) -> Result<Config, ConfigError> {
        let config = self.read()?;
        config.check()?;
        Ok(config)
    }

    /// The same, whether or not it makes sense.
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = self
            .config
            .as_deref()
            .map_or_else(|| Ok(Config::default()), Config::read)?;
        override_with(&mut config.data_dir, self.data_dir.clone());
        override_with(&mut config.log, self.log.clone());
        override_with(&mut config.api_listen, self.api_listen);
        override_with(&mut config.openflow_listen, self.openflow_listen);
        override_with(&mut config.ovsdb_listen, self.ovsdb_listen);
        override_with(&mut config.metrics_listen, self.metrics_listen);
        override_with(&mut config.web.listen, self.web_listen);
        override_with(&mut config.control.socket, self.control_socket.clone());
        override_with(&mut config.auth, self.auth);
        config.allow_plaintext |= self.allow_plaintext;
        Ok(config)
    }
}

/// Options of `doctor`.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorOptions {
    /// Look at this hypervisor's database instead, as Open vSwitch names it: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT.
    #[arg(long, value_name = "DATABASE")]
    pub hypervisor: Option<Remote>,
    /// Those of the process that is checked.
    #[command(flatten)]
    pub serve: Serve,
}

impl DoctorOptions {
    /// What is to be checked.
    pub fn installation(mut self) -> Installation {
        let packaged = Path::new(PACKAGED);
        if self.serve.config.is_none() && packaged.exists() {
            self.serve.config = Some(packaged.to_owned());
        }
        let file = self.serve.config.clone();
        let (config, faults) = match (self.serve.read(), &file) {
            (Ok(config), _) => {
                let faults = config.faults();
                (Some(config), faults)
            }
            (Err(_), Some(file)) => (None, Config::faults_of(file)),
            (Err(error), None) => (None, vec![error]),
        };
        Installation {
            file,
            config,
            faults,
        }
    }
}

/// The configuration that the Debian package's unit names.
const PACKAGED: &str = "/etc/sextant/sextant.toml";

/// Options of `metadata`. They override the environment, and the environment overrides the file.
#[derive(Clone, Debug, Default, Args)]
pub struct MetadataOptions {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "SEXTANT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace. After commas also TARGET=LEVEL.
    #[arg(long, value_name = "FILTER", env = "SEXTANT_LOG")]
    pub log: Option<String>,
}

impl MetadataOptions {
    /// The configuration: defaults, the file over them, these options over both.
    ///
    /// # Errors
    /// The file is wrong, or the service cannot work with it.
    pub fn configuration(&self) -> Result<Config, ConfigError> {
        let mut config = self
            .config
            .as_deref()
            .map_or_else(|| Ok(Config::default()), Config::read)?;
        override_with(&mut config.log, self.log.clone());
        config.check_metadata()?;
        Ok(config)
    }
}

fn override_with<T>(value: &mut T, with: Option<T>) {
    if let Some(with) = with {
        *value = with;
    }
}

/// The command line for clap, for completions, man page and reference.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn options_win_over_the_file() {
        let folder = std::env::temp_dir().join(format!("sextant-cli-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("sextant.toml");
        std::fs::write(&file, "api_listen = '[::1]:1'\novsdb_listen = '[::1]:2'\n").unwrap();
        let serve = Serve {
            config: Some(file),
            api_listen: Some("[::1]:3".parse().unwrap()),
            ..Serve::default()
        };
        let config = serve.configuration().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            (
                config.api_listen.port(),
                config.ovsdb_listen.port(),
                config.openflow_listen.port()
            ),
            (3, 2, 6653)
        );
    }
}
