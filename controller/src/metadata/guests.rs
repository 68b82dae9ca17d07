//! Who is plugged in where, as the hypervisor's own database says.

use super::device::Device;
use super::metrics::ServiceMetrics;
use crate::hypervisor::INTEGRATION_BRIDGE;
use axum::http::HeaderValue;
use sextant_model::{METADATA_INTERFACE, MetadataClient, metadata_key};
use sextant_ovsdb_client::{
    Event, Failover, MonitorRequest, Options, Remote, Replica, reconnect, tables,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

tables! {
    const WATCHED;

    /// The integration bridge is among them.
    Bridge = "Bridge" { name: String, ports: BTreeSet<Uuid> }

    /// Its ports.
    Port = "Port" { interfaces: BTreeSet<Uuid> }

    /// Guests' interfaces, and the service's own.
    Interface = "Interface" {
        name: String,
        ofport: Option<i64>,
        ifindex: Option<i64>,
        external_ids: BTreeMap<String, String>,
    }
}

/// What the database says. What it said last counts while it is away: the guests are still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    /// The guests, by OpenFlow port.
    guests: BTreeMap<u16, LocalGuest>,
    /// The service's device, if it is there.
    pub(super) device: Option<Device>,
}

/// A guest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LocalGuest {
    device: HeaderValue,
    project: HeaderValue,
    addresses: Vec<IpAddr>,
}

/// Who asks, as Nova is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestingGuest {
    /// The instance.
    pub(super) device: HeaderValue,
    /// Its project.
    pub(super) project: HeaderValue,
    /// The address that it asks from.
    pub(super) address: IpAddr,
}

impl Local {
    /// Who a client is.
    pub(super) fn asker(&self, client: MetadataClient) -> Option<RequestingGuest> {
        let guest = self.guests.get(&client.ofport)?;
        let address = *guest.addresses.get(usize::from(client.number))?;
        Some(RequestingGuest {
            device: guest.device.clone(),
            project: guest.project.clone(),
            address,
        })
    }

    fn read(replica: &Replica) -> Self {
        let mut local = Self::default();
        let mut bridges = replica.all::<Bridge>();
        let bridge = bridges.find(|(_, bridge)| bridge.name() == INTEGRATION_BRIDGE);
        let ports = bridge.map(|(_, bridge)| bridge.ports()).unwrap_or_default();
        for (_, port) in replica.get_all::<Port>(ports) {
            for (_, interface) in replica.get_all::<Interface>(port.interfaces()) {
                local.take(interface);
            }
        }
        local
    }

    fn take(&mut self, interface: Interface<'_>) {
        if interface.name() == METADATA_INTERFACE {
            let index = interface
                .ifindex()
                .and_then(|index| u32::try_from(index).ok());
            let index = index.filter(|index| *index > 0);
            self.device = index.map(|index| Device { index });
            return;
        }
        let ofport = interface
            .ofport()
            .and_then(|ofport| u16::try_from(ofport).ok());
        let ofport = ofport.filter(|ofport| *ofport > 0);
        self.guests.extend(ofport.zip(guest(interface)));
    }
}

fn guest(interface: Interface<'_>) -> Option<LocalGuest> {
    let ids = interface.external_ids();
    let addresses = ids.get(metadata_key::ADDRESSES)?;
    let addresses: Result<Vec<IpAddr>, _> = addresses.split(' ').map(str::parse).collect();
    Some(LocalGuest {
        device: HeaderValue::from_str(ids.get(metadata_key::DEVICE)?).ok()?,
        project: HeaderValue::from_str(ids.get(metadata_key::PROJECT)?).ok()?,
        addresses: addresses.ok()?,
    })
}

/// Follows the database: what it says, and the task that has to run for that.
pub(super) fn watch(
    remote: Remote,
    metrics: ServiceMetrics,
) -> (
    Result<impl Future<Output = ()>, String>,
    watch::Receiver<Arc<Local>>,
) {
    let (sender, receiver) = watch::channel(Arc::new(Local::default()));
    let failover = Failover::new([remote]).map_err(|error| error.to_string());
    let task = failover.map(|failover| follow(failover, sender, metrics));
    (task, receiver)
}

async fn follow(
    mut failover: Failover,
    sender: watch::Sender<Arc<Local>>,
    metrics: ServiceMetrics,
) {
    let mut replica = Replica::default();
    loop {
        let mut connection = reconnect(&mut failover, Options::default(), replica).await;
        connection.monitor_request(MonitorRequest::declared("Open_vSwitch", WATCHED));
        let reason = loop {
            match connection.next_event().await {
                Ok(Event::Synced) => {
                    failover.succeeded();
                    metrics.database_connected.set(1);
                    publish(connection.replica(), &sender, &metrics);
                }
                Ok(Event::Changed(_)) => publish(connection.replica(), &sender, &metrics),
                Ok(_) => {}
                Err(reason) => break reason,
            }
        };
        metrics.database_connected.set(0);
        tracing::warn!(%reason, "the hypervisor's database is away; what it said last counts");
        replica = connection.into_replica();
    }
}

fn publish(replica: &Replica, sender: &watch::Sender<Arc<Local>>, metrics: &ServiceMetrics) {
    let local = Local::read(replica);
    let count = i64::try_from(local.guests.len()).unwrap_or(i64::MAX);
    metrics.guests.set(count);
    sender.send_if_modified(|before| {
        let differ = **before != local;
        if differ {
            *before = Arc::new(local);
        }
        differ
    });
}
