//! Router Solicitations, or Solicits of DHCPv6, through a real Open vSwitch: a guest asks, its answers come back to it.
//!
//! The switch spends many times more on a packet than a controller. So two things count. How close does Sextant, with
//! its pipeline before the punt, come to a controller that does nothing and has one flow? How far behind is OVN? Each
//! has a hypervisor and a guest of its own, of the same kind. They are measured in turns, so that other load on the
//! machine affects all.
//!
//! Much of the switch's time goes into the way to the controller. Every packet that goes up is a `send` of its own, in
//! which the kernel does all the work up to the other socket. ovn-controller is on the hypervisor, so its way is short.
//! So Sextant and the least controller are measured in both [`ControllerPlace`]s. Together with the switch, the costs of
//! controllers and pipelines compare. Apart from it is how Sextant is meant to be deployed.

use super::bench::{Bench, Contender, Course, stopped};
use super::ovn_cloud;
use super::packets::{Asker, Question, advertise, advertisement};
use super::place::{Both, ControllerPlace};
use super::rig::asker;
use super::trivial;
use crate::api::Api;
use crate::cloud::{Network, Port, PortSpec, SubnetSpec};
use crate::error::LabError;
use crate::ovn::Ovn;
use crate::process::Process;
use crate::tools::Tools;
use crate::{Controller, ControllerOptions, Hypervisor, Lab, LabOptions};
use bytes::Bytes;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// No guest is to be held back.
const CONFIGURATION: &str = "[punt]\nrate = 10000000\nburst = 10000000\n";
/// Where the least controller listens, beside Sextant.
const TRIVIAL_PORT: u16 = 6654;
/// The thread of ovn-controller that answers packets.
const PINCTRL: &str = "ovn_pinctrl";

/// The hypervisors of the least controllers, of Sextant's, and OVN's.
const TRIVIAL_HOSTS: Both<usize> = Both {
    apart: 2,
    together: 4,
};
const SEXTANT_HOSTS: Both<usize> = Both {
    apart: 1,
    together: 3,
};
const OVN_HOST: usize = 5;

/// Sextant beside others.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Sextant.
    pub sextant: Both<Contender>,
    /// OVN, if it was asked for; its controller is together with the switch and has its Unix socket.
    pub ovn: Option<Contender>,
    /// One flow and a controller that looks at nothing.
    pub trivial: Both<Contender>,
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
        hypervisors: if course.ovn { 5 } else { 4 },
        ..LabOptions::default()
    };
    Lab::tell(options, |lab| {
        let controllers = Both::try_of(|place| start(lab, place))?;
        let sextant = Both::try_of(|place| sextant(lab, controllers.at(place), place, course))?;
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
    mut sextant: Both<Bench<'_>>,
    mut ovn: Option<Rival<'_>>,
) -> Result<Comparison, LabError> {
    let asker = Asker {
        mac: [0xfa, 0x16, 0x3e, 0, 0, 2],
        address: [0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, 2].into(),
    };
    let frame = Bytes::from(match course.question {
        Question::RouterSolicitation => advertisement(&asker),
        Question::Solicit => advertise(&asker),
    });
    std::thread::scope(|scope| {
        let frame = &frame;
        let serving = ControllerPlace::ALL.map(|place| {
            let listen = (place.address(), TRIVIAL_PORT).into();
            scope.spawn(move || {
                place
                    .namespace(lab, host(lab, place))
                    .enter(move || trivial::serve(listen, SOON, frame))?
            })
        });
        let trivial = Both::try_of(|place| trivial_bench(host(lab, place), place, asker, course));
        let compared = trivial.and_then(|mut trivial| {
            for _ in 0..course.turns {
                sextant.each(Bench::take_turn)?;
                ovn.as_mut().map_or(Ok(()), |ovn| ovn.bench.take_turn())?;
                trivial.each(Bench::take_turn)?;
            }
            Ok(Comparison {
                sextant: sextant.map(|bench| bench.contender),
                ovn: ovn.map(|ovn| ovn.bench.contender),
                trivial: trivial.map(|bench| bench.contender),
            })
        });
        // Without its controller the switch hangs up, and the thread ends.
        for place in ControllerPlace::ALL {
            host(lab, place).vsctl(&["--if-exists", "del-br", "br-int"])?;
        }
        let served = serving.map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let compared = compared?;
        served.into_iter().collect::<Result<(), _>>()?;
        Ok(compared)
    })
}

fn host(lab: &Lab, place: ControllerPlace) -> &Hypervisor {
    lab.hypervisor(*TRIVIAL_HOSTS.at(place))
}

fn trivial_bench(
    host: &Hypervisor,
    place: ControllerPlace,
    asker: Asker,
    course: Course,
) -> Result<Bench<'_>, LabError> {
    let datapath = host.datapath().setting();
    let kind = [datapath.as_str(), "fail_mode=secure"];
    let bridge = ["add-br", "br-int", "--", "set", "bridge", "br-int"];
    host.vsctl(&[&bridge[..], &kind[..]].concat())?;
    let controller = format!("tcp:[{}]:{TRIVIAL_PORT}", place.address());
    host.vsctl(&["set-controller", "br-int", &controller])?;
    let matches = match course.question {
        Question::RouterSolicitation => "icmp6,icmp_type=133",
        Question::Solicit => "udp6,tp_dst=547",
    };
    let flow = format!("table=0,priority=1,{matches},actions=CONTROLLER:65535");
    host.ofctl(&["add-flow", "br-int", &flow])?;
    host.wait_controller("br-int")?;
    let spec = ovn_cloud::guest(&format!("least{}", host.number()), &asker);
    Bench::new(host, &spec, asker, course, None)
}

