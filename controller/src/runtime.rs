//! Starts all parts and runs them until the process gets a signal to stop.

mod again;
mod callers;
mod data_dir;
mod open_store;
mod pulse;
mod starting;
mod store_age;
mod tasks;

pub use again::Again;

use crate::api::PolicyError;
use crate::audit_file::AuditFile;
use crate::cluster::{Cluster, Tenures};
use crate::config::Config;
use crate::control::{ControlSocket, SocketError};
use crate::memory;
use crate::metrics::Metrics;
use crate::outgoing::TrustError;
use crate::port_history::PortHistory;
use crate::service_manager::ServiceManager;
use crate::snapshot::{Snapshot, Snapshots};
use crate::state::{self, Owner};
use crate::store::{CommitError, EtcdError, Measured, OpenError, Store, WatchEnded};
use crate::tls::TlsError;
use open_store::Opened;
use sextant_model::{ControllerName, Key};
use starting::{Sockets, Starting};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use tasks::Tasks;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The data folder cannot be made.
    #[error("data_dir {path}: {error}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store in etcd cannot be opened.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// Another process has this controller's name.
    #[error("another controller has the name {0}: each needs its own ([controllers] name)")]
    NameTaken(ControllerName),
    /// A listener cannot be opened.
    #[error("{key} {address}: {error}")]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(#[from] SocketError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of rules cannot be used.
    #[error("policy_file = {0}")]
    Policy(#[from] PolicyError),
    /// The authorities of Keystone's certificate cannot be used.
    #[error("keystone.cafile = {0}")]
    Keystone(#[from] TrustError),
    /// The authorities of Nova's certificate cannot be used.
    #[error("nova.cafile = {0}")]
    Nova(TrustError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// Two metrics clash.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The store ended while in use.
    #[error(transparent)]
    Watch(#[from] WatchEnded),
    /// A task that never ends has ended, which is a defect.
    #[error("{0} has ended")]
    Ended(String),
    /// The store refused its first commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Runs until SIGTERM or SIGINT, or until an essential part fails.
///
/// # Errors
/// [`RuntimeError`] says what failed.
pub fn run(config: &Config, again: Again) -> Result<(), RuntimeError> {
    let main = Builder::new_multi_thread().enable_all().build()?;
    // The API has threads of its own, so that its load never delays the threads that serve guests and switches.
    let api = Builder::new_multi_thread()
        .enable_all()
        .thread_name("sextant-api")
        .build()?;
    // Metrics have one too: they are to be read above all when everything else is busy.
    let metrics = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("sextant-metrics")
        .build()?;
    let threads = WebThreads {
        api: api.handle().clone(),
        metrics: metrics.handle().clone(),
    };
    let ended = main.block_on(serve(config, again, threads));
    api.shutdown_background();
    metrics.shutdown_background();
    ended
}

/// Where requests are answered.
struct WebThreads {
    api: Handle,
    metrics: Handle,
}

async fn serve(config: &Config, again: Again, threads: WebThreads) -> Result<(), RuntimeError> {
    let mut told_to_stop = pin!(signals()?);
    // Registered first: without a handler, SIGHUP would end the process.
    let hung_up = signal(SignalKind::hangup())?;
    let sockets = Sockets::open(config)?;
    let metrics = measured(config, &again)?;
    let manager = again.manager.clone();
    let Opened { store, shared } = tokio::select! {
        opened = open_store::open(config) => opened?,
        () = &mut told_to_stop => return Ok(()),
    };
    let (cluster, presence) = shared.unzip();
    let store: Arc<dyn Store> = Arc::new(Measured::new(store, metrics.clone()));
    let control = open_control(config)?;
    let (publish, snapshots) = Snapshots::new(Snapshot::default());
    let (events, observed) = state::events();
    let (remember, remembered) = memory::facts();
    let (refuse, refused) = mpsc::unbounded_channel();
    let history = PortHistory::default();
    let owner = Owner::new(config.settings(), publish, remember, metrics.clone());
    let owner = owner.with_history(history.clone());
    let mut owner = among_others(owner, cluster.as_ref(), refused);
    let mut changes = store.watch().await?;
    tokio::select! {
        loaded = owner.load(changes.as_mut()) => loaded?,
        () = &mut told_to_stop => return Ok(()),
    }

    let (stop, stopping) = watch::channel(());
    let mut tasks = Tasks::new(stop);
    let tenures = tenures(cluster.as_ref());
    let facts = memory::keep(store.clone(), tenures, metrics.clone(), remembered, refuse);
    tasks.memory.add("the keeper of facts", facts);
    let audit_file = AuditFile::open(&config.audit_file, metrics.clone())?;
    let starting = Starting {
        config,
        store,
        snapshots,
        events,
        metrics,
        cluster,
        history,
        audit_file: audit_file.clone(),
        threads,
        stopping,
    };
    starting.start(&mut tasks, sockets, control, presence, (again, hung_up))?;
    say_ready(config, &manager);
    let mut owner = Box::pin(owner.run(changes, observed));
    tokio::select! {
        () = &mut told_to_stop => manager.stopping(),
        ended = &mut owner => return ended.map_err(RuntimeError::from),
        ended = tasks.ended() => return Err(ended),
    }
    tracing::info!("stopping");
    let ended = tasks.finish(owner).await;
    audit_file.finish();
    ended
}

/// An owner of state that knows of other controllers, if there are any.
fn among_others(
    owner: Owner,
    cluster: Option<&Cluster>,
    refused: mpsc::UnboundedReceiver<Vec<Key>>,
) -> Owner {
    match cluster {
        Some(cluster) => owner.with_cluster(cluster.clone(), refused),
        None => owner,
    }
}

/// The hypervisors that this controller owns: all, where it is the only one.
fn tenures(cluster: Option<&Cluster>) -> Tenures {
    cluster.map_or(Tenures::All, |cluster| cluster.tenures().clone())
}

fn measured(config: &Config, again: &Again) -> Result<Metrics, RuntimeError> {
    let metrics = Metrics::new()?;
    metrics.show_totals_only(!config.metrics_per_hypervisor);
    again.logs.count_left_out(&metrics.log_lines_left_out);
    Ok(metrics)
}

fn open_control(config: &Config) -> Result<Option<ControlSocket>, SocketError> {
    let socket = config.control.socket();
    socket.map(|path| ControlSocket::bind(path)).transpose()
}

fn say_ready(config: &Config, manager: &ServiceManager) {
    tracing::info!(api = %config.api_listen, openflow = %config.openflow_listen, ovsdb = %config.ovsdb_listen, metrics = %config.metrics_listen, web = ?config.web.listen.0, "ready");
    manager.ready();
}

/// Waits for SIGTERM or SIGINT, which count from the time of this call.
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
