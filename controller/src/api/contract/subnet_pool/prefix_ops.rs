//! `add_prefixes` and `remove_prefixes`: changes relative to the pool's present prefixes.

use super::{aggregated, prefixes, scope, subnets_of};
use crate::api::contract::action::{Action, ActionAnswer};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam::share_addresses;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use sextant_model::{Intent, Object, SubnetPool};
use std::sync::Arc;

/// `add_prefixes`: the present prefixes and these.
pub(crate) struct AddPrefixes(Vec<IpNet>);

/// `remove_prefixes`: the present prefixes without these.
pub(crate) struct RemovePrefixes(Vec<IpNet>);

impl Action for AddPrefixes {
    type Of = SubnetPool;
    const NAME: &'static str = "add_prefixes";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        named(&body).map(Self)
    }

    fn act(&self, draft: &mut Draft, pool: &SubnetPool) -> Result<ActionAnswer, ApiError> {
        change(draft, pool, self.prefixes(pool)?)
    }
}

impl Action for RemovePrefixes {
    type Of = SubnetPool;
    const NAME: &'static str = "remove_prefixes";

    fn read(body: Map<String, Value>) -> Result<Self, ApiError> {
        named(&body).map(Self)
    }

    fn act(&self, draft: &mut Draft, pool: &SubnetPool) -> Result<ActionAnswer, ApiError> {
        let prefixes = self.prefixes(&draft.intent, pool)?;
        change(draft, pool, prefixes)
    }
}

impl AddPrefixes {
    /// The prefixes that the pool will have.
    pub(crate) fn prefixes(&self, pool: &SubnetPool) -> Result<Vec<IpNet>, ApiError> {
        let all: Vec<IpNet> = pool.prefixes.iter().chain(&self.0).copied().collect();
        aggregated(&all)
    }
}

impl RemovePrefixes {
    /// The prefixes that the pool will have.
    pub(crate) fn prefixes(
        &self,
        intent: &Intent,
        pool: &SubnetPool,
    ) -> Result<Vec<IpNet>, ApiError> {
        if subnets_of(intent, pool).any(|subnet| self.touch(subnet.cidr)) {
            return Err(ApiError::bad(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: One or more the prefixes to be removed is in use by a subnet..",
            ));
        }
        let left = pool
            .prefixes
            .iter()
            .flat_map(|prefix| remainder(*prefix, &self.0));
        aggregated(&left.collect::<Vec<_>>())
    }

    fn touch(&self, prefix: IpNet) -> bool {
        self.0.iter().any(|other| share_addresses(*other, prefix))
    }
}

/// What is left of a prefix without others.
fn remainder(prefix: IpNet, removed: &[IpNet]) -> Vec<IpNet> {
    if removed.iter().any(|other| other.contains(&prefix)) {
        return Vec::new();
    }
    if !removed.iter().any(|other| prefix.contains(other)) {
        return vec![prefix];
    }
    let halves = prefix
        .subnets(prefix.prefix_len() + 1)
        .into_iter()
        .flatten();
    halves.flat_map(|half| remainder(half, removed)).collect()
}

fn named(body: &Map<String, Value>) -> Result<Vec<IpNet>, ApiError> {
    let given = body.get("prefixes").filter(|given| given.is_array());
    let given = given.filter(|given| **given != json!([]));
    let given = given.ok_or_else(|| ApiError::malformed("Request body contains invalid data"))?;
    prefixes(given).map_err(|invalid| invalid.of("prefixes"))
}

fn change(
    draft: &mut Draft,
    pool: &SubnetPool,
    prefixes: Vec<IpNet>,
) -> Result<ActionAnswer, ApiError> {
    if prefixes != pool.prefixes {
        let mut pool = SubnetPool {
            prefixes: prefixes.clone(),
            ..pool.clone()
        };
        scope::check(draft, &pool)?;
        draft.revise(&mut pool.meta);
        draft.put(Object::SubnetPool(Arc::new(pool)));
    }
    Ok(ActionAnswer::Value(json!({"prefixes": prefixes})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_prefix_is_all_but_what_is_removed() {
        let parse = |text: &str| text.parse::<IpNet>().unwrap();
        let left = |prefix, removed: &[&str]| -> Vec<String> {
            let removed: Vec<IpNet> = removed.iter().map(|text| parse(text)).collect();
            let left = remainder(parse(prefix), &removed);
            left.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            left("2001:db8::/46", &["2001:db8:1::/48"]),
            ["2001:db8::/48", "2001:db8:2::/47"]
        );
        assert_eq!(left("10.0.0.0/8", &["10.0.0.0/7"]), [""; 0]);
        assert_eq!(left("10.0.0.0/8", &["11.0.0.0/8"]), ["10.0.0.0/8"]);
        assert_eq!(left("10.0.0.0/31", &["10.0.0.1/32"]), ["10.0.0.0/32"]);
    }
}
