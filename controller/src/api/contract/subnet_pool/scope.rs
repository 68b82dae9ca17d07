//! Whether a subnet pool can be in its address scope.

use super::subnets_of;
use crate::api::contract::address_scope::pools_of;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam::share_addresses;
use crate::api::contract::kind::Kind;
use ipnet::IpNet;
use sextant_model::{AddressScope, IpVersion, Key, ObjectKey, PrefixSource, SubnetPool};

/// Checks a new or changed pool's scope, and requires that the scope does not change meanwhile.
pub(super) fn check(draft: &mut Draft, pool: &SubnetPool) -> Result<(), ApiError> {
    let Some(id) = pool.address_scope_id else {
        return Ok(());
    };
    let scope = AddressScope::get(&draft.intent, id)?;
    check_version(&scope, pool)?;
    if pools_of(&draft.intent, id).any(|other| other.id != pool.id && overlap(other, pool)) {
        return Err(ApiError::conflict(
            "AddressScopePrefixConflict",
            "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
        ));
    }
    scope.store_again(draft);
    Ok(())
}

fn check_version(scope: &AddressScope, pool: &SubnetPool) -> Result<(), ApiError> {
    let wanted = scope.ip_version.number();
    if pool.ip_version() == scope.ip_version {
        return Ok(());
    }
    Err(ApiError::bad(
        "IllegalSubnetPoolIpVersionAssociationToAddressScope",
        format!(
            "Illegal subnetpool association: subnetpool {} cannot associate with address scope {} because subnetpool \
             ip_version is not {wanted}.",
            pool.id, scope.id
        ),
    ))
}

fn overlap(a: &SubnetPool, b: &SubnetPool) -> bool {
    let mut all: Vec<IpNet> = a.prefixes.iter().chain(&b.prefixes).copied().collect();
    // In sorted order a prefix comes just before those within it.
    all.sort_unstable();
    all.windows(2).any(|pair| share_addresses(pair[0], pair[1]))
}

/// Refuses to change a pool's scope if a network would then have subnets in two scopes.
pub(super) fn refuse_parting(draft: &mut Draft, pool: &SubnetPool) -> Result<(), ApiError> {
    let source = PrefixSource::Pool(pool.id);
    let networks: Vec<Key> = subnets_of(&draft.intent, pool)
        .map(|subnet| Key::Object(ObjectKey::Network(subnet.network_id)))
        .collect();
    networks
        .into_iter()
        .for_each(|network| draft.relies_on(network));
    let intent = &draft.intent;
    let mut neighbors =
        subnets_of(intent, pool).flat_map(|subnet| intent.subnets_of(subnet.network_id));
    let stays = neighbors.any(|other| {
        let ip_version = IpVersion::of_prefix(other.cidr);
        other.prefix_source != source && ip_version == pool.ip_version()
    });
    if stays {
        return Err(mixed());
    }
    Ok(())
}

/// The error that subnets of a network would be in different scopes.
pub(crate) fn mixed() -> ApiError {
    ApiError::bad(
        "NetworkAddressScopeAffinityError",
        "Subnets of the same address family hosted on the same network must all participate in the same address scope.",
    )
}
