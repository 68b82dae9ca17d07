//! Router Solicitations through a real Open vSwitch: a guest asks, its answers come back to it.
//!
//! The switch spends many times on a packet what a controller does, so what counts is how close
//! Sextant, with its pipeline before the punt, comes to a controller that does nothing with
//! one flow. Both are measured one after the other, on the same switch, port and guest.

use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::packets::{Guest as Asker, Question, advertisement};
use super::rig::asker;
use super::trivial;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Port, PortSpec, SubnetSpec};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::{CONTROLLER, Controller, ControllerOptions, Guest, Hypervisor, Lab, LabOptions};

const SOON: Duration = Duration::from_secs(30);
/// What a question that is not answered for so long has become: lost.
const LOST: Duration = Duration::from_millis(200);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ADVERTISEMENT: u8 = 134;
/// No guest is to be held back.
const CONFIGURATION: &str = "[punt]\nrate = 10000000\nburst = 10000000\n";
const ONE_FLOW: &str = "table=0,priority=1,icmp6,icmp_type=133,actions=CONTROLLER:65535";

/// What was measured with one controller.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Questions sent.
    pub asked: u64,
    /// Advertisements received.
    pub answered: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Processor time of ovs-vswitchd.
    pub switch: Duration,
    /// Times that no answer came for so long that all questions were taken for lost.
    pub stalls: u64,
}

impl Measured {
    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// This share of something that all answers took together.
    #[must_use]
    pub fn each(&self, all: Duration) -> Duration {
        all.div_f64((self.answered as f64).max(1.0))
    }
}

/// Sextant beside the least that a controller can be.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Flow tables that a solicitation is looked up in before it goes up.
    pub lookups: usize,
    /// With Sextant.
    pub sextant: Measured,
    /// Processor time of Sextant.
    pub controller: Duration,
    /// With one flow and a controller that looks at nothing.
    pub trivial: Measured,
}

/// Measures both for `time` each, with `window` questions unanswered at once.
///
/// # Errors
/// What failed on the way.
pub fn compare(time: Duration, window: usize) -> Result<Comparison, LabError> {
    let options = LabOptions {
        hypervisors: 1,
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let mut controller = start(lab)?;
        let bench = Bench::new(lab, time, window)?;
        let lookups = bench.lookups()?;
        let (sextant, spent) = bench.with_sextant(&controller)?;
        controller.kill();
        Ok(Comparison {
            lookups,
            sextant,
            controller: spent,
            trivial: bench.with_one_flow(lab)?,
        })
    })
}

fn start(lab: &Lab) -> Result<Controller, LabError> {
    let file = lab.home().join("load.toml");
    std::fs::write(&file, CONFIGURATION)
        .map_err(LabError::io(format!("write {}", file.display())))?;
    lab.start_controller(ControllerOptions {
        args: vec![format!("--config={}", file.display())],
        ..ControllerOptions::default()
    })
}

/// The guest that asks, and how.
struct Bench<'a> {
    host: &'a Hypervisor,
    guest: Guest,
    asker: Asker,
    time: Duration,
    window: usize,
}

impl<'a> Bench<'a> {
    /// A guest that has had its first answer, and takes no notice of more.
    fn new(lab: &'a Lab, time: Duration, window: usize) -> Result<Self, LabError> {
        let host = lab.hypervisor(1);
        host.join("vxlan")?;
        let port = make_port(lab.api())?;
        let guest = host.add_guest(&port.guest("asker"))?;
        guest.wait_link_local(SOON)?;
        guest.wait_default_route(SOON)?;
        let deaf = format!("ipv6/conf/{DEVICE}/accept_ra");
        guest.namespace().sysctl(&[(deaf.as_str(), "0")])?;
        Ok(Self {
            host,
            guest,
            asker: asker(&port.mac, &port.addresses)?,
            time,
            window,
        })
    }

    /// Counts the tables in what `ofproto/trace` tells of a solicitation.
    fn lookups(&self) -> Result<usize, LabError> {
        let tap = self.guest.tap();
        let found = self.host.vsctl(&["get", "interface", tap, "ofport"])?;
        let in_port = format!("in_port={}", found.stdout.trim());
        let frame = Question::RouterSolicitation.frame(&self.asker);
        let hex: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
        let trace = ["ofproto/trace", "br-int", &in_port, &hex];
        let trace = self.host.appctl(&trace)?.stdout;
        match trace.contains("CONTROLLER") {
            true => Ok(tables(&trace)),
            false => Err(LabError::unexpected("the way of a solicitation", trace)),
        }
    }

