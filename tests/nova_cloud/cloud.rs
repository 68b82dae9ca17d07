//! The cloud: a lab whose controller is the network service of a real OpenStack, and whose hypervisors are Nova's.

use super::Outcome;
use super::desk::Desk;
use serde_json::Value;
use sextant_lab::{
    CONTROLLER, Controller, ControllerOptions, Guest, GuestSpec, Hypervisor, Lab, LabOptions,
    Process, wait_for,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Emulated guests and Nova's services share two processors with whatever else runs.
pub(crate) const LONG: Duration = Duration::from_secs(300);
/// What guests ping when they start: the image's kernel has it in its command line.
pub(crate) const PEER: [&str; 2] = ["192.0.2.9", "2001:db8:a::f816:3eff:fe00:9"];
const PEER_MAC: &str = "fa:16:3e:00:00:09";
const CONFIG: &str = r#"
auth = "keystone"
[keystone]
auth_url = "http://[fd00:c::1]:5000"
username = "sextant"
password = "sextant-hunter2"
[nova]
enabled = true
[metadata]
enabled = true
"#;

/// All of it. The fields end in this order.
pub(crate) struct Cloud {
    pub(crate) desk: Desk,
    /// A token of `alice`.
    pub(crate) token: String,
    /// Of servers, by their names.
    pub(crate) ids: BTreeMap<String, String>,
    machines: Vec<Process>,
    _openstack: Process,
    _controller: Controller,
    pub(crate) lab: Lab,
}

impl Cloud {
    /// Tells a story in a cloud of so many hypervisors; if it fails, the ends of all logs go to standard error.
    pub(crate) fn tell(hypervisors: u16, story: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let mut cloud = Self::start(hypervisors)?;
        story(&mut cloud).inspect_err(|_| eprintln!("{}", cloud.lab.logs()))
    }

    fn start(hypervisors: u16) -> Result<Self, Box<dyn Error>> {
        let image = image()?;
        let lab = Lab::start(LabOptions {
            hypervisors,
            ..LabOptions::default()
        })?;
        let mut openstack =
            lab.spawn_in_ctl(&as_words(&machine(&lab, &image, "ctl", &["control.py"])))?;
        openstack.wait_line("OpenStack", LONG, is_ready)?;
        let file = lab.home().join("sextant.toml");
        std::fs::write(&file, CONFIG)?;
        let controller = lab.start_controller(ControllerOptions {
            args: vec!["--config".to_owned(), file.display().to_string()],
            ..ControllerOptions::default()
        })?;
        let mut cloud = Self {
            token: String::new(),
            ids: BTreeMap::new(),
            desk: Desk::sit_down(lab.control())?,
            machines: vec![],
            _openstack: openstack,
            _controller: controller,
            lab,
        };
        cloud.token = text(&cloud.desk.reads("token issue")?, "id");
        cloud.join(&image)?;
        Ok(cloud)
    }

    fn join(&mut self, image: &Path) -> Outcome {
        for host in self.lab.hypervisors() {
            host.join("vxlan")?;
            // os-vif's own way to the database, as the guide says.
            let controller = format!("tcp:[{CONTROLLER}]:6640");
            host.vsctl(&["set-manager", &controller, "ptcp:6640:127.0.0.1"])?;
            host.wait_controller("br-int")?;
            let process = start_compute(&self.lab, image, host)?;
            self.machines.push(process);
        }
        for (machine, host) in self.machines.iter_mut().zip(self.lab.hypervisors()) {
            machine.wait_line(&host.name(), LONG, is_ready)?;
        }
        let wanted = self.machines.len();
        wait_for("Nova's hypervisors", LONG, || {
            let listed = self.desk.inspects("hypervisor list");
            let listed = listed.map_err(|error| error.to_string())?;
            match listed.as_array().map_or(0, Vec::len) == wanted {
                true => Ok(()),
                false => Err(listed.to_string()),
            }
        })?;
        Ok(())
    }

    /// A network of both protocols, and a security group that lets pings in.
    pub(crate) fn network(&mut self, name: &str, letter: char, third: u8) -> Outcome {
        self.desk.does(&format!("network create {name}"))?;
        self.desk.does(&format!(
            "subnet create --network {name} --ip-version 6 --subnet-range 2001:db8:{letter}::/64 \
             --ipv6-ra-mode slaac --ipv6-address-mode slaac {name}6"
        ))?;
        self.desk.does(&format!(
            "subnet create --network {name} --subnet-range 192.0.{third}.0/24 {name}4"
        ))?;
        self.desk.does(&format!("router create {name}"))?;
        self.desk
            .does(&format!("router add subnet {name} {name}6"))?;
        self.desk.does(&format!("router add subnet {name} {name}4"))
    }

    /// Lets everybody ping the guests of `alice`.
    pub(crate) fn allow_pings(&mut self) -> Outcome {
        for (kind, protocol) in [("IPv4", "icmp"), ("IPv6", "ipv6-icmp")] {
            self.desk.does(&format!(
                "security group rule create --ingress --ethertype {kind} --protocol {protocol} default"
            ))?;
        }
        Ok(())
    }

    /// A guest of the lab's own on a network, with the addresses that others ping.
    pub(crate) fn peer(&mut self, network: &str, host: usize) -> Result<Guest, Box<dyn Error>> {
        let port = self.desk.reads(&format!(
            "port create --network {network} --mac-address {PEER_MAC} --fixed-ip subnet={network}4,ip-address={} \
             --fixed-ip subnet={network}6 peer",
            PEER[0]
        ))?;
        let guest = self.lab.hypervisor(host).add_guest(&GuestSpec {
            name: "peer".to_owned(),
            port_id: text(&port, "id"),
            mac: PEER_MAC.to_owned(),
        })?;
        let own = format!("{}/24", PEER[0]);
        guest
            .namespace()
            .ip(&["address", "add", &own, "dev", "eth0"])?;
        guest.wait_address(PEER[1].parse()?, LONG)?;
        Ok(guest)
    }

    /// The log of one of a machine's services.
    pub(crate) fn log_of(&self, name: &str, service: &str) -> Result<String, Box<dyn Error>> {
        let folder = machine_folder(&self.lab, name).join("upper/var/log");
        Ok(std::fs::read_to_string(
            folder.join(format!("{service}.log")),
        )?)
    }

    /// A hypervisor's Nova, its libvirt and its guests end at once. Its switch goes on.
    pub(crate) fn kill_machine(&mut self, name: &str) -> Outcome {
        let mut hosts = self.lab.hypervisors().iter();
        let index = hosts.position(|host| host.name() == name);
        self.machines.remove(index.ok_or("no such machine")?).kill();
        Ok(())
    }
}

/// Says what a person wants to know of a test that holds.
#[expect(clippy::print_stdout, reason = "`make test-openstack` shows it")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A field that is a text.
pub(crate) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn is_ready(line: &str) -> Option<()> {
    line.starts_with("nova_cloud: ready").then_some(())
}

/// What the machines run in; it is built if it is missing.
fn image() -> Result<PathBuf, Box<dyn Error>> {
    let script = folder().join("image");
    let done = Command::new(script).output()?;
    match done.status.success() {
        true => Ok(PathBuf::from(String::from_utf8(done.stdout)?.trim())),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned().into()),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nova_cloud")
}

/// The command of a machine that runs one of the programs of the folder.
fn machine<'a>(lab: &Lab, image: &Path, name: &'a str, program: &[&'a str]) -> Vec<String> {
    let paths = [
        folder().join("host"),
        image.to_owned(),
        machine_folder(lab, name),
    ];
    let paths = paths.iter().map(|path| path.display().to_string());
    let words = [&[name], program].concat();
    paths.chain(words.into_iter().map(str::to_owned)).collect()
}

fn machine_folder(lab: &Lab, name: &str) -> PathBuf {
    lab.home().join(format!("machine-{name}"))
}

/// All hypervisors have the same instances: a share, as live migration likes it.
fn start_compute(lab: &Lab, image: &Path, host: &Hypervisor) -> Result<Process, Box<dyn Error>> {
    let (name, number) = (host.name(), host.number().to_string());
    let folder = machine_folder(lab, &name);
    std::fs::create_dir_all(&folder)?;
    let mounts = format!(
        "{} /run/openvswitch\n{} /srv/instances\n",
        host.run_folder().display(),
        lab.home().join("instances").display()
    );
    std::fs::write(folder.join("mounts"), mounts)?;
    let words = machine(lab, image, &name, &["compute.py", &number]);
    Ok(host.namespace().spawn(&as_words(&words))?)
}

fn as_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
