//! Many subnets of one router at once.

use crate::stage::{self, CONFIG, POOL, Stage, delegated, measured, reverted};
use crate::wire;
use serde_json::json;
use sextant_lab::DelegatingServer;
use sextant_lab::story::site::Site;
use sextant_lab::story::{Failure, Outcome, SOON, ensure};
use std::collections::BTreeSet;

const SUBNETS: u64 = 60;

#[test]
fn each_of_many_subnets_has_a_prefix_of_its_own() -> Outcome {
    Site::tell(CONFIG, |site| {
        let stage = Stage::set(site, None, DelegatingServer::kea, &POOL)?;
        let api = site.world.lab.api();
        let mut subnets = vec![];
        for number in 0..SUBNETS {
            let network = api.create_network(&format!("ipv6-pd-{number}"))?;
            let wanted = json!({"subnetpool_id": "prefix_delegation"});
            let subnet = stage::subnet(site, &network, "slaac", wanted)?;
            api.add_interface(&stage.gateway.router, &subnet)?;
            subnets.push(subnet);
        }
        let prefixes = subnets
            .iter()
            .map(|subnet| Ok(delegated(site, subnet, &POOL)?.0))
            .collect::<Result<BTreeSet<_>, Failure>>()?;
        ensure(prefixes.len() == subnets.len(), || format!("{prefixes:?}"))?;
        measured(
            site,
            "sextant_delegated_subnets",
            "state=\"delegated\"",
            SUBNETS,
        )?;
        stage.set_gateway(site, &json!({}))?;
        for subnet in &subnets {
            reverted(site, subnet)?;
            let duid = wire::duid(&subnet.id, ":");
            stage.server.wait_no_lease(&duid, SOON)?;
        }
        Ok(())
    })
}
