//! A hypervisor's OVSDB without its switch: a real ovsdb-server, whose rows are filled as
//! ovs-vswitchd would fill them.

use super::transact::transact;
use crate::command::{self, Output};
use crate::error::LabError;
use crate::process::Process;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const STARTING: Duration = Duration::from_secs(20);
const TUNNEL: &str = "sextant-vxlan6";
/// Of the tunnel port; guests' are below.
const TUNNEL_OFPORT: u16 = 65000;

/// A running ovsdb-server.
#[derive(Debug)]
pub(crate) struct OvsdbServer {
    socket: PathBuf,
    _server: Process,
}

impl OvsdbServer {
    /// Makes an empty database and serves it.
    pub(crate) fn start(folder: &Path, name: &str) -> Result<Self, LabError> {
        let file = folder.join(format!("{name}.db"));
        let socket = folder.join(format!("{name}.sock"));
        command::run(
            command::program("ovsdb-tool")
                .arg("create")
                .arg(&file)
                .arg(SCHEMA),
        )?;
        let mut server = command::program("ovsdb-server");
        server
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg("--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
            .args(["--no-chdir", "-vconsole:info", "-vsyslog:off", "-vfile:off"])
            .arg(format!(
                "--unixctl={}",
                folder.join(format!("{name}.ctl")).display()
            ))
            .arg(file);
        let log = folder.join(format!("{name}.log"));
        let mut server = Process::spawn(&mut server, &log, folder)?;
        server.wait_line("start of ovsdb-server", STARTING, |line| {
            line.contains("ovsdb-server (Open vSwitch)").then_some(())
        })?;
        Ok(Self {
            socket,
            _server: server,
        })
    }

    /// Joins the cloud as an operator would, and returns the datapath id of the bridge that the
    /// controller then makes.
    pub(crate) fn join(&self, number: u16, manager: SocketAddr) -> Result<u64, LabError> {
        self.vsctl(["init"])?;
        self.vsctl([
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:system-id=load{number}"),
            &format!("external_ids:sextant-encap-ip=2001:db8:77:{number}::2"),
            "external_ids:sextant-encap-type=vxlan",
        ])?;
        self.vsctl(["set-manager", &format!("tcp:{manager}")])?;
        self.vsctl(["wait-until", "bridge", "br-int"])?;
        let found = self.vsctl(["get", "bridge", "br-int", "other_config:datapath-id"])?;
        let text = found.stdout.trim().trim_matches('"').to_owned();
        self.vsctl(["set", "bridge", "br-int", &format!("datapath_id={text}")])?;
        self.vsctl(["wait-until", "interface", TUNNEL])?;
        self.vsctl([
            "set",
            "interface",
            TUNNEL,
            &format!("ofport={TUNNEL_OFPORT}"),
        ])?;
        u64::from_str_radix(&text, 16).map_err(|_| LabError::unexpected("a datapath id", text))
    }

    /// Plugs interfaces in, all at once: OpenFlow port and port id. Returns what [`OvsdbServer::unplug`]
    /// takes, in the same order.
    pub(crate) fn plug<'a>(
        &self,
        interfaces: impl Iterator<Item = (u32, &'a str)>,
    ) -> Result<Vec<Interface>, LabError> {
        let mut operations: Vec<Value> = interfaces
            .flat_map(|(ofport, id)| {
                let name = format!("tap{ofport}");
                let (row, port) = (format!("interface{ofport}"), format!("port{ofport}"));
                let ids = json!(["map", [["iface-id", id]]]);
                [
                    json!({"op": "insert", "table": "Port", "uuid-name": port,
                        "row": {"name": name, "interfaces": ["named-uuid", row]}}),
                    json!({"op": "insert", "table": "Interface", "uuid-name": row,
                        "row": {"name": name, "ofport": ofport, "external_ids": ids}}),
                ]
            })
            .collect();
        let ports: Vec<Value> = operations
            .iter()
            .filter(|operation| operation["table"] == "Port")
            .map(|operation| json!(["named-uuid", operation["uuid-name"]]))
            .collect();
        operations.push(mutate_ports("insert", ports));
        let results = transact(&self.socket, operations)?;
        let made = results
            .into_iter()
            .step_by(2)
            .map(|mut result| result["uuid"].take());
        Ok(made.filter(|uuid| !uuid.is_null()).map(Interface).collect())
    }

    /// Removes an interface.
    pub(crate) fn unplug(&self, Interface(port): Interface) -> Result<(), LabError> {
        transact(&self.socket, vec![mutate_ports("delete", vec![port])]).map(drop)
    }

    pub(super) fn vsctl<W: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Output, LabError> {
        let mut command = command::program("ovs-vsctl");
        command
            .arg(format!("--db=unix:{}", self.socket.display()))
            .arg(format!("--timeout={}", STARTING.as_secs()))
            .arg("--no-wait")
            .args(words);
        command::run(&mut command)
    }
}

/// An interface that was plugged in: its row of `Port`.
#[derive(Debug)]
pub(crate) struct Interface(Value);

fn mutate_ports(how: &str, ports: Vec<Value>) -> Value {
    json!({
        "op": "mutate",
        "table": "Bridge",
        "where": [["name", "==", "br-int"]],
        "mutations": [["ports", how, ["set", ports]]],
    })
}
