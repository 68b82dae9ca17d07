//! Starts all tasks, once the store is open and everything in it is known.

use super::again::{Again, Reload};
use super::tasks::Tasks;
use super::{RuntimeError, WebThreads, callers, pulse, store_age};
use crate::admission;
use crate::api::{self, Api};
use crate::audit_file::AuditFile;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::control::{self, ControlSocket, OperatorView, StoredCloud};
use crate::http::{self, HttpLimits};
use crate::metrics::Metrics;
use crate::nova::NovaNotifier;
use crate::port_history::{self, PortHistory};
use crate::rules::{HypervisorRules, Rules, RulesChanger};
use crate::scarcity;
use crate::seat::Seats;
use crate::snapshot::Snapshots;
use crate::state::Events;
use crate::store::{Boxed, Store};
use crate::stream::{Dialects, Listener, WhoIs};
use crate::tls::{Expiries, Tls};
use crate::web::{self, Web};
use crate::{hypervisor, liveness, renumbering, scrape, switch};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where others connect, and the certificates that they see there.
pub(super) struct Sockets {
    api: TcpListener,
    openflow: TcpListener,
    ovsdb: TcpListener,
    metrics: TcpListener,
    web: Option<TcpListener>,
    tls: Option<Tls>,
    hypervisor_tls: Option<Tls>,
}

impl Sockets {
    /// Opens the listeners, and reads the certificates.
    pub(super) fn open(config: &Config) -> Result<Self, RuntimeError> {
        Ok(Self {
            api: listen("api_listen", config.api_listen)?,
            openflow: listen("openflow_listen", config.openflow_listen)?,
            ovsdb: listen("ovsdb_listen", config.ovsdb_listen)?,
            metrics: listen("metrics_listen", config.metrics_listen)?,
            web: config
                .web
                .listen
                .0
                .map(|address| listen("web.listen", address))
                .transpose()?,
            tls: config.tls.open()?,
            hypervisor_tls: config.hypervisor_tls.files().open()?,
        })
    }
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, RuntimeError> {
    admission::bind(address, None).map_err(|error| RuntimeError::Listen {
        key,
        address,
        error,
    })
}

/// What the tasks share.
pub(super) struct Starting<'a> {
    pub(super) config: &'a Config,
    pub(super) store: Arc<dyn Store>,
    pub(super) snapshots: Snapshots,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    /// This controller's place among several. `None`: it is the only one.
    pub(super) cluster: Option<Cluster>,
    pub(super) history: PortHistory,
    pub(super) audit_file: AuditFile,
    pub(super) threads: WebThreads,
    /// Changes once nobody holds its other end: then requests are answered no more.
    pub(super) stopping: watch::Receiver<()>,
}

