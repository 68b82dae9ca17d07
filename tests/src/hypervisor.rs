//! A hypervisor: a namespace with an Open vSwitch of its own and an endpoint on the underlay.
//!
//! Userspace tunnels leave through a bridge that holds the physical port, so the endpoint's
//! address is on the internal port of `br-phy` and the underlay's veth is that bridge's port.
//! The kernel's leave through the namespace's own IP stack, so the address is on the veth.

use crate::capture::Capture;
use crate::command::Output;
use crate::datapath::Datapath;
use crate::error::LabError;
use crate::flow::InstalledFlow;
use crate::guest::{Guest, GuestSpec};
use crate::namespace::Namespace;
use crate::ovs::OpenVSwitch;
use crate::plan::{self, CONTROLLER, End, UNDERLAY_DEVICE, Underlay};
use crate::topology;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// One hypervisor of a lab.
#[derive(Debug)]
pub struct Hypervisor {
    number: u16,
    underlay: Underlay,
    datapath: Datapath,
    namespace: Namespace,
    ovs: OpenVSwitch,
}

impl Hypervisor {
    /// Starts the daemons in a namespace that is linked already, and makes `br-phy` where tunnels need it.
    pub(crate) fn start(
        number: u16,
        namespace: Namespace,
        home: &Path,
        records: &Path,
        underlay: Underlay,
        datapath: Datapath,
    ) -> Result<Self, LabError> {
        let ovs = OpenVSwitch::start(&namespace, &home.join(format!("h{number}")), records)?;
        let hypervisor = Self {
            number,
            underlay,
            datapath,
            namespace,
            ovs,
        };
        if datapath == Datapath::Userspace {
            hypervisor.make_underlay_bridge()?;
        }
        hypervisor.address_endpoint()?;
        Ok(hypervisor)
    }

    fn make_underlay_bridge(&self) -> Result<(), LabError> {
        self.vsctl(&[
            "add-br",
            "br-phy",
            "--",
            "set",
            "bridge",
            "br-phy",
            &self.datapath.setting(),
            "fail_mode=standalone",
            "--",
            "add-port",
            "br-phy",
            UNDERLAY_DEVICE,
        ])?;
        self.lack_what_kernels_lack()
    }

    /// No kernel sets the fields of IPv6 neighbour discovery's extensions, so nothing may lean on a userspace switch that
    /// does. All bridges of the datapath share what it supports.
    fn lack_what_kernels_lack(&self) -> Result<(), LabError> {
        self.appctl(&["dpif/set-dp-features", "br-phy", "nd_ext", "false"])
            .map(drop)
    }

    fn address_endpoint(&self) -> Result<(), LabError> {
        topology::address_endpoint(
            &self.namespace,
            self.endpoint_device(),
            self.number,
            self.underlay,
        )
    }

