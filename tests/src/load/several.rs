//! Several controllers with a cluster of etcd, hypervisors that are played, and what becomes of them when a controller fails.

mod figures;
mod member;

use super::clients::create_for;
use super::latency::Latencies;
use super::members::Members;
use super::networks::{Dimensions, Networks};
use super::simulator::{Count, Side, Simulator};
use crate::error::LabError;
use crate::loopback::several_addresses;
pub use figures::{Change, Cost, Return, Shares, Spending, Start, Takeover, Targets};
use member::{SharingController, wait_active};
use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// How many members etcd has.
const MEMBERS: usize = 3;
/// How many controllers are asked at most whether a port is `ACTIVE` there.
const ASKED: usize = 8;
/// After so long without anything but probes, nothing more is expected.
const QUIET: Duration = Duration::from_millis(1500);
/// How often it is looked at what hypervisors say, which costs controllers nothing.
const LOOK: Duration = Duration::from_millis(1);
/// How often controllers are asked.
const ASK: Duration = Duration::from_millis(50);
/// After so long the change of one port is done.
const PAUSE: Duration = Duration::from_millis(100);
/// Seconds after which nobody takes a share while this is measured.
const NEVER: u16 = 3600;

const COMMITS: &str = "sextant_store_commit_octets_count ";
const OCTETS: &str = "sextant_store_commit_octets_sum ";
const KEYS: &str = "sextant_store_commit_keys_sum ";
const OWNED: &str = "sextant_hypervisors_owned ";
const ACTIVE: &str = "sextant_ports_active ";

/// The controllers, and hypervisors around them. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Several {
    simulator: Simulator,
    networks: Networks,
    limit: Duration,
    settle_after: Duration,
    controllers: Vec<SharingController>,
    // The last field: controllers end before their store.
    etcd: Members,
}

