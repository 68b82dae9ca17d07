//! Many hypervisors in one process: each has a database and a switch that keep what they are given and say of it what
//! ovsdb-server and ovs-vswitchd would, over TCP, with the same probes, to one controller or several. What they cost is small
//! beside the controllers' part.

#[cfg(test)]
mod comparison;
mod database;
mod flow_table;
mod hypervisor;
mod line;
mod locks;
mod manager;
mod roles;
mod schema;
mod switch;
mod value;

use crate::error::LabError;
use crate::namespace::Namespace;
use hypervisor::SimulatedHypervisor;
use schema::Schema;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Which of a hypervisor's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// ovsdb-server's.
    Database,
    /// ovs-vswitchd's.
    Switch,
}

/// What is counted of all hypervisors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Connections that are open.
    Connected(Side),
    /// Connections that the controller ended, or that were given up because it was silent.
    Lost(Side),
    /// Switches whose flows were read back, since it connected, by a controller that may change them.
    Read,
    /// Databases with a lock whose owner has written something on condition that it has the lock.
    Owned,
    /// How often flows were read back.
    Reads,
    /// Flow-mods that were committed.
    FlowMods,
    /// Flows that switches have.
    Flows,
}

#[derive(Debug)]
struct Counts {
    counts: [AtomicUsize; 9],
    begun: Instant,
    /// Microseconds since it began.
    active: AtomicU64,
}

impl Counts {
    fn new() -> Self {
        Self {
            counts: Default::default(),
            begun: Instant::now(),
            active: AtomicU64::new(0),
        }
    }

    fn of(&self, count: Count) -> &AtomicUsize {
        &self.counts[match count {
            Count::Connected(Side::Database) => 0,
            Count::Connected(Side::Switch) => 1,
            Count::Lost(Side::Database) => 2,
            Count::Lost(Side::Switch) => 3,
            Count::Read => 4,
            Count::Reads => 5,
            Count::FlowMods => 6,
            Count::Flows => 7,
            Count::Owned => 8,
        }]
    }

    fn add(&self, count: Count, more: usize) {
        self.of(count).fetch_add(more, Ordering::Relaxed);
    }

    fn take(&self, count: Count, less: usize) {
        self.of(count).fetch_sub(less, Ordering::Relaxed);
    }

    fn note_activity(&self) {
        let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
enum Order {
    Plug(Vec<String>),
    Unplug(String),
    Cut(Side),
    /// Connect to nobody any more.
    Stop,
    Connect {
        managers: Vec<SocketAddr>,
        /// Whether switches connect to the controllers that they are given.
        switches: bool,
    },
}

/// The hypervisors; all end when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    orders: Vec<UnboundedSender<Order>>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// So many hypervisors, which connect to nobody yet.
    ///
    /// # Errors
    /// [`LabError::Io`] when Open vSwitch's schema cannot be read, or no thread be started.
    pub fn start(hypervisors: usize) -> Result<Self, LabError> {
        let schema = Arc::new(Schema::read()?);
        let counts = Arc::new(Counts::new());
        let (orders, lives): (Vec<_>, Vec<_>) = (1..=u32::try_from(hypervisors)
            .unwrap_or(u32::MAX))
            .map(|number| {
                let (order, orders) = unbounded_channel();
                let hypervisor = SimulatedHypervisor::new(number, schema.clone(), counts.clone());
                (order, (hypervisor, orders))
            })
            .unzip();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LabError::io("start the simulator"))?;
        let thread = thread::Builder::new()
            .name("simulator".into())
            .spawn(move || {
                runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for (hypervisor, orders) in lives {
                        tasks.spawn(hypervisor.live(orders));
                    }
                    while tasks.join_next().await.is_some() {}
                });
            })
            .map_err(LabError::io("start the simulator's thread"))?;
        Ok(Self {
            orders,
            counts,
            thread: Some(thread),
        })
    }

    /// The same, in a network namespace.
    ///
    /// # Errors
    /// As [`Simulator::start`], or the namespace cannot be entered.
    pub fn start_in(namespace: &Namespace, hypervisors: usize) -> Result<Self, LabError> {
        namespace.enter(|| Self::start(hypervisors))?
    }

    /// How many there are.
    #[must_use]
    pub fn hypervisors(&self) -> usize {
        self.orders.len()
    }

    /// Has all connect to controllers: databases to these addresses, and switches to those that they are given.
    pub fn connect(&self, ovsdb: &[SocketAddr]) {
        let (managers, switches) = (ovsdb.to_vec(), true);
        self.all(&Order::Connect { managers, switches });
    }

    /// Has each connect to a controller of its own, or one that it shares with others: the first to the first of these addresses, and
    /// so on, and over again.
    pub fn connect_each(&self, ovsdb: &[SocketAddr]) {
        for (hypervisor, address) in (0..self.hypervisors()).zip(ovsdb.iter().cycle()) {
            let (managers, switches) = (vec![*address], true);
            self.one(hypervisor, Order::Connect { managers, switches });
        }
    }

    /// Has just their databases connect to a controller.
    pub fn connect_databases(&self, ovsdb: SocketAddr) {
        let (managers, switches) = (vec![ovsdb], false);
        self.all(&Order::Connect { managers, switches });
    }

    /// Has all connect to nobody.
    pub fn stop(&self) {
        self.all(&Order::Stop);
    }

    /// Cuts a connection of each, which comes back at once.
    pub fn cut(&self, side: Side) {
        self.all(&Order::Cut(side));
    }

    /// Plugs guests' ports in, by their identities, once the hypervisor of this number, from 0, has a bridge.
    pub fn plug(&self, hypervisor: usize, ports: Vec<String>) {
        self.one(hypervisor, Order::Plug(ports));
    }

    /// Takes a guest's port away.
    pub fn unplug(&self, hypervisor: usize, port: String) {
        self.one(hypervisor, Order::Unplug(port));
    }

    fn one(&self, hypervisor: usize, order: Order) {
        let orders = &self.orders[hypervisor];
        // A hypervisor lives as long as this.
        let _ = orders.send(order);
    }

    fn all(&self, order: &Order) {
        (0..self.orders.len()).for_each(|number| self.one(number, order.clone()));
    }

    /// What was counted.
    #[must_use]
    pub fn count(&self, count: Count) -> usize {
        self.counts.of(count).load(Ordering::Relaxed)
    }

    /// When a controller last did more than answer probes.
    #[must_use]
    pub fn last_activity(&self) -> Instant {
        self.counts.begun + Duration::from_micros(self.counts.active.load(Ordering::Relaxed))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.orders.clear();
        if let Some(thread) = self.thread.take() {
            // Its panics have been printed.
            let _ = thread.join();
        }
    }
}
