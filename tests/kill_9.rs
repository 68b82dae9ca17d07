//! `kill -9` at random moments under write load: nothing acknowledged is lost, nothing half-done
//! remains. The controller is the real one; what it has after each restart is compared with what
//! it had acknowledged.

#[path = "kill_9/comings.rs"]
mod comings;
#[path = "kill_9/writer.rs"]
mod writer;

use comings::Comings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sextant_lab::{Api, LabError, Loopback, Network, Subnet, SubnetSpec};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use writer::Writer;

type Outcome = Result<(), Box<dyn Error>>;

const KILLS: u32 = 100;
const WRITERS: usize = 4;
/// Addresses from which ports get theirs: more than the writers ever keep at once.
const POOL: usize = 512;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_done_remains() -> Outcome {
    let seed = rand::random();
    println!("seed {seed}; moments also depend on the machine");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut controller = Loopback::without_quotas()?;
    let (network, subnet) = make_network(&controller.api()?)?;
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer::new(number, &network, &subnet, dice.random()))
        .collect();
    let mut comings = Comings::new(&controller.api()?)?;
    let mut kills = 0;
    while kills < KILLS {
        kills += under_load(&mut controller, &mut writers, &mut comings, &mut dice)?;
        if dice.random_bool(0.2) {
            kills += while_it_starts(&mut controller, &mut dice)?;
        }
        controller.start_again()?;
        let api = controller.api()?;
        let ports = ports_by_id(&api)?;
        for writer in &mut writers {
            writer.compare(&ports);
        }
        comings.compare(&api)?;
    }
    let acknowledged: usize = writers.iter().map(Writer::acknowledged).sum();
    let cut_off: usize = writers.iter().map(Writer::cut_off).sum();
    println!("{kills} kills; {acknowledged} writes acknowledged, {cut_off} cut off");
    assert!(acknowledged > 1000, "there was load");
    assert!(cut_off > 50, "writes were under way when it was killed");
    every_address_is_there_once(&controller.api()?, &network)
}

/// Kills it at a moment in the midst of writes. How many kills that was.
fn under_load(
    controller: &mut Loopback,
    writers: &mut [Writer],
    comings: &mut Comings,
    dice: &mut StdRng,
) -> Result<u32, LabError> {
    let apis = writers
        .iter()
        .map(|_| controller.api())
        .collect::<Result<Vec<_>, _>>()?;
    let another = controller.api()?;
    let (acknowledged, news) = mpsc::channel();
    let writes = dice.random_range(0..50);
    let more = Duration::from_micros(dice.random_range(0..10_000));
    thread::scope(|scope| {
        for (writer, api) in writers.iter_mut().zip(&apis) {
            let acknowledged = acknowledged.clone();
            scope.spawn(move || writer.write_until_killed(api, &acknowledged));
        }
        scope.spawn(|| comings.write_until_killed(&another));
        drop(acknowledged);
        news.iter().take(writes).for_each(drop);
        // What is awaited is no event but a moment that nothing chose.
        thread::sleep(more);
        controller.kill();
    });
    Ok(1)
}

/// Kills it while it opens its store, or just after.
fn while_it_starts(controller: &mut Loopback, dice: &mut StdRng) -> Result<u32, LabError> {
    controller.spawn()?;
    thread::sleep(Duration::from_micros(dice.random_range(0..80_000)));
    controller.kill();
    Ok(1)
}

fn make_network(api: &Api) -> Result<(Network, Subnet), LabError> {
    let network = api.create_network("written")?;
    let (first, last) = (0x1000, 0x1000 + POOL - 1);
    let pool = json!([{"start": format!("2001:db8:1::{first:x}"), "end": format!("2001:db8:1::{last:x}")}]);
    let spec = SubnetSpec {
        more: [("allocation_pools".to_owned(), pool)]
            .into_iter()
            .collect(),
        ..SubnetSpec::with_mode("2001:db8:1::/64", "dhcpv6-stateful")
    };
    let subnet = api.create_subnet(&network, &spec)?;
    Ok((network, subnet))
}

fn ports_by_id(api: &Api) -> Result<BTreeMap<String, Value>, LabError> {
    let (_, mut body) = api.get("/v2.0/ports")?;
    let ports = body["ports"].as_array_mut().map(std::mem::take);
    let ports = ports.into_iter().flatten();
    Ok(ports
        .map(|port| (port["id"].as_str().unwrap_or_default().to_owned(), port))
        .collect())
}

/// Addresses that no port has can be given out, and no other: claims and ports agree.
fn every_address_is_there_once(api: &Api, network: &Network) -> Outcome {
    let port = json!({"port": {"network_id": network.id}});
    let refusal = loop {
        let (status, body) = api.post("/v2.0/ports", &port)?;
        if status != 201 {
            break (status, body["NeutronError"]["type"].clone());
        }
    };
    assert_eq!(refusal, (409, json!("IpAddressGenerationFailure")));
    let ports = ports_by_id(api)?;
    let mut addresses: Vec<u128> = ports
        .values()
        .filter(|port| port["network_id"] == network.id.as_str())
        .filter_map(|port| port["fixed_ips"][0]["ip_address"].as_str()?.parse().ok())
        .map(|address: std::net::Ipv6Addr| address.to_bits() & 0xffff_ffff)
        .filter(|number| (0x1000..0x1000 + POOL as u128).contains(number))
        .collect();
    let given = addresses.len();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!((given, addresses.len()), (POOL, POOL));
    Ok(())
}
