//! A played Nova is told of each port once, by whichever controller.

use crate::stage::Stage;
use serde_json::{Value, json};

use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{CONTROLLER, Peer, Process, wait_for};
use std::path::Path;
use std::time::Duration;

const PORT: &str = "8774";
const PLUGGED: &str = "network-vif-plugged";
const UNPLUGGED: &str = "network-vif-unplugged";
const DELETED: &str = "network-vif-deleted";

/// Keystone and Nova are one process beside the controllers.
fn config() -> String {
    format!(
        "[keystone]\nauth_url = \"http://[{CONTROLLER}]:{PORT}\"\nusername = \"sextant\"\npassword = \"hunter2\"\n[nova]\nenabled = true\n"
    )
}

/// What a played Nova was told.
struct PlayedNova(Process);

impl PlayedNova {
    fn start(stage: &Stage) -> Result<Self, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("several_controllers/nova.py");
        let words = ["/usr/bin/python3", &script.to_string_lossy(), PORT];
        let mut process = stage.lab.spawn_in_ctl(&words)?;
        process.wait_line("its ready line", SOON, |line| {
            (line == "ready").then_some(())
        })?;
        Ok(Self(process))
    }

    /// How often it was told this of a port.
    fn times(&self, event: &str, guest: &Plugged) -> usize {
        let text = self.0.log_text();
        let told = text.lines().filter(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.len() == 5 && words[1] == event && words[3] == guest.port.id
        });
        told.count()
    }

    /// How many events it was told in all.
    fn events(&self) -> usize {
        let text = self.0.log_text();
        text.lines()
            .filter(|line| line.starts_with("event "))
            .count()
    }

    /// Waits until it was told this of all these ports.
    fn wait<'a>(&self, event: &str, guests: impl IntoIterator<Item = &'a Plugged>) -> Outcome {
        for guest in guests {
            wait_for(
                &format!("{event} of {}", guest.port.id),
                SOON,
                || match self.times(event, guest) {
                    0 => Err(self.0.log_text()),
                    _ => Ok(()),
                },
            )?;
        }
        Ok(())
    }
}

/// How long ports waited for Nova's answer on average, by the metrics of live controllers, which count from their start.
fn average(stage: &Stage) -> Result<Duration, Failure> {
    let mut sums = [0.0, 0.0];
    for peer in stage.cluster.live() {
        for (sum, of) in sums.iter_mut().zip(["sum", "count"]) {
            *sum += peer.metric(&format!("sextant_nova_plug_duration_seconds_{of}"))?;
        }
    }
    Ok(Duration::from_secs_f64(sums[0] / f64::max(sums[1], 1.0)))
}

fn server(guest: u16) -> Value {
    json!(format!("00000000-0000-4000-8000-{guest:012}"))
}

/// How long it took from when a controller saw a guest's interface until Nova was told: the median and the longest.
fn from_plug_to_event(
    stage: &Stage,
    nova: &PlayedNova,
    guests: &[Plugged],
) -> (Duration, Duration) {
    let logs: Vec<String> = stage
        .cluster
        .controllers()
        .iter()
        .map(Peer::log_text)
        .collect();
    let plugged = |guest: &Plugged| {
        let lines = logs.iter().flat_map(|log| log.lines());
        let mut lines = lines.filter(|line| line.contains("interface plugged in"));
        lines.find_map(|line| line.contains(&guest.port.id).then(|| time_of_day(line))?)
    };
    let told = |guest: &Plugged| {
        let text = nova.0.log_text();
        let line = text.lines().find(|line| line.contains(&guest.port.id))?;
        let seconds: f64 = line.split_whitespace().last()?.parse().ok()?;
        Some(seconds % 86_400.0)
    };
    let took = guests
        .iter()
        .filter_map(|guest| Some(told(guest)? - plugged(guest)?));
    let mut took: Vec<Duration> = took
        .filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .collect();
    took.sort();
    let at = |place: usize| took.get(place).copied().unwrap_or_default();
    (at(took.len() / 2), at(took.len().saturating_sub(1)))
}

/// The seconds since midnight at the beginning of a line of the log.
fn time_of_day(line: &str) -> Option<f64> {
    let (_, time) = line.split_once('T')?;
    let (time, _) = time.split_once('Z')?;
    let mut parts = time.split(':').map(str::parse::<f64>);
    let mut next = || parts.next()?.ok();
    Some(next()? * 3600.0 + next()? * 60.0 + next()?)
}

