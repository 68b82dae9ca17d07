//! Several controllers of one cloud: `c1` and so on, each in a namespace of its own on the management link, all with the same
//! ports, and with one store in etcd.

use crate::api::Api;
use crate::command::Output;
use crate::controller::{Controller, ControllerOptions};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::etcd::Etcd;
use crate::hypervisor::Hypervisor;
use crate::lab::Lab;
use crate::log;
use crate::namespace::Namespace;
use crate::plan;
use crate::topology::{self, Wire};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Controllers and members of etcd, running or not.
#[derive(Debug)]
pub struct Cluster {
    controllers: Vec<Peer>,
    /// Their store.
    pub etcd: Etcd,
}

impl Cluster {
    /// Starts etcd with three members, and so many controllers; `config` is added to the file of each.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub fn start(lab: &Lab, controllers: u16, config: &str) -> Result<Self, LabError> {
        let etcd = Etcd::start(lab, 3)?;
        let peers = (1..=controllers).map(|number| Peer::start(lab, number, &etcd, config));
        let controllers = peers.collect::<Result<_, _>>()?;
        Ok(Self { controllers, etcd })
    }

    /// Starts etcd with three members, and on each hypervisor a controller of its own, which it joins over loopback.
    ///
    /// # Errors
    /// What did not start, with its log; [`LabError::Command`].
    pub fn start_on_hypervisors(lab: &Lab, config: &str) -> Result<Self, LabError> {
        let etcd = Etcd::start(lab, 3)?;
        let hosts = lab.hypervisors().iter();
        let peers = hosts.map(|host| Peer::start_on(lab, host, &etcd, config));
        let controllers = peers.collect::<Result<_, _>>()?;
        for host in lab.hypervisors() {
            let own = [Ipv6Addr::LOCALHOST];
            host.join_under(&own, &host.endpoint().to_string(), "vxlan")?;
        }
        Ok(Self { controllers, etcd })
    }

    /// A controller by its number, from 1.
    pub fn controller(&mut self, number: usize) -> &mut Peer {
        &mut self.controllers[number - 1]
    }

    /// All controllers, in order.
    #[must_use]
    pub fn controllers(&self) -> &[Peer] {
        &self.controllers
    }

    /// The controllers that have neither been killed, halted nor cut off.
    pub fn live(&self) -> impl Iterator<Item = &Peer> {
        self.controllers.iter().filter(|peer| peer.is_live())
    }

    /// A hypervisor joins the cloud of all of them.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn join(&self, host: &Hypervisor) -> Result<(), LabError> {
        let addresses: Vec<Ipv6Addr> = self.controllers.iter().map(Peer::address).collect();
        host.join_under(&addresses, &host.endpoint().to_string(), "vxlan")
    }

    /// The number of the controller that last said that it owns a hypervisor, and the generation.
    #[must_use]
    pub fn owner(&self, chassis: &str) -> Option<(usize, u64)> {
        let numbered = (1..).zip(&self.controllers);
        let owned =
            numbered.filter_map(|(number, peer)| Some((number, peer.last_generation(chassis)?)));
        owned.max_by_key(|(_, generation)| *generation)
    }

    /// Waits until the live controllers own this many hypervisors among them.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with how many each owns.
    pub fn wait_owned(&self, hypervisors: usize, timeout: Duration) -> Result<(), LabError> {
        wait_for("one owner of each hypervisor", timeout, || {
            let owned = self.live().map(|peer| {
                let owned = peer.metric("sextant_hypervisors_owned");
                owned.map_err(|error| error.to_string())
            });
            let owned = owned.collect::<Result<Vec<_>, _>>()?;
            match owned.iter().sum::<f64>() {
                sum if sum == hypervisors as f64 => Ok(()),
                _ => Err(format!("{owned:?}")),
            }
        })
    }
}

/// What keeps a controller from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Killed,
    Halted,
    Cut,
    WithoutStore,
}

