//! Which addresses listeners may have.

use super::check::{Checked, refused, unless};
use super::{Auth, Config};
use serde::de::{Deserialize, Deserializer, Error};
use std::net::SocketAddr;

/// Where to listen. Names are refused: what listens has to be where the file says, whatever a name server answers.
///
/// # Errors
/// The text is not an address and a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no address: names are not looked up, so say ADDRESS:PORT, such as [::1]:9696")
    })
}

pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    listen_address(&text).map_err(D::Error::custom)
}

impl Config {
    pub(super) fn check_listeners(&self) -> Vec<Checked> {
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
        let mut checks = vec![];
        for (key, address, encrypted) in listeners.into_iter().chain(web) {
            checks.push(unless(!encrypted && self.is_exposed(address), || {
                let rule = "not a loopback address, so anyone on the network could read and change everything. Configure TLS ([tls] for the API and the metrics, [hypervisor_tls] for the others), or allow plaintext with allow_plaintext = true (--allow-plaintext)";
                refused(key, address, rule)
            }));
        }
        let everyone = self.auth == Auth::None && !self.tls.asks_clients();
        checks.push(unless(everyone && self.is_exposed(self.api_listen), || {
            let rule = "everyone who reaches api_listen would be admin, and it is not a loopback address; set auth = \"keystone\", auth = \"headers\" or tls.client_ca, or allow it with allow_plaintext = true (--allow-plaintext)";
            refused("auth", "none", rule)
        }));
        let page = self.web.listen.0;
        let page = page.filter(|address| everyone && self.is_exposed(*address));
        checks.extend(page.map(|address| {
            let rule = "everyone who reaches it would see the whole cloud, and it is not a loopback address; set auth = \"keystone\" or auth = \"headers\", or allow it with allow_plaintext = true (--allow-plaintext)";
            Err(refused("web.listen", address, rule))
        }));
        checks
    }

    fn is_exposed(&self, address: SocketAddr) -> bool {
        !self.allow_plaintext && !address.ip().is_loopback()
    }
}
