//! A match as text, in the order in which `match_format()` of `lib/match.c` prints it.
//!
//! Open vSwitch prints the packet's layout, not the fields that were given: extended registers come out as the registers
//! they are made of, VLAN fields as the tag they are in.

use std::fmt::{self, Display, Formatter, Write};

use super::values::{self, Hex, Masked};
use crate::fields::{Field, Format};
use crate::matches::{Entry, FieldMatch, Match};
use crate::numbers::PortNo;
use crate::oxm::UnknownOxm;

/// The priority that a flow has when none is given, which is not printed.
pub(super) const DEFAULT_PRIORITY: u16 = 32768;

impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self, DEFAULT_PRIORITY))
    }
}

/// The match with its flow's priority; empty for a match of everything with the default priority.
pub(super) fn describe(matches: &Match, priority: u16) -> String {
    let mut terms = Terms {
        matches,
        text: String::new(),
    };
    if priority != DEFAULT_PRIORITY {
        terms.put("priority", priority);
    }
    terms.metadata_before_protocol();
    terms.protocol();
    terms.registers();
    terms.tunnel();
    terms.get(Field::METADATA, "metadata");
    terms.in_port();
    terms.vlan();
    terms.ethernet();
    terms.network();
    terms.transport();
    terms.unknown();
    terms.text.pop();
    terms.text
}

/// Collects `name=value,` terms.
struct Terms<'a> {
    matches: &'a Match,
    text: String,
}

