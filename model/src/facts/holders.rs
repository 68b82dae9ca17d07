//! Who has the addresses from address pairs: the port that announced one last.

use super::Facts;
use crate::{ChassisId, Intent, MacAddr, NetworkId, PortId};
use imbl::{OrdMap, OrdSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many such addresses one port may have at a time, since a pair may be a prefix. One more replaces the oldest.
const MOST: usize = 256;

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

/// Who has an address from the `allowed_address_pairs` of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHolder {
    /// The port.
    pub port: PortId,
    /// The MAC: the port's own, or one from its pairs.
    pub mac: MacAddr,
}

/// The holders, by network and address.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Holders {
    all: OrdMap<(NetworkId, IpAddr), AddressHolder>,
    of_port: OrdSet<(PortId, IpAddr, NetworkId)>,
    /// The order of their announcements.
    ages: Ages,
}

/// When holders announced their addresses. A greater number is later.
#[derive(Clone, Debug, Default)]
struct Ages {
    last: u64,
    of: OrdMap<(NetworkId, IpAddr), u64>,
}

/// When an address was announced does not matter for who has it.
impl PartialEq for Ages {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Holders {
    fn of(&self, port: PortId) -> impl Iterator<Item = (IpAddr, NetworkId)> {
        let first = (port, FIRST, NetworkId::MIN);
        let last = (port, LAST, NetworkId::MAX);
        let range = self.of_port.range(first..=last);
        range.map(|(_, address, network)| (*address, *network))
    }

    fn put(&mut self, network: NetworkId, address: IpAddr, holder: AddressHolder) {
        // The holder before has to lose the address in both maps.
        self.remove(network, address);
        self.of_port.insert((holder.port, address, network));
        self.all.insert((network, address), holder);
        self.ages.last += 1;
        self.ages.of.insert((network, address), self.ages.last);
    }

    /// Removes a port's oldest address if the port has as many as it may.
    fn make_room(&mut self, port: PortId) {
        if self.of(port).count() < MOST {
            return;
        }
        if let Some((address, network)) = self
            .of(port)
            .min_by_key(|(address, network)| self.ages.of.get(&(*network, *address)))
        {
            self.remove(network, address);
        }
    }

    fn remove(&mut self, network: NetworkId, address: IpAddr) {
        self.ages.of.remove(&(network, address));
        if let Some(before) = self.all.remove(&(network, address)) {
            self.of_port.remove(&(before.port, address, network));
        }
    }
}

impl Facts {
    /// Who has which address from address pairs, by network and address.
    #[must_use]
    pub fn holders(&self) -> &OrdMap<(NetworkId, IpAddr), AddressHolder> {
        &self.holders.all
    }

    /// The addresses from its pairs that a port has.
    pub fn held_by(&self, port: PortId) -> impl Iterator<Item = (IpAddr, MacAddr)> {
        let held = self.holders.of(port);
        held.filter_map(|(address, network)| {
            let holder = self.holders.all.get(&(network, address))?;
            Some((address, holder.mac))
        })
    }

    /// A guest on a hypervisor said that it has an address at a MAC. It counts if its port is there and may use both.
    /// Returns whether this changes anything.
    pub fn hold(
        &mut self,
        intent: &Intent,
        chassis: &ChassisId,
        (port, address, mac): (PortId, IpAddr, MacAddr),
    ) -> bool {
        let binding = self.bindings.get(&port);
        let Some(binding) = binding.filter(|binding| binding.chassis == *chassis) else {
            return false;
        };
        let network = binding.network;
        let known = intent.ports.get(&port);
        let holder = AddressHolder { port, mac };
        let before = self.holders.all.get(&(network, address));
        if !known.is_some_and(|port| port.may_hold(address, mac)) || before == Some(&holder) {
            return false;
        }
        if before.is_none_or(|before| before.port != port) {
            self.holders.make_room(port);
        }
        self.holders.put(network, address, holder);
        true
    }

    /// Nobody has an address of address pairs any more.
    pub fn let_go_of(&mut self, network: NetworkId, address: IpAddr) {
        self.holders.remove(network, address);
    }

    /// Removes addresses that a port may not have any more, after the port or its place changed.
    pub(super) fn let_go(&mut self, intent: &Intent, id: PortId) {
        let port = intent.ports.get(&id);
        let network = self.bindings.get(&id).map(|binding| binding.network);
        let held = self.holders.of(id);
        let gone: Vec<_> = held
            .filter(|(address, of)| {
                let holder = self.holders.all.get(&(*of, *address));
                let may_hold = port
                    .zip(holder)
                    .is_some_and(|(port, holder)| port.may_hold(*address, holder.mac));
                network != Some(*of) || !may_hold
            })
            .collect();
        for (address, of) in gone {
            self.holders.remove(of, address);
        }
    }
}
