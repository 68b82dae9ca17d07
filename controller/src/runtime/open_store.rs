//! Opens the store that the configuration names. Nobody else knows which one it is.

use super::{RuntimeError, data_dir};
use crate::cluster::{Cluster, Live};
use crate::config::{Config, StoreConfig, StoreKind};
use crate::store::{
    Boxed, ClusterMembership, CommitError, EMBEDDED_FILE, Embedded, Etcd, EtcdError, Precondition,
    Store,
};
use sextant_model::{Change, ControllerName, Object, ObjectKey, ServerIdentity};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// The pause before a store is tried again that was not reached.
const RETRY: Duration = Duration::from_secs(1);

/// A store that is open.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// This controller's place among several that share the store, and what says to them that it lives.
    pub(super) shared: Option<(Cluster, Boxed<'static, ()>)>,
}

/// The store, which has an identity for the DHCPv6 server.
pub(super) async fn open(config: &Config) -> Result<Opened, RuntimeError> {
    let opened = match config.store.kind {
        StoreKind::Embedded => {
            data_dir::prepare(&config.data_dir, EMBEDDED_FILE)?;
            let file = config.data_dir.join(EMBEDDED_FILE);
            Opened {
                store: Arc::new(Embedded::open(&file)?),
                shared: None,
            }
        }
        StoreKind::Etcd => {
            let store = reach(&config.store).await?;
            let settings = config.controllers.settings();
            let place = place(config.ovsdb_listen);
            let joined = store.join(settings.name.clone(), place);
            let (live, presence) = take_name(joined, &settings.name).await?;
            Opened {
                store: Arc::new(store),
                shared: Some((Cluster::new(settings, live), presence)),
            }
        }
    };
    identify(opened.store.as_ref()).await?;
    Ok(opened)
}

/// Waits until this process has its name. The presence goes on by itself from then on.
async fn take_name(
    joined: ClusterMembership,
    name: &ControllerName,
) -> Result<(watch::Receiver<Live>, Boxed<'static, ()>), RuntimeError> {
    let ClusterMembership {
        live,
        mut named,
        presence,
    } = joined;
    let mut present = JoinSet::new();
    present.spawn(presence);
    let is_named = tokio::select! {
        named = named.wait_for(|is_named| *is_named) => named.is_ok(),
        _ = present.join_next() => false,
    };
    if !is_named {
        return Err(RuntimeError::NameTaken(name.clone()));
    }
    let presence = async move { drop(present.join_next().await) };
    Ok((live, Box::pin(presence)))
}

/// Where this process listens, as no other one can meanwhile: since the machine has started, in which network namespace, at which
/// address.
fn place(listen: SocketAddr) -> Option<String> {
    if listen.port() == 0 {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/net").ok()?;
    Some(format!("{},{},{listen}", boot.trim(), namespace.display()))
}

/// Waits for etcd, which may be starting as we are.
async fn reach(config: &StoreConfig) -> Result<Etcd, EtcdError> {
    let mut has_failed = false;
    loop {
        match Etcd::open(&config.etcd()).await {
            Err(error @ EtcdError::NoAnswer { .. }) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(%error, "waiting for the store");
                }
                tokio::time::sleep(RETRY).await;
            }
            opened => return opened,
        }
    }
}

/// Makes the DHCPv6 server's identity if there is none. It never changes (RFC 9915 §11).
async fn identify(store: &dyn Store) -> Result<(), RuntimeError> {
    let identity = Change::Put(Object::ServerIdentity(ServerIdentity {
        uuid: Uuid::new_v4(),
    }));
    match store
        .commit(
            vec![identity],
            vec![Precondition::Absent(ObjectKey::ServerIdentity.into())],
        )
        .await
    {
        Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
