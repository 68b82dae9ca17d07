//! What each story begins with: all controllers live, all hypervisors owned, guests that reach each other.

use serde_json::{Value, json};
use sextant_lab::story::site::{ipv6, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{
    Cluster, Hypervisor, Lab, LabError, LabOptions, Network, Peer, Port, PortSpec, SubnetSpec,
    wait_for,
};
use std::collections::BTreeMap;

const CONTROLLERS: u16 = 3;

/// The cloud and everything under it.
pub(crate) struct Stage {
    /// One on each hypervisor, in order.
    pub(crate) guests: Vec<Plugged>,
    pub(crate) cluster: Cluster,
    network: Network,
    // The last field: it removes what the others are in.
    pub(crate) lab: Lab,
}

impl Stage {
    /// Tells a story. If it does not come true, the logs are shown.
    pub(crate) fn tell(story: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        Self::tell_configured("", story)
    }

    /// The same with more in the controllers' configuration.
    pub(crate) fn tell_configured(
        config: &str,
        story: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let lab = Lab::start(LabOptions {
            hypervisors: 3,
            ..LabOptions::default()
        })?;
        let cluster = Cluster::start(&lab, CONTROLLERS, config)
            .inspect_err(|failure| eprintln!("{failure}\n{}", lab.logs()))?;
        let network = network(&cluster.controllers()[0])?;
        let mut stage = Self {
            guests: Vec::new(),
            cluster,
            network,
            lab,
        };
        let told = stage.set().and_then(|()| story(&mut stage));
        told.inspect_err(|failure| eprintln!("{failure}\n{}", stage.lab.logs()))
    }

    fn set(&mut self) -> Outcome {
        for peer in self.cluster.controllers() {
            wait_for("all controllers to be live", SOON, || {
                match peer.metric("sextant_controllers_live") {
                    Ok(live) if live == f64::from(CONTROLLERS) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })?;
        }
        let mut hosts = self.lab.hypervisors().iter();
        hosts.try_for_each(|host| self.cluster.join(host))?;
        self.guests = self.plug_everywhere("guest")?;
        self.has_one_owner_each()
    }

    /// Plugs a guest in on each hypervisor. All live controllers show it as active, and it reaches the guests that were there.
    pub(crate) fn plug_everywhere(&self, name: &str) -> Result<Vec<Plugged>, Failure> {
        let hosts = self.lab.hypervisors().iter();
        let plugged = hosts.map(|host| self.plug(&format!("{name}{}", host.number()), host));
        let plugged = plugged.collect::<Result<Vec<_>, _>>()?;
        for new in &plugged {
            self.wait_active(&new.port)?;
            new.guest.wait_address(ipv6(&new.port), SOON)?;
            new.guest.wait_default_route(SOON)?;
        }
        let present = self.guests.iter().chain(&plugged);
        for (new, other) in plugged
            .iter()
            .flat_map(|new| present.clone().map(move |other| (new, other)))
        {
            if new.port.id != other.port.id {
                reaches(new.guest.namespace(), other.address())?;
            }
        }
        Ok(plugged)
    }

    /// The hypervisors' numbers say whose API is asked.
    fn plug(&self, name: &str, host: &Hypervisor) -> Result<Plugged, LabError> {
        self.plug_with(name, host, json!({}))
    }

    /// Plugs a guest in whose port has more attributes.
    pub(crate) fn plug_with(
        &self,
        name: &str,
        host: &Hypervisor,
        more: Value,
    ) -> Result<Plugged, LabError> {
        let live: Vec<&Peer> = self.cluster.live().collect();
        let peer = live[usize::from(host.number()) % live.len()];
        let more = more.as_object().cloned().unwrap_or_default();
        let port = peer
            .api()?
            .create_port(&self.network, &PortSpec { name, more })?;
        let guest = host.add_guest(&port.guest(name))?;
        Ok(Plugged { guest, port })
    }

    /// A port for a guest, by one of the controllers.
    pub(crate) fn port(&self, name: &str, peer: &Peer) -> Result<Port, LabError> {
        let spec = PortSpec {
            name,
            ..PortSpec::default()
        };
        peer.api()?.create_port(&self.network, &spec)
    }

    /// Waits until all live controllers show a port as active.
    pub(crate) fn wait_active(&self, port: &Port) -> Outcome {
        wait_active(&self.cluster, port)
    }

    /// The number of the controller that owns a hypervisor.
    pub(crate) fn owner(&self, host: usize) -> Result<usize, Failure> {
        let chassis = self.lab.hypervisor(host).name();
        let owner = self.cluster.owner(&chassis);
        let nobody = || Failure::Observed(format!("nobody owns {chassis}"));
        owner.map(|(number, _)| number).ok_or_else(nobody)
    }

    /// The hypervisors that a controller owns.
    pub(crate) fn share(&self, controller: usize) -> Vec<usize> {
        let hosts = 1..=self.lab.hypervisors().len();
        hosts
            .filter(|host| self.owner(*host).is_ok_and(|owner| owner == controller))
            .collect()
    }

    /// Waits until a controller owns these hypervisors, and each has one owner.
    pub(crate) fn wait_share(&self, controller: usize, share: &[usize]) -> Outcome {
        wait_for(&format!("c{controller} to own {share:?}"), SOON, || {
            let owned = self.share(controller);
            match share.iter().all(|host| owned.contains(host)) {
                true => Ok(()),
                false => Err(format!("{owned:?}")),
            }
        })?;
        self.has_one_owner_each()
    }

    /// Waits until live controllers own all hypervisors, one each, and the owner is the only master of the switch.
    pub(crate) fn has_one_owner_each(&self) -> Outcome {
        let hosts = self.lab.hypervisors();
        self.cluster.wait_owned(hosts.len(), SOON)?;
        for host in hosts {
            wait_for(&format!("one master of {}", host.name()), SOON, || {
                self.has_one_master(host)
            })?;
            wait_for(&format!("{} to probe its owner", host.name()), SOON, || {
                self.probes_its_owner(host)
            })?;
        }
        Ok(())
    }

    fn has_one_master(&self, host: &Hypervisor) -> Result<(), String> {
        let owner = self.cluster.owner(&host.name()).map(|(number, _)| number);
        let owner = owner.map(|number| &self.cluster.controllers()[number - 1]);
        let owner = owner.filter(|owner| owner.is_live()).ok_or("no owner")?;
        let seen = host.switch_controllers();
        let seen = seen.map_err(|error| error.to_string())?;
        let mut masters = seen.iter().filter(|one| one.connected && one.is_master());
        match (masters.next(), masters.next()) {
            (Some(master), None) if master.is_at(owner.address()) => Ok(()),
            _ => Err(format!("owner {}, {seen:?}", owner.name())),
        }
    }

    /// Waits until each switch has the flows that its owner computes from scratch, and no other.
    pub(crate) fn switches_are_as_computed(&self) -> Outcome {
        for host in self.lab.hypervisors() {
            wait_for(&format!("the flows of {}", host.name()), SOON, || {
                let owner = self.cluster.owner(&host.name()).ok_or("no owner")?.0;
                let owner = &self.cluster.controllers()[owner - 1];
                let said = owner.ask(&["plan", "--json", "--chassis", &host.name()]);
                let said = said.map_err(|error| error.to_string())?.stdout;
                let rows = said.lines().map(serde_json::from_str::<Value>);
                let rows = rows.collect::<Result<Vec<_>, _>>();
                let rows = rows.map_err(|error| error.to_string())?;
                match &rows[..] {
                    [summary] if summary["there"].as_u64() > Some(0) => Ok(()),
                    _ => Err(format!("{rows:#?}")),
                }
            })?;
        }
        Ok(())
    }

    /// Its database notices soon that the owner does not answer, and is patient with the others.
    fn probes_its_owner(&self, host: &Hypervisor) -> Result<(), String> {
        let words = ["--bare", "--columns=target", "find", "manager"];
        let soon = "inactivity_probe=1000";
        let found = host.vsctl(&[&words[..], &[soon]].concat());
        let found = found.map_err(|error| error.to_string())?;
        let owner = self.cluster.owner(&host.name()).map(|(number, _)| number);
        let owner = owner.map(|number| self.cluster.controllers()[number - 1].address());
        let owner = owner.ok_or("no owner")?;
        let found = found.stdout;
        match found.split_whitespace().collect::<Vec<_>>()[..] {
            [one] if one.contains(&format!("[{owner}]")) => Ok(()),
            _ => Err(format!("owner {owner}, {found}")),
        }
    }

    /// Each live controller creates a network, and all of them list the same.
    pub(crate) fn all_write(&self) -> Outcome {
        for peer in self.cluster.live() {
            let api = peer.api()?;
            let wanted = json!({"network": {"name": format!("by {}", peer.name())}});
            wait_for(&format!("a write by {}", peer.name()), SOON, || {
                match api.post("/v2.0/networks", &wanted) {
                    Ok((201, _)) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })?;
        }
        self.listed("networks").map(drop)
    }

    /// What all live controllers list.
    pub(crate) fn listed(&self, collection: &str) -> Result<Vec<Value>, Failure> {
        let lists = wait_for(&format!("the same {collection} everywhere"), SOON, || {
            let lists = self.cluster.live().map(|peer| list(peer, collection));
            let mut lists = lists.collect::<Result<Vec<_>, _>>()?;
            match lists.windows(2).all(|pair| pair[0] == pair[1]) {
                true => Ok(lists.pop().unwrap_or_default()),
                false => Err(format!("{lists:?}")),
            }
        })?;
        Ok(lists.into_values().collect())
    }
}

/// Waits until all live controllers show a port as active.
pub(crate) fn wait_active(cluster: &Cluster, port: &Port) -> Outcome {
    for peer in cluster.live() {
        let api = peer.api()?;
        wait_for(
            &format!("port {} by {}", port.id, peer.name()),
            SOON,
            || match api.show_port(&port.id).as_ref().map(Port::status) {
                Ok("ACTIVE") => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )?;
    }
    Ok(())
}

/// A network with a router, which advertises.
pub(crate) fn network(peer: &Peer) -> Result<Network, LabError> {
    let api = peer.api()?;
    let router = api.create_router("r1")?;
    let network = api.create_network("n1")?;
    let spec = SubnetSpec::with_mode("2001:db8:a::/64", "slaac");
    let subnet = api.create_subnet(&network, &spec)?;
    api.add_interface(&router, &subnet)?;
    Ok(network)
}

/// Objects by id.
fn list(peer: &Peer, collection: &str) -> Result<BTreeMap<String, Value>, String> {
    let api = peer.api().map_err(|error| error.to_string())?;
    let reply = api.get(&format!("/v2.0/{collection}"));
    let (_, body) = reply.map_err(|error| error.to_string())?;
    let objects = body[collection].as_array().into_iter().flatten();
    Ok(objects
        .map(|object| (object["id"].to_string(), object.clone()))
        .collect())
}

/// Fails if there is one.
pub(crate) fn none(count: usize, of: &str) -> Outcome {
    ensure(count == 0, || format!("{count} {of}"))
}
