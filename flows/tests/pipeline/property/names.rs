//! What the objects of a small cloud are called.

use crate::support::Cloud;
use crate::support::cloud::{id, network_id};
use sextant_model::{ChassisId, SubnetId};

pub(super) fn network(n: u8) -> String {
    format!("n{n}")
}

pub(super) fn interface(router: u8, n: u8) -> String {
    format!("i{router}-{n}")
}

pub(super) fn guest(n: u8) -> String {
    format!("g{n}")
}

pub(super) fn hypervisor(n: u8) -> String {
    format!("h{n}")
}

pub(super) fn group(n: u8) -> String {
    format!("sg{n}")
}

pub(super) fn joined(cloud: &Cloud, h: u8) -> bool {
    let id = ChassisId::new(&hypervisor(h));
    cloud.facts.chassis().contains_key(&id)
}

pub(super) fn router(n: u8) -> String {
    format!("r{n}")
}

pub(super) fn subnet(network: u8, n: u8) -> String {
    format!("s{network}-{n}")
}

pub(super) fn subnet_id(network: u8, n: u8) -> SubnetId {
    SubnetId(id(&subnet(network, n)))
}

pub(super) fn has_network(cloud: &Cloud, n: u8) -> bool {
    let networks = &cloud.intent.networks;
    networks.contains_key(&network_id(&network(n)))
}
