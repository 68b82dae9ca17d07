//! What the objects of a small cloud are called.

use crate::support::Cloud;
use sextant_model::ChassisId;

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