fn sextant<'a>(
    lab: &'a Lab,
    controller: &Controller,
    place: ControllerPlace,
    course: Course,
) -> Result<Bench<'a>, LabError> {
    let host = lab.hypervisor(*SEXTANT_HOSTS.at(place));
    host.join_under(&[place.address()], &host.endpoint().to_string(), "vxlan")?;
    let api = Api::of(place.namespace(lab, host), place.address())?;
    let port = make_port(&api, subnet_mode(course.question))?;
    let asker = asker(&port.mac, &port.addresses)?;
    let pid = controller.pid().ok_or_else(|| stopped("controller"))?;
    let guest = port.guest(&format!("asker{}", host.number()));
    Bench::new(host, &guest, asker, course, Some(pid))
}

fn start(lab: &Lab, place: ControllerPlace) -> Result<Controller, LabError> {
    let options = unhindered(lab)?;
    match place {
        ControllerPlace::Apart => lab.start_controller(options),
        ControllerPlace::Together => {
            lab.start_controller_on(lab.hypervisor(SEXTANT_HOSTS.together), options)
        }
    }
}

/// A controller that holds no guest back.
pub(super) fn unhindered(lab: &Lab) -> Result<ControllerOptions, LabError> {
    let file = lab.home().join("load.toml");
    std::fs::write(&file, CONFIGURATION)
        .map_err(LabError::io(format!("write {}", file.display())))?;
    Ok(ControllerOptions {
        args: vec![format!("--config={}", file.display())],
        ..ControllerOptions::default()
    })
}

/// How guests get the address that they ask for.
fn subnet_mode(question: Question) -> &'static str {
    match question {
        Question::RouterSolicitation => "slaac",
        Question::Solicit => "dhcpv6-stateful",
    }
}

/// A port of a network with a router.
fn make_port(api: &Api, mode: &str) -> Result<Port, LabError> {
    let network = make_network(api, mode)?;
    api.create_port(&network, &PortSpec::default())
}

/// A network with a router.
pub(super) fn make_network(api: &Api, mode: &str) -> Result<Network, LabError> {
    let network = api.create_network("load")?;
    let subnet = SubnetSpec::with_mode("2001:db8:1::/64", mode);
    let subnet = api.create_subnet(&network, &subnet)?;
    let router = api.create_router("load")?;
    api.add_interface(&router, &subnet)?;
    Ok(network)
}

/// OVN with the same network, router and port.
struct Rival<'a> {
    bench: Bench<'a>,
    /// They end with their values.
    _daemons: (Ovn, Process),
}

impl<'a> Rival<'a> {
    fn start(lab: &'a Lab, course: Course) -> Result<Self, LabError> {
        let host = lab.hypervisor(OVN_HOST);
        let ovn = Ovn::start(lab)?;
        let asker = Asker {
            mac: [0xfa, 0x16, 0x3e, 0, 0, 3],
            address: [0x2001, 0xdb8, 1, 0, 0xf816, 0x3eff, 0xfe00, 3].into(),
        };
        let spec = ovn_cloud::guest("ovn", &asker);
        match course.question {
            Question::RouterSolicitation => ovn_cloud::make_network(&ovn, "slaac")?,
            Question::Solicit => ovn_cloud::make_network(&ovn, "dhcpv6_stateful")?,
        }
        ovn_cloud::make_port(&ovn, &spec, &asker)?;
        if course.question == Question::Solicit {
            ovn_cloud::serve_dhcpv6(&ovn, &spec)?;
        }
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
