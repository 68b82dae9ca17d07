//! One task a hypervisor: tells the owner what it observes, and makes the hypervisor what it should be.

use super::observe::{NotReady, Observation, observe};
use super::provision::{Wish, release, wanted};
use super::{is_owned, monitor};
use crate::metrics::{Counted, Metrics};
use crate::snapshot::Snapshots;
use crate::state::{Event, Events};
use sextant_model::{Chassis, ChassisId, EncapKind, Plugged};
use sextant_ovsdb_client::{Connection, Options, RequestId, accept};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};

/// What every session needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// What is known.
    pub snapshots: Snapshots,
    /// Where observations go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// The port where switches connect.
    pub openflow_port: u16,
    /// The port where hypervisors' databases connect.
    pub ovsdb_port: u16,
}

/// Serves every hypervisor that connects. Does not return.
pub async fn listen(listener: TcpListener, context: Context) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(serve(stream, peer, context.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a hypervisor's connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, context: Context) {
    tracing::info!(%peer, "hypervisor's database connected");
    match run(stream, context).await {
        Ok(()) => tracing::info!(%peer, "hypervisor's session ends: the process is stopping"),
        Err(error) => tracing::warn!(%peer, %error, "hypervisor's database disconnected"),
    }
}

/// Where a switch of the peer reaches Sextant: the address by which its database does.
fn controller_target(local: SocketAddr, port: u16) -> String {
    match local.ip().to_canonical() {
        IpAddr::V6(address) => format!("tcp:[{address}]:{port}"),
        IpAddr::V4(address) => format!("tcp:{address}:{port}"),
    }
}

async fn run(stream: TcpStream, context: Context) -> Result<(), sextant_ovsdb_client::Error> {
    let controller = controller_target(stream.local_addr()?, context.openflow_port);
    let mut snapshots = context.snapshots.clone();
    let mut connection = accept(stream, Options::default())?;
    monitor(&mut connection);
    let mut session = Session {
        connection,
        context,
        controller,
        synced: false,
        seen: None,
        connected: None,
        transaction: None,
        complaint: None,
    };
    loop {
        tokio::select! {
            event = session.connection.next_event() => session.take(event?),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        if session.synced && session.step().await.is_err() {
            return Ok(());
        }
    }
}

/// The owner has ended.
struct Stopping;

struct Session {
    connection: Connection<TcpStream>,
    context: Context,
    controller: String,
    synced: bool,
    /// What the owner was told last.
    seen: Option<Observation>,
    /// Counts it among those that take part.
    connected: Option<Counted>,
    /// The transaction whose reply is awaited.
    transaction: Option<RequestId>,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
}

impl Session {
    fn take(&mut self, event: sextant_ovsdb_client::Event) {
        use sextant_ovsdb_client::Event;
        match event {
            Event::Synced => self.synced = true,
            Event::Reply { id, result } if self.transaction == Some(id) => {
                self.transaction = None;
                let outcome = if result.is_ok() {
                    "confirmed"
                } else {
                    "refused"
                };
                self.context
                    .metrics
                    .ovsdb_transactions
                    .with_label_values(&[outcome])
                    .inc();
                if let Err(error) = result {
                    self.complain(format!(
                        "the hypervisor's database refused a change: {error}"
                    ));
                }
            }
            Event::Changed(_)
            | Event::Reply { .. }
            | Event::Answer { .. }
            | Event::Locked { .. }
            | Event::Stolen { .. } => {}
        }
    }

    /// Says what is to be acted on by an operator, once.
    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            let chassis = self.seen.as_ref().map(|seen| seen.chassis.id.to_string());
            tracing::warn!(chassis, complaint, "hypervisor needs attention");
            self.complaint = Some(complaint);
        }
    }

    async fn step(&mut self) -> Result<(), Stopping> {
        match observe(self.connection.replica()) {
            Ok(observation) => {
                let gauge = &self.context.metrics.hypervisors_connected;
                self.connected.get_or_insert_with(|| Counted::new(gauge));
                self.provision(&observation.chassis);
                self.tell(observation).await
            }
            Err(NotReady::NoEndpoint(chassis)) => self.leave(chassis).await,
            Err(not_ready) => {
                self.complain(not_ready.to_string());
                Ok(())
            }
        }
    }

    fn provision(&mut self, chassis: &Chassis) {
        if self.transaction.is_some() {
            return;
        }
        let wish = Wish {
            system_id: chassis.id.to_string(),
            controller: self.controller.clone(),
            manager_suffix: format!(":{}", self.context.ovsdb_port),
            tunnels: self.tunnels(chassis),
        };
        match wanted(self.connection.replica(), &wish) {
            Ok(Some(transaction)) => self.transaction = Some(self.connection.transact(transaction)),
            Ok(None) => {}
            Err(error) => self.complain(error.to_string()),
        }
    }

    /// The protocols that this or any other hypervisor wants to be sent.
    fn tunnels(&self, chassis: &Chassis) -> BTreeSet<EncapKind> {
        let snapshot = self.context.snapshots.latest();
        let others = snapshot
            .facts
            .chassis()
            .values()
            .filter(|other| other.id != chassis.id);
        others
            .map(|other| other.encap.kind)
            .chain([chassis.encap.kind])
            .collect()
    }

    /// Nobody asks it to take part (any more): what Sextant made there is undone.
    async fn leave(&mut self, chassis: ChassisId) -> Result<(), Stopping> {
        let replica = self.connection.replica();
        let owns = replica
            .rows("Bridge")
            .chain(replica.rows("Port"))
            .any(|(_, row)| is_owned(row));
        if owns && self.transaction.is_none() {
            tracing::info!(%chassis, "hypervisor leaves");
            match release(replica) {
                Ok(Some(transaction)) => {
                    self.transaction = Some(self.connection.transact(transaction))
                }
                Ok(None) => {}
                Err(error) => self.complain(error.to_string()),
            }
        }
        if !owns
            && self
                .context
                .snapshots
                .latest()
                .facts
                .chassis()
                .contains_key(&chassis)
        {
            (self.seen, self.connected) = (None, None);
            return self.send(Event::HypervisorLeft(chassis)).await;
        }
        Ok(())
    }

    /// Tells the owner what differs from what it was told last.
    async fn tell(&mut self, now: Observation) -> Result<(), Stopping> {
        let Some(before) = self.seen.replace(now.clone()) else {
            return self
                .send(Event::HypervisorRead {
                    chassis: now.chassis,
                    interfaces: now.interfaces,
                })
                .await;
        };
        let id = now.chassis.id.clone();
        if before.chassis != now.chassis {
            self.send(Event::HypervisorChanged(now.chassis)).await?;
        }
        for port in before
            .interfaces
            .keys()
            .filter(|port| !now.interfaces.contains_key(port))
        {
            self.send(Event::Unplugged(*port, id.clone())).await?;
        }
        for (port, ofport) in &now.interfaces {
            if before.interfaces.get(port) != Some(ofport) {
                self.send(Event::Plugged(
                    *port,
                    Plugged {
                        chassis: id.clone(),
                        ofport: *ofport,
                    },
                ))
                .await?;
            }
        }
        Ok(())
    }

    async fn send(&self, event: Event) -> Result<(), Stopping> {
        self.context.events.send(event).await.map_err(|_| Stopping)
    }
}
