//! Every match field that Open vSwitch names, declared once as data.
//!
//! A field has one identity here and up to two on the wire: the header that OpenFlow 1.3 peers use in a match or a
//! set-field action (OXM where the standard has one), and the header that Nicira's actions (`move`, `load`, `learn`, …)
//! use, which is the older NXM one where it exists. Both decode to the same [`Field`]. The rows follow ovs-fields(7) and
//! `include/openvswitch/meta-flow.h` of Open vSwitch 3.1; values are right-aligned in a `u128`.
//!
//! Tunnel metadata (`tun_metadata0` … `63`) has no fixed width: its entries are carried as unknown OXM bytes.

use std::fmt;

/// A match field that Open vSwitch knows, e.g. [`Field::ETH_TYPE`].
///
/// Ordered as ovs-fields(7) lists them. `Display` prints the name that `ovs-ofctl` uses in `set_field`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Position);

/// How the value of a field is written in `ovs-ofctl` text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `0x2a`
    Hex,
    /// `42`
    Decimal,
    /// `192.0.2.1`
    Ipv4,
    /// `2001:db8::1`
    Ipv6,
    /// `fa:16:3e:00:00:01`
    Mac,
    /// A port number or a reserved port's name.
    Port,
    /// `+est-rel`
    CtState,
    /// `+syn-ack`
    TcpFlags,
    /// `oam`
    TunFlags,
    /// `no`, `yes`, `first`, `later`, `not_later`
    Frag,
    /// `(namespace,type)`
    PacketType,
}

/// What else a match must say before it may use a field (ovs-fields(7), "Prerequisites").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// Nothing.
    None,
    /// `ct_state` of a valid connection, e.g. `+trk-inv`.
    Ct,
    /// A VLAN tag.
    Vlan,
    /// `eth_type` 0x8847 or 0x8848.
    Mpls,
    /// `eth_type=0x800`
    Ipv4,
    /// `eth_type=0x86dd`
    Ipv6,
    /// Either IP version.
    Ip,
    /// `eth_type` 0x806 or 0x8035.
    Arp,
    /// IP with `nw_proto=6`.
    Tcp,
    /// IP with `nw_proto=17`.
    Udp,
    /// IP with `nw_proto=132`.
    Sctp,
    /// IPv4 with `nw_proto=1`.
    Icmpv4,
    /// IPv6 with `nw_proto=58`.
    Icmpv6,
    /// ICMPv6 type 135 or 136 with code 0.
    Nd,
    /// ICMPv6 type 135 with code 0.
    NdSolicit,
    /// ICMPv6 type 136 with code 0.
    NdAdvert,
    /// `eth_type=0x894f`
    Nsh,
}

/// Class, number and (for class 0xffff) experimenter of an OXM/NXM header, without length and mask bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OxmId {
    /// `oxm_class`; 0xffff says that an experimenter id follows the header.
    pub class: u16,
    /// `oxm_field`, 7 bits.
    pub number: u8,
    /// Experimenter id, 0 outside class 0xffff.
    pub experimenter: u32,
}

/// Whether a field may be matched bit by bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Masking {
    Exact,
    Masked,
}

struct Row {
    name: &'static str,
    subfield_name: &'static str,
    oxm: OxmId,
    nxm: Option<OxmId>,
    bytes: u8,
    full_mask: u128,
    bits: u8,
    masking: Masking,
    format: Format,
    prerequisite: Prerequisite,
}

/// Nicira's experimenter id.
pub const NICIRA: u32 = 0x0000_2320;
/// The Open Networking Foundation's experimenter id.
pub const ONF: u32 = 0x4f4e_4600;
const NSH_EXPERIMENTER: u32 = 0x005a_d650;

