//! Starts all parts and runs them until the process gets a signal to stop.

mod again;
mod callers;
mod data_dir;
mod open_store;
mod store_age;
mod tasks;

pub use again::Again;

use crate::admission;
use crate::cluster::{Cluster, Tenures};
use crate::config::Config;
use crate::control::{self, ControlSocket, Known, SocketError};
use crate::http::{self, Limits};
use crate::metrics::Metrics;
use crate::nova::NovaNotifier;
use crate::outgoing::TrustError;
use crate::port_history::PortHistory;
use crate::rules::{HypervisorRules, Rules};
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::{self, Owner};
use crate::store::{CommitError, EtcdError, Measured, OpenError, Store, WatchEnded};
use crate::stream::{Dialects, Listener, WhoIs};
use crate::tls::{Expiries, Tls, TlsError};
use crate::{api, hypervisor, liveness, memory, port_history, renumbering, scrape, switch};
use again::Reload;
use open_store::Opened;
use sextant_model::Chassis;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use tasks::Tasks;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

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

/// The same listener, which wakes the threads of another runtime.
fn on_threads(listener: TcpListener, runtime: &Handle) -> std::io::Result<TcpListener> {
    let listener = listener.into_std()?;
    let _entered = runtime.enter();
    TcpListener::from_std(listener)
}

/// Runs a task on another runtime, until it or this future ends.
async fn on(runtime: Handle, task: impl Future<Output = ()> + Send + 'static) {
    let mut tasks = JoinSet::new();
    tasks.spawn_on(task, &runtime);
    tasks.join_next().await;
}