impl Terms<'_> {
    fn put(&mut self, name: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{name}={value},");
    }

    fn word(&mut self, word: &str) {
        self.text.push_str(word);
        self.text.push(',');
    }

    fn find(&self, field: Field) -> Option<FieldMatch> {
        self.matches.get(field)
    }

    fn value(&self, field: Field) -> Option<u128> {
        self.matches.value(field)
    }

    /// The field by its own format.
    fn get(&mut self, field: Field, name: &str) {
        if let Some(FieldMatch { value, mask, .. }) = self.find(field) {
            self.put(name, Masked::of(field, value, mask));
        }
    }

    /// The field in hexadecimal.
    fn hex(&mut self, field: Field, name: &str) {
        if let Some(FieldMatch { value, mask, .. }) = self.find(field) {
            let full = field.full_mask();
            self.put(
                name,
                Masked {
                    format: Format::Hex,
                    value,
                    mask,
                    full,
                },
            );
        }
    }

    /// The field in decimal, but in hexadecimal where it has a mask.
    fn number(&mut self, field: Field, name: &str) {
        match self.find(field) {
            Some(entry) if entry.is_exact() => self.put(name, entry.value),
            Some(entry) => self.put(name, format_args!("{:#x}/{:#x}", entry.value, entry.mask)),
            None => {}
        }
    }

    fn metadata_before_protocol(&mut self) {
        self.hex(Field::PKT_MARK, "pkt_mark");
        self.hex(Field::RECIRC_ID, "recirc_id");
        self.hex(Field::DP_HASH, "dp_hash");
        self.number(Field::CONJ_ID, "conj_id");
        self.get(Field::ACTSET_OUTPUT, "actset_output");
        self.get(Field::CT_STATE, "ct_state");
        self.number(Field::CT_ZONE, "ct_zone");
        self.hex(Field::CT_MARK, "ct_mark");
        self.hex(Field::CT_LABEL, "ct_label");
        self.get(Field::CT_NW_SRC, "ct_nw_src");
        self.get(Field::CT_IPV6_SRC, "ct_ipv6_src");
        self.get(Field::CT_NW_DST, "ct_nw_dst");
        self.get(Field::CT_IPV6_DST, "ct_ipv6_dst");
        self.number(Field::CT_NW_PROTO, "ct_nw_proto");
        self.number(Field::CT_TP_SRC, "ct_tp_src");
        self.number(Field::CT_TP_DST, "ct_tp_dst");
        if let Some(entry) = self
            .find(Field::PACKET_TYPE)
            .filter(|entry| entry.value != 0)
        {
            self.word(&Masked::of(entry.field, entry.value, entry.mask).to_string());
        }
    }

    fn eth_type(&self) -> Option<u128> {
        self.value(Field::ETH_TYPE)
    }

    /// `icmp6`, `arp`, … for Ethertype and protocol together.
    fn protocol(&mut self) {
        let word = match (self.eth_type(), self.value(Field::IP_PROTO)) {
            (Some(0x0800), Some(1)) => "icmp",
            (Some(0x0800), Some(6)) => "tcp",
            (Some(0x0800), Some(17)) => "udp",
            (Some(0x0800), Some(132)) => "sctp",
            (Some(0x0800), _) => "ip",
            (Some(0x86dd), Some(58)) => "icmp6",
            (Some(0x86dd), Some(6)) => "tcp6",
            (Some(0x86dd), Some(17)) => "udp6",
            (Some(0x86dd), Some(132)) => "sctp6",
            (Some(0x86dd), _) => "ipv6",
            (Some(0x0806), _) => "arp",
            (Some(0x8035), _) => "rarp",
            (Some(0x8847), _) => "mpls",
            (Some(0x8848), _) => "mplsm",
            _ => return,
        };
        self.word(word);
    }

    fn registers(&mut self) {
        for number in 0..16 {
            let (value, mask) = self.register(number);
            if mask != 0 {
                self.put(
                    &format!("reg{number}"),
                    Masked {
                        format: Format::Hex,
                        value,
                        mask,
                        full: 0xffff_ffff,
                    },
                );
            }
        }
    }

    /// What is said of a register by its own name or those of the extended registers it is part of.
    fn register(&self, number: u8) -> (u128, u128) {
        let places = [
            (Field::reg(number), 0),
            (Field::xreg(number / 2), 32 * (1 - number % 2)),
            (Field::xxreg(number / 4), 32 * (3 - number % 4)),
        ];
        places
            .into_iter()
            .filter_map(|(field, shift)| {
                let entry = self.find(field)?;
                Some([entry.value, entry.mask].map(|bits| bits >> shift & 0xffff_ffff))
            })
            .fold((0, 0), |(value, mask), [more, also]| {
                (value | more, mask | also)
            })
    }

    fn tunnel(&mut self) {
        self.get(Field::TUN_ID, "tun_id");
        self.get(Field::TUN_SRC, "tun_src");
        self.get(Field::TUN_DST, "tun_dst");
        self.get(Field::TUN_IPV6_SRC, "tun_ipv6_src");
        self.get(Field::TUN_IPV6_DST, "tun_ipv6_dst");
        self.number(Field::TUN_GBP_ID, "tun_gbp_id");
        if let Some(entry) = self.find(Field::TUN_GBP_FLAGS) {
            self.put("tun_gbp_flags", Hex(entry.value));
        }
        self.tunnel_kinds();
        if let Some(entry) = self.find(Field::TUN_FLAGS) {
            let mut text = String::new();
            // Open vSwitch keeps more flags than can be matched, so that its mask is never full.
            let _ = values::flags(
                &mut text,
                values::TUN_FLAGS,
                entry.value,
                entry.mask & 1,
                0xf,
            );
            self.put("tun_flags", text);
        }
    }

    /// Fields of ERSPAN and GTP-U, whose masks are not printed.
    fn tunnel_kinds(&mut self) {
        let version = self.find(Field::TUN_ERSPAN_VER).map(|entry| entry.value);
        self.put_decimal(Field::TUN_ERSPAN_VER, "tun_erspan_ver");
        if version == Some(1) {
            self.put_hex(Field::TUN_ERSPAN_IDX, "tun_erspan_idx");
        }
        if version == Some(2) {
            self.put_decimal(Field::TUN_ERSPAN_DIR, "tun_erspan_dir");
            self.put_hex(Field::TUN_ERSPAN_HWID, "tun_erspan_hwid");
        }
        self.put_hex(Field::TUN_GTPU_FLAGS, "gtpu_flags");
        self.put_decimal(Field::TUN_GTPU_MSGTYPE, "gtpu_msgtype");
    }

    fn put_decimal(&mut self, field: Field, name: &str) {
        if let Some(entry) = self.find(field) {
            self.put(name, entry.value);
        }
    }

    fn put_hex(&mut self, field: Field, name: &str) {
        if let Some(entry) = self.find(field) {
            self.put(name, Hex(entry.value));
        }
    }

    fn in_port(&mut self) {
        self.get(Field::IN_PORT_NXM, "in_port");
        if let Some(entry) = self.find(Field::IN_PORT) {
            self.put("in_port", PortNo(entry.value as u32));
        }
    }

    /// The value and the mask of some of the tag's bits, shifted to where they are in the tag.
    fn tag_part(&self, field: Field, bits: u128, shift: u32) -> (u128, u128) {
        self.find(field).map_or((0, 0), |entry| {
            ((entry.value & bits) << shift, (entry.mask & bits) << shift)
        })
    }

    /// The tag's 16 bits: priority, presence, VLAN id.
    fn vlan(&mut self) {
        let parts = [
            self.tag_part(Field::VLAN_TCI, 0xffff, 0),
            self.tag_part(Field::VLAN_VID, 0x1fff, 0),
            self.tag_part(Field::VLAN_PCP, 7, 13),
        ];
        let (value, mut mask) = parts
            .into_iter()
            .fold((0, 0), |(v, m), (value, mask)| (v | value, m | mask));
        if mask == 0 {
            return;
        }
        // A match on the priority implies a tag.
        let implied = if self.find(Field::VLAN_PCP).is_some() {
            0x1000
        } else {
            0
        };
        mask |= implied;
        self.tag(value | implied, mask);
    }

    fn tag(&mut self, value: u128, mask: u128) {
        let (vid, pcp) = (mask & 0x0fff, mask & 0xe000);
        let plain = matches!(vid, 0 | 0xfff) && matches!(pcp, 0 | 0xe000) && vid | pcp != 0;
        if plain && mask & value & 0x1000 != 0 {
            if vid != 0 {
                self.put("dl_vlan", value & 0xfff);
            }
            if pcp != 0 {
                self.put("dl_vlan_pcp", value >> 13);
            }
        } else if mask == 0xffff {
            self.put("vlan_tci", format_args!("{value:#06x}"));
        } else {
            self.put("vlan_tci", format_args!("{value:#06x}/{mask:#06x}"));
        }
    }

    fn ethernet(&mut self) {
        self.get(Field::ETH_SRC, "dl_src");
        self.get(Field::ETH_DST, "dl_dst");
        let named = [0x0800, 0x86dd, 0x0806, 0x8035, 0x8847, 0x8848];
        if let Some(other) = self.eth_type().filter(|kind| !named.contains(kind)) {
            self.put("dl_type", format_args!("{other:#06x}"));
        }
    }

    fn network(&mut self) {
        self.get(Field::IPV6_SRC, "ipv6_src");
        self.get(Field::IPV6_DST, "ipv6_dst");
        match self.find(Field::IPV6_LABEL) {
            Some(entry) if entry.is_exact() => {
                self.put("ipv6_label", format_args!("{:#07x}", entry.value))
            }
            Some(entry) => self.put(
                "ipv6_label",
                format_args!("{:#07x}/{:#07x}", entry.value, entry.mask),
            ),
            None => {}
        }
        self.get(Field::ARP_SPA, "arp_spa");
        self.get(Field::ARP_TPA, "arp_tpa");
        self.network_service_header();
        self.get(Field::IPV4_SRC, "nw_src");
        self.get(Field::IPV4_DST, "nw_dst");
        self.number(Field::ARP_OP, "arp_op");
        self.ip_protocol();
        self.get(Field::ARP_SHA, "arp_sha");
        self.get(Field::ARP_THA, "arp_tha");
        self.ip_header();
        self.mpls();
        if let Some(entry) = self.find(Field::IP_FRAG) {
            self.put("nw_frag", values::fragment(entry.value & 3, entry.mask & 3));
        }
    }

    fn network_service_header(&mut self) {
        match self.find(Field::NSH_FLAGS) {
            Some(entry) if !entry.is_exact() => {
                let (value, mask) = (entry.value, entry.mask);
                self.put("nsh_flags", format_args!("{value:#04x}/{mask:#04x}"));
            }
            _ => self.number(Field::NSH_FLAGS, "nsh_flags"),
        }
        self.number(Field::NSH_TTL, "nsh_ttl");
        self.number(Field::NSH_MDTYPE, "nsh_mdtype");
        self.number(Field::NSH_NP, "nsh_np");
        if let Some(entry) = self.find(Field::NSH_SPI) {
            self.put("nsh_spi", format_args!("{:#x}", entry.value));
        }
        self.number(Field::NSH_SI, "nsh_si");
        let contexts = [
            (Field::NSH_C1, "nsh_c1"),
            (Field::NSH_C2, "nsh_c2"),
            (Field::NSH_C3, "nsh_c3"),
            (Field::NSH_C4, "nsh_c4"),
        ];
        for (field, name) in contexts {
            match self.find(field) {
                Some(entry) if entry.is_exact() => {
                    self.put(name, format_args!("{:#x}", entry.value))
                }
                Some(entry) => self.put(name, format_args!("{:#x}/{:#x}", entry.value, entry.mask)),
                None => {}
            }
        }
    }

    /// A protocol that the first word did not name.
    fn ip_protocol(&mut self) {
        let named: &[u128] = match self.eth_type() {
            Some(0x0800) => &[1, 6, 17, 132],
            Some(0x86dd) => &[58, 6, 17, 132],
            _ => &[],
        };
        if let Some(protocol) = self
            .value(Field::IP_PROTO)
            .filter(|protocol| !named.contains(protocol))
        {
            self.put("nw_proto", protocol);
        }
    }

    fn ip_header(&mut self) {
        if let Some(entry) = self.find(Field::IP_DSCP) {
            self.put("nw_tos", entry.value << 2);
        }
        if let Some(entry) = self.find(Field::NW_TOS) {
            self.put("nw_tos", entry.value & 0xfc);
        }
        self.number(Field::IP_ECN, "nw_ecn");
        self.number(Field::NW_TTL, "nw_ttl");
    }

    fn mpls(&mut self) {
        self.number(Field::MPLS_LABEL, "mpls_label");
        self.number(Field::MPLS_TC, "mpls_tc");
        self.number(Field::MPLS_TTL, "mpls_ttl");
        self.number(Field::MPLS_BOS, "mpls_bos");
    }

    fn transport(&mut self) {
        self.number(Field::ICMPV4_TYPE, "icmp_type");
        self.number(Field::ICMPV4_CODE, "icmp_code");
        self.number(Field::ICMPV6_TYPE, "icmp_type");
        self.number(Field::ICMPV6_CODE, "icmp_code");
        self.get(Field::ND_TARGET, "nd_target");
        self.get(Field::ND_SLL, "nd_sll");
        self.get(Field::ND_TLL, "nd_tll");
        self.number(Field::ND_RESERVED, "nd_reserved");
        self.number(Field::ND_OPTIONS_TYPE, "nd_options_type");
        [Field::TCP_SRC, Field::UDP_SRC, Field::SCTP_SRC]
            .into_iter()
            .for_each(|field| self.number(field, "tp_src"));
        [Field::TCP_DST, Field::UDP_DST, Field::SCTP_DST]
            .into_iter()
            .for_each(|field| self.number(field, "tp_dst"));
        self.get(Field::TCP_FLAGS, "tcp_flags");
    }

    fn unknown(&mut self) {
        let unknown: Vec<_> = self
            .matches
            .entries()
            .iter()
            .filter_map(unnamed)
            .cloned()
            .collect();
        unknown.iter().for_each(|entry| self.unknown_entry(entry));
    }

    fn unknown_entry(&mut self, entry: &UnknownOxm) {
        let (header, body) = entry.bytes().split_at(4);
        match (&header[..2], header[2] >> 1) {
            ([0, 1], number @ 40..=103) => {
                let name = format!("tun_metadata{}", number - 40);
                let (value, mask) = body.split_at(if header[2] & 1 == 1 {
                    body.len() / 2
                } else {
                    body.len()
                });
                let spelled = if mask.is_empty() {
                    String::new()
                } else {
                    format!("/{}", bytes_in_hex(mask))
                };
                self.put(&name, format_args!("{}{spelled}", bytes_in_hex(value)));
            }
            _ => self.put("oxm", values::Dotted(entry.bytes())),
        }
    }
}

fn unnamed(entry: &Entry) -> Option<&UnknownOxm> {
    match entry {
        Entry::Unknown(found) => Some(found),
        Entry::Field(_) => None,
    }
}

/// Bytes as one number.
fn bytes_in_hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match digits.trim_start_matches('0') {
        "" => Hex(0).to_string(),
        digits => format!("0x{digits}"),
    }
}
