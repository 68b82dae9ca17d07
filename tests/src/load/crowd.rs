//! A controller with many hypervisors that are played, and what becomes of both when much happens at once.

use super::clients::create_for;
use super::latency::Latencies;
use super::networks::{Dimensions, Networks};
use super::page::PageVisit;
use super::scraping::{Scrapes, Scraping};
use super::simulator::{Count, Side, Simulator};
use super::usage::Usage;
use crate::api::Api;
use crate::error::LabError;
use crate::loopback::Loopback;
use std::thread;
use std::time::{Duration, Instant};

/// After so long without anything but probes, nothing more is expected.
const QUIET: Duration = Duration::from_millis(1500);
/// How often it is looked at whether all is done.
const LOOK: Duration = Duration::from_millis(20);
/// After so long the change of one port is done.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one port may take.
const ONE: Duration = Duration::from_secs(60);

/// A controller and hypervisors around it. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Crowd {
    simulator: Simulator,
    networks: Networks,
    limit: Duration,
    api: Api,
    // The last field: the simulator's connections end first.
    controller: Loopback,
}

/// What an event cost until all was as it should be.
#[derive(Clone, Debug)]
pub struct Episode {
    /// Until the controller had no more to say than to answer probes, and all ports were `ACTIVE`.
    pub took: Duration,
    /// The controller's processor time.
    pub processor: Duration,
    /// Connections that ended by themselves.
    pub lost: usize,
    /// How often a switch's flows were read back.
    pub reads: usize,
    /// How many changes of flows switches were sent.
    pub flow_mods: usize,
    /// How often all flows of a switch were computed.
    pub computations: usize,
    /// How often it was computed what a change makes of a switch's flows.
    pub changes: usize,
    /// How many lines the controller logged.
    pub lines: usize,
    /// How metrics were answered meanwhile.
    pub scrapes: Scrapes,
}

/// What the lives of single ports cost.
#[derive(Debug, Default)]
pub struct Lives {
    /// From plugging in to `ACTIVE`.
    pub activation: Latencies,
    /// The controller's processor time for all of them (made, plugged in, pulled out, deleted), without what it uses anyway.
    pub processor: Duration,
    /// How many sessions with switches were woken for them.
    pub woken: usize,
    /// How many.
    pub times: u32,
}