/// One of several controllers.
#[derive(Debug)]
pub struct Peer {
    name: String,
    address: Ipv6Addr,
    control: Namespace,
    namespace: Namespace,
    /// None where its machine is a hypervisor.
    wire: Option<Wire>,
    trouble: Option<Trouble>,
    controller: Controller,
}

impl Peer {
    fn start(lab: &Lab, number: u16, etcd: &Etcd, config: &str) -> Result<Self, LabError> {
        let name = format!("c{number}");
        let address = plan::controller(number);
        let (namespace, wire) = topology::managed(lab.control(), &name, address)?;
        let at = (namespace, address, Some(wire));
        Self::start_at(lab, name, at, etcd, config)
    }

    /// On the machine of a hypervisor.
    fn start_on(lab: &Lab, host: &Hypervisor, etcd: &Etcd, config: &str) -> Result<Self, LabError> {
        let name = format!("c{}", host.number());
        let address = plan::management(host.number());
        let at = (host.namespace().clone(), address, None);
        Self::start_at(lab, name, at, etcd, config)
    }

    fn start_at(
        lab: &Lab,
        name: String,
        (namespace, address, wire): (Namespace, Ipv6Addr, Option<Wire>),
        etcd: &Etcd,
        config: &str,
    ) -> Result<Self, LabError> {
        let file = lab.home().join(format!("{name}.toml"));
        let text = configuration(&name, &etcd.endpoints(), config);
        std::fs::write(&file, text).map_err(LabError::io(format!("write {}", file.display())))?;
        let options = ControllerOptions {
            args: vec!["--config".to_owned(), file.display().to_string()],
            data_dir: Some(lab.home().join(format!("{name}-data"))),
            ..ControllerOptions::default()
        };
        Ok(Self {
            controller: Controller::start(&namespace, lab.name(), &name, options)?,
            name,
            address,
            control: lab.control().clone(),
            namespace,
            wire,
            trouble: None,
        })
    }

