//! Which addresses listeners may have.

use super::check::refused;
use super::{Auth, Config, ConfigError};
use std::net::SocketAddr;

impl Config {
    pub(super) fn check_listeners(&self) -> Result<(), ConfigError> {
        let (tls, hypervisor_tls) = (self.tls.is_on(), self.hypervisor_tls.files().is_on());
        let listeners = [
            ("api_listen", self.api_listen, tls),
            ("openflow_listen", self.openflow_listen, hypervisor_tls),
            ("ovsdb_listen", self.ovsdb_listen, hypervisor_tls),
            ("metrics_listen", self.metrics_listen, tls),
        ];
        let web = self
            .web
            .listen
            .0
            .map(|address| ("web.listen", address, tls));
        let exposed = |address: SocketAddr| !self.allow_plaintext && !address.ip().is_loopback();
        for (key, address, encrypted) in listeners.into_iter().chain(web) {
            if !encrypted && exposed(address) {
                let rule = "not a loopback address, so anyone on the network could read and change everything. Configure TLS ([tls] for the API and the metrics, [hypervisor_tls] for the others), or allow plaintext with allow_plaintext = true (--allow-plaintext)";
                return Err(refused(key, address, rule));
            }
        }
        let everyone = self.auth == Auth::None && !self.tls.asks_clients();
        if everyone && exposed(self.api_listen) {
            return Err(refused(
                "auth",
                "none",
                "everyone who reaches api_listen would be admin, and it is not a loopback address; set auth = \"keystone\", auth = \"headers\" or tls.client_ca, or allow it with allow_plaintext = true (--allow-plaintext)",
            ));
        }
        if let Some(address) = self.web.listen.0
            && everyone
            && exposed(address)
        {
            return Err(refused(
                "web.listen",
                address,
                "everyone who reaches it would see the whole cloud, and it is not a loopback address; set auth = \"keystone\" or auth = \"headers\", or allow it with allow_plaintext = true (--allow-plaintext)",
            ));
        }
        Ok(())
    }
}