const fn id(class: u16, number: u8, experimenter: u32) -> OxmId {
    OxmId {
        class,
        number,
        experimenter,
    }
}
const fn nxm0(number: u8) -> OxmId {
    id(0x0000, number, 0)
}
const fn nxm1(number: u8) -> OxmId {
    id(0x0001, number, 0)
}
const fn ericsson(number: u8) -> OxmId {
    id(0x1000, number, 0)
}
const fn of(number: u8) -> OxmId {
    id(0x8000, number, 0)
}
const fn pkt_reg(number: u8) -> OxmId {
    id(0x8001, number, 0)
}
const fn onf(number: u8) -> OxmId {
    id(0xffff, number, ONF)
}
const fn nx(number: u8) -> OxmId {
    id(0xffff, number, NICIRA)
}
const fn nsh(number: u8) -> OxmId {
    id(0xffff, number, NSH_EXPERIMENTER)
}

macro_rules! fields {
    ($($constant:ident: $name:literal, $subfield:literal, $oxm:expr, $nxm:expr, $bytes:literal, $bits:literal, $masking:ident, $format:ident, $prerequisite:ident;)*) => {
        /// A row. An enum, so that what contains a field has room for its own tag there.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Position { $($constant),* }

        /// All fields in the order of the rows.
        const FIELDS: &[Field] = &[$(Field(Position::$constant)),*];

        impl Field {
            $(#[doc = concat!("`", $name, "`, ", stringify!($bits), " bits.")]
            pub const $constant: Field = Field(Position::$constant);)*
        }

        static ROWS: &[Row] = &[$(Row {
            name: $name,
            subfield_name: $subfield,
            oxm: $oxm,
            nxm: $nxm,
            bytes: $bytes,
            full_mask: ones(8 * $bytes),
            bits: $bits,
            masking: Masking::$masking,
            format: Format::$format,
            prerequisite: Prerequisite::$prerequisite,
        }),*];

        /// The same rows for the tables that are computed at compile time.
        const IDS: &[(OxmId, Option<OxmId>)] = &[$(($oxm, $nxm)),*];
    };
}