    /// Its name, `c1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the management link.
    #[must_use]
    pub fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// Whether nothing keeps it from its work.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.trouble.is_none()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Controller {
        &mut self.controller
    }

    /// A new client of its API, where its machine is not.
    ///
    /// # Errors
    /// [`LabError::Io`] when its thread cannot start.
    pub fn api(&self) -> Result<Api, LabError> {
        Api::of(&self.control, self.address)
    }

    /// The same for requests that are given up after this time.
    ///
    /// # Errors
    /// [`LabError::Io`] when its thread cannot start.
    pub fn api_within(&self, timeout: Duration) -> Result<Api, LabError> {
        Api::of_within(&self.control, self.address, timeout)
    }

    /// Asks it at its control socket.
    ///
    /// # Errors
    /// As [`Controller::ask`].
    pub fn ask(&self, words: &[&str]) -> Result<Output, LabError> {
        self.controller.ask(words)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.controller.kill();
        self.trouble = Some(Trouble::Killed);
    }

    /// Starts it after [`Peer::kill`], and waits until it is ready.
    ///
    /// # Errors
    /// [`LabError::Ended`] or [`LabError::Timeout`] with its log.
    pub fn start_again(&mut self) -> Result<(), LabError> {
        self.controller.start_again()?;
        self.trouble = None;
        Ok(())
    }

    /// Halts it with SIGSTOP.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn halt(&mut self) -> Result<(), LabError> {
        self.controller.halt()?;
        self.trouble = Some(Trouble::Halted);
        Ok(())
    }

    /// Lets it go on after [`Peer::halt`].
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it does not run.
    pub fn wake(&mut self) -> Result<(), LabError> {
        self.controller.wake()?;
        self.trouble = None;
        Ok(())
    }

    /// Cuts it off from everybody, as when its machine has lost its network.
    ///
    /// # Errors
    /// [`LabError::Command`]; [`LabError::Unexpected`] where its machine is a hypervisor.
    pub fn cut(&mut self) -> Result<(), LabError> {
        self.wire()?.cut()?;
        self.trouble = Some(Trouble::Cut);
        Ok(())
    }

    /// Undoes [`Peer::cut`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn mend(&mut self) -> Result<(), LabError> {
        self.wire()?.mend()?;
        self.trouble = None;
        Ok(())
    }

    fn wire(&self) -> Result<&Wire, LabError> {
        let wire = self.wire.as_ref();
        wire.ok_or_else(|| LabError::unexpected("a wire of its own", &self.name))
    }

    /// Cuts it off from etcd alone.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn lose_store(&mut self) -> Result<(), LabError> {
        self.lose(plan::MEMBERS)?;
        self.trouble = Some(Trouble::WithoutStore);
        Ok(())
    }

    /// Undoes [`Peer::lose_store`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn find_store(&mut self) -> Result<(), LabError> {
        self.find(plan::MEMBERS)?;
        self.trouble = None;
        Ok(())
    }

    /// Cuts it off from one hypervisor, and it counts as live.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn lose_hypervisor(&self, host: &Hypervisor) -> Result<(), LabError> {
        self.lose(&plan::management(host.number()).to_string())
    }

    /// Undoes [`Peer::lose_hypervisor`].
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn find_hypervisor(&self, host: &Hypervisor) -> Result<(), LabError> {
        self.find(&plan::management(host.number()).to_string())
    }

    fn lose(&self, prefix: &str) -> Result<(), LabError> {
        let words = ["-6", "route", "add", "blackhole", prefix];
        self.namespace.ip(&words).map(drop)
    }

    fn find(&self, prefix: &str) -> Result<(), LabError> {
        let words = ["-6", "route", "del", "blackhole", prefix];
        self.namespace.ip(&words).map(drop)
    }

    /// The value of one of its metrics without labels.
    ///
    /// # Errors
    /// [`LabError::Http`]; [`LabError::Unexpected`] when there is no such metric.
    pub fn metric(&self, name: &str) -> Result<f64, LabError> {
        let url = format!("http://[{}]:9697/metrics", self.address);
        let page = self.api()?.text(&url)?;
        let mut lines = page.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.and_then(|value| value.parse().ok());
        value.ok_or_else(|| LabError::unexpected(format!("the metric {name}"), page))
    }

    /// Everything that it has logged, over all starts.
    #[must_use]
    pub fn log_text(&self) -> String {
        log::tail(self.controller.log_path(), usize::MAX)
    }

    /// The last generation in which it has owned a hypervisor, as its log has it.
    #[must_use]
    pub fn last_generation(&self, chassis: &str) -> Option<u64> {
        let text = self.log_text();
        let mut generations = text.lines().filter_map(|line| owned(line, chassis));
        generations.next_back()
    }
}

/// The generation in a line that says that a hypervisor is owned.
fn owned(line: &str, chassis: &str) -> Option<u64> {
    let (_, fields) = line.split_once("hypervisor owned")?;
    (field(fields, "chassis")? == chassis).then_some(())?;
    field(fields, "generation")?.parse().ok()
}

fn field<'l>(fields: &'l str, name: &str) -> Option<&'l str> {
    let mut words = fields.split_whitespace();
    let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}

fn configuration(name: &str, endpoints: &[String], more: &str) -> String {
    format!(
        "{more}\n[store]\nkind = \"etcd\"\nendpoints = {endpoints:?}\n\
         [controllers]\nname = \"{name}\"\nprobe_interval = 1\nsettle_after = 3\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_from_its_line() {
        let line = "2026-01-01T00:00:00Z  INFO sextant: hypervisor owned chassis=h1 generation=12";
        assert_eq!(owned(line, "h1"), Some(12));
        assert_eq!(owned(line, "h2"), None);
        let quoted = "INFO hypervisor owned generation=3 chassis=\"h2\"";
        assert_eq!(owned(quoted, "h2"), Some(3));
    }
}
