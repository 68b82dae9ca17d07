//! Router Solicitations through a real Open vSwitch: a guest asks, its answers come back to it.
//!
//! The switch spends many times on a packet what a controller does, so what counts is how close
//! Sextant, with its pipeline before the punt, comes to a controller that does nothing with
//! one flow, and how far it leaves OVN behind. Each has a hypervisor and a guest of its own, of
//! the same kind; they are measured in turns, so that whatever else the machine does meets all.

use std::net::Ipv6Addr;
use std::time::Duration;

use bytes::Bytes;

use super::asking::{Asked, ask};
use super::packets::{Guest as Asker, Question, advertisement};
use super::rig::asker;
use super::trivial;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Port, PortSpec, SubnetSpec};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::ovn::Ovn;
use crate::process::Process;
use crate::tools::Tools;
use crate::{
    CONTROLLER, Controller, ControllerOptions, Guest, GuestSpec, Hypervisor, Lab, LabOptions,
};

const SOON: Duration = Duration::from_secs(30);
/// No guest is to be held back.
const CONFIGURATION: &str = "[punt]\nrate = 10000000\nburst = 10000000\n";
const ONE_FLOW: &str = "table=0,priority=1,icmp6,icmp_type=133,actions=CONTROLLER:65535";
/// Where the least controller listens, beside Sextant.
const TRIVIAL: (Ipv6Addr, u16) = (CONTROLLER, 6654);
/// The thread of ovn-controller that answers packets.
const PINCTRL: &str = "ovn_pinctrl";

/// A controller, and how it did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contender {
    /// Flow tables that a solicitation is looked up in before it goes up.
    pub lookups: usize,
    /// What the guest saw.
    pub asked: Asked,
    /// Processor time of ovs-vswitchd, the controller, and its thread for packets.
    pub spent: Spent,
}

/// Processor time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Of ovs-vswitchd.
    pub switch: Duration,
    /// Of the controller, unless it is part of this program.
    pub controller: Option<Duration>,
    /// Of the controller's thread for packets, if it has one.
    pub thread: Option<Duration>,
}

impl Contender {
    fn add(&mut self, asked: &Asked, before: &Spent, after: &Spent) {
        self.asked.add(asked);
        let more = |sum: Option<Duration>, (after, before): (Duration, Duration)| {
            sum.unwrap_or_default() + after.saturating_sub(before)
        };
        let spent = &mut self.spent;
        spent.switch = more(Some(spent.switch), (after.switch, before.switch));
        let controller = after.controller.zip(before.controller);
        spent.controller = controller.map(|both| more(spent.controller, both));
        let thread = after.thread.zip(before.thread);
        spent.thread = thread.map(|both| more(spent.thread, both));
    }

    /// An answer's share of something.
    #[must_use]
    pub fn each(&self, all: Duration) -> Duration {
        all.div_f64((self.asked.answered as f64).max(1.0))
    }
}

/// Sextant beside others.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Sextant.
    pub sextant: Contender,
    /// OVN, if it was asked for.
    pub ovn: Option<Contender>,
    /// One flow and a controller that looks at nothing.
    pub trivial: Contender,
}

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// How long each is measured.
    pub time: Duration,
    /// In how many turns.
    pub turns: u16,
    /// How many questions are unanswered at once.
    pub window: usize,
    /// Whether OVN takes part.
    pub ovn: bool,
}

/// Measures all of them.
///
/// # Errors
/// [`LabError::MissingTools`] where OVN is to take part and is not installed; what failed on the way.
pub fn compare(course: Course) -> Result<Comparison, LabError> {
    if course.ovn {
        Tools::check(Ovn::TOOLS)?;
    }
    let options = LabOptions {
        hypervisors: if course.ovn { 3 } else { 2 },
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let controller = start(lab)?;
        let sextant = sextant(lab, &controller, course)?;
        let ovn = match course.ovn {
            true => Some(Rival::start(lab, course)?),
            false => None,
        };
        beside_trivial(lab, course, sextant, ovn)
    })
}