// constant: name in set_field, name in subfields, header in matches, NXM header where it differs, bytes on the wire, bits
fields! {
    DP_HASH: "dp_hash", "NXM_NX_DP_HASH", nxm1(35), None, 4, 32, Masked, Hex, None;
    RECIRC_ID: "recirc_id", "NXM_NX_RECIRC_ID", nxm1(36), None, 4, 32, Exact, Decimal, None;
    PACKET_TYPE: "packet_type", "OXM_OF_PACKET_TYPE", of(44), None, 4, 32, Exact, PacketType, None;
    CONJ_ID: "conj_id", "NXM_NX_CONJ_ID", nxm1(37), None, 4, 32, Exact, Decimal, None;
    TUN_ID: "tun_id", "NXM_NX_TUN_ID", of(38), Some(nxm1(16)), 8, 64, Masked, Hex, None;
    TUN_SRC: "tun_src", "NXM_NX_TUN_IPV4_SRC", nxm1(31), None, 4, 32, Masked, Ipv4, None;
    TUN_DST: "tun_dst", "NXM_NX_TUN_IPV4_DST", nxm1(32), None, 4, 32, Masked, Ipv4, None;
    TUN_IPV6_SRC: "tun_ipv6_src", "NXM_NX_TUN_IPV6_SRC", nxm1(109), None, 16, 128, Masked, Ipv6, None;
    TUN_IPV6_DST: "tun_ipv6_dst", "NXM_NX_TUN_IPV6_DST", nxm1(110), None, 16, 128, Masked, Ipv6, None;
    TUN_FLAGS: "tun_flags", "NXM_NX_TUN_FLAGS", nxm1(104), None, 2, 1, Masked, TunFlags, None;
    TUN_GBP_ID: "tun_gbp_id", "NXM_NX_TUN_GBP_ID", nxm1(38), None, 2, 16, Masked, Decimal, None;
    TUN_GBP_FLAGS: "tun_gbp_flags", "NXM_NX_TUN_GBP_FLAGS", nxm1(39), None, 1, 8, Masked, Hex, None;
    TUN_ERSPAN_IDX: "tun_erspan_idx", "NXOXM_ET_ERSPAN_IDX", nx(11), None, 4, 20, Masked, Hex, None;
    TUN_ERSPAN_VER: "tun_erspan_ver", "NXOXM_ET_ERSPAN_VER", nx(12), None, 1, 4, Masked, Decimal, None;
    TUN_ERSPAN_DIR: "tun_erspan_dir", "NXOXM_ET_ERSPAN_DIR", nx(13), None, 1, 1, Masked, Decimal, None;
    TUN_ERSPAN_HWID: "tun_erspan_hwid", "NXOXM_ET_ERSPAN_HWID", nx(14), None, 1, 6, Masked, Hex, None;
    TUN_GTPU_FLAGS: "tun_gtpu_flags", "NXOXM_ET_GTPU_FLAGS", nx(15), None, 1, 8, Masked, Hex, None;
    TUN_GTPU_MSGTYPE: "tun_gtpu_msgtype", "NXOXM_ET_GTPU_MSGTYPE", nx(16), None, 1, 8, Masked, Decimal, None;
    METADATA: "metadata", "OXM_OF_METADATA", of(2), None, 8, 64, Masked, Hex, None;
    IN_PORT_NXM: "in_port", "NXM_OF_IN_PORT", nxm0(0), None, 2, 16, Exact, Port, None;
    IN_PORT: "in_port_oxm", "OXM_OF_IN_PORT", of(0), None, 4, 32, Exact, Port, None;
    ACTSET_OUTPUT: "actset_output", "ONFOXM_ET_ACTSET_OUTPUT", onf(43), None, 4, 32, Exact, Port, None;
    PKT_MARK: "pkt_mark", "NXM_NX_PKT_MARK", nxm1(33), None, 4, 32, Masked, Hex, None;
    CT_STATE: "ct_state", "NXM_NX_CT_STATE", nxm1(105), None, 4, 32, Masked, CtState, None;
    CT_ZONE: "ct_zone", "NXM_NX_CT_ZONE", nxm1(106), None, 2, 16, Exact, Hex, None;
    CT_MARK: "ct_mark", "NXM_NX_CT_MARK", nxm1(107), None, 4, 32, Masked, Hex, None;
    CT_LABEL: "ct_label", "NXM_NX_CT_LABEL", nxm1(108), None, 16, 128, Masked, Hex, None;
    CT_NW_PROTO: "ct_nw_proto", "NXM_NX_CT_NW_PROTO", nxm1(119), None, 1, 8, Exact, Decimal, Ct;
    CT_NW_SRC: "ct_nw_src", "NXM_NX_CT_NW_SRC", nxm1(120), None, 4, 32, Masked, Ipv4, Ct;
    CT_NW_DST: "ct_nw_dst", "NXM_NX_CT_NW_DST", nxm1(121), None, 4, 32, Masked, Ipv4, Ct;
    CT_IPV6_SRC: "ct_ipv6_src", "NXM_NX_CT_IPV6_SRC", nxm1(122), None, 16, 128, Masked, Ipv6, Ct;
    CT_IPV6_DST: "ct_ipv6_dst", "NXM_NX_CT_IPV6_DST", nxm1(123), None, 16, 128, Masked, Ipv6, Ct;
    CT_TP_SRC: "ct_tp_src", "NXM_NX_CT_TP_SRC", nxm1(124), None, 2, 16, Masked, Decimal, Ct;
    CT_TP_DST: "ct_tp_dst", "NXM_NX_CT_TP_DST", nxm1(125), None, 2, 16, Masked, Decimal, Ct;
    REG0: "reg0", "NXM_NX_REG0", nxm1(0), None, 4, 32, Masked, Hex, None;
    REG1: "reg1", "NXM_NX_REG1", nxm1(1), None, 4, 32, Masked, Hex, None;
    REG2: "reg2", "NXM_NX_REG2", nxm1(2), None, 4, 32, Masked, Hex, None;
    REG3: "reg3", "NXM_NX_REG3", nxm1(3), None, 4, 32, Masked, Hex, None;
    REG4: "reg4", "NXM_NX_REG4", nxm1(4), None, 4, 32, Masked, Hex, None;
    REG5: "reg5", "NXM_NX_REG5", nxm1(5), None, 4, 32, Masked, Hex, None;
    REG6: "reg6", "NXM_NX_REG6", nxm1(6), None, 4, 32, Masked, Hex, None;
    REG7: "reg7", "NXM_NX_REG7", nxm1(7), None, 4, 32, Masked, Hex, None;
    REG8: "reg8", "NXM_NX_REG8", nxm1(8), None, 4, 32, Masked, Hex, None;
    REG9: "reg9", "NXM_NX_REG9", nxm1(9), None, 4, 32, Masked, Hex, None;
    REG10: "reg10", "NXM_NX_REG10", nxm1(10), None, 4, 32, Masked, Hex, None;
    REG11: "reg11", "NXM_NX_REG11", nxm1(11), None, 4, 32, Masked, Hex, None;
    REG12: "reg12", "NXM_NX_REG12", nxm1(12), None, 4, 32, Masked, Hex, None;
    REG13: "reg13", "NXM_NX_REG13", nxm1(13), None, 4, 32, Masked, Hex, None;
    REG14: "reg14", "NXM_NX_REG14", nxm1(14), None, 4, 32, Masked, Hex, None;
    REG15: "reg15", "NXM_NX_REG15", nxm1(15), None, 4, 32, Masked, Hex, None;
    XREG0: "xreg0", "OXM_OF_PKT_REG0", pkt_reg(0), None, 8, 64, Masked, Hex, None;
    XREG1: "xreg1", "OXM_OF_PKT_REG1", pkt_reg(1), None, 8, 64, Masked, Hex, None;
    XREG2: "xreg2", "OXM_OF_PKT_REG2", pkt_reg(2), None, 8, 64, Masked, Hex, None;
    XREG3: "xreg3", "OXM_OF_PKT_REG3", pkt_reg(3), None, 8, 64, Masked, Hex, None;
    XREG4: "xreg4", "OXM_OF_PKT_REG4", pkt_reg(4), None, 8, 64, Masked, Hex, None;
    XREG5: "xreg5", "OXM_OF_PKT_REG5", pkt_reg(5), None, 8, 64, Masked, Hex, None;
    XREG6: "xreg6", "OXM_OF_PKT_REG6", pkt_reg(6), None, 8, 64, Masked, Hex, None;
    XREG7: "xreg7", "OXM_OF_PKT_REG7", pkt_reg(7), None, 8, 64, Masked, Hex, None;
    XXREG0: "xxreg0", "NXM_NX_XXREG0", nxm1(111), None, 16, 128, Masked, Hex, None;
    XXREG1: "xxreg1", "NXM_NX_XXREG1", nxm1(112), None, 16, 128, Masked, Hex, None;
    XXREG2: "xxreg2", "NXM_NX_XXREG2", nxm1(113), None, 16, 128, Masked, Hex, None;
    XXREG3: "xxreg3", "NXM_NX_XXREG3", nxm1(114), None, 16, 128, Masked, Hex, None;
    ETH_SRC: "eth_src", "NXM_OF_ETH_SRC", of(4), Some(nxm0(2)), 6, 48, Masked, Mac, None;
    ETH_DST: "eth_dst", "NXM_OF_ETH_DST", of(3), Some(nxm0(1)), 6, 48, Masked, Mac, None;
    ETH_TYPE: "eth_type", "NXM_OF_ETH_TYPE", of(5), Some(nxm0(3)), 2, 16, Exact, Hex, None;
    VLAN_TCI: "vlan_tci", "NXM_OF_VLAN_TCI", nxm0(4), None, 2, 16, Masked, Hex, None;
    VLAN_VID: "vlan_vid", "OXM_OF_VLAN_VID", of(6), None, 2, 12, Masked, Decimal, None;
    VLAN_PCP: "vlan_pcp", "OXM_OF_VLAN_PCP", of(7), None, 1, 3, Exact, Decimal, Vlan;
    MPLS_LABEL: "mpls_label", "OXM_OF_MPLS_LABEL", of(34), None, 4, 20, Exact, Decimal, Mpls;
    MPLS_TC: "mpls_tc", "OXM_OF_MPLS_TC", of(35), None, 1, 3, Exact, Decimal, Mpls;
    MPLS_BOS: "mpls_bos", "OXM_OF_MPLS_BOS", of(36), None, 1, 1, Exact, Decimal, Mpls;
    MPLS_TTL: "mpls_ttl", "NXM_NX_MPLS_TTL", nxm1(30), None, 1, 8, Exact, Decimal, Mpls;
    IPV4_SRC: "ip_src", "NXM_OF_IP_SRC", of(11), Some(nxm0(7)), 4, 32, Masked, Ipv4, Ipv4;
    IPV4_DST: "ip_dst", "NXM_OF_IP_DST", of(12), Some(nxm0(8)), 4, 32, Masked, Ipv4, Ipv4;
    IPV6_SRC: "ipv6_src", "NXM_NX_IPV6_SRC", of(26), Some(nxm1(19)), 16, 128, Masked, Ipv6, Ipv6;
    IPV6_DST: "ipv6_dst", "NXM_NX_IPV6_DST", of(27), Some(nxm1(20)), 16, 128, Masked, Ipv6, Ipv6;
    IPV6_LABEL: "ipv6_label", "NXM_NX_IPV6_LABEL", of(28), Some(nxm1(27)), 4, 20, Masked, Hex, Ipv6;
    IP_PROTO: "nw_proto", "NXM_OF_IP_PROTO", of(10), Some(nxm0(6)), 1, 8, Exact, Decimal, Ip;
    NW_TOS: "nw_tos", "NXM_OF_IP_TOS", nxm0(5), None, 1, 8, Exact, Decimal, Ip;
    IP_DSCP: "ip_dscp", "OXM_OF_IP_DSCP", of(8), None, 1, 6, Exact, Decimal, Ip;
    IP_ECN: "nw_ecn", "NXM_NX_IP_ECN", of(9), Some(nxm1(28)), 1, 2, Exact, Decimal, Ip;
    NW_TTL: "nw_ttl", "NXM_NX_IP_TTL", nxm1(29), None, 1, 8, Exact, Decimal, Ip;
    IP_FRAG: "ip_frag", "NXM_NX_IP_FRAG", nxm1(26), None, 1, 2, Masked, Frag, Ip;
    ARP_OP: "arp_op", "NXM_OF_ARP_OP", of(21), Some(nxm0(15)), 2, 16, Exact, Decimal, Arp;
    ARP_SPA: "arp_spa", "NXM_OF_ARP_SPA", of(22), Some(nxm0(16)), 4, 32, Masked, Ipv4, Arp;
    ARP_TPA: "arp_tpa", "NXM_OF_ARP_TPA", of(23), Some(nxm0(17)), 4, 32, Masked, Ipv4, Arp;
    ARP_SHA: "arp_sha", "NXM_NX_ARP_SHA", of(24), Some(nxm1(17)), 6, 48, Masked, Mac, Arp;
    ARP_THA: "arp_tha", "NXM_NX_ARP_THA", of(25), Some(nxm1(18)), 6, 48, Masked, Mac, Arp;
    TCP_SRC: "tcp_src", "NXM_OF_TCP_SRC", of(13), Some(nxm0(9)), 2, 16, Masked, Decimal, Tcp;
    TCP_DST: "tcp_dst", "NXM_OF_TCP_DST", of(14), Some(nxm0(10)), 2, 16, Masked, Decimal, Tcp;
    TCP_FLAGS: "tcp_flags", "NXM_NX_TCP_FLAGS", onf(42), Some(nxm1(34)), 2, 12, Masked, TcpFlags, Tcp;
    UDP_SRC: "udp_src", "NXM_OF_UDP_SRC", of(15), Some(nxm0(11)), 2, 16, Masked, Decimal, Udp;
    UDP_DST: "udp_dst", "NXM_OF_UDP_DST", of(16), Some(nxm0(12)), 2, 16, Masked, Decimal, Udp;
    SCTP_SRC: "sctp_src", "OXM_OF_SCTP_SRC", of(17), None, 2, 16, Masked, Decimal, Sctp;
    SCTP_DST: "sctp_dst", "OXM_OF_SCTP_DST", of(18), None, 2, 16, Masked, Decimal, Sctp;
    ICMPV4_TYPE: "icmp_type", "NXM_OF_ICMP_TYPE", of(19), Some(nxm0(13)), 1, 8, Exact, Decimal, Icmpv4;
    ICMPV4_CODE: "icmp_code", "NXM_OF_ICMP_CODE", of(20), Some(nxm0(14)), 1, 8, Exact, Decimal, Icmpv4;
    ICMPV6_TYPE: "icmpv6_type", "NXM_NX_ICMPV6_TYPE", of(29), Some(nxm1(21)), 1, 8, Exact, Decimal, Icmpv6;
    ICMPV6_CODE: "icmpv6_code", "NXM_NX_ICMPV6_CODE", of(30), Some(nxm1(22)), 1, 8, Exact, Decimal, Icmpv6;
    ND_TARGET: "nd_target", "NXM_NX_ND_TARGET", of(31), Some(nxm1(23)), 16, 128, Masked, Ipv6, Nd;
    ND_SLL: "nd_sll", "NXM_NX_ND_SLL", of(32), Some(nxm1(24)), 6, 48, Masked, Mac, NdSolicit;
    ND_TLL: "nd_tll", "NXM_NX_ND_TLL", of(33), Some(nxm1(25)), 6, 48, Masked, Mac, NdAdvert;
    ND_RESERVED: "nd_reserved", "ERICOXM_OF_ICMPV6_ND_RESERVED", ericsson(1), None, 4, 32, Exact, Decimal, Nd;
    ND_OPTIONS_TYPE: "nd_options_type", "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", ericsson(2), None, 1, 8, Exact, Decimal, Nd;
    NSH_FLAGS: "nsh_flags", "NXOXM_NSH_FLAGS", nsh(1), None, 1, 8, Masked, Decimal, Nsh;
    NSH_MDTYPE: "nsh_mdtype", "NXOXM_NSH_MDTYPE", nsh(2), None, 1, 8, Exact, Decimal, Nsh;
    NSH_NP: "nsh_np", "NXOXM_NSH_NP", nsh(3), None, 1, 8, Exact, Decimal, Nsh;
    NSH_SPI: "nsh_spi", "NXOXM_NSH_SPI", nsh(4), None, 4, 24, Exact, Hex, Nsh;
    NSH_SI: "nsh_si", "NXOXM_NSH_SI", nsh(5), None, 1, 8, Exact, Decimal, Nsh;
    NSH_C1: "nsh_c1", "NXOXM_NSH_C1", nsh(6), None, 4, 32, Masked, Hex, Nsh;
    NSH_C2: "nsh_c2", "NXOXM_NSH_C2", nsh(7), None, 4, 32, Masked, Hex, Nsh;
    NSH_C3: "nsh_c3", "NXOXM_NSH_C3", nsh(8), None, 4, 32, Masked, Hex, Nsh;
    NSH_C4: "nsh_c4", "NXOXM_NSH_C4", nsh(9), None, 4, 32, Masked, Hex, Nsh;
    NSH_TTL: "nsh_ttl", "NXOXM_NSH_TTL", nsh(10), None, 1, 8, Exact, Decimal, Nsh;
}

