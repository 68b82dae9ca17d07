//! An owner that was cut off stores nothing that it observed before another controller came to own the hypervisor.

use crate::stage::Stage;
use serde_json::json;
use sextant_lab::story::{Outcome, SOON};
use sextant_lab::{LabError, Peer, Port, wait_for};

/// Seconds without the store after which whatever was sent to it before has been given up.
const CUT_OFF: f64 = 4.0;

/// The next owner cannot reach the store either. So the store does not know that it is the owner when the former one is back.
#[test]
fn what_an_owner_observed_before_it_was_replaced_is_not_stored_when_it_is_back() -> Outcome {
    Stage::tell(|stage| {
        let former = stage.owner(1)?;
        let others: Vec<usize> = (1..=3).filter(|number| *number != former).collect();
        let (next, reader) = (others[0], others[1]);
        let port = stage.port("late", &stage.cluster.controllers()[former - 1])?;
        stage.cluster.controllers()[reader - 1].lose_hypervisor(stage.lab.hypervisor(1))?;
        for cut in [former, next] {
            stage.cluster.controller(cut).lose_store()?;
        }
        let peers = stage.cluster.controllers();
        let (owner, heir) = (&peers[former - 1], &peers[next - 1]);
        wait_for("the owner to be without the store", SOON, || {
            match owner.metric("sextant_store_age_seconds") {
                Ok(age) if age > CUT_OFF => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        let host = stage.lab.hypervisor(1);
        let guest = host.add_guest(&port.guest("late"))?;
        wait_status(owner, &port, "ACTIVE")?;
        owner.lose_hypervisor(host)?;
        wait_status(heir, &port, "ACTIVE")?;
        guest.unplug(host)?;
        wait_status(heir, &port, "DOWN")?;

        stage.cluster.controller(former).find_store()?;
        let peers = stage.cluster.controllers();
        let (owner, reader) = (&peers[former - 1], &peers[reader - 1]);
        write(owner)?;
        owner.find_hypervisor(stage.lab.hypervisor(1))?;
        wait_for("it to drop what it observed", SOON, || {
            let shown = reader.api().and_then(|api| api.show_port(&port.id));
            let shown = shown.map_err(|error| error.to_string())?;
            if shown.status() == "ACTIVE" {
                return Err("it stored what it had observed".to_owned());
            }
            match owner.metric("sextant_facts_dropped_total") {
                Ok(dropped) if dropped >= 1.0 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;

        stage.cluster.controller(next).find_store()?;
        let peers = stage.cluster.controllers();
        peers[others[1] - 1].find_hypervisor(stage.lab.hypervisor(1))?;
        for peer in peers {
            wait_status(peer, &port, "DOWN")?;
        }
        stage.has_one_owner_each()
    })
}

/// It has the store again, and all that the store tells.
fn write(peer: &Peer) -> Result<(), LabError> {
    let api = peer.api()?;
    let written = json!({"network": {"name": "written when it is back"}});
    wait_for(&format!("a write by {}", peer.name()), SOON, || {
        match api.post("/v2.0/networks", &written) {
            Ok((201, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

fn wait_status(peer: &Peer, port: &Port, wanted: &str) -> Result<(), LabError> {
    wait_for(
        &format!("{} to show {wanted}", peer.name()),
        SOON,
        || match peer.api().and_then(|api| api.show_port(&port.id)) {
            Ok(shown) if shown.status() == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
}
