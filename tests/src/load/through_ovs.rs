//! Router Solicitations through a real Open vSwitch: a guest asks, its answers come back to it.
//!
//! The switch spends many times on a packet what a controller does, so what counts is how close
//! Sextant, with its pipeline before the punt, comes to a controller that does nothing with
//! one flow, and how far it leaves OVN behind. All are measured one after the other, each on an
//! Open vSwitch and a guest of the same kind.

use std::time::Duration;

use bytes::Bytes;

use super::asking::ask;
use super::packets::{Guest as Asker, Question, advertisement};
use super::rig::asker;
use super::trivial;
use super::usage::Usage;
use crate::api::Api;
use crate::cloud::{Port, PortSpec, SubnetSpec};
use crate::error::LabError;
use crate::guest::DEVICE;
use crate::ovn::Ovn;
use crate::tools::Tools;
use crate::{
    CONTROLLER, Controller, ControllerOptions, Guest, GuestSpec, Hypervisor, Lab, LabOptions,
};

const SOON: Duration = Duration::from_secs(30);
/// No guest is to be held back.
const CONFIGURATION: &str = "[punt]\nrate = 10000000\nburst = 10000000\n";
const ONE_FLOW: &str = "table=0,priority=1,icmp6,icmp_type=133,actions=CONTROLLER:65535";
/// The thread of ovn-controller that answers packets.
const PINCTRL: &str = "ovn_pinctrl";

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

/// A controller, and how it did.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    /// Flow tables that a solicitation is looked up in before it goes up.
    pub lookups: usize,
    /// What the guest saw.
    pub measured: Measured,
    /// Processor time of the controller, unless it is part of this program.
    pub controller: Option<Duration>,
    /// What of that its thread for packets took, if it has one.
    pub answering: Option<Duration>,
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
        hypervisors: if course.ovn { 2 } else { 1 },
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let (sextant, trivial) = first_hypervisor(lab, course)?;
        let ovn = course.ovn.then(|| with_ovn(lab, course)).transpose()?;
        Ok(Comparison {
            sextant,
            ovn,
            trivial,
        })
    })
}

/// Sextant, whose flows and listener then give way to the least that there can be.
fn first_hypervisor(lab: &Lab, course: Course) -> Result<(Contender, Contender), LabError> {
    let mut controller = start(lab)?;
    let host = lab.hypervisor(1);
    host.join("vxlan")?;
    let port = make_port(lab.api())?;
    let asker = asker(&port.mac, &port.addresses)?;
    let bench = Bench::new(host, &port.guest("asker"), asker, course)?;
    let pid = controller.pid();
    let sextant = bench.contender(pid.ok_or_else(|| stopped("controller"))?, None)?;
    controller.kill();
    Ok((sextant, bench.with_one_flow(lab)?))
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

/// The same network, router and port, as OVN has them, on another hypervisor.
fn with_ovn(lab: &Lab, course: Course) -> Result<Contender, LabError> {
    let host = lab.hypervisor(2);
    let ovn = Ovn::start(lab)?;
    let asker = Asker {
        mac: [0xfa, 0x16, 0x3e, 0, 0, 1],
        address: [0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, 1].into(),
    };
    let spec = GuestSpec {
        name: "ovn-asker".into(),
        port_id: "0badc0de-load".into(),
        mac: "fa:16:3e:00:00:01".into(),
    };
    make_ovn_port(&ovn, &spec, &asker)?;
    let controller = ovn.start_controller(host)?;
    let bench = Bench::new(host, &spec, asker, course)?;
    ovn.nbctl(&["--wait=hv", "sync"])?;
    bench.contender(controller.pid(), Some(PINCTRL))
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

/// The guest that asks, and how.
struct Bench<'a> {
    host: &'a Hypervisor,
    guest: Guest,
    asker: Asker,
    course: Course,
}

impl<'a> Bench<'a> {
    /// A guest that has had its first answer, and takes no notice of more.
    fn new(
        host: &'a Hypervisor,
        spec: &GuestSpec,
        asker: Asker,
        course: Course,
    ) -> Result<Self, LabError> {
        let guest = host.add_guest(spec)?;
        guest.wait_link_local(SOON)?;
        guest.wait_default_route(SOON)?;
        let deaf = format!("ipv6/conf/{DEVICE}/accept_ra");
        guest.namespace().sysctl(&[(deaf.as_str(), "0")])?;
        Ok(Self {
            host,
            guest,
            asker,
            course,
        })
    }

    /// Measures a controller that is a process, and the thread that is named.
    fn contender(&self, pid: u32, thread: Option<&str>) -> Result<Contender, LabError> {
        let answering = || thread.map(|name| Usage::of_thread(pid, name)).transpose();
        let lookups = self.lookups()?;
        let (before, answering_before) = (Usage::of(pid)?, answering()?);
        let measured = self.measure()?;
        let spent = Usage::of(pid)?.processor_since(&before);
        let in_thread = answering()?.zip(answering_before);
        Ok(Contender {
            lookups,
            measured,
            controller: Some(spent),
            answering: in_thread.map(|(after, before)| after.saturating_sub(before)),
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

    /// The least that there can be, in the place of the bridge's controller.
    fn with_one_flow(&self, lab: &Lab) -> Result<Contender, LabError> {
        self.host.ofctl(&["del-flows", "br-int"])?;
        self.host.ofctl(&["add-flow", "br-int", ONE_FLOW])?;
        let frame = Bytes::from(advertisement(&self.asker));
        let measured = std::thread::scope(|scope| {
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
        })?;
        Ok(Contender {
            lookups: self.lookups()?,
            measured,
            controller: None,
            answering: None,
        })
    }

    fn measure(&self) -> Result<Measured, LabError> {
        let pid = self.host.vswitchd_pid();
        let pid = pid.ok_or_else(|| stopped("ovs-vswitchd"))?;
        let before = Usage::of(pid)?;
        let Course { time, window, .. } = self.course;
        let ask = || ask(&self.asker, time, window);
        let asking = self.guest.namespace().enter(ask)?;
        let measured = asking.map_err(LabError::io("ask for routers"))?;
        Ok(Measured {
            switch: Usage::of(pid)?.processor_since(&before),
            ..measured
        })
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