impl Field {
    /// Register `n` of 32 bits; there are 16, and numbers wrap there.
    pub const fn reg(n: u8) -> Field {
        FIELDS[Self::REG0.0 as usize + (n % 16) as usize]
    }

    /// Extended register `n` of 64 bits (`reg2n` and `reg2n+1`); there are 8, and numbers wrap there.
    pub const fn xreg(n: u8) -> Field {
        FIELDS[Self::XREG0.0 as usize + (n % 8) as usize]
    }

    /// Register `n` of 128 bits (`reg4n` … `reg4n+3`); there are 4, and numbers wrap there.
    pub const fn xxreg(n: u8) -> Field {
        FIELDS[Self::XXREG0.0 as usize + (n % 4) as usize]
    }

    /// All fields in the order of ovs-fields(7).
    pub fn all() -> impl Iterator<Item = Field> {
        FIELDS.iter().copied()
    }

    /// Name in `set_field:VALUE->NAME`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Name in `move:NAME[]->…`, the NXM one where the field has one.
    pub fn subfield_name(self) -> &'static str {
        self.row().subfield_name
    }

    /// Significant bits of the value, as subfields count them.
    pub fn bits(self) -> u16 {
        u16::from(self.row().bits)
    }

    /// Bytes of the value on the wire.
    #[inline]
    pub fn bytes(self) -> usize {
        usize::from(self.row().bytes)
    }

    /// Whether a match may give a mask.
    pub fn maskable(self) -> bool {
        self.row().masking == Masking::Masked
    }

    /// How the value is written as text.
    pub fn format(self) -> Format {
        self.row().format
    }

    /// What a match must say before it may use this field.
    pub fn prerequisite(self) -> Prerequisite {
        self.row().prerequisite
    }

    /// All the bits that the field occupies on the wire: the mask of an exact match.
    #[inline]
    pub fn full_mask(self) -> u128 {
        self.row().full_mask
    }

    /// Bits that a match value may set: the field's own, and `OFPVID_PRESENT` for `vlan_vid` (OpenFlow 1.3.5, 7.2.3.7).
    pub fn match_bits(self) -> u128 {
        if self == Self::VLAN_VID {
            0x1fff
        } else {
            ones(u32::from(self.row().bits))
        }
    }

    /// The header used in matches and set-field.
    pub(crate) fn oxm(self) -> OxmId {
        self.row().oxm
    }

    /// The header used inside Nicira's actions.
    pub(crate) fn nxm(self) -> OxmId {
        let row = self.row();
        row.nxm.unwrap_or(row.oxm)
    }

    /// The field that a header names, by either of its identities.
    #[inline]
    pub fn from_oxm(oxm: OxmId) -> Option<Field> {
        match oxm.class {
            0x8001 | 0x1000 | 0xffff => Self::search(oxm),
            class => Self::from_short_header(class, oxm.number),
        }
    }

    /// The field of one of the three classes that nearly all fields are of.
    #[inline]
    pub(crate) fn from_short_header(class: u16, number: u8) -> Option<Field> {
        let table = match class {
            0x8000 => &BASIC,
            0x0001 => &NXM1,
            0x0000 => &NXM0,
            _ => return None,
        };
        table[usize::from(number & 0x7f)]
    }

    /// Position in the list of all fields, below 128.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    fn search(oxm: OxmId) -> Option<Field> {
        Self::all().find(|field| field.oxm() == oxm)
    }

    #[inline]
    fn row(self) -> &'static Row {
        &ROWS[self.0 as usize]
    }
}

