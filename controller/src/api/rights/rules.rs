//! The rules themselves.

use super::{Policy, Protected, Reference, Who};
use sextant_model::{AddressScopeId, NetworkId, RbacObject, SecurityGroupId, SubnetPoolId};

const ADMIN: Who = Who::ADMIN;
const ADMIN_OR_SERVICE: Who = ADMIN.or(Who::SERVICE);
const ADMIN_OR_MEMBER: Who = ADMIN.or(Who::MEMBER);
const ADMIN_OR_READER: Who = ADMIN.or(Who::READER);
const ADMIN_OR_PARENT_MEMBER: Who = ADMIN.or(Who::PARENT_MEMBER);
const ADMIN_OR_PARENT_READER: Who = ADMIN.or(Who::PARENT_READER);
const ANYONE: Who = Who::ANYONE;

/// An attribute that only admins give.
const fn admins(name: &'static str) -> Protected {
    given_by(name, ADMIN, ADMIN)
}

const fn given_by(name: &'static str, create: Who, update: Who) -> Protected {
    Protected {
        name,
        within: None,
        has_default: false,
        create,
        read: ANYONE,
        update,
    }
}

const fn within(name: &'static str, within: &'static str, create: Who, update: Who) -> Protected {
    Protected {
        within: Some(within),
        ..given_by(name, create, update)
    }
}

impl Protected {
    const fn with_default(self) -> Self {
        Self {
            has_default: true,
            ..self
        }
    }

    const fn read_by(self, read: Who) -> Self {
        Self { read, ..self }
    }
}

const fn refers(name: &'static str, object: fn(uuid::Uuid) -> RbacObject) -> Reference {
    Reference {
        name,
        within: None,
        object,
    }
}

/// On a network of the own project, or as a service.
const NET_MEMBER: Who = ADMIN_OR_SERVICE.or(Who::PARENT_MEMBER);

