//! Reads configuration and certificates again after SIGHUP, and logs which changes wait for a restart.

use super::callers;
use crate::api::Api;
use crate::cli::Serve;
use crate::config::Config;
use crate::logging::Logs;
use crate::rules::{HypervisorRules, RulesChanger};
use crate::service_manager::ServiceManager;
use crate::state::{Event, Events};
use crate::tls::{Tls, TlsFiles};
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;

/// The source of the configuration, and the logs that follow it.
pub struct Again {
    /// The options of the process.
    pub options: Serve,
    /// The logs.
    pub logs: Logs,
    /// Who hears of it.
    pub manager: ServiceManager,
}

/// What runs by the configuration and can follow it.
pub(super) struct Reload {
    pub(super) again: Again,
    /// The configuration in force.
    pub(super) config: Config,
    pub(super) tls: Option<Tls>,
    pub(super) hypervisor_tls: Option<Tls>,
    pub(super) rules: RulesChanger,
    pub(super) api: Api,
    /// Where the API is served.
    pub(super) threads: Handle,
    pub(super) events: Events,
}

impl Reload {
    /// Reads all files again with each signal to do so.
    pub(super) async fn run(mut self, mut hung_up: Signal) {
        while hung_up.recv().await.is_some() {
            self.again.manager.reloading();
            self.read_again().await;
            self.again.manager.ready();
        }
    }

    async fn read_again(&mut self) {
        match self.again.options.configuration() {
            Ok(read) => self.follow(read).await,
            Err(error) => {
                // Whoever moves the file away to keep it does not know whether the configuration is right.
                self.api.audit_again(&self.config.audit_file);
                tracing::warn!(%error, "the configuration stays as it was");
            }
        }
        // Certificates are read even if the configuration is wrong: whoever renews them does not know of that.
        read_certificates(self.tls.as_ref(), &self.config.tls);
        let hypervisors = self.config.hypervisor_tls.files();
        read_certificates(self.hypervisor_tls.as_ref(), &hypervisors);
    }

    async fn follow(&mut self, read: Config) {
        let before = self.config.clone();
        follow(&mut self.config, &read);
        self.again.logs.set(&self.config.log);
        self.api.audit_again(&self.config.audit_file);
        callers::identify_again(&self.api, &self.config);
        callers::decide_again(&self.api, &self.config);
        self.rules.set(HypervisorRules::from(&self.config));
        if self.config.settings() != before.settings() {
            // The owner of state ends only with the process.
            let _ = self
                .events
                .send(Event::Configured(self.config.settings()))
                .await;
        }
        let changed = differences(&before, &self.config).join(", ");
        tracing::info!(changed, "the configuration was read again");
        callers::try_out(&self.api, &self.threads);
        let waiting = differences(&self.config, &read);
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(
                keys,
                "these keys of the configuration take effect with the next start"
            );
        }
    }
}

fn read_certificates(tls: Option<&Tls>, files: &TlsFiles) {
    match tls.map(|tls| tls.reload(files)) {
        Some(Ok(())) => tracing::info!("certificates were read again"),
        Some(Err(error)) => tracing::warn!(%error, "certificates stay as they were"),
        None => {}
    }
}

/// Takes over the keys that can change while the process runs.
fn follow(config: &mut Config, read: &Config) {
    config.log = read.log.clone();
    config.auth = read.auth;
    config.trusted_proxies = read.trusted_proxies.clone();
    config.policy_file = read.policy_file.clone();
    config.audit_file = read.audit_file.clone();
    config.keystone = read.keystone.clone();
    config.allow_plaintext = read.allow_plaintext;
    config.dns_domain = read.dns_domain.clone();
    config.ipv6_pd_enabled = read.ipv6_pd_enabled;
    config.address_existing_ports = read.address_existing_ports;
    config.quotas = read.quotas;
    config.conntrack = read.conntrack;
    config.metadata = read.metadata.clone();
    // A listener with TLS keeps it until a restart, and one without gets none.
    if config.tls.is_on() && read.tls.is_on() {
        config.tls = read.tls.clone();
    }
    let (old, new) = (&config.hypervisor_tls, &read.hypervisor_tls);
    if old.files().is_on() && new.files().is_on() {
        config.hypervisor_tls = new.clone();
    }
}

/// Declares what compares two configurations, key by key. A key that is missing here does not compile.
macro_rules! differences {
    ($($key:ident),* $(,)?) => {
        /// The keys and sections that differ.
        fn differences(one: &Config, other: &Config) -> Vec<&'static str> {
            let Config { $($key),* } = one;
            let keys = [$((stringify!($key), *$key != other.$key)),*];
            let differing = keys.into_iter().filter(|(_, differs)| *differs);
            differing.map(|(key, _)| key).collect()
        }
    };
}

differences! {
    data_dir,
    log,
    api_listen,
    openflow_listen,
    ovsdb_listen,
    metrics_listen,
    metrics_per_hypervisor,
    auth,
    trusted_proxies,
    policy_file,
    audit_file,
    keystone,
    nova,
    allow_plaintext,
    dns_domain,
    ipv6_pd_enabled,
    address_existing_ports,
    ra,
    tunnel,
    control,
    web,
    conntrack,
    metadata,
    punt,
    gateway,
    external,
    store,
    controllers,
    tls,
    hypervisor_tls,
    quotas,
}