/// A guest of Nova on each hypervisor.
fn boot(stage: &Stage, first: u16) -> Result<Vec<Plugged>, Failure> {
    let hosts = stage.lab.hypervisors().iter();
    let booted = hosts.map(|host| {
        let number = first + host.number();
        let more = json!({"device_owner": "compute:nova", "device_id": server(number)});
        Ok(stage.plug_with(&format!("vm{number}"), host, more)?)
    });
    booted.collect()
}

/// Deletes the ports of three guests, and unplugs a fourth, which then is none of `guests`.
fn delete_and_unplug(stage: &Stage, nova: &PlayedNova, guests: &mut Vec<Plugged>) -> Outcome {
    let peer = stage.cluster.live().next();
    let api = peer
        .ok_or_else(|| Failure::Observed("nobody lives".to_owned()))?
        .api()?;
    for guest in &guests[..3] {
        api.delete_object("ports", &guest.port.id)?;
    }
    nova.wait(DELETED, &guests[..3])?;
    let host = stage.lab.hypervisor(1);
    let stopped = guests.remove(3);
    let port = stopped.port.clone();
    stopped.guest.unplug(host)?;
    let told = || {
        nova.0.log_text().contains(&format!(
            "{UNPLUGGED} {} {}",
            text(&port.body["device_id"]),
            port.id
        ))
    };
    wait_for("the unplugged port to be told", SOON, || match told() {
        true => Ok(()),
        false => Err(nova.0.log_text()),
    })?;
    Ok(())
}

#[test]
fn nova_is_told_once_of_each_port_though_a_controller_is_killed_and_hypervisors_change_hands()
-> Outcome {
    Stage::tell_configured(&config(), |stage| {
        let nova = PlayedNova::start(stage)?;
        let mut guests = boot(stage, 0)?;
        nova.wait(PLUGGED, &guests)?;
        println!(
            "all controllers live: Nova answers {:?} after a port is active",
            average(stage)?
        );

        let (median, longest) = from_plug_to_event(stage, &nova, &guests);
        println!("from plug to event: median {median:?}, longest {longest:?}");

        // Its hypervisors have no owner as guests are plugged in there.
        let owner = stage.owner(1)?;
        let share = stage.share(owner);
        stage.cluster.controller(owner).kill();
        guests.extend(boot(stage, 10)?);
        stage.has_one_owner_each()?;
        nova.wait(PLUGGED, &guests)?;

        // Hypervisors go back to it as guests are plugged in there.
        stage.cluster.controller(owner).start_again()?;
        guests.extend(boot(stage, 20)?);
        stage.wait_share(owner, &share)?;
        guests.extend(boot(stage, 30)?);
        nova.wait(PLUGGED, &guests)?;

        delete_and_unplug(stage, &nova, &mut guests)?;
        for guest in &guests {
            let times = nova.times(PLUGGED, guest);
            ensure(times == 1, || {
                format!("{} told {times} times", guest.port.id)
            })?;
        }
        let (plugs, others) = (guests.len() + 1, 3 + 1);
        let events = nova.events();
        ensure(events == plugs + others, || nova.0.log_text())?;
        println!(
            "afterwards: Nova answers {:?} after a port is active",
            average(stage)?
        );
        let (median, longest) = from_plug_to_event(stage, &nova, &guests);
        println!("from plug to event in all: median {median:?}, longest {longest:?}");
        drop(nova);
        while_nova_is_away(stage)
    })
}

/// Guests are plugged in while Nova is away, and the controller that was to tell it starts anew.
fn while_nova_is_away(stage: &mut Stage) -> Outcome {
    let guests = boot(stage, 40)?;
    for guest in &guests {
        stage.wait_active(&guest.port)?;
    }
    let owner = stage.owner(1)?;
    stage.cluster.controller(owner).kill();
    stage.cluster.controller(owner).start_again()?;
    let nova = PlayedNova::start(stage)?;
    // Its log goes on from the one before.
    let before = nova.events();
    nova.wait(PLUGGED, &guests)?;
    stage.has_one_owner_each()?;
    let told = |peer: &Peer| match peer.metric("sextant_nova_events_waiting") {
        Ok(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    for peer in stage.cluster.live() {
        wait_for("nothing to wait for Nova", SOON, || told(peer))?;
    }
    for guest in &guests {
        let times = nova.times(PLUGGED, guest);
        ensure(times == 1, || {
            format!("{} told {times} times", guest.port.id)
        })?;
    }
    let others = nova.events() - before;
    ensure(others <= guests.len(), || nova.0.log_text())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