const POLICIES: &[Policy] = &[
    Policy {
        resource: "network",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER
            .or(Who::SERVICE)
            .or(Who::SHARED)
            .or(Who::EXTERNAL),
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[
            admins("shared").with_default(),
            admins("router:external").with_default(),
            admins("is_default").with_default(),
            given_by("port_security_enabled", ADMIN_OR_MEMBER, ADMIN_OR_MEMBER),
            admins("segments").read_by(ADMIN),
            admins("provider:network_type").read_by(ADMIN),
            admins("provider:physical_network").read_by(ADMIN),
            admins("provider:segmentation_id").read_by(ADMIN),
        ],
        references: &[],
    },
    Policy {
        resource: "subnet",
        create: ADMIN_OR_PARENT_MEMBER,
        read: ADMIN_OR_READER
            .or(Who::PARENT_READER)
            .or(Who::SERVICE)
            .or(Who::SHARED)
            .or(Who::EXTERNAL),
        update: ADMIN_OR_PARENT_MEMBER.or(Who::MEMBER),
        delete: ADMIN_OR_PARENT_MEMBER.or(Who::MEMBER),
        attributes: &[
            // Neutron has a rule for `service_types`, too, but does not enforce it.
            admins("segment_id").with_default().read_by(ADMIN),
        ],
        references: &[refers("subnetpool_id", |id| {
            RbacObject::SubnetPool(SubnetPoolId(id))
        })],
    },
    Policy {
        resource: "port",
        create: NET_MEMBER.or(Who::SHARED),
        read: ADMIN_OR_READER.or(Who::PARENT_READER).or(Who::SERVICE),
        update: ADMIN_OR_MEMBER.or(Who::SERVICE),
        delete: NET_MEMBER.or(Who::MEMBER),
        attributes: &[
            given_by(
                "mac_address",
                NET_MEMBER,
                ADMIN_OR_SERVICE.or(Who::PARENT_MANAGER),
            ),
            given_by("fixed_ips", NET_MEMBER.or(Who::SHARED), NET_MEMBER),
            within("fixed_ips", "ip_address", NET_MEMBER, NET_MEMBER),
            within(
                "fixed_ips",
                "subnet_id",
                NET_MEMBER.or(Who::SHARED),
                NET_MEMBER.or(Who::SHARED),
            ),
            given_by(
                "device_id",
                ADMIN_OR_MEMBER.or(Who::SERVICE),
                ADMIN_OR_MEMBER.or(Who::SERVICE),
            )
            .with_default(),
            given_by(
                "device_owner",
                NET_MEMBER.or(Who::NO_NETWORK_DEVICE),
                NET_MEMBER.or(Who::NO_NETWORK_DEVICE),
            )
            .with_default(),
            given_by("binding:host_id", ADMIN_OR_SERVICE, ADMIN_OR_SERVICE)
                .read_by(ADMIN_OR_SERVICE),
            // Neutron's default is for services alone, in front of which stands Nova; here admins plug as well.
            given_by("binding:profile", ADMIN_OR_SERVICE, ADMIN_OR_SERVICE)
                .read_by(ADMIN_OR_SERVICE),
            given_by(
                "binding:vnic_type",
                ADMIN_OR_MEMBER.or(Who::SERVICE),
                ADMIN_OR_MEMBER.or(Who::SERVICE),
            ),
            given_by("binding:vif_type", ANYONE, ANYONE).read_by(ADMIN_OR_SERVICE),
            given_by("binding:vif_details", ANYONE, ANYONE).read_by(ADMIN_OR_SERVICE),
            given_by("allowed_address_pairs", NET_MEMBER, NET_MEMBER),
            within(
                "allowed_address_pairs",
                "mac_address",
                NET_MEMBER,
                NET_MEMBER,
            ),
            within(
                "allowed_address_pairs",
                "ip_address",
                NET_MEMBER,
                NET_MEMBER,
            ),
            given_by("port_security_enabled", NET_MEMBER, NET_MEMBER),
            given_by("resource_request", ANYONE, ANYONE).read_by(ADMIN),
        ],
        references: &[refers("security_groups", |id| {
            RbacObject::SecurityGroup(SecurityGroupId(id))
        })],
    },
    Policy {
        resource: "router",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER,
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[
            admins("distributed").read_by(ADMIN),
            admins("ha").read_by(ADMIN),
            given_by("external_gateway_info", ADMIN_OR_MEMBER, ADMIN_OR_MEMBER).with_default(),
            within(
                "external_gateway_info",
                "network_id",
                ADMIN_OR_MEMBER,
                ADMIN_OR_MEMBER,
            ),
            within("external_gateway_info", "enable_snat", ADMIN, ADMIN),
            within("external_gateway_info", "external_fixed_ips", ADMIN, ADMIN),
        ],
        references: &[Reference {
            name: "external_gateway_info",
            within: Some("network_id"),
            object: |id| RbacObject::Network(NetworkId(id)),
        }],
    },
    Policy {
        resource: "subnetpool",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER.or(Who::SHARED),
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[
            given_by("shared", ADMIN, ANYONE).with_default(),
            admins("is_default").with_default(),
        ],
        references: &[refers("address_scope_id", |id| {
            RbacObject::AddressScope(AddressScopeId(id))
        })],
    },
    Policy {
        resource: "address_scope",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER.or(Who::SHARED),
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[admins("shared").with_default()],
        references: &[],
    },
    Policy {
        resource: "security_group",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER.or(Who::SHARED),
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[],
        references: &[],
    },
    Policy {
        resource: "security_group_rule",
        create: ADMIN_OR_PARENT_MEMBER,
        read: ADMIN_OR_PARENT_READER.or(Who::READER),
        update: ADMIN_OR_PARENT_MEMBER,
        delete: ADMIN_OR_PARENT_MEMBER,
        attributes: &[],
        references: &[refers("remote_group_id", |id| {
            RbacObject::SecurityGroup(SecurityGroupId(id))
        })],
    },
    Policy {
        resource: "rbac_policy",
        create: ADMIN_OR_MEMBER,
        read: ADMIN_OR_READER,
        update: ADMIN_OR_MEMBER,
        delete: ADMIN_OR_MEMBER,
        attributes: &[given_by(
            "target_tenant",
            ADMIN.or(Who::ONE_PROJECT),
            ADMIN.or(Who::ONE_PROJECT),
        )],
        references: &[],
    },
];

/// The policy of a resource. One that has none does not compile.
pub(crate) const fn of(resource: &str) -> &'static Policy {
    let mut at = 0;
    while at < POLICIES.len() {
        if same(POLICIES[at].resource, resource) {
            return &POLICIES[at];
        }
        at += 1;
    }
    panic!("a resource without a policy")
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    if one.len() != other.len() {
        return false;
    }
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