async fn serve(config: &Config, again: Again, threads: WebThreads) -> Result<(), RuntimeError> {
    let mut told_to_stop = pin!(signals()?);
    // Registered first: without a handler, SIGHUP would end the process.
    let hung_up = signal(SignalKind::hangup())?;
    let [api_listener, openflow, ovsdb, metrics_listener] = listeners(config)?;
    let tls = config.tls.open()?;
    let hypervisor_tls = config.hypervisor_tls.files().open()?;
    let metrics = Metrics::new()?;
    metrics.show_totals_only(!config.metrics_per_hypervisor);
    again.logs.count_left_out(&metrics.log_lines_left_out);
    let Opened { store, shared } = tokio::select! {
        opened = open_store::open(config) => opened?,
        () = &mut told_to_stop => return Ok(()),
    };
    let (cluster, presence) = shared.unzip();
    let store: Arc<dyn Store> = Arc::new(Measured::new(store, metrics.clone()));
    let control = config.control.socket();
    let control = control.map(|path| ControlSocket::bind(path)).transpose()?;

    let (publish, snapshots) = Snapshots::new(crate::snapshot::Snapshot::default());
    let (events, observed) = state::events();
    let (remember, remembered) = memory::facts();
    let (refuse, refused) = mpsc::unbounded_channel();
    let mut owner = Owner::new(config.settings(), publish, remember, metrics.clone());
    let history = PortHistory::default();
    owner = owner.with_history(history.clone());
    if let Some(cluster) = &cluster {
        owner = owner.with_cluster(cluster.clone(), refused);
    }
    let mut changes = store.watch().await?;
    tokio::select! {
        loaded = owner.load(changes.as_mut()) => loaded?,
        () = &mut told_to_stop => return Ok(()),
    }

    let limits = admission::Limits::of_process();
    let (change_rules, rules) = Rules::new(HypervisorRules::from(config));
    let hypervisors = hypervisor::Context {
        snapshots: snapshots.clone(),
        events: events.clone(),
        metrics: metrics.clone(),
        seats: Seats::default(),
        limits,
        openflow_port: openflow.local_addr()?.port(),
        ovsdb_port: ovsdb.local_addr()?.port(),
        encrypted: hypervisor_tls.is_some(),
        bfd: config.tunnel.bfd,
        rules: rules.clone(),
        expiries: Expiries::new(metrics.clone()),
        cluster: cluster.clone(),
    };
    let switches = switch::Context {
        databases: hypervisors.seats.clone(),
        tenures: cluster
            .as_ref()
            .map_or(Tenures::All, |cluster| cluster.tenures().clone()),
        rules,
        limits,
        history,
        ..switch::Context::new(snapshots.clone(), events.clone(), metrics.clone())
    };
    let (seats, gone_after) = (switches.seats.clone(), config.gateway.gone_after());
    let liveness = liveness::watch(
        snapshots.clone(),
        seats,
        events.clone(),
        gone_after,
        cluster.clone(),
    );
    let known = Known {
        snapshots: snapshots.clone(),
        neighbors: switches.neighbors.clone(),
        history: switches.history.clone(),
        counters: switches.counters.clone(),
        databases: hypervisors.seats.clone(),
        switches: switches.seats.clone(),
    };
    let history = port_history::follow(switches.history.clone(), snapshots.clone());
    let scraped = scrape::service(metrics.clone());
    let (stop, stopping) = watch::channel(());
    let mut tasks = Tasks::new(stop);
    let api = api::Api::new(store.clone(), snapshots.clone(), metrics.clone());
    let nova = tell_nova(config, &store, &snapshots, cluster.clone(), &metrics)?;
    let renumbering = renumbering::run(api.clone(), snapshots, events.clone(), metrics.clone());
    let databases = hypervisors.seats.clone();
    let api = api.with_hypervisors(databases, switches.seats.clone(), events.clone());
    let api = api.with_cluster(cluster.clone());
    let api = api.with_identity(callers::identity(config, &metrics)?);
    callers::try_out(&api, &threads.api);
    let reload = Reload {
        again,
        config: config.clone(),
        tls: tls.clone(),
        hypervisor_tls: hypervisor_tls.clone(),
        rules: change_rules,
        api: api.clone(),
        threads: threads.api.clone(),
        events,
    };
    let api = api::service(api);
    let who_is = who_is(&hypervisors);
    let listener = |name, tcp, tls: &Option<Tls>| {
        let dialects = Dialects::new(name, Some(who_is.clone()));
        Listener::new(tcp, tls.clone()).with_dialects(dialects)
    };
    let api_listener = on_threads(api_listener, &threads.api)?;
    let api_listener = listener("api", api_listener, &tls);
    let metrics_listener = on_threads(metrics_listener, &threads.metrics)?;
    let metrics_listener = listener("metrics", metrics_listener, &tls);
    let api = serve_http("api", api_listener, api, &metrics, &stopping);
    let scraped = serve_http("metrics", metrics_listener, scraped, &metrics, &stopping);
    let (ovsdb, openflow) = (
        listener("ovsdb", ovsdb, &hypervisor_tls),
        listener("openflow", openflow, &hypervisor_tls),
    );
    let own = [("tls", &tls), ("hypervisor_tls", &hypervisor_tls)];
    let own = own.map(|(section, tls)| Some((section, tls.clone()?)));
    let expiries = hypervisors.expiries.clone();
    let expiries = expiries.watch(own.into_iter().flatten().collect());
    tasks.sessions.add("the watch over certificates", expiries);
    tasks
        .sessions
        .add("the reader of the configuration", reload.run(hung_up));
    tasks.web.add("api_listen", on(threads.api, api));
    let scraped = on(threads.metrics, scraped);
    tasks.web.add("metrics_listen", scraped);
    if let Some(socket) = control {
        let control = control::serve(socket, known, stopped(&stopping));
        tasks.web.add("control.socket", control);
    }
    let ovsdb = hypervisor::listen(ovsdb, hypervisors);
    tasks.sessions.add("ovsdb_listen", ovsdb);
    let openflow = switch::listen(openflow, switches);
    tasks.sessions.add("openflow_listen", openflow);
    tasks.sessions.add("the watch over hypervisors", liveness);
    tasks
        .sessions
        .add("the keeper of delegated prefixes", renumbering);
    tasks.sessions.add("what tells Nova of ports", nova);
    tasks.sessions.add("the history of ports", history);
    let age = store_age::watch(store.clone(), metrics.clone());
    tasks.sessions.add("the watch over the store", age);
    let controllers = controllers_live(cluster.clone(), metrics.clone());
    tasks
        .sessions
        .add("the watch over controllers", controllers);
    let pace = keep_pace(cluster.clone());
    tasks.sessions.add("the watch over lateness", pace);
    if let Some(presence) = presence {
        tasks
            .sessions
            .add("the presence among controllers", presence);
    }
    let memory = memory::keep(store, remembered, refuse);
    tasks.memory.add("the keeper of facts", memory);

    tracing::info!(api = %config.api_listen, openflow = %config.openflow_listen, ovsdb = %config.ovsdb_listen, metrics = %config.metrics_listen, "ready");
    let mut owner = Box::pin(owner.run(changes, observed));
    tokio::select! {
        () = &mut told_to_stop => {}
        ended = &mut owner => return ended.map_err(RuntimeError::from),
        ended = tasks.ended() => return Err(ended),
    }
    tracing::info!("stopping");
    tasks.finish(owner).await
}