/// Plays the least controller that there can be, and lets everybody take turns.
fn beside_trivial(
    lab: &Lab,
    course: Course,
    mut sextant: Bench<'_>,
    mut ovn: Option<Rival<'_>>,
) -> Result<Comparison, LabError> {
    let host = lab.hypervisor(2);
    let asker = Asker {
        mac: [0xfa, 0x16, 0x3e, 0, 0, 2],
        address: [0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, 2].into(),
    };
    let frame = Bytes::from(advertisement(&asker));
    std::thread::scope(|scope| {
        let serve = || trivial::serve(TRIVIAL.into(), SOON, &frame);
        let serving = scope.spawn(move || lab.control().enter(serve)?);
        let compared = trivial_bench(host, asker, course).and_then(|mut trivial| {
            for _ in 0..course.turns {
                sextant.take_turn()?;
                ovn.as_mut().map_or(Ok(()), |ovn| ovn.bench.take_turn())?;
                trivial.take_turn()?;
            }
            Ok(Comparison {
                sextant: sextant.contender,
                ovn: ovn.map(|ovn| ovn.bench.contender),
                trivial: trivial.contender,
            })
        });
        // Without its controller the switch hangs up, and the thread ends.
        host.vsctl(&["--if-exists", "del-br", "br-int"])?;
        serving
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        compared
    })
}

fn trivial_bench(host: &Hypervisor, asker: Asker, course: Course) -> Result<Bench<'_>, LabError> {
    let (address, port) = TRIVIAL;
    let kind = ["datapath_type=netdev", "fail_mode=secure"];
    let bridge = ["add-br", "br-int", "--", "set", "bridge", "br-int"];
    host.vsctl(&[&bridge[..], &kind[..]].concat())?;
    let controller = format!("tcp:[{address}]:{port}");
    host.vsctl(&["set-controller", "br-int", &controller])?;
    host.ofctl(&["add-flow", "br-int", ONE_FLOW])?;
    host.wait_controller("br-int")?;
    let spec = spec("least", &asker);
    Bench::new(host, &spec, asker, course, None)
}

/// Something that is no port of Sextant's.
fn spec(name: &str, asker: &Asker) -> GuestSpec {
    let octets = asker.mac.map(|octet| format!("{octet:02x}"));
    GuestSpec {
        name: name.into(),
        port_id: format!("load-{name}"),
        mac: octets.join(":"),
    }
}

fn sextant<'a>(
    lab: &'a Lab,
    controller: &Controller,
    course: Course,
) -> Result<Bench<'a>, LabError> {
    let host = lab.hypervisor(1);
    host.join("vxlan")?;
    let port = make_port(lab.api())?;
    let asker = asker(&port.mac, &port.addresses)?;
    let pid = controller.pid().ok_or_else(|| stopped("controller"))?;
    Bench::new(host, &port.guest("asker"), asker, course, Some(pid))
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

/// A port of a network with a router.
fn make_port(api: &Api) -> Result<Port, LabError> {
    let network = api.create_network("load")?;
    let subnet = SubnetSpec::with_mode("2001:db8:1::/64", "slaac");
    let subnet = api.create_subnet(&network, &subnet)?;
    let router = api.create_router("load")?;
    api.add_interface(&router, &subnet)?;
    api.create_port(&network, &PortSpec::default())
}

/// OVN with the same network, router and port.
struct Rival<'a> {
    bench: Bench<'a>,
    /// They end with their values.
    _daemons: (Ovn, Process),
}

impl<'a> Rival<'a> {
    fn start(lab: &'a Lab, course: Course) -> Result<Self, LabError> {
        let host = lab.hypervisor(3);
        let ovn = Ovn::start(lab)?;
        let asker = Asker {
            mac: [0xfa, 0x16, 0x3e, 0, 0, 3],
            address: [0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, 3].into(),
        };
        let spec = spec("ovn", &asker);
        make_ovn_port(&ovn, &spec, &asker)?;
        let controller = ovn.start_controller(host)?;
        let pid = controller.pid();
        let bench = Bench::new(host, &spec, asker, course, Some(pid))?;
        ovn.nbctl(&["--wait=hv", "sync"])?;
        Ok(Self {
            bench: bench.watching(PINCTRL),
            _daemons: (ovn, controller),
        })
    }
}