static BASIC: [Option<Field>; 128] = class_table(0x8000);
static NXM0: [Option<Field>; 128] = class_table(0x0000);
static NXM1: [Option<Field>; 128] = class_table(0x0001);

const fn class_table(class: u16) -> [Option<Field>; 128] {
    let mut table = [None; 128];
    let mut position = 0;
    while position < IDS.len() {
        let (oxm, nxm) = IDS[position];
        if oxm.class == class {
            table[oxm.number as usize] = Some(FIELDS[position]);
        }
        if let Some(nxm) = nxm
            && nxm.class == class
        {
            table[nxm.number as usize] = Some(FIELDS[position]);
        }
        position += 1;
    }
    table
}

/// The lowest `bits` bits set.
pub(crate) const fn ones(bits: u32) -> u128 {
    if bits >= 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_leads_back_to_its_field() {
        for field in Field::all() {
            assert_eq!(Field::from_oxm(field.oxm()), Some(field));
            assert_eq!(Field::from_oxm(field.nxm()), Some(field), "{field}");
        }
    }

    #[test]
    fn positions_fit_a_bitmap_of_128() {
        assert!(Field::all().count() <= 128);
    }

    #[test]
    fn registers_are_found_by_number() {
        assert_eq!(Field::reg(15).name(), "reg15");
        assert_eq!(Field::xreg(7).name(), "xreg7");
        assert_eq!(Field::xxreg(3).name(), "xxreg3");
    }

    #[test]
    fn fields_fit_their_bytes() {
        for field in Field::all() {
            assert!(usize::from(field.bits()) <= 8 * field.bytes(), "{field}");
            assert_eq!(field.match_bits() & !field.full_mask(), 0, "{field}");
        }
    }
}
