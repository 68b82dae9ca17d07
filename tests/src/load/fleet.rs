//! Hypervisors that stand by: each has a real ovsdb-server and a switch that takes what it is
//! given, in a thread of its own, while something else is measured.

use super::clients::create;
use super::database::OvsdbServer;
use super::latency::Latencies;
use super::switch::SwitchConnection;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Network, SubnetSpec};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::loopback::Loopback;
use std::net::Shutdown;
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many interfaces are plugged in with one transaction.
const CHUNK: usize = 250;
/// How long the flows of all ports may take.
const SETTLING: Duration = Duration::from_secs(180);
/// How long those of one may.
const ONE: Duration = Duration::from_secs(20);

/// A controller and hypervisors around it. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    hypervisors: Vec<FleetHypervisor>,
    networks: Vec<Network>,
    api: Api,
    bound: usize,
    // The last field: the others have let go of their files, which are in its folder.
    controller: Loopback,
}

/// How long new ports took until they were `ACTIVE`.
#[derive(Debug, Default)]
pub struct Connecting {
    /// From the request that creates it.
    pub whole: Latencies,
    /// Of that, until the request was answered.
    pub answer: Latencies,
    /// Of that, while ovsdb-server took the interface: none of it is the controller's.
    pub database: Latencies,
    /// Of that, from then on.
    pub activation: Latencies,
    /// All of it but ovsdb-server's part.
    pub without_database: Latencies,
    /// What the controller has used for all of them, removal included.
    pub spent: Duration,
    /// How many there were.
    pub times: u32,
}

impl Connecting {
    /// Takes in what others took.
    pub fn merge(&mut self, other: &Self) {
        self.whole.merge(&other.whole);
        self.answer.merge(&other.answer);
        self.database.merge(&other.database);
        self.activation.merge(&other.activation);
        self.without_database.merge(&other.without_database);
        self.spent += other.spent;
        self.times += other.times;
    }
}

#[derive(Debug)]
struct FleetHypervisor {
    database: OvsdbServer,
    ofport: u32,
    connection: TcpStream,
    switch: Option<JoinHandle<Result<(), LabError>>>,
}