    fn with_sextant(&self, controller: &Controller) -> Result<(Measured, Duration), LabError> {
        let stopped = || LabError::unexpected("the running controller", "stopped");
        let pid = controller.pid().ok_or_else(stopped)?;
        let before = Usage::of(pid)?;
        let measured = self.measure()?;
        Ok((measured, Usage::of(pid)?.processor_since(&before)))
    }

    /// Sextant's flows and its listener give way to the least that there can be.
    fn with_one_flow(&self, lab: &Lab) -> Result<Measured, LabError> {
        self.host.ofctl(&["del-flows", "br-int"])?;
        self.host.ofctl(&["add-flow", "br-int", ONE_FLOW])?;
        let frame = Bytes::from(advertisement(&self.asker));
        std::thread::scope(|scope| {
            let serve = || trivial::serve((CONTROLLER, 6653).into(), SOON, &frame);
            let serving = scope.spawn(move || lab.control().enter(serve)?);
            let connected = self.host.wait_controller("br-int");
            let measured = connected.and_then(|()| self.measure());
            // Without its controller the switch hangs up, and the thread ends.
            self.host.vsctl(&["del-controller", "br-int"])?;
            serving
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            measured
        })
    }

    fn measure(&self) -> Result<Measured, LabError> {
        let stopped = || LabError::unexpected("the running ovs-vswitchd", "stopped");
        let pid = self.host.vswitchd_pid().ok_or_else(stopped)?;
        let before = Usage::of(pid)?;
        let ask = || ask(&self.asker, self.time, self.window);
        let asking = self.guest.namespace().enter(ask)?;
        let measured = asking.map_err(LabError::io("ask for routers"))?;
        Ok(Measured {
            switch: Usage::of(pid)?.processor_since(&before),
            ..measured
        })
    }
}

/// A port of a network with a router.
fn make_port(api: &Api) -> Result<Port, LabError> {
    let network = api.create_network("load")?;
    let subnet = SubnetSpec::with_mode("2001:db8:1::/64", "slaac");
    let subnet = api.create_subnet(&network, &subnet)?;
    let router = api.create_router("load")?;
    api.add_interface(&router, &subnet)?;
    api.create_port(&network, &PortSpec::default())
}

/// A table begins a line with its number, a full stop and what matched.
fn tables(trace: &str) -> usize {
    let is_table = |line: &&str| {
        line.trim_start()
            .split_once(". ")
            .is_some_and(|(number, _)| number.parse::<u8>().is_ok())
    };
    trace.lines().filter(is_table).count()
}

/// Asks from within the guest's namespace.
fn ask(guest: &Asker, time: Duration, window: usize) -> std::io::Result<Measured> {
    let mut socket = socket()?;
    await_answer(&mut socket, guest)?;
    let (question, to) = question(guest);
    let (mut asked, mut answered, mut stalls, mut waiting) = (0, 0, 0, 0);
    let mut buffer = [0; 2048];
    let begin = Instant::now();
    while begin.elapsed() < time {
        while waiting < window {
            socket.send_to(&question, &to)?;
            asked += 1;
            waiting += 1;
        }
        match socket.read(&mut buffer) {
            Ok(_) if buffer[0] == ADVERTISEMENT => {
                answered += 1;
                waiting = waiting.saturating_sub(1);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stalls += 1;
                waiting = 0;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Measured {
        asked,
        answered,
        stalls,
        elapsed: begin.elapsed(),
        switch: Duration::ZERO,
    })
}

/// The clock must not run before there is someone to answer: what the database says of a
/// controller's connection can be of the one before.
fn await_answer(socket: &mut Socket, guest: &Asker) -> std::io::Result<()> {
    let (question, to) = question(guest);
    let mut buffer = [0; 2048];
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        socket.send_to(&question, &to)?;
        match socket.read(&mut buffer) {
            Ok(_) if buffer[0] == ADVERTISEMENT => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// A solicitation without its checksum, which the kernel writes, and where to.
fn question(guest: &Asker) -> (Vec<u8>, SockAddr) {
    let question = [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1], &guest.mac[..]].concat();
    let to = SocketAddrV6::new(ALL_ROUTERS, 0, 0, 0);
    (question, to.into())
}

fn socket() -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(DEVICE.as_bytes()))?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_recv_buffer_size(1 << 22)?;
    socket.set_read_timeout(Some(LOST))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_in_a_trace() {
        let trace = "Flow: icmp6,in_port=1\n\nbridge(\"br-int\")\n----------------\n \
            0. in_port=1, priority 100, cookie 0x12\n    set_field:0x1->reg0\n    goto_table:8\n\
            16. icmp6,in_port=1, priority 100\n    CONTROLLER:65535\n\nDatapath actions: 2. no\n";
        assert_eq!(tables(trace), 2);
    }
}