    /// The device that has the addresses of its tunnel endpoint.
    #[must_use]
    pub fn endpoint_device(&self) -> &'static str {
        match self.datapath {
            Datapath::Userspace => "br-phy",
            Datapath::System => UNDERLAY_DEVICE,
        }
    }

    /// The bridge that is there before it joins, if its datapath needs one.
    #[must_use]
    pub fn underlay_bridge(&self) -> Option<&'static str> {
        (self.datapath == Datapath::Userspace).then_some("br-phy")
    }

    /// Its switch's datapath.
    #[must_use]
    pub fn datapath(&self) -> Datapath {
        self.datapath
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its name, `h1`, which is also the `system-id` that it joins with.
    #[must_use]
    pub fn name(&self) -> String {
        format!("h{}", self.number)
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its tunnel endpoint.
    #[must_use]
    pub fn endpoint(&self) -> Ipv6Addr {
        plan::underlay_v6(self.number, End::Hypervisor)
    }

    /// Its tunnel endpoint when the underlay has IPv4 too.
    #[must_use]
    pub fn endpoint_v4(&self) -> Option<Ipv4Addr> {
        (self.underlay == Underlay::DualStack)
            .then(|| plan::underlay_v4(self.number, End::Hypervisor))
    }

    /// Joins the cloud with the lines that an operator types, and nothing else.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn join(&self, encap_type: &str) -> Result<(), LabError> {
        self.join_at(self.endpoint().into(), encap_type)
    }

    /// As [`Hypervisor::join`], with another of its addresses as the tunnel endpoint.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn join_at(&self, endpoint: IpAddr, encap_type: &str) -> Result<(), LabError> {
        self.join_with(&endpoint.to_string(), encap_type)
    }

    /// As [`Hypervisor::join`], with these addresses, separated by commas, as the tunnel endpoint.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn join_with(&self, endpoints: &str, encap_type: &str) -> Result<(), LabError> {
        self.join_under(&[CONTROLLER], endpoints, encap_type)
    }

    /// Changes its tunnel endpoint to these addresses, separated by commas.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn move_endpoint(&self, endpoints: &str) -> Result<(), LabError> {
        let endpoints = format!("external_ids:sextant-encap-ip=\"{endpoints}\"");
        self.vsctl(&["set", "open_vswitch", ".", &endpoints])
            .map(drop)
    }

    /// As [`Hypervisor::join_at`], the cloud of other controllers than the lab's own.
    pub(crate) fn join_under(
        &self,
        controllers: &[Ipv6Addr],
        endpoints: &str,
        encap_type: &str,
    ) -> Result<(), LabError> {
        self.vsctl(&[
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:system-id={}", self.name()),
            &format!("external_ids:sextant-encap-ip=\"{endpoints}\""),
            &format!("external_ids:sextant-encap-type={encap_type}"),
            &format!(
                "external_ids:sextant-bridge-datapath-type={}",
                self.datapath.bridge_type()
            ),
        ])?;
        let targets: Vec<String> = controllers
            .iter()
            .map(|controller| format!("tcp:[{controller}]:6640"))
            .collect();
        let mut words = vec!["set-manager"];
        words.extend(targets.iter().map(String::as_str));
        self.vsctl(&words).map(drop)
    }

    /// Runs `ovs-vsctl`; without `--no-wait` it returns once ovs-vswitchd has followed.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn vsctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.ovs.vsctl(words)
    }

    /// Takes no part in the cloud any more, as an operator has it leave.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn leave(&self) -> Result<(), LabError> {
        let column = ["open_vswitch", ".", "external_ids"];
        let words = [&["remove"][..], &column, &["sextant-encap-ip"]].concat();
        self.vsctl(&words).map(drop)
    }

    /// Runs `ovs-ofctl -O OpenFlow13`.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn ofctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.ovs.ofctl(words)
    }

    /// Runs `ovs-appctl`, to ovs-vswitchd unless the words name another target.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn appctl(&self, words: &[&str]) -> Result<Output, LabError> {
        self.ovs.appctl(words)
    }

    /// What the switch knows of its tunnels: for the message of a test where nothing passes them.
    #[must_use]
    pub fn tunnels(&self) -> String {
        let asked: [&[&str]; 4] = [
            &["tnl/neigh/show"],
            &["tnl/ports/show", "-v"],
            &["ofproto/list-tunnels"],
            &["dpctl/dump-flows"],
        ];
        let answers = asked.map(|words| match self.appctl(words) {
            Ok(output) => format!("{}, {}:\n{}", self.name(), words[0], output.stdout),
            Err(error) => error.to_string(),
        });
        answers.join("\n")
    }

    /// The flows of a bridge, one a line as `ovs-ofctl dump-flows` prints them.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn dump_flows(&self, bridge: &str) -> Result<Vec<String>, LabError> {
        let text = self.ofctl(&["dump-flows", bridge])?.stdout;
        let flows = text.lines().map(str::trim);
        Ok(flows
            .filter(|line| line.starts_with("cookie="))
            .map(str::to_owned)
            .collect())
    }

    /// The flows of a bridge, parsed.
    ///
    /// # Errors
    /// [`LabError::Command`]; [`LabError::Unexpected`] for a line that is no flow.
    pub fn flows(&self, bridge: &str) -> Result<Vec<InstalledFlow>, LabError> {
        self.dump_flows(bridge)?
            .iter()
            .map(|line| InstalledFlow::parse(line))
            .collect()
    }

    /// The datapath's flows for TCP: for a while after it passed, one a line as `ovs-appctl dpctl/dump-flows` prints them.
    ///
    /// # Errors
    /// [`LabError::Command`]; [`LabError::Unexpected`] if ovs-vswitchd has to touch each packet of one.
    pub fn fast_tcp_flows(&self) -> Result<Vec<String>, LabError> {
        let text = self.appctl(&["dpctl/dump-flows"])?.stdout;
        let tcp = text.lines().filter(|line| line.contains("proto=6"));
        let flows: Vec<String> = tcp.map(str::to_owned).collect();
        match flows.iter().find(|flow| flow.contains("slow_path(")) {
            Some(slow) => Err(LabError::unexpected(
                "a flow that the datapath carries out",
                slow,
            )),
            None => Ok(flows),
        }
    }

    /// How many packets the datapath had no flow for (`ovs-appctl dpctl/show`).
    ///
    /// # Errors
    /// [`LabError::Command`]; [`LabError::Unexpected`] without that figure.
    pub fn datapath_misses(&self) -> Result<u64, LabError> {
        let text = self.appctl(&["dpctl/show"])?.stdout;
        let missed = text.split_once("missed:").map(|(_, rest)| rest);
        let missed = missed.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        missed.ok_or_else(|| LabError::unexpected("how many packets were missed", text))
    }

    /// Waits until a bridge's controller is connected.
    ///
    /// # Errors
    /// [`LabError::Command`] when that takes longer than 20 seconds.
    pub fn wait_controller(&self, bridge: &str) -> Result<(), LabError> {
        self.wait_bridge(bridge)?;
        let connected = ["wait-until", "controller", bridge, "is_connected=true"];
        self.vsctl(&connected).map(drop)
    }

    /// Waits until a bridge exists in the database.
    ///
    /// # Errors
    /// [`LabError::Command`] when it does not appear within 20 seconds.
    pub fn wait_bridge(&self, bridge: &str) -> Result<(), LabError> {
        self.vsctl(&["wait-until", "bridge", bridge]).map(drop)
    }

    /// Kills ovs-vswitchd with SIGKILL and waits for its end. The OVSDB session stays up.
    pub fn kill_vswitchd(&self) {
        self.ovs.kill_switch();
    }

    /// Starts ovs-vswitchd again, waits until it has its bridges back, and configures the endpoint.
    /// Whatever is due to `br-int` is left to the controller.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with the end of its log.
    pub fn start_vswitchd(&self) -> Result<(), LabError> {
        self.ovs.start_switch()?;
        // A change to the database is what ovs-vsctl waits for the switch to follow.
        let mark = format!(
            "external_ids:lab-start={}",
            self.ovs.switch_pid().unwrap_or(0)
        );
        let Some(bridge) = self.underlay_bridge() else {
            return self.vsctl(&["set", "open_vswitch", ".", &mark]).map(drop);
        };
        self.vsctl(&["set", "bridge", bridge, &mark])?;
        self.lack_what_kernels_lack()?;
        self.address_endpoint()
    }

    /// The process id of ovs-vswitchd while it runs.
    #[must_use]
    pub fn vswitchd_pid(&self) -> Option<u32> {
        self.ovs.switch_pid()
    }

    /// Kills ovsdb-server with SIGKILL and waits for its end.
    pub fn kill_ovsdb_server(&self) {
        self.ovs.kill_database();
    }

    /// Starts ovsdb-server again on the same database.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with the end of its log.
    pub fn start_ovsdb_server(&self) -> Result<(), LabError> {
        self.ovs.start_database()
    }

    /// The logs of ovs-vswitchd and ovsdb-server.
    #[must_use]
    pub fn logs(&self) -> [PathBuf; 2] {
        ["ovs-vswitchd", "ovsdb-server"].map(|daemon| self.ovs.log(daemon))
    }

    /// The folder with its sockets: `OVS_RUNDIR`, for a person who looks around.
    #[must_use]
    pub fn run_folder(&self) -> &Path {
        self.ovs.folder()
    }

    /// The database's remote, for a person who looks around (`ovs-vsctl --db=…`).
    #[must_use]
    pub fn database(&self) -> String {
        format!("unix:{}", self.ovs.socket())
    }

    /// Runs a command in the hypervisor's namespace.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn run(&self, words: &[&str]) -> Result<Output, LabError> {
        self.namespace.run(words)
    }

    /// Starts a guest and plugs it into `br-int`, waiting for that bridge to exist.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn add_guest(&self, spec: &GuestSpec) -> Result<Guest, LabError> {
        Guest::plug(self, spec)
    }

    /// Makes all that a guest needs to come here from elsewhere, waiting for `br-int` to exist. It does not run until
    /// [`Guest::resume`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn prepare_guest(&self, spec: &GuestSpec) -> Result<Guest, LabError> {
        Guest::plug_asleep(self, spec)
    }

    /// Captures what passes the hypervisor's underlay interface.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture_underlay(&self, filter: &str) -> Result<Capture, LabError> {
        Capture::start(&self.namespace, UNDERLAY_DEVICE, filter)
    }
}
