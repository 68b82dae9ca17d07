//! What meters let through: of what each guest sends up, and of what comes in in fragments.
//!
//! A datapath puts fragments together for at most 15 s, Open vSwitch's (`IPF_FRAG_LIST_TIMEOUT` in its `lib/ipf.c`), or 60 s,
//! the kernel's (RFC 8200 §4.5). What passes a meter in that time is the burst and so many seconds of the rate.

use crate::snapshot::Snapshot;
use rust_openflow::multipart::MeterConfig;
use rust_openflow::{Band, Message, MeterCommand, MeterFlags, MeterMod};
use sextant_flows::{is_of_captures, is_of_fragments};
use sextant_model::{ChassisId, Reassembly, Settings};

/// The meters of a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meters {
    punts: MeterMod,
    fragments: MeterMod,
    captures: MeterMod,
}

/// Frames a second of a captured port that come up, and at once.
const CAPTURED: (u32, u32) = (500, 500);

impl Meters {
    /// As the configuration and the hypervisor's connection tracker have them.
    pub(super) fn of(snapshot: &Snapshot, chassis: &ChassisId) -> Self {
        let known = snapshot.facts.chassis().get(chassis);
        let reassembly = known.map(|chassis| chassis.reassembly);
        Self::new(&snapshot.intent.settings, reassembly.unwrap_or_default())
    }

    pub(super) fn new(settings: &Settings, reassembly: Reassembly) -> Self {
        let (rate, burst) = limits(reassembly);
        let fragments = MeterMod {
            flags: MeterFlags::KBPS | MeterFlags::BURST | MeterFlags::STATS,
            bands: vec![Band::Drop { rate, burst }],
            ..MeterMod::packet_rate(0, rate, burst)
        };
        Self {
            punts: MeterMod::packet_rate(0, settings.punt_rate, settings.punt_burst),
            fragments,
            captures: MeterMod::packet_rate(0, CAPTURED.0, CAPTURED.1),
        }
    }

    /// The message that makes a meter.
    pub(super) fn add(&self, meter: u32) -> MeterMod {
        MeterMod {
            meter,
            ..self.usual(meter).clone()
        }
    }

    /// Messages that make these meters, which a switch has as they were to be before, what they should be.
    pub(super) fn follow(
        &self,
        before: &Self,
        present: impl IntoIterator<Item = u32>,
    ) -> Vec<Message> {
        let present = present.into_iter();
        let differ = present.filter(|meter| self.usual(*meter) != before.usual(*meter));
        differ.map(|meter| self.modify(meter)).collect()
    }

    /// Messages that make meters which a switch has what they should be.
    pub(super) fn correct<'a>(
        &self,
        present: impl IntoIterator<Item = &'a MeterConfig>,
    ) -> Vec<Message> {
        let present = present.into_iter();
        let differ = present.filter(|present| {
            let right = self.usual(present.meter);
            (present.flags, &present.bands) != (right.flags, &right.bands)
        });
        differ.map(|present| self.modify(present.meter)).collect()
    }

    fn modify(&self, meter: u32) -> Message {
        Message::MeterMod(MeterMod {
            command: MeterCommand::Modify,
            ..self.add(meter)
        })
    }

    /// What a meter is like, whatever its number.
    fn usual(&self, meter: u32) -> &MeterMod {
        if is_of_captures(meter) {
            &self.captures
        } else if is_of_fragments(meter) {
            &self.fragments
        } else {
            &self.punts
        }
    }
}

/// Kilobits a second, and at once, of the fragments that come in by one port, or are put together in one zone.
fn limits(reassembly: Reassembly) -> (u32, u32) {
    match reassembly {
        // 1.8 MB a minute and 0.5 MB at once, of the 4 MB that the kernel has (net.netfilter.nf_conntrack_frag6_high_thresh).
        Reassembly::Kernel => (240, 4000),
        // Some 400 fragments of an ordinary link at a time, of the 1000 that ovs-vswitchd has.
        Reassembly::Userspace => (240, 1000),
        // 63,250 octets with their headers: in no 15 s do so many pass as end ovs-vswitchd, in however many fragments.
        Reassembly::Flawed => (6, 416),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What passes in the time for which fragments are kept, in octets.
    fn most(reassembly: Reassembly, seconds: u32) -> u32 {
        let (rate, burst) = limits(reassembly);
        (burst + rate * seconds) * 1000 / 8
    }

    #[test]
    fn where_a_long_packet_ends_the_switch_none_gets_so_long() {
        const FATAL: u32 = 65_529;
        assert!(most(Reassembly::Flawed, 17) < FATAL);
        let large_pings = 5 * (9008 + 7 * 62);
        assert!(limits(Reassembly::Flawed).1 * 1000 / 8 > large_pings);
    }

    #[test]
    fn one_port_does_not_take_all_that_there_is_for_fragments() {
        let smallest = 1280;
        assert!(most(Reassembly::Userspace, 15) / smallest < 500);
        assert!(most(Reassembly::Kernel, 60) < 3 << 20);
    }

    #[test]
    fn a_meter_that_is_another_is_corrected() {
        let meters = Meters::new(&Settings::default(), Reassembly::Flawed);
        let present = |meter: u32, like: u32| {
            let MeterMod { flags, bands, .. } = meters.add(like);
            MeterConfig {
                flags,
                meter,
                bands,
            }
        };
        let of_fragments = 1 << 17 | 11;
        let right = [present(11, 11), present(of_fragments, of_fragments)];
        assert!(meters.correct(&right).is_empty());
        assert_eq!(meters.correct(&[present(of_fragments, 11)]).len(), 1);
    }

    #[test]
    fn what_the_connection_tracker_turns_out_to_be_changes_meters_of_fragments() {
        let before = Meters::new(&Settings::default(), Reassembly::default());
        let after = Meters::new(&Settings::default(), Reassembly::Flawed);
        let of_fragments = 1 << 17 | 11;
        let right = MeterMod {
            command: MeterCommand::Modify,
            ..after.add(of_fragments)
        };
        let followed = after.follow(&before, [11, of_fragments]);
        assert_eq!(followed, [Message::MeterMod(right)]);
        assert!(before.follow(&before, [11, of_fragments]).is_empty());
    }
}