/// A port that is held to its addresses, as Sextant's are.
fn make_ovn_port(ovn: &Ovn, guest: &GuestSpec, asker: &Asker) -> Result<(), LabError> {
    let port = guest.port_id.as_str();
    let addresses = format!("{} {}", guest.mac, asker.address);
    let router_port = [
        "lrp-add load to-net fa:16:3e:00:00:fe 2001:db8:1::1/64",
        "set logical_router_port to-net ipv6_ra_configs:address_mode=slaac",
        "lsp-add net to-load",
        "lsp-set-type to-load router",
        "lsp-set-addresses to-load router",
        "lsp-set-options to-load router-port=to-net",
    ];
    let mut words = vec!["ls-add", "net", "--", "lr-add", "load"];
    for command in router_port {
        words.push("--");
        words.extend(command.split(' '));
    }
    words.extend(["--", "lsp-add", "net", port]);
    words.extend(["--", "lsp-set-addresses", port, &addresses]);
    words.extend(["--", "lsp-set-port-security", port, &addresses]);
    ovn.nbctl(&words).map(drop)
}

fn stopped(program: &str) -> LabError {
    LabError::unexpected(format!("the running {program}"), "stopped")
}

/// The guest that asks, and how; what came of it so far.
struct Bench<'a> {
    host: &'a Hypervisor,
    guest: Guest,
    asker: Asker,
    course: Course,
    controller: Option<u32>,
    thread: Option<&'static str>,
    contender: Contender,
}

impl<'a> Bench<'a> {
    /// A guest that has had its first answer, and takes no notice of more.
    fn new(
        host: &'a Hypervisor,
        spec: &GuestSpec,
        asker: Asker,
        course: Course,
        controller: Option<u32>,
    ) -> Result<Self, LabError> {
        let guest = host.add_guest(spec)?;
        guest.wait_link_local(SOON)?;
        guest.wait_default_route(SOON)?;
        let deaf = format!("ipv6/conf/{DEVICE}/accept_ra");
        guest.namespace().sysctl(&[(deaf.as_str(), "0")])?;
        let mut bench = Self {
            host,
            guest,
            asker,
            course,
            controller,
            thread: None,
            contender: Contender::default(),
        };
        bench.contender.lookups = bench.lookups()?;
        Ok(bench)
    }

    /// Looks also at one thread of the controller.
    fn watching(self, thread: &'static str) -> Self {
        Self {
            thread: Some(thread),
            ..self
        }
    }

    /// Measures for a turn's time.
    fn take_turn(&mut self) -> Result<(), LabError> {
        let before = self.spent()?;
        let Course {
            time,
            turns,
            window,
            ..
        } = self.course;
        let ask = || ask(&self.asker, time / u32::from(turns.max(1)), window);
        let asking = self.guest.namespace().enter(ask)?;
        let asked = asking.map_err(LabError::io("ask for routers"))?;
        let after = self.spent()?;
        self.contender.add(&asked, &before, &after);
        Ok(())
    }

    /// Processor time of the switch, the controller and its thread.
    fn spent(&self) -> Result<Spent, LabError> {
        let switch = self.host.vswitchd_pid();
        let switch = switch.ok_or_else(|| stopped("ovs-vswitchd"))?;
        let controller = self.controller;
        let thread = controller.zip(self.thread);
        Ok(Spent {
            switch: Usage::of(switch)?.processor(),
            controller: controller
                .map(|pid| Usage::of(pid).map(|usage| usage.processor()))
                .transpose()?,
            thread: thread
                .map(|(pid, name)| Usage::of_thread(pid, name))
                .transpose()?,
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
        tables(&trace).ok_or_else(|| LabError::unexpected("the way of a solicitation", trace))
    }
}

/// A table begins a line with its number, a full stop and what matched. What comes after the
/// first sending to a controller is not before it; none, if nothing is sent.
fn tables(trace: &str) -> Option<usize> {
    let is_table = |line: &&str| {
        line.trim_start()
            .split_once(". ")
            .is_some_and(|(number, _)| number.parse::<u8>().is_ok())
    };
    let punt = trace.to_lowercase().find("controller")?;
    Some(trace[..punt].lines().filter(is_table).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_up_to_the_punt() {
        let trace = "Flow: icmp6,in_port=1\n\nbridge(\"br-int\")\n----------------\n \
            0. in_port=1, priority 100, cookie 0x12\n    set_field:0x1->reg0\n    goto_table:8\n\
            16. icmp6,in_port=1, priority 100\n    CONTROLLER:65535\n 17. no\n\nDatapath actions: 2. no\n";
        assert_eq!(tables(trace), Some(2));
        assert_eq!(tables(" 0. priority 0\n    drop\n"), None);
    }
}
