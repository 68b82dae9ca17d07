//! A played Nova is told of each port once, by whichever controller.

use crate::stage::Stage;
use serde_json::{Value, json};

use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{CONTROLLER, Process, wait_for};
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
        Ok(())
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