/// Tells Nova of its guests' ports, if the configuration says so.
fn tell_nova(
    config: &Config,
    store: &Arc<dyn Store>,
    snapshots: &Snapshots,
    cluster: Option<Cluster>,
    metrics: &Metrics,
) -> Result<impl Future<Output = ()> + Send + 'static, RuntimeError> {
    let settings = config.nova.settings(&config.keystone);
    let (store, snapshots, metrics) = (store.clone(), snapshots.clone(), metrics.clone());
    let nova =
        settings.map(|settings| NovaNotifier::new(settings, store, snapshots, cluster, metrics));
    let nova = nova.transpose().map_err(RuntimeError::Nova)?;
    Ok(async move {
        match nova {
            Some(nova) => nova.run().await,
            None => std::future::pending().await,
        }
    })
}

/// Looks whether this controller, one of several, is busy.
async fn keep_pace(cluster: Option<Cluster>) {
    match cluster {
        Some(cluster) => cluster.keep_pace().await,
        None => std::future::pending().await,
    }
}

/// Shows how many controllers live, for as long as it runs.
async fn controllers_live(cluster: Option<Cluster>, metrics: Metrics) {
    metrics.controllers_live.set(1);
    let Some(mut live) = cluster.map(|cluster| cluster.live()) else {
        return std::future::pending().await;
    };
    loop {
        let count = live.borrow_and_update().controllers.len();
        metrics
            .controllers_live
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        if live.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Finds the hypervisor at an address, by its database's connections or by its tunnel endpoint.
fn who_is(hypervisors: &hypervisor::Context) -> WhoIs {
    let (seats, snapshots) = (hypervisors.seats.clone(), hypervisors.snapshots.clone());
    Arc::new(move |address| {
        let by_endpoint = || {
            let snapshot = snapshots.latest();
            let mut all = snapshot.facts.chassis().values();
            let has = |chassis: &&Arc<Chassis>| {
                let mut addresses = chassis.encap.endpoints.addresses();
                addresses.any(|endpoint| endpoint == address)
            };
            all.find(has).map(|chassis| chassis.id.clone())
        };
        let known = seats.at(address).or_else(by_endpoint);
        known.map(|chassis| chassis.to_string())
    })
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

/// Serves until nobody holds the other end of `stopping`.
fn serve_http(
    name: &'static str,
    listener: Listener,
    service: axum::Router,
    metrics: &Metrics,
    stopping: &watch::Receiver<()>,
) -> impl Future<Output = ()> + Send + 'static {
    let (metrics, stopped) = (metrics.clone(), stopped(stopping));
    http::serve(name, listener, service, Limits::default(), metrics, stopped)
}

/// Waits until nobody holds the other end.
fn stopped(stopping: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopping = stopping.clone();
    async move { while stopping.changed().await.is_ok() {} }
}

fn listeners(config: &Config) -> Result<[TcpListener; 4], RuntimeError> {
    Ok([
        listen("api_listen", config.api_listen)?,
        listen("openflow_listen", config.openflow_listen)?,
        listen("ovsdb_listen", config.ovsdb_listen)?,
        listen("metrics_listen", config.metrics_listen)?,
    ])
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, RuntimeError> {
    admission::bind(address, None).map_err(|error| RuntimeError::Listen {
        key,
        address,
        error,
    })
}
