//! A controller and hypervisors around it, on loopback.

use super::database::OvsdbServer;
use super::packets::Asker;
use super::report::Report;
use super::switch::SwitchConnection;
use super::traffic::{Ask, Lane, Pace, Tally, Traffic};
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Network, PortSpec, SubnetSpec};
use crate::error::LabError;
use crate::loopback::Loopback;
use crate::tools::Tools;
use std::net::IpAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const DNS: &str = "2001:db8:53::1";

/// How large a rig is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Hypervisors.
    pub switches: u16,
    /// Guests of each.
    pub guests: u16,
}

/// A controller under load. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Rig {
    hypervisors: Vec<RigHypervisor>,
    // The last field: those above have let go of their files, which are in its folder.
    controller: Loopback,
}

/// One hypervisor: its switch and its guests, by OpenFlow port.
#[derive(Debug)]
struct RigHypervisor {
    switch: SwitchConnection,
    guests: Vec<(u32, Asker)>,
    _database: OvsdbServer,
}

impl Rig {
    /// Starts a controller, makes a network with a router and guests' ports, and waits until every
    /// switch has confirmed the flows of its guests.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start(size: Size) -> Result<Self, LabError> {
        Tools::check(&["ovsdb-server", "ovsdb-tool", "ovs-vsctl"])?;
        let controller = Loopback::without_quotas()?;
        let api = controller.api()?;
        let network = make_network(&api)?;
        let hypervisors = (1..=size.switches)
            .map(|number| RigHypervisor::join(number, size, &controller, &api, &network))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rig = Self {
            hypervisors,
            controller,
        };
        rig.settle(usize::from(size.guests))?;
        Ok(rig)
    }

    fn settle(&mut self, guests: usize) -> Result<(), LabError> {
        thread::scope(|scope| {
            let settling: Vec<_> = self
                .hypervisors
                .iter_mut()
                .map(|hypervisor| scope.spawn(|| hypervisor.switch.settle(guests)))
                .collect();
            settling.into_iter().try_for_each(joined)
        })
    }

    /// What the controller has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn controller(&self) -> Result<Usage, LabError> {
        self.controller.usage()
    }

    /// A client of the controller's API.
    pub(super) fn api(&self) -> Result<Api, LabError> {
        self.controller.api()
    }

    /// Lets all guests ask.
    ///
    /// # Errors
    /// An answer was wrong or did not come, or the controller has ended.
    pub fn run(&mut self, traffic: Traffic) -> Result<Report, LabError> {
        let share = u64::try_from(self.hypervisors.len()).unwrap_or(1).max(1);
        let start = Barrier::new(self.hypervisors.len() + 1);
        let lanes = self
            .hypervisors
            .iter_mut()
            .map(|hypervisor| hypervisor.lane(traffic, share))
            .collect::<Result<Vec<_>, _>>()?;
        let before = (self.controller.usage()?, Usage::of(std::process::id())?);
        let (tally, elapsed) = thread::scope(|scope| {
            let lanes: Vec<_> = lanes
                .into_iter()
                .map(|lane| scope.spawn(|| drive(lane, traffic, share, &start)))
                .collect();
            start.wait();
            let begin = Instant::now();
            let mut tally = Tally::default();
            for lane in lanes {
                tally.merge(&joined(lane)?);
            }
            Ok::<_, LabError>((tally, begin.elapsed()))
        })?;
        let controller = [before.0, self.controller()?];
        let generator = [before.1, Usage::of(std::process::id())?];
        Ok(Report::new(traffic, tally, elapsed, controller, generator))
    }
}

fn drive(lane: Lane<'_>, traffic: Traffic, share: u64, start: &Barrier) -> Result<Tally, LabError> {
    start.wait();
    let end = Instant::now() + traffic.time;
    match traffic.pace {
        Pace::Window(window) => lane.with_window(window, end),
        Pace::Rate(rate) => lane.at_rate(rate / share as f64, end),
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T, LabError>>) -> Result<T, LabError> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl RigHypervisor {
    fn join(
        number: u16,
        size: Size,
        controller: &Loopback,
        api: &Api,
        network: &Network,
    ) -> Result<Self, LabError> {
        let addresses = controller.addresses();
        let database = OvsdbServer::start(controller.folder(), &format!("load{number}"))?;
        let datapath_id = database.join(number, addresses.ovsdb)?;
        let ports = (1..=size.guests)
            .map(|_| api.create_port(network, &PortSpec::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let ids = ports.iter().map(|port| port.id.as_str());
        database.plug((1..).zip(ids))?;
        let guests = ports.iter().map(|port| asker(&port.mac, &port.addresses));
        Ok(Self {
            switch: SwitchConnection::connect(addresses.openflow, datapath_id)?,
            guests: (1..)
                .zip(guests)
                .map(|(ofport, guest)| Ok((ofport, guest?)))
                .collect::<Result<_, LabError>>()?,
            _database: database,
        })
    }

    fn lane(&mut self, traffic: Traffic, share: u64) -> Result<Lane<'_>, LabError> {
        let punts = &self.switch.punts;
        let asks = self
            .guests
            .iter()
            .map(|(ofport, guest)| {
                let cookie = punts.get(&(traffic.question, *ofport)).copied();
                Ask::new(
                    traffic.question,
                    *guest,
                    *ofport,
                    cookie.ok_or_else(|| {
                        LabError::unexpected("the flow that sends up a question", "missing")
                    })?,
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Lane::new(
            &mut self.switch,
            asks,
            traffic.count.div_ceil(share),
        ))
    }
}

pub(super) fn asker(mac: &str, addresses: &[IpAddr]) -> Result<Asker, LabError> {
    let octets: Vec<u8> = mac
        .split(':')
        .filter_map(|octet| u8::from_str_radix(octet, 16).ok())
        .collect();
    let address = addresses.iter().find_map(|address| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    });
    match (octets.try_into(), address) {
        (Ok(mac), Some(address)) => Ok(Asker { mac, address }),
        _ => Err(LabError::unexpected("a port's MAC and addresses", mac)),
    }
}

/// A network whose guests get an advertisement and, by DHCPv6, an address.
fn make_network(api: &Api) -> Result<Network, LabError> {
    let network = api.create_network("load")?;
    let subnet = SubnetSpec {
        dns: &[DNS],
        ..SubnetSpec::with_mode("2001:db8:1::/64", "dhcpv6-stateful")
    };
    let subnet = api.create_subnet(&network, &subnet)?;
    let router = api.create_router("load")?;
    api.add_interface(&router, &subnet)?;
    Ok(network)
}
