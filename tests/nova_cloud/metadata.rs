//! Guests learn who they are: from Nova's metadata API through `sextant metadata`, and from a config drive.

use super::Outcome;
use super::cloud::{Cloud, LONG, text};
use sextant_lab::{CONTROLLER, Hypervisor, LabError, Process, find_binary};
use std::error::Error;

#[test]
#[ignore = "it takes minutes: `make test-openstack`"]
fn guests_learn_who_they_are() -> Outcome {
    Cloud::tell(1, |cloud| {
        cloud.network("blue", 'a', 2)?;
        cloud.desk.does("network create alone")?;
        cloud.desk.does(
            "subnet create --network alone --subnet-range 192.0.2.0/24 --gateway none alone4",
        )?;
        let _service = start_metadata(cloud.lab.hypervisor(1), cloud)?;
        for (name, network) in [("routed", "blue"), ("unrouted", "alone")] {
            let id = text(&cloud.desk.reads(&format!("network show {network}"))?, "id");
            // Only their ports tell them apart.
            let named = format!("--nic net-id={id},v4-fixed-ip=192.0.2.77");
            cloud.boots(name, &named, "--property colour=green --config-drive true")?;
        }
        for name in ["routed", "unrouted"] {
            knows_itself(cloud, name, "metadata {")?;
            knows_itself(cloud, name, "config drive {")?;
        }
        Ok(())
    })
}

/// What a guest was told is of its own instance.
fn knows_itself(cloud: &mut Cloud, name: &str, words: &str) -> Outcome {
    let said = cloud.wait_said(name, words)?;
    let shown = cloud.desk.reads(&format!("server show {name}"))?;
    let id = format!("\"uuid\": \"{}\"", text(&shown, "id"));
    assert!(said.contains(&id), "{said} without {id}");
    assert!(said.contains("\"colour\": \"green\""), "{said}");
    Ok(())
}

fn start_metadata(host: &Hypervisor, cloud: &Cloud) -> Result<Process, Box<dyn Error>> {
    let words = ["--timeout=30", "wait-until", "interface", "sextant-md"];
    host.vsctl(&[&words[..], &["ofport>0"]].concat())?;
    let file = cloud.lab.home().join("metadata.toml");
    let text = format!(
        "[metadata]\nnova_url = \"http://[{CONTROLLER}]:8775\"\nshared_secret = \"hunter2\"\novsdb = \"{}\"\n",
        host.database()
    );
    std::fs::write(&file, text)?;
    let (binary, file) = (find_binary()?, file.to_string_lossy().into_owned());
    let words = [&*binary.to_string_lossy(), "metadata", "--config", &*file];
    let mut service = host.namespace().spawn(&words)?;
    let ready = |line: &str| line.contains("ready").then_some(());
    let started: Result<(), LabError> = service.wait_line("the metadata service", LONG, ready);
    started?;
    Ok(service)
}