impl Starting<'_> {
    /// Starts all tasks but the keeper of facts.
    pub(super) fn start(
        self,
        tasks: &mut Tasks,
        sockets: Sockets,
        control: Option<ControlSocket>,
        presence: Option<Boxed<'static, ()>>,
        again: (Again, Signal),
    ) -> Result<(), RuntimeError> {
        let (change_rules, rules) = Rules::new(HypervisorRules::from(self.config));
        let hypervisors = self.hypervisors(&sockets, rules.clone())?;
        let switches = self.switches(&hypervisors, rules);
        let api = self.api(tasks, &hypervisors, &switches)?;
        let own = [
            ("tls", &sockets.tls),
            ("hypervisor_tls", &sockets.hypervisor_tls),
        ];
        let own = own.map(|(section, tls)| Some((section, tls.clone()?)));
        let expiries = hypervisors.expiries.clone();
        let expiries = expiries.watch(own.into_iter().flatten().collect());
        tasks.sessions.add("the watch over certificates", expiries);
        let (again, hung_up) = again;
        let pulse = pulse::keep(again.manager.clone(), self.events.clone());
        tasks.sessions.add("the pulse", pulse);
        let reload = self.reload(again, &sockets, change_rules, api.clone());
        tasks
            .sessions
            .add("the reader of the configuration", reload.run(hung_up));
        let known = self.known(&hypervisors, &switches);
        let web = Web::new(known.clone(), api.clone(), self.stopping.clone());
        if let Some(socket) = control {
            let control = control::serve(socket, known, stopped(&self.stopping));
            tasks.web.add("control.socket", control);
        }
        self.add_watches(tasks, switches.seats.clone());
        if let Some(presence) = presence {
            tasks
                .sessions
                .add("the presence among controllers", presence);
        }
        self.add_listeners(tasks, sockets, (api, web), hypervisors, switches)
    }

    fn hypervisors(
        &self,
        sockets: &Sockets,
        rules: Rules,
    ) -> Result<hypervisor::HypervisorContext, RuntimeError> {
        Ok(hypervisor::HypervisorContext {
            snapshots: self.snapshots.clone(),
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            seats: Seats::default(),
            limits: admission::ConnectionLimits::of_process(),
            openflow_port: sockets.openflow.local_addr()?.port(),
            ovsdb_port: sockets.ovsdb.local_addr()?.port(),
            encrypted: sockets.hypervisor_tls.is_some(),
            bfd: self.config.tunnel.bfd,
            rules,
            expiries: Expiries::new(self.metrics.clone()),
            cluster: self.cluster.clone(),
        })
    }

    fn switches(
        &self,
        hypervisors: &hypervisor::HypervisorContext,
        rules: Rules,
    ) -> switch::SwitchContext {
        let (snapshots, events) = (self.snapshots.clone(), self.events.clone());
        switch::SwitchContext {
            databases: hypervisors.seats.clone(),
            tenures: super::tenures(self.cluster.as_ref()),
            rules,
            limits: hypervisors.limits,
            history: self.history.clone(),
            ..switch::SwitchContext::new(snapshots, events, self.metrics.clone())
        }
    }

    /// The API, and who writes through it without being asked.
    fn api(
        &self,
        tasks: &mut Tasks,
        hypervisors: &hypervisor::HypervisorContext,
        switches: &switch::SwitchContext,
    ) -> Result<Api, RuntimeError> {
        let (snapshots, metrics) = (self.snapshots.clone(), self.metrics.clone());
        let api = Api::new(self.store.clone(), snapshots.clone(), metrics.clone());
        let nova = self.tell_nova()?;
        tasks.sessions.add("what tells Nova of ports", nova);
        let renumbering = renumbering::run(api.clone(), snapshots, self.events.clone(), metrics);
        tasks
            .sessions
            .add("the keeper of delegated prefixes", renumbering);
        let (databases, switches) = (hypervisors.seats.clone(), switches.seats.clone());
        let api = api.with_hypervisors(databases, switches, self.events.clone());
        let api = api.with_cluster(self.cluster.clone());
        let api = api.with_audit_file(self.audit_file.clone());
        let api = api.with_identity(callers::identity(self.config, &self.metrics)?);
        callers::decide(&api, self.config)?;
        callers::try_out(&api, &self.threads.api);
        Ok(api)
    }

    /// Tells Nova of its guests' ports, if the configuration says so.
    fn tell_nova(&self) -> Result<impl Future<Output = ()> + Send + 'static, RuntimeError> {
        let settings = self.config.nova.settings(&self.config.keystone);
        let nova = settings.map(|settings| {
            let (store, snapshots) = (self.store.clone(), self.snapshots.clone());
            let (cluster, metrics) = (self.cluster.clone(), self.metrics.clone());
            NovaNotifier::new(settings, store, snapshots, cluster, metrics)
        });
        let nova = nova.transpose().map_err(RuntimeError::Nova)?;
        Ok(async move {
            match nova {
                Some(nova) => nova.run().await,
                None => std::future::pending().await,
            }
        })
    }

    fn reload(&self, again: Again, sockets: &Sockets, rules: RulesChanger, api: Api) -> Reload {
        Reload {
            again,
            config: self.config.clone(),
            tls: sockets.tls.clone(),
            hypervisor_tls: sockets.hypervisor_tls.clone(),
            rules,
            api,
            threads: self.threads.api.clone(),
            events: self.events.clone(),
        }
    }

    /// What the operator may ask for at the control socket.
    fn known(
        &self,
        hypervisors: &hypervisor::HypervisorContext,
        switches: &switch::SwitchContext,
    ) -> OperatorView {
        OperatorView {
            snapshots: self.snapshots.clone(),
            neighbors: switches.neighbors.clone(),
            history: switches.history.clone(),
            counters: switches.counters.clone(),
            metrics: self.metrics.clone(),
            probes: switches.probes.clone(),
            captures: switches.captures.clone(),
            events: self.events.clone(),
            databases: hypervisors.seats.clone(),
            switches: switches.seats.clone(),
            store: StoredCloud(self.store.clone()),
        }
    }

    fn add_watches(&self, tasks: &mut Tasks, switches: Seats<sextant_model::ChassisId>) {
        let (snapshots, events) = (self.snapshots.clone(), self.events.clone());
        let (cluster, metrics) = (&self.cluster, &self.metrics);
        let history = port_history::follow(self.history.clone(), snapshots.clone());
        tasks.sessions.add("the history of ports", history);
        let gone_after = self.config.gateway.gone_after();
        let liveness = liveness::watch(
            snapshots.clone(),
            switches,
            events,
            gone_after,
            cluster.clone(),
        );
        tasks.sessions.add("the watch over hypervisors", liveness);
        let scarcity = scarcity::watch(snapshots.clone(), metrics.clone());
        tasks.sessions.add("the watch over what runs out", scarcity);
        let age = store_age::watch(self.store.clone(), metrics.clone());
        tasks.sessions.add("the watch over the store", age);
        let controllers = controllers_live(cluster.clone(), metrics.clone());
        tasks
            .sessions
            .add("the watch over controllers", controllers);
        let pace = keep_pace(cluster.clone());
        tasks.sessions.add("the watch over lateness", pace);
    }

    fn add_listeners(
        self,
        tasks: &mut Tasks,
        sockets: Sockets,
        (api, web): (Api, Web),
        hypervisors: hypervisor::HypervisorContext,
        switches: switch::SwitchContext,
    ) -> Result<(), RuntimeError> {
        let who_is = who_is(&hypervisors);
        let WebThreads { api: own, metrics } = &self.threads;
        let tcp = on_threads(sockets.api, own)?;
        let tcp = listener("api", tcp, &sockets.tls, &who_is);
        let served = self.serve_http("api", tcp, api::service(api));
        tasks.web.add("api_listen", on(own.clone(), served));
        if let Some(tcp) = sockets.web {
            let page = listener("web", on_threads(tcp, own)?, &sockets.tls, &who_is);
            let page = self.serve_http("web", page, web::service(web));
            tasks.web.add("web.listen", on(own.clone(), page));
        }
        let tcp = on_threads(sockets.metrics, metrics)?;
        let tcp = listener("metrics", tcp, &sockets.tls, &who_is);
        let scraped = self.serve_http("metrics", tcp, scrape::service(self.metrics.clone()));
        tasks
            .web
            .add("metrics_listen", on(metrics.clone(), scraped));
        let ovsdb = listener("ovsdb", sockets.ovsdb, &sockets.hypervisor_tls, &who_is);
        let ovsdb = hypervisor::listen(ovsdb, hypervisors);
        tasks.sessions.add("ovsdb_listen", ovsdb);
        let openflow = listener(
            "openflow",
            sockets.openflow,
            &sockets.hypervisor_tls,
            &who_is,
        );
        let openflow = switch::listen(openflow, switches);
        tasks.sessions.add("openflow_listen", openflow);
        Ok(())
    }

    /// Serves until the process stops.
    fn serve_http(
        &self,
        name: &'static str,
        listener: Listener,
        service: axum::Router,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (metrics, stopped) = (self.metrics.clone(), stopped(&self.stopping));
        http::serve(
            name,
            listener,
            service,
            HttpLimits::default(),
            metrics,
            stopped,
        )
    }
}

fn listener(name: &'static str, tcp: TcpListener, tls: &Option<Tls>, who_is: &WhoIs) -> Listener {
    let dialects = Dialects::new(name, Some(who_is.clone()));
    Listener::new(tcp, tls.clone()).with_dialects(dialects)
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

/// Finds the hypervisor at an address, by its database's connections or by its tunnel endpoint.
fn who_is(hypervisors: &hypervisor::HypervisorContext) -> WhoIs {
    let (seats, snapshots) = (hypervisors.seats.clone(), hypervisors.snapshots.clone());
    Arc::new(move |address| {
        if let Some(chassis) = seats.at(address) {
            return Some(chassis.to_string());
        }
        let snapshot = snapshots.latest();
        let mut all = snapshot.facts.chassis().values();
        let by_endpoint = all.find(|chassis| chassis.encap.endpoints.has(address));
        by_endpoint.map(|chassis| chassis.id.to_string())
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

/// Waits until nobody holds the other end.
fn stopped(stopping: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopping = stopping.clone();
    async move { while stopping.changed().await.is_ok() {} }
}
