//! The nouns of Sextant.
//!
//! [`Intent`] is what was asked for, through the API and the configuration. [`Facts`] is what was observed, over OVSDB
//! and OpenFlow. Both are structurally shared maps of immutable values: a clone costs nothing, and comparing two
//! versions costs as much as their difference. [`Punt`] is the reason why a packet comes up from a switch, with
//! everything needed to answer it.
//!
//! Nothing here does IO, reads a clock or makes an id: those are arguments.

#![warn(clippy::must_use_candidate)]

mod address;
mod address_scope;
mod advertisement;
mod chassis;
mod counts;
mod delegation;
mod dhcp_tag;
mod dhcpv4_option;
mod dhcpv4_service;
mod dhcpv6_option;
mod domain_name;
mod endpoints;
mod facts;
mod frame_direction;
mod gateways;
mod ids;
mod intent;
mod ip_version;
mod key;
mod link;
mod mac;
mod machine;
mod metadata;
mod network;
mod nova_port;
mod object;
mod ownership;
mod port;
mod probe;
mod punt;
mod quota;
mod ra_settings;
mod rbac;
mod reassembly;
mod router;
mod security_group;
mod settings;
mod sharding;
mod shortfall;
mod subnet;
mod subnet_pool;
mod withdrawn;

pub use address::{is_link_local, solicited_node};
pub use address_scope::AddressScope;
pub use advertisement::{
    AdvertisedOptions, AdvertisedPrefix, AdvertisedRoute, Advertisement, Pref64, PrefixEnds,
    RouterPreference, UnknownPreference,
};
pub use chassis::{Chassis, Encap, EncapKind, INTEGRATION_BRIDGE, Transport, UnknownEncap};
pub use delegation::Delegation;
pub use dhcp_tag::{ClientTrait, DhcpTag, UnknownTag};
pub use dhcpv4_option::{Dhcpv4Option, Dhcpv4Place, InvalidDhcpv4Option, put_route};
pub use dhcpv4_service::{ClasslessRoute, Dhcpv4Lease, Dhcpv4Service};
pub use dhcpv6_option::{Dhcpv6Option, Dhcpv6Value, InvalidDhcpv6Option, TimeServer};
pub use domain_name::{DomainName, InvalidDomainName};
pub use endpoints::{BadEndpoints, Endpoints};
pub use facts::{AddressHolder, Binding, Facts, Plugged, TunnelState, TunnelWatch, TunnelWatches};
pub use frame_direction::FrameDirection;
pub use gateways::Outside;
pub use ids::{
    AddressScopeId, ChassisId, NetworkId, NetworkKey, ObjectId, PortId, RbacPolicyId, RouterId,
    RouterKey, SecurityGroupId, SecurityGroupRuleId, SubnetId, SubnetPoolId,
};
pub use intent::{IndexedValue, Intent, Membership, Span};
pub use ip_version::{IpVersion, UnknownIpVersion};
pub use key::{Claim, Fact, Key, Mark, ObjectKey};
pub use link::{AdvertisedLink, RaInterval, Speaker, Uplink};
pub use mac::{InvalidMac, MacAddr};
pub use machine::Machine;
pub use metadata::{
    METADATA_INTERFACE, METADATA_IPV4, METADATA_IPV4_PREFIX, METADATA_IPV6, METADATA_LISTENER_IPV4,
    METADATA_LISTENER_PORT, METADATA_MAC, METADATA_PORT, MetadataClient, metadata_addresses,
    metadata_key,
};
pub use network::{Network, NetworkType};
pub use nova_port::{KnownPlug, NovaPort};
pub use object::{Change, Meta, Object, ServerIdentity};
pub use ownership::{ControllerName, Ownership};
pub use port::{
    AddressPair, DhcpOption, FixedIp, InactiveBinding, Port, ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNER, in_domain,
};
pub use probe::{PROBE_ETHERTYPE, PROBE_KEY, PROBE_MAC};
pub use punt::{
    Asker, Dhcpv6Options, Dhcpv6Service, GroupMember, IcmpError, KnownNeighbor, LeasedAddress,
    Problem, Punt,
};
pub use quota::{Counted, DefaultQuotas, ProjectQuota};
pub use ra_settings::{AdvertisedRoutes, RaFault, RaSettings, RaTagError, RaValueError};
pub use rbac::{EVERY_PROJECT, RbacAction, RbacObject, RbacPolicy};
pub use reassembly::Reassembly;
pub use router::{ExternalGateway, Router};
pub use security_group::{
    DEFAULT_SECURITY_GROUP, Direction, GroupNumber, MemberAddress, RemoteEnd, RuleProtocol,
    SecurityGroup, SecurityGroupRule,
};
pub use settings::{ExternalSettings, Publish, Settings, UnknownPublish};
pub use sharding::{Sharded, Sharding};
pub use shortfall::{Answering, Capability, Refusal, Shortfall};
pub use subnet::{
    AllocationPool, HostRoute, Ipv6Mode, PROVISIONAL_PREFIX, PrefixSource, Subnet, UnknownMode,
};
pub use subnet_pool::SubnetPool;
pub use withdrawn::{GONE_VALID, WITHDRAWN_FOR, Withdrawn, WithdrawnPrefix};
