//! The metadata service of one hypervisor: `sextant metadata`. It takes guests' requests to Nova, and says who asks.
//!
//! Guests reach it by the port `sextant-md` of `br-int`, from addresses that say which port of `br-int` is theirs. The
//! hypervisor's own database says who is plugged in there. So it answers while no controller does.

mod device;
mod guests;
mod metrics;
mod nova;
mod proxy;

use crate::admission;
use crate::config::Config;
use crate::http::{self, HttpLimits};
use crate::service_manager::ServiceManager;
use device::{Device, DeviceError};
use guests::Local;
use metrics::ServiceMetrics;
use nova::{MetadataApi, MetadataApiError};
use proxy::Proxy;
use sextant_responders::throttle::Throttle;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Connections of all guests at once, over each IP version: both leave room below the usual 1024 files.
const CONNECTIONS: usize = 384;
/// Connections of one address of a guest.
const OF_AN_ADDRESS: usize = 8;
/// How soon a device that could not be set up is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The operating system refuses what every process may have.
    #[error("the process could not be set up: {0}")]
    Process(#[from] std::io::Error),
    /// Metrics are declared twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// TLS towards Nova cannot be set up.
    #[error("metadata: {0}")]
    Nova(#[from] MetadataApiError),
    /// Somebody else listens there, or the address is not this machine's.
    #[error("metadata.metrics_listen = {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The database cannot be named.
    #[error("metadata.ovsdb: {0}")]
    Database(String),
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`MetadataError`] if it cannot start.
pub fn run(config: &Config) -> Result<(), MetadataError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: &Config) -> Result<(), MetadataError> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let metrics = ServiceMetrics::new()?;
    let section = &config.metadata;
    let address = section.metrics_listen;
    let scraped = TcpListener::bind(address).await;
    let scraped = scraped.map_err(|error| MetadataError::Listen { address, error })?;
    let (stop, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    tasks.spawn(http::serve(
        "metrics",
        scraped,
        metrics::service(metrics.clone()),
        HttpLimits::default(),
        metrics.of_process.clone(),
        stopped(&stopping),
    ));
    let remote = section.ovsdb.parse();
    let remote = remote.map_err(|error| MetadataError::Database(format!("{error}")))?;
    let (watching, local) = guests::watch(remote, metrics.clone());
    let watching = watching.map_err(MetadataError::Database)?;
    let nova = MetadataApi::new(section)?;
    let proxy = Arc::new(Proxy::new(nova, local.clone(), metrics.clone()));
    let patience = Duration::from_secs(section.timeout.into());
    let manager = ServiceManager::of_environment();
    manager.ready();
    tokio::select! {
        () = watching => {}
        () = keep_listening(local, proxy, patience, metrics, stopping) => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    manager.stopping();
    drop(stop);
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Waits until nobody holds the other end.
fn stopped(stopping: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopping = stopping.clone();
    async move { while stopping.changed().await.is_ok() {} }
}

/// Listens on the device for as long as it is there, and again each time that it comes back. Does not return.
async fn keep_listening(
    mut local: watch::Receiver<Arc<Local>>,
    proxy: Arc<Proxy>,
    patience: Duration,
    metrics: ServiceMetrics,
    stopping: watch::Receiver<()>,
) {
    let mut complaints = Throttle::default();
    loop {
        let device = local.borrow_and_update().device;
        let Some(device) = device else {
            if local.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        };
        let listeners = match listeners(device).await {
            Ok(listeners) => listeners,
            Err(error) => {
                if let Some(unsaid) = complaints.admit(Instant::now()) {
                    tracing::warn!(%error, unsaid, "guests cannot reach the metadata service");
                }
                sleep(AGAIN).await;
                continue;
            }
        };
        tracing::info!(device = device.index, "ready");
        let (leave, left) = watch::channel(());
        let mut serving = JoinSet::new();
        for listener in listeners {
            let (service, process) = (proxy.clone().service(), metrics.of_process.clone());
            let until = stopped(&left);
            let limits = limits(patience);
            serving.spawn(http::serve(
                "metadata", listener, service, limits, process, until,
            ));
        }
        let another = local
            .wait_for(|local| local.device != Some(device))
            .await
            .is_ok();
        drop(leave);
        if !another || stopping.has_changed().is_err() {
            return std::future::pending().await;
        }
        while serving.join_next().await.is_some() {}
    }
}

fn limits(patience: Duration) -> HttpLimits {
    let defaults = HttpLimits::default();
    HttpLimits {
        connections: CONNECTIONS,
        of_an_address: OF_AN_ADDRESS,
        head: defaults.head.min(patience),
        ..defaults
    }
}

/// Sets the device up, and listens there: over IPv4, and over IPv6 where the host has it.
async fn listeners(device: Device) -> Result<Vec<TcpListener>, DeviceError> {
    let set_up = tokio::task::spawn_blocking(move || device.set_up());
    let has_ipv6 = set_up.await.map_err(|_| DeviceError::Ended)??;
    let mut listeners = vec![listen(device, device.ipv4())?];
    if has_ipv6 {
        listeners.push(listen(device, device.ipv6())?);
    }
    Ok(listeners)
}

fn listen(device: Device, address: SocketAddr) -> Result<TcpListener, DeviceError> {
    let listening = admission::bind(address, Some(device.name()));
    listening.map_err(|error| DeviceError::Listen { address, error })
}