impl Several {
    /// Starts etcd and controllers, makes networks and ports, and hypervisors that connect to nobody yet. An event may
    /// take as long as `limit`.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn start(
        controllers: u8,
        dimensions: &Dimensions,
        settle_after: u16,
        limit: Duration,
    ) -> Result<Self, LabError> {
        let etcd = Members::start(MEMBERS)?;
        let addresses = several_addresses(controllers)?;
        let controllers = (1..).zip(&addresses).map(|(number, &addresses)| {
            SharingController::new(number, addresses, &etcd, settle_after)
        });
        let mut controllers = controllers.collect::<Result<Vec<_>, _>>()?;
        controllers
            .iter_mut()
            .try_for_each(SharingController::start)?;
        let simulator = Simulator::start(dimensions.hypervisors)?;
        let networks = Networks::make(controllers[0].api()?, &simulator, dimensions)?;
        Ok(Self {
            simulator,
            networks,
            limit,
            settle_after: Duration::from_secs(settle_after.into()),
            controllers,
            etcd,
        })
    }

    /// All hypervisors connect for the first time, to all controllers or each to one.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when they do not come to rest.
    pub fn cold_start(&mut self, targets: Targets) -> Result<Start, LabError> {
        let (before, begun) = (self.spending()?, Instant::now());
        let everybody = 0..self.controllers.len();
        let took = match targets {
            Targets::All => {
                self.connect(everybody);
                self.settle(begun)?
            }
            Targets::One => {
                self.simulator.connect_each(&self.databases(everybody));
                self.settle_with(begun, 1)?
            }
        };
        Ok(Start {
            took,
            spending: self.spending()?.since(&before),
            flow_mods: self.simulator.count(Count::FlowMods),
        })
    }

    fn connect(&self, controllers: Range<usize>) {
        self.simulator.connect(&self.databases(controllers));
    }

    /// Where databases reach these controllers.
    fn databases(&self, controllers: Range<usize>) -> Vec<SocketAddr> {
        let members = self.controllers[controllers].iter();
        let ovsdb = members.map(|member| member.controller.addresses().ovsdb);
        ovsdb.collect()
    }

    /// Who owns what, once everybody has taken its share.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when that does not come to rest.
    pub fn shares(&self) -> Result<Shares, LabError> {
        let begun = Instant::now();
        self.wait("all shares to be taken", LOOK, || {
            let quiet = self.simulator.last_activity().max(begun).elapsed();
            let is_due = quiet > self.settle_after + QUIET;
            Ok((!is_due).then(|| format!("the last change was {quiet:?} ago")))
        })?;
        Ok(Shares {
            owned: self.of_each(OWNED)?,
            memory: self.memory()?,
        })
    }

    /// What is used in so long while nothing happens.
    ///
    /// # Errors
    /// [`LabError::Io`] when a process has ended.
    pub fn idle(&self, time: Duration) -> Result<Spending, LabError> {
        let before = self.spending()?;
        thread::sleep(time);
        Ok(self.spending()?.since(&before))
    }

    /// Ports are made by one controller after the other, plugged in on one hypervisor after the other, pulled out again
    /// and deleted, one at a time.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn live(&mut self, times: u32) -> Result<Change, LabError> {
        let mut change = Change {
            seen: vec![Latencies::default(); self.controllers.len().min(ASKED)],
            ..Change::default()
        };
        let before = self.committed()?;
        for number in 0..times as usize {
            let (network, project) = self.networks.of(number * 7);
            let hypervisor = number * 7 % self.simulator.hypervisors();
            let api = self.controllers[number % self.controllers.len()].api()?;
            let made = create_for(api, network, project, 1)?;
            let id = made[0]["id"].as_str().unwrap_or_default();
            let begun = Instant::now();
            self.simulator.plug(hypervisor, vec![id.to_owned()]);
            let mut seen = self.seen_active(id, begun)?;
            for (latencies, &seen) in change.seen.iter_mut().zip(&seen) {
                latencies.add(seen, 1);
            }
            seen.sort_unstable();
            change.first.add(seen[0], 1);
            change.last.add(seen[seen.len() - 1], 1);
            self.simulator.unplug(hypervisor, id.to_owned());
            api.delete_object("ports", id)?;
            self.pause(Instant::now())?;
        }
        let after = self.committed()?;
        [change.commits, change.octets, change.keys] =
            [0, 1, 2].map(|at| (after[at] - before[at]) as f64 / f64::from(times.max(1)));
        Ok(change)
    }

    /// How long it took until each of the first controllers showed a port as `ACTIVE`.
    fn seen_active(&self, id: &str, begun: Instant) -> Result<Vec<Duration>, LabError> {
        let apis = self
            .controllers
            .iter()
            .take(ASKED)
            .map(SharingController::api);
        let apis = apis.collect::<Result<Vec<_>, _>>()?;
        thread::scope(|scope| {
            let looks = apis
                .into_iter()
                .map(|api| scope.spawn(move || wait_active(api, id, begun)));
            let looks: Vec<_> = looks.collect();
            looks
                .into_iter()
                .map(|look| {
                    look.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }

    /// Waits until controllers have done what a single change asks for.
    fn pause(&self, begun: Instant) -> Result<(), LabError> {
        self.wait("the end of a change", LOOK, || {
            let quiet = self.simulator.last_activity().max(begun).elapsed();
            Ok((quiet < PAUSE).then(|| format!("the last change was {quiet:?} ago")))
        })?;
        Ok(())
    }

    /// The controller of this number, from 0, is killed.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when a hypervisor has no owner then.
    pub fn kill(&mut self, number: usize) -> Result<Takeover, LabError> {
        let share = self.controllers[number].metric(OWNED)?;
        let flow_mods = self.simulator.count(Count::FlowMods);
        let begun = Instant::now();
        self.controllers[number].stop();
        self.wait("the end of its connections", LOOK, || {
            let counts = [Side::Database, Side::Switch].map(Count::Connected);
            Ok(self.lacks(
                &counts,
                self.simulator.hypervisors() * self.running(),
                usize::le,
            ))
        })?;
        let all = self.simulator.hypervisors();
        self.wait("owners of all hypervisors", LOOK, || {
            Ok(self.lacks(&[Count::Owned], all, usize::eq))
        })?;
        let owned = begun.elapsed();
        self.wait("all switches to be read", LOOK, || {
            Ok(self.lacks(&[Count::Read], all, usize::eq))
        })?;
        let in_hand = begun.elapsed();
        self.settle(begun)?;
        Ok(Takeover {
            share,
            owned,
            in_hand,
            flow_mods: self.simulator.count(Count::FlowMods) - flow_mods,
        })
    }

    /// The controller of this number, from 0, is killed and started again, where each hypervisor connects to one controller alone:
    /// nobody takes its hypervisors over.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not own them again.
    pub fn restart(&mut self, number: usize) -> Result<Return, LabError> {
        let all = self.simulator.hypervisors();
        let share = self.controllers[number].metric(OWNED)?;
        let flow_mods = self.simulator.count(Count::FlowMods);
        let connections = [Side::Database, Side::Switch].map(Count::Connected);
        self.controllers[number].stop();
        self.wait("the end of its connections", LOOK, || {
            Ok(self.lacks(&connections, all - share, usize::eq))
        })?;
        let begun = Instant::now();
        self.controllers[number].start()?;
        let ready = begun.elapsed();
        self.wait("its hypervisors", LOOK, || {
            let lacks = self.lacks(&connections, all, usize::eq);
            Ok(lacks.or_else(|| self.lacks(&[Count::Owned, Count::Read], all, usize::eq)))
        })?;
        let owned = begun.elapsed() - ready;
        self.settle_with(begun, 1)?;
        Ok(Return {
            ready,
            owned,
            flow_mods: self.simulator.count(Count::FlowMods) - flow_mods,
        })
    }

    /// The controller of this number is started again, and takes its share of so many hypervisors.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not.
    pub fn start_again(&mut self, number: usize, share: usize) -> Result<Return, LabError> {
        let flow_mods = self.simulator.count(Count::FlowMods);
        let begun = Instant::now();
        self.controllers[number].start()?;
        let ready = begun.elapsed();
        self.wait("its share", ASK, || {
            let owned = self.controllers[number].metric(OWNED)?;
            Ok((owned != share).then(|| format!("it owns {owned} of {share}")))
        })?;
        let owned = begun.elapsed() - ready;
        self.settle(begun)?;
        Ok(Return {
            ready,
            owned,
            flow_mods: self.simulator.count(Count::FlowMods) - flow_mods,
        })
    }

    /// Compares a controller that owns all hypervisors with one that owns none, each with a cloud that it has read from the store.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn cost(
        dimensions: &Dimensions,
        idle: Duration,
        limit: Duration,
    ) -> Result<Cost, LabError> {
        let mut several = Self::start(2, dimensions, NEVER, limit)?;
        for member in &mut several.controllers {
            member.stop();
            member.start()?;
        }
        let without = (several.memory()?, several.idle(idle)?);
        several.connect(0..1);
        several.settle_with(Instant::now(), 1)?;
        let known = several.memory()?[1];
        several.connect(0..2);
        several.settle(Instant::now())?;
        let (memory, spending) = (several.memory()?, several.idle(idle)?);
        let owned = several.of_each(OWNED)?;
        if owned != [dimensions.hypervisors, 0] {
            return Err(LabError::unexpected(
                "who owns how many",
                format!("{owned:?}"),
            ));
        }
        let minute = 60.0 / idle.as_secs_f64();
        let before = without.0;
        let more = [memory[0], memory[1], known].into_iter();
        let more = more.zip([before[0], before[1], before[1]]);
        let each = more.map(|(after, before)| {
            after.saturating_sub(before) as f64 / dimensions.hypervisors as f64
        });
        let each = Vec::from_iter(each);
        Ok(Cost {
            memory: [each[0], each[1]],
            known: each[2],
            idle: [0, 1].map(|at: usize| {
                let more = spending.controllers[at].saturating_sub(without.1.controllers[at]);
                more.mul_f64(minute)
            }),
        })
    }

    fn running(&self) -> usize {
        let running = self
            .controllers
            .iter()
            .filter(|member| member.api.is_some());
        running.count()
    }

    fn settle(&self, begun: Instant) -> Result<Duration, LabError> {
        self.settle_with(begun, self.running())
    }

    /// Waits until all is as it should be with so many controllers; gives how long that took.
    fn settle_with(&self, begun: Instant, controllers: usize) -> Result<Duration, LabError> {
        let all = self.simulator.hypervisors();
        let connections = [Side::Database, Side::Switch].map(Count::Connected);
        self.wait("the fleet's coming to rest", ASK, || {
            let lacks = self.lacks(&connections, all * controllers, usize::eq);
            let lacks = lacks.or_else(|| self.lacks(&[Count::Owned, Count::Read], all, usize::eq));
            if lacks.is_some() {
                return Ok(lacks);
            }
            if self.simulator.last_activity().max(begun).elapsed() < QUIET {
                return Ok(Some("the controllers go on".to_owned()));
            }
            let (active, ports) = (self.of_each(ACTIVE)?, self.networks.ports);
            let is_missing = active.iter().any(|&active| active != ports);
            Ok(is_missing.then(|| format!("{active:?} of {ports} ports ACTIVE")))
        })?;
        Ok(self.simulator.last_activity().max(begun) - begun)
    }

    /// Which of these counts is not as it should be.
    fn lacks(
        &self,
        counts: &[Count],
        wanted: usize,
        is_right: fn(&usize, &usize) -> bool,
    ) -> Option<String> {
        let mut counted = counts
            .iter()
            .map(|&count| (count, self.simulator.count(count)));
        let wrong = counted.find(|(_, found)| !is_right(found, &wanted))?;
        Some(format!("{:?}: {}, not {wanted}", wrong.0, wrong.1))
    }

    /// Waits until nothing is missing, and looks at that so often.
    fn wait(
        &self,
        what: &str,
        pace: Duration,
        missing: impl Fn() -> Result<Option<String>, LabError>,
    ) -> Result<(), LabError> {
        let begun = Instant::now();
        loop {
            thread::sleep(pace);
            let Some(last_seen) = missing()? else {
                return Ok(());
            };
            if begun.elapsed() > self.limit {
                return Err(LabError::Timeout {
                    what: what.to_owned(),
                    waited: self.limit,
                    last_seen,
                });
            }
        }
    }

    fn of_each(&self, line: &str) -> Result<Vec<usize>, LabError> {
        let running = self
            .controllers
            .iter()
            .filter(|member| member.api.is_some());
        running.map(|member| member.metric(line)).collect()
    }

    /// Commits to the store so far, their octets and their keys.
    fn committed(&self) -> Result<[usize; 3], LabError> {
        let mut sums = [0; 3];
        for (sum, line) in sums.iter_mut().zip([COMMITS, OCTETS, KEYS]) {
            *sum = self.of_each(line)?.iter().sum();
        }
        Ok(sums)
    }

    fn memory(&self) -> Result<Vec<u64>, LabError> {
        let usages = self.controllers.iter().map(SharingController::usage);
        usages
            .map(|usage| Ok(usage?.map_or(0, |usage| usage.resident)))
            .collect()
    }

    fn spending(&self) -> Result<Spending, LabError> {
        let usages = self.controllers.iter().map(SharingController::usage);
        let spent =
            usages.map(|usage| Ok(usage?.map_or(Duration::ZERO, |usage| usage.processor())));
        Ok(Spending {
            controllers: spent.collect::<Result<_, LabError>>()?,
            etcd: self.etcd.processor()?,
        })
    }

    /// How many flows all switches have.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.simulator.count(Count::Flows)
    }
}
