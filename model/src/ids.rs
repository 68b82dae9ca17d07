//! Typed identifiers: an id of one kind of object never stands for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// The id of a kind of object that the API lists.
pub trait ObjectId: Copy + Ord + From<Uuid> + Into<Uuid> + Send + Sync + 'static {
    /// The name of its type, which differs from kind to kind.
    const NAME: &'static str;
    /// The smallest id, where a range over ids begins.
    const MIN: Self;
    /// The largest id, where a range over ids ends.
    const MAX: Self;
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The smallest id, where a range over ids begins.
            pub const MIN: Self = Self(Uuid::nil());
            /// The largest id, where a range over ids ends.
            pub const MAX: Self = Self(Uuid::max());
        }

        impl ObjectId for $name {
            const NAME: &'static str = stringify!($name);
            const MIN: Self = Self::MIN;
            const MAX: Self = Self::MAX;
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

uuid_id! {
    /// A network: one broadcast domain of the cloud.
    NetworkId
    /// A subnet: one prefix of a network.
    SubnetId
    /// A port: one attachment to a network, of a guest or of a router. The `iface-id` of its interface.
    PortId
    /// A router between networks.
    RouterId
    /// A pool of prefixes from which subnets are taken.
    SubnetPoolId
    /// A scope within which the addresses of subnet pools are unique.
    AddressScopeId
    /// A security group: a set of rules that ports are put under.
    SecurityGroupId
    /// A rule of a security group.
    SecurityGroupRuleId
    /// A policy that lets other projects use an object.
    RbacPolicyId
}

macro_rules! number_key {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

number_key! {
    /// The number of a network on the wire (VNI, GRE key) and in the pipeline's network register. 24 bits, unique in
    /// the cloud; `provider:segmentation_id` of a tunnelled network.
    NetworkKey
    /// The number of a router in the pipeline's router register. 24 bits, unique in the cloud, never on the wire.
    RouterKey
}

/// A hypervisor, by the `external_ids:system-id` of its Open vSwitch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChassisId(Arc<str>);

impl ChassisId {
    /// The chassis of this `system-id`.
    #[must_use]
    pub fn new(system_id: &str) -> Self {
        Self(system_id.into())
    }

    /// The `system-id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChassisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChassisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChassisId({})", self.0)
    }
}
