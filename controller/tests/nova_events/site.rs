//! A cloud that tells a played Nova of its guests' ports.

use crate::api::{Cloud, port_id};
use crate::nova::PlayedNova;
use crate::played::Played;
use serde_json::{Value, json};
use sextant_controller::api::Identity;
use sextant_controller::cluster::Cluster;
use sextant_controller::metrics::{Metrics, NovaEventName, NovaOutcome};
use sextant_controller::nova::{NovaNotifier, NovaSettings};
use sextant_controller::store::Store;
use sextant_model::{ChassisId, Plugged, PortId, Settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) struct Site {
    pub(crate) keystone: Played,
    pub(crate) nova: PlayedNova,
    pub(crate) cloud: Cloud,
    pub(crate) metrics: Metrics,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) network: Value,
    teller: Option<JoinHandle<()>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A guest's port.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) server: String,
    pub(crate) port: PortId,
    pub(crate) id: String,
}

impl Guest {
    /// An event of it, as [`crate::nova::Told::events`] shows it.
    pub(crate) fn event(&self, name: &str) -> (String, String, String) {
        (name.to_owned(), self.server.clone(), self.id.clone())
    }
}

impl Site {
    /// A cloud, with Sextant's part that tells NovaNotifier.
    pub(crate) async fn new() -> Self {
        let mut site = Self::silent().await;
        site.start();
        site
    }

    /// The same without that part.
    pub(crate) async fn silent() -> Self {
        let keystone = Played::start().await;
        let nova = PlayedNova::start(keystone.asked.clone()).await;
        *keystone.asked.catalog.lock().unwrap() = json!([{"type": "compute", "name": "nova", "endpoints": [
            {"interface": "public", "region": "one", "region_id": "one", "url": "http://[::1]:1/v2.1"},
            {"interface": "internal", "region": "two", "region_id": "two", "url": "http://[::1]:1/v2.1"},
            {"interface": "internal", "region": "one", "region_id": "one", "url": nova.url()},
        ]}]);
        let mut kept = None;
        let cloud = Cloud::writing_by(Settings::default(), Identity::Everyone, |store| {
            kept = Some(store.clone());
            store
        });
        let network = cloud
            .post("networks", json!({"network": {"name": "n"}}))
            .await;
        let network = network.ok()["network"]["id"].clone();
        for cidr in ["192.0.2.0/24", "198.51.100.0/24"] {
            let subnet = json!({"subnet": {"network_id": network, "cidr": cidr, "ip_version": 4}});
            cloud.post("subnets", subnet).await.ok();
        }
        Self {
            keystone,
            nova,
            cloud,
            metrics: Metrics::new().unwrap(),
            store: kept.unwrap(),
            network,
            teller: None,
        }
    }

    pub(crate) fn settings(&self) -> NovaSettings {
        NovaSettings {
            keystone: self.keystone.settings(),
            section: "nova",
            endpoint: String::new(),
            region: "one".to_owned(),
            interface: "internal".to_owned(),
            timeout: Duration::from_secs(20),
        }
    }

    pub(crate) fn start(&mut self) {
        self.start_with(self.settings());
    }

    pub(crate) fn start_with(&mut self, settings: NovaSettings) {
        self.teller = Some(self.teller(settings, None, self.metrics.clone()));
    }

    /// One of several controllers that tell Nova.
    pub(crate) fn teller(
        &self,
        settings: NovaSettings,
        cluster: Option<Cluster>,
        metrics: Metrics,
    ) -> JoinHandle<()> {
        let (store, snapshots) = (self.store.clone(), self.cloud.snapshots.clone());
        let nova = NovaNotifier::new(settings, store, snapshots, cluster, metrics).unwrap();
        tokio::spawn(nova.run())
    }

    /// Ends what tells Nova, wherever it is.
    pub(crate) fn stop(&mut self) {
        if let Some(teller) = self.teller.take() {
            teller.abort();
        }
    }

    /// A port as Nova makes it for a guest.
    pub(crate) async fn guest(&self) -> Guest {
        let server = Uuid::new_v4().to_string();
        let port = json!({"port": {"network_id": self.network, "device_id": server, "device_owner": "compute:nova"}});
        let made = self.cloud.post("ports", port).await.ok();
        let id = made["port"]["id"].clone();
        Guest {
            server,
            port: port_id(&id),
            id: id.as_str().unwrap().to_owned(),
        }
    }

    /// Plugs ports in on a hypervisor, whose switch confirms their flows.
    pub(crate) async fn plug(&self, guests: &[Guest], chassis: &'static str, ofport: u16) {
        let ports: Vec<PortId> = guests.iter().map(|guest| guest.port).collect();
        let observed = self.cloud.observe(move |facts, intent| {
            for port in ports {
                let chassis = ChassisId::new(chassis);
                let plugged = Plugged {
                    chassis: chassis.clone(),
                    ofport: Some(ofport),
                };
                facts.plug(intent, port, plugged);
                facts.confirm(port, &chassis);
            }
        });
        observed.await;
    }

    pub(crate) async fn unplug(&self, guest: &Guest, chassis: &'static str) {
        let port = guest.port;
        let observed = self
            .cloud
            .observe(move |facts, intent| facts.unplug(intent, port, &ChassisId::new(chassis)));
        observed.await;
    }

    /// A guest whose port is plugged in, and Nova knows it.
    pub(crate) async fn booted(&self) -> Guest {
        let before = self.nova.told.events().len();
        let guest = self.guest().await;
        self.plug(std::slice::from_ref(&guest), "h1", 7).await;
        self.nova.told.until(before + 1).await;
        self.settled(&guest).await;
        guest
    }

    /// Waits until it is stored what Nova knows of a port, and nothing is under way.
    pub(crate) async fn settled(&self, guest: &Guest) {
        let port = guest.port;
        let found = self.cloud.once(move |snapshot| {
            let Some(known) = snapshot.intent.nova_ports.get(&port) else {
                return !snapshot.intent.ports.contains_key(&port);
            };
            let active = snapshot.facts.active().contains(&port);
            let addresses = snapshot.intent.ports.get(&port);
            let addresses = addresses.map(|port| port.fixed_ips.clone());
            known.teller.is_none()
                && known.plugged.is_some() == active
                && Some(&known.fixed_ips) == addresses.as_ref()
        });
        found.await;
    }

    /// How many events ended so.
    pub(crate) fn count(&self, name: NovaEventName, outcome: NovaOutcome) -> u64 {
        let labels = [name.as_str(), outcome.as_str()];
        self.metrics.nova_events.with_label_values(&labels).get()
    }
}
