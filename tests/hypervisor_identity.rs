//! Who a hypervisor is, by its certificate: on real Open vSwitch, with certificates that `ovs-pki` made.

use sextant_lab::story::{Failure, World};
use sextant_lab::{Hypervisor, LabOptions, wait_for};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A folder with `ovs-pki`'s two authorities, removed at the end.
struct Pki(PathBuf);

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Pki {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("sextant-pki-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let pki = Self(folder);
        pki.run(&["init"]);
        pki.run(&["req+sign", "controller", "controller"]);
        pki.run(&["req+sign", "h1", "switch"]);
        pki.run(&["req+sign", "h2", "switch"]);
        pki
    }

    fn run(&self, words: &[&str]) {
        let mut command = Command::new("ovs-pki");
        command
            .current_dir(&self.0)
            .arg(format!("--dir={}", self.0.join("pki").display()))
            .arg(format!("--log={}", self.0.join("log").display()))
            .args(words);
        let output = command.output().expect("ovs-pki is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn configuration(&self) -> String {
        format!(
            "[hypervisor_tls]\ncertificate = '{}'\nprivate_key = '{}'\nclient_ca = '{}'\n",
            self.file("controller-cert.pem"),
            self.file("controller-privkey.pem"),
            self.file("pki/switchca/cacert.pem"),
        )
    }

    /// What an operator types: the certificate, who it is, where it is reached, and whom it obeys.
    fn join(&self, host: &Hypervisor, certificate: &str, name: &str) -> Result<(), Failure> {
        let key = self.file(&format!("{certificate}-privkey.pem"));
        let certificate = self.file(&format!("{certificate}-cert.pem"));
        let authority = self.file("pki/controllerca/cacert.pem");
        assert!(Path::new(&authority).exists());
        host.vsctl(&["set-ssl", &key, &certificate, &authority])?;
        host.vsctl(&[
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:system-id={name}"),
            &format!("external_ids:sextant-encap-ip=\"{}\"", host.endpoint()),
            &format!(
                "external_ids:sextant-bridge-datapath-type={}",
                host.datapath().bridge_type()
            ),
        ])?;
        host.vsctl(&["set-manager", "ssl:[fd00:c::1]:6640"])?;
        Ok(())
    }
}

/// Waits until exactly these are agents, all of them alive.
fn wait_alive(world: &World, names: &[&str]) -> Result<(), Failure> {
    wait_for(&format!("{names:?} to be alive"), SOON, || {
        let (_, agents) = world
            .lab
            .api()
            .get("/v2.0/agents?alive=true")
            .map_err(|error| error.to_string())?;
        let rows = agents["agents"].as_array().into_iter().flatten();
        let mut hosts: Vec<&str> = rows.filter_map(|row| row["host"].as_str()).collect();
        hosts.sort_unstable();
        match hosts == names {
            true => Ok(()),
            false => Err(agents.to_string()),
        }
    })?;
    Ok(())
}

#[test]
fn a_hypervisor_is_who_its_certificate_says_and_speaks_what_the_listener_does()
-> Result<(), Failure> {
    let pki = Pki::new();
    let mut world = World::start_in(LabOptions::default(), &pki.configuration())?;
    let (first, second) = (world.lab.hypervisor(1), world.lab.hypervisor(2));
    pki.join(first, "h1", "h1")?;
    if let Err(failure) = wait_alive(&world, &["h1"]) {
        let log = std::fs::read_to_string(world.controller.log_path());
        panic!("{failure:?}\n{}", log.unwrap_or_default());
    }
    pki.join(second, "h2", "h1")?;
    let mut line = |what: &str| {
        let says =
            |line: &str| (line.contains("WARN") && line.contains(what)).then(|| line.to_owned());
        world.controller.wait_line(what, SOON, says)
    };
    let complaint = line("external_ids:system-id=h1")?;
    assert!(
        complaint.contains("its certificate is that of h2"),
        "{complaint}"
    );
    let second = world.lab.hypervisor(2);
    second.vsctl(&["set", "open_vswitch", ".", "external_ids:system-id=h2"])?;
    wait_alive(&world, &["h1", "h2"])?;

    // Plaintext to a listener with TLS: whose it is, is known by its address.
    second.vsctl(&["set-manager", "tcp:[fd00:c::1]:6640"])?;
    let mut line = |what: &str| {
        let says =
            |line: &str| (line.contains("WARN") && line.contains(what)).then(|| line.to_owned());
        world.controller.wait_line(what, SOON, says)
    };
    let told = line("the peer speaks plaintext, and this listener TLS")?;
    assert!(told.contains("ovsdb") && told.contains("h2"), "{told}");
    let page = world.lab.metrics()?;
    let expiry = "sextant_certificate_not_after_seconds{whose=\"h1\"} ";
    assert!(page.contains(expiry), "{page}");
    Ok(())
}

#[test]
fn the_doctor_looks_over_tls_with_the_controllers_own_certificate() -> Result<(), Failure> {
    let pki = Pki::new();
    let world = World::start_in(LabOptions::default(), &pki.configuration())?;
    let host = world.lab.hypervisor(1);
    pki.join(host, "h1", "h1")?;
    wait_alive(&world, &["h1"])?;
    host.vsctl(&["set-manager", "ssl:[fd00:c::1]:6640", "pssl:6641:[::]"])?;
    let (file, socket) = (pki.file("sextant.toml"), world.controller.control_socket());
    std::fs::write(&file, pki.configuration()).expect("a file");
    let binary = world.controller.binary().display().to_string();
    let socket = socket.display().to_string();
    let words = [
        &*binary,
        "doctor",
        "--config",
        &file,
        "--control-socket",
        &socket,
        "--hypervisor",
        "ssl:[::1]:6641",
    ];
    // The database listens a moment later.
    wait_for("the doctor's verdict over TLS", SOON, || {
        let said = host.run(&words).map_err(|error| error.to_string())?;
        match said.stdout.contains("Sextant knows it as h1") && !said.stdout.contains("BAD") {
            true => Ok(()),
            false => Err(said.stdout),
        }
    })?;
    Ok(())
}

#[test]
fn the_rule_about_names_follows_the_configuration_while_hypervisors_are_connected()
-> Result<(), Failure> {
    let pki = Pki::new();
    let certificate = pki.configuration();
    let any = format!("{certificate}names = \"any\"\n");
    let mut world = World::start_in(LabOptions::default(), &certificate)?;
    pki.join(world.lab.hypervisor(1), "h1", "h1")?;
    pki.join(world.lab.hypervisor(2), "h2", "other")?;
    let refusal = |line: &str| {
        let names_both = line.contains("system-id=other") && line.contains("that of h2");
        (line.contains("WARN") && names_both).then_some(())
    };
    world.controller.wait_line("the refusal", SOON, refusal)?;
    wait_alive(&world, &["h1"])?;

    world.reconfigure(&any)?;
    wait_alive(&world, &["h1", "other"])?;

    world.reconfigure(&certificate)?;
    // It may be said before the line that says that the configuration was read.
    wait_for("the same refusal again", SOON, || {
        let log = std::fs::read_to_string(world.controller.log_path());
        let log = log.map_err(|error| error.to_string())?;
        match log.lines().filter_map(refusal).count() {
            2.. => Ok(()),
            _ => Err(log),
        }
    })?;
    wait_alive(&world, &["h1"])?;

    let second = world.lab.hypervisor(2);
    second.vsctl(&["set", "open_vswitch", ".", "external_ids:system-id=h2"])?;
    wait_alive(&world, &["h1", "h2"])
}