impl Fleet {
    /// Starts a controller and joins so many hypervisors to it.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start(hypervisors: u16) -> Result<Self, LabError> {
        let controller = Loopback::without_quotas()?;
        Ok(Self {
            hypervisors: (1..=hypervisors)
                .map(|number| FleetHypervisor::join(number, &controller))
                .collect::<Result<_, _>>()?,
            networks: Vec::new(),
            api: controller.api()?,
            bound: 0,
            controller,
        })
    }

    /// Makes a network with a subnet and a router, and so many ports on it, plugs them in on one
    /// hypervisor after the other, and waits until all are `ACTIVE`.
    ///
    /// # Errors
    /// What failed on the way, or flows that were not confirmed in time.
    pub fn add_network(&mut self, ports: usize) -> Result<(), LabError> {
        let number = self.networks.len();
        let network = self.api.create_network(&format!("fleet{number}"))?;
        let cidr = format!("2001:db8:{:x}::/64", number + 0x100);
        let subnet = SubnetSpec::with_mode(&cidr, "dhcpv6-stateful");
        let subnet = self.api.create_subnet(&network, &subnet)?;
        let router = self.api.create_router(&format!("fleet{number}"))?;
        self.api.add_interface(&router, &subnet)?;
        let mut ids = Vec::new();
        while ids.len() < ports {
            let count = (ports - ids.len()).min(CHUNK);
            let made = create(&self.api, &network, count)?;
            ids.extend(
                made.iter()
                    .filter_map(|port| port["id"].as_str().map(str::to_owned)),
            );
        }
        let share = ids.len().div_ceil(self.hypervisors.len().max(1)).max(1);
        for (hypervisor, ids) in self.hypervisors.iter_mut().zip(ids.chunks(share)) {
            hypervisor.plug(ids)?;
        }
        self.networks.push(network);
        self.bound += ports;
        Ok(())
    }

    /// Waits until all ports that are plugged in are `ACTIVE`.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn settle(&self) -> Result<(), LabError> {
        let page = format!("http://{}/metrics", self.controller.addresses().metrics);
        wait_for("the flows of all ports", SETTLING, || {
            let text = self.api.text(&page).map_err(|error| error.to_string())?;
            let active = text
                .lines()
                .find_map(|line| line.strip_prefix("sextant_ports_active "));
            match active.and_then(|count| count.parse::<usize>().ok()) {
                Some(active) if active == self.bound => Ok(()),
                _ => Err(format!("{active:?} of {}", self.bound)),
            }
        })
    }

    /// Makes this many ports on the network of this number, one after the other. Each is plugged in on the next
    /// hypervisor, and made after the one before is gone. Waits until each is `ACTIVE`.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn connect(&mut self, network: usize, times: u32) -> Result<Connecting, LabError> {
        let mut connecting = Connecting::default();
        let before = self.controller()?;
        let flows = self.wait_until_confirmed()?;
        for number in 0..times {
            let hypervisor = number as usize % self.hypervisors.len();
            self.connect_one(network, hypervisor, &mut connecting)?;
            self.wait_until_gone(flows)?;
        }
        let spent = self.controller()?.processor_since(&before);
        connecting.spent = spent;
        connecting.times = times;
        Ok(connecting)
    }

    fn connect_one(
        &mut self,
        network: usize,
        hypervisor: usize,
        connecting: &mut Connecting,
    ) -> Result<(), LabError> {
        let network = &self.networks[network];
        let hypervisor = &mut self.hypervisors[hypervisor];
        let begin = Instant::now();
        let made = create(&self.api, network, 1)?;
        let id = made[0]["id"].as_str().unwrap_or_default();
        let answered = begin.elapsed();
        let ofport = hypervisor.next_ofport();
        let plugged = hypervisor.database.plug([(ofport, id)].into_iter())?;
        let in_database = begin.elapsed() - answered;
        wait_active(&self.api, id)?;
        let whole = begin.elapsed();
        connecting.whole.add(whole, 1);
        connecting.answer.add(answered, 1);
        connecting.database.add(in_database, 1);
        connecting.without_database.add(whole - in_database, 1);
        connecting.activation.add(whole - answered - in_database, 1);
        for interface in plugged {
            hypervisor.database.unplug(interface)?;
        }
        self.api.delete_object("ports", id)?;
        Ok(())
    }

    /// How many flows all switches should have, and how many they have confirmed.
    fn flows(&self) -> Result<(f64, f64), LabError> {
        let page = format!("http://{}/metrics", self.controller.addresses().metrics);
        let text = self.api.text(&page)?;
        let [added, deleted] = ["add", "delete"].map(|operation| {
            let labels = format!("operation=\"{operation}\",outcome=\"confirmed\"");
            sum(&text, &format!("sextant_flow_operations_total{{{labels}}}"))
        });
        Ok((sum(&text, "sextant_flows_wanted{"), added - deleted))
    }

    /// Waits until the switches have confirmed all flows that they should have, and returns how many.
    fn wait_until_confirmed(&self) -> Result<f64, LabError> {
        self.wait_for_flows(|wanted, confirmed| wanted == confirmed)
    }

    /// What is left to do of a port that was removed would be taken for the next one's.
    fn wait_until_gone(&self, flows: f64) -> Result<(), LabError> {
        self.wait_for_flows(|_, confirmed| confirmed == flows)?;
        Ok(())
    }

    fn wait_for_flows(&self, is_so: impl Fn(f64, f64) -> bool) -> Result<f64, LabError> {
        wait_for("all switches to confirm their flows", ONE, || {
            let (wanted, confirmed) = self.flows().map_err(|error| error.to_string())?;
            match is_so(wanted, confirmed) {
                true => Ok(confirmed),
                false => Err(format!("{confirmed} flows confirmed, {wanted} wanted")),
            }
        })
    }

    /// What the controller has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn controller(&self) -> Result<Usage, LabError> {
        self.controller.usage()
    }
}

/// The sum of the values of a page of metrics whose lines start so.
fn sum(page: &str, series: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// Asks without a pause, because what is measured takes milliseconds.
fn wait_active(api: &Api, id: &str) -> Result<(), LabError> {
    let path = format!("/v2.0/ports/{id}?fields=status");
    let end = Instant::now() + ONE;
    loop {
        let (_, body) = api.get(&path)?;
        if body["port"]["status"] == "ACTIVE" {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(LabError::unexpected("a port that was plugged in", body));
        }
    }
}

impl FleetHypervisor {
    fn join(number: u16, controller: &Loopback) -> Result<Self, LabError> {
        let addresses = controller.addresses();
        let database = OvsdbServer::start(controller.folder(), &format!("fleet{number}"))?;
        let datapath_id = database.join(number, addresses.ovsdb)?;
        let switch = SwitchConnection::connect(addresses.openflow, datapath_id)?;
        let connection = switch.stream().try_clone();
        let switch = thread::Builder::new()
            .name(format!("fleet{number}"))
            .spawn(|| switch.stand_by())
            .map_err(LabError::io("start a switch's thread"))?;
        Ok(Self {
            database,
            ofport: 0,
            connection: connection.map_err(LabError::io("hold a switch's connection"))?,
            switch: Some(switch),
        })
    }

    fn next_ofport(&mut self) -> u32 {
        self.ofport += 1;
        self.ofport
    }

    fn plug(&mut self, ids: &[String]) -> Result<(), LabError> {
        for chunk in ids.chunks(CHUNK) {
            let interfaces: Vec<(u32, &str)> = chunk
                .iter()
                .map(|id| (self.next_ofport(), id.as_str()))
                .collect();
            self.database.plug(interfaces.into_iter())?;
        }
        Ok(())
    }
}

impl Drop for FleetHypervisor {
    fn drop(&mut self) {
        let _ = self.connection.shutdown(Shutdown::Both);
        if let Some(Ok(Err(error))) = self.switch.take().map(JoinHandle::join) {
            eprintln!("a switch's thread: {error}");
        }
    }
}
