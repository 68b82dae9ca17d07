//! IPv4 of guests behind the address of their router's gateway (`enable_snat`, RFC 3022). IPv6 is never translated.

use crate::exit::Gateway;
use crate::pipeline::Stage;
use rust_openflow::{Action, Ct, Nat, NatKind, Zone};
use std::net::Ipv4Addr;

/// Zones of routers are above those of guests' ports, whose OpenFlow ports have low numbers.
const ZONES: u16 = 0x8000;

/// How a router translates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation {
    /// The address that outside stands for all guests.
    pub(super) address: Ipv4Addr,
    zone: u16,
}

/// How a router translates, if it does.
pub(super) fn of(gateway: &Gateway<'_>) -> Option<Translation> {
    let wanted = gateway.router.external_gateway?.enable_snat;
    let (_, address) = gateway.port.ipv4_addresses().next().filter(|_| wanted)?;
    let zone = ZONES | (gateway.router.key.0 & u32::from(!ZONES)) as u16;
    Some(Translation { address, zone })
}

impl Translation {
    /// What a guest sends gets the gateway's address, and goes on to that stage.
    pub(super) fn outwards(self, next: Stage) -> Action {
        Action::Ct(Ct {
            commit: true,
            exec: vec![Action::Nat(Nat::to(NatKind::Source, self.address))],
            ..self.track(next)
        })
    }

    /// What answers it gets the guest's address back.
    pub(super) fn inwards(self, next: Stage) -> Action {
        Action::Ct(Ct {
            exec: vec![Action::Nat(Nat::default())],
            ..self.track(next)
        })
    }

    fn track(self, next: Stage) -> Ct {
        Ct {
            zone: Zone::Value(self.zone),
            table: Some(next.table()),
            ..Ct::default()
        }
    }
}