impl Crowd {
    /// Starts a controller, makes the networks and ports, and hypervisors that connect to nobody yet. An event may take
    /// as long as `limit`.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start(dimensions: &Dimensions, limit: Duration) -> Result<Self, LabError> {
        let controller = Loopback::without_quotas()?;
        let simulator = Simulator::start(dimensions.hypervisors)?;
        let api = controller.api()?;
        let networks = Networks::make(&api, &simulator, dimensions)?;
        Ok(Self {
            simulator,
            networks,
            limit,
            api,
            controller,
        })
    }

    /// Holds the controller to so many processors from here on.
    ///
    /// # Errors
    /// [`LabError::Io`] where this machine lets nobody do that.
    pub fn hold_to(&mut self, processors: f64) -> Result<(), LabError> {
        self.controller.hold_to(processors)
    }

    /// Everything that the controller has logged, over all starts.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.controller.log_text()
    }

    /// All hypervisors connect for the first time.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when they do not come to rest.
    pub fn cold_start(&mut self) -> Result<Episode, LabError> {
        self.episode(false, |crowd| {
            let ovsdb = crowd.controller.addresses().ovsdb;
            crowd.simulator.connect(&[ovsdb]);
            Ok(())
        })
    }

    /// All connections of one kind are cut at once.
    ///
    /// # Errors
    /// As [`Crowd::cold_start`].
    pub fn cut(&mut self, side: Side) -> Result<Episode, LabError> {
        self.episode(false, |crowd| {
            crowd.simulator.cut(side);
            Ok(())
        })
    }

    /// The controller is killed and started again.
    ///
    /// # Errors
    /// As [`Crowd::cold_start`].
    pub fn restart(&mut self) -> Result<Episode, LabError> {
        self.simulator.stop();
        // A connection that ended with the process would count as lost.
        while self.simulator.count(Count::Connected(Side::Database)) > 0
            || self.simulator.count(Count::Connected(Side::Switch)) > 0
        {
            thread::sleep(LOOK);
        }
        self.controller.kill();
        self.episode(true, |crowd| {
            crowd.controller.start_again()?;
            crowd.api = crowd.controller.api()?;
            let ovsdb = crowd.controller.addresses().ovsdb;
            crowd.simulator.connect(&[ovsdb]);
            Ok(())
        })
    }

    /// What comes of an act, which may begin with another process.
    fn episode(
        &mut self,
        is_anew: bool,
        act: impl FnOnce(&mut Self) -> Result<(), LabError>,
    ) -> Result<Episode, LabError> {
        const COUNTED: [Count; 4] = [
            Count::Lost(Side::Database),
            Count::Lost(Side::Switch),
            Count::Reads,
            Count::FlowMods,
        ];
        let earlier = COUNTED.map(|count| self.simulator.count(count));
        let (processor, [computations, changes]) = match is_anew {
            true => (Duration::ZERO, [0, 0]),
            false => (self.controller.usage()?.processor(), self.computations()?),
        };
        let lines = self.lines();
        let begun = Instant::now();
        act(self)?;
        let scraping = Scraping::begin(&self.api, self.metrics_page())?;
        let took = self.settle(begun)?;
        let scrapes = scraping.end()?;
        let [databases, switches, reads, flow_mods] =
            std::array::from_fn(|at| self.simulator.count(COUNTED[at]) - earlier[at]);
        let used = self.controller.usage()?.processor();
        let [all, of_changes] = self.computations()?;
        Ok(Episode {
            took,
            processor: used.saturating_sub(processor),
            lost: databases + switches,
            reads,
            flow_mods,
            computations: all.saturating_sub(computations),
            changes: of_changes.saturating_sub(changes),
            lines: self.lines() - lines,
            scrapes,
        })
    }

    /// Waits until all is as it should be; gives how long that took.
    fn settle(&self, begun: Instant) -> Result<Duration, LabError> {
        loop {
            thread::sleep(LOOK);
            let Some(missing) = self.missing(begun)? else {
                return Ok(self.simulator.last_activity().max(begun) - begun);
            };
            if begun.elapsed() > self.limit {
                return Err(LabError::Timeout {
                    what: "the fleet's coming to rest".to_owned(),
                    waited: self.limit,
                    last_seen: missing,
                });
            }
        }
    }

    /// Waits until the controller has done what a single change asks for. Nothing is asked for meanwhile, since answers cost.
    fn pause(&self, begun: Instant) -> Result<(), LabError> {
        while self.simulator.last_activity().max(begun).elapsed() < PAUSE {
            if begun.elapsed() > ONE {
                return Err(LabError::unexpected(
                    "the fleet",
                    "it does not come to rest",
                ));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// What is not yet as it should be.
    fn missing(&self, begun: Instant) -> Result<Option<String>, LabError> {
        let all = self.simulator.hypervisors();
        for count in [
            Count::Connected(Side::Database),
            Count::Connected(Side::Switch),
            Count::Read,
        ] {
            let have = self.simulator.count(count);
            if have != all {
                return Ok(Some(format!("{count:?}: {have} of {all}")));
            }
        }
        if self.simulator.last_activity().max(begun).elapsed() < QUIET {
            let [reads, flow_mods] =
                [Count::Reads, Count::FlowMods].map(|count| self.simulator.count(count));
            return Ok(Some(format!(
                "the controller goes on after {reads} reads and {flow_mods} flow-mods"
            )));
        }
        let active = self.active()?;
        Ok((active != self.networks.ports)
            .then(|| format!("{active} of {} ports ACTIVE", self.networks.ports)))
    }

    fn active(&self) -> Result<usize, LabError> {
        self.metric("sextant_ports_active ")
    }

    fn lines(&self) -> usize {
        self.log_text().lines().count()
    }

    fn woken(&self) -> Result<usize, LabError> {
        self.metric("sextant_switch_sessions_woken_total ")
    }

    /// How often all flows of a switch were computed, and what changes make of them.
    fn computations(&self) -> Result<[usize; 2], LabError> {
        let [all, change] = ["all", "change"].map(|what| {
            self.metric(&format!(
                "sextant_compute_duration_seconds_count{{of=\"{what}\"}} "
            ))
        });
        Ok([all?, change?])
    }

    /// The value after this beginning of a line of the metrics; 0 without one.
    fn metric(&self, line: &str) -> Result<usize, LabError> {
        let text = self.api.text(&self.metrics_page())?;
        let value = text.lines().find_map(|found| found.strip_prefix(line));
        Ok(value.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    fn metrics_page(&self) -> String {
        format!("http://{}/metrics", self.controller.addresses().metrics)
    }

    /// Ports are made on one network after the other, plugged in on one hypervisor after the other, pulled out again and
    /// deleted, one at a time. An idle controller uses `idle` a second.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn live(&mut self, times: u32, idle: Duration) -> Result<Lives, LabError> {
        let mut lives = Lives::default();
        let (woken, before, start) = (self.woken()?, self.controller.usage()?, Instant::now());
        for number in 0..times as usize {
            let (network, project) = self.networks.of(number * 7);
            let hypervisor = number * 7 % self.simulator.hypervisors();
            let made = create_for(&self.api, network, project, 1)?;
            let id = made[0]["id"].as_str().unwrap_or_default();
            let begun = Instant::now();
            self.simulator.plug(hypervisor, vec![id.to_owned()]);
            self.wait_active(id)?;
            lives.activation.add(begun.elapsed(), 1);
            self.simulator.unplug(hypervisor, id.to_owned());
            self.api.delete_object("ports", id)?;
            self.pause(Instant::now())?;
        }
        let used = self.controller.usage()?.processor_since(&before);
        lives.processor = used.saturating_sub(idle.mul_f64(start.elapsed().as_secs_f64()));
        lives.woken = self.woken()? - woken;
        lives.times = times;
        Ok(lives)
    }

    fn wait_active(&self, id: &str) -> Result<(), LabError> {
        let path = format!("/v2.0/ports/{id}?fields=status");
        let end = Instant::now() + ONE;
        loop {
            let (_, body) = self.api.get(&path)?;
            if body["port"]["status"] == "ACTIVE" {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(LabError::unexpected("a port that was plugged in", body));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A visitor of the controller's page.
    ///
    /// # Errors
    /// [`LabError::Io`] when the client's thread cannot start.
    pub fn visit(&self) -> Result<PageVisit<'_>, LabError> {
        let api = self.controller.api()?;
        PageVisit::new(api, &self.controller)
    }

    /// What the controller uses in so long while nothing happens.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn idle(&self, time: Duration) -> Result<Duration, LabError> {
        let before = self.controller.usage()?;
        thread::sleep(time);
        Ok(self.controller.usage()?.processor_since(&before))
    }

    /// What the controller has used so far.
    ///
    /// # Errors
    /// [`LabError::Io`] when it has ended.
    pub fn controller(&self) -> Result<Usage, LabError> {
        self.controller.usage()
    }

    /// How many flows all switches have.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.simulator.count(Count::Flows)
    }
}
