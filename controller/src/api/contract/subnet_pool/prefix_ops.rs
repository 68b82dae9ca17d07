//! `add_prefixes` and `remove_prefixes`: changes to the prefixes of a pool, whatever they are by then.

use super::{aggregated, prefixes, scope, subnets_of};
use crate::api::Api;
use crate::api::contract::caller::Caller;
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::ipam::share_addresses;
use crate::api::requests::incoming;
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::routing::put;
use ipnet::IpNet;
use serde_json::{Value, json};
use sextant_model::{Object, SubnetPool};
use std::sync::Arc;

pub(crate) fn routes() -> axum::Router<Api> {
    axum::Router::new()
        .route("/v2.0/subnetpools/{id}/add_prefixes", put(add))
        .route("/v2.0/subnetpools/{id}/remove_prefixes", put(remove))
}

async fn add(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    let added = named(&api, body, &id).await?;
    let with = |_: &Draft, pool: &SubnetPool| {
        let all: Vec<IpNet> = pool.prefixes.iter().chain(&added).copied().collect();
        aggregated(&all)
    };
    change(&api, (&caller, "add_prefixes"), &id, with).await
}

async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Json<Value>, ApiError> {
    let removed = named(&api, body, &id).await?;
    let without = |draft: &Draft, pool: &SubnetPool| {
        let is_removed =
            |prefix: IpNet| removed.iter().any(|other| share_addresses(*other, prefix));
        if subnets_of(&draft.intent, pool).any(|subnet| is_removed(subnet.cidr)) {
            return Err(ApiError::bad(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: One or more the prefixes to be removed is in use by a subnet..",
            ));
        }
        let left = pool
            .prefixes
            .iter()
            .flat_map(|prefix| remainder(*prefix, &removed));
        aggregated(&left.collect::<Vec<_>>())
    };
    change(&api, (&caller, "remove_prefixes"), &id, without).await
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

async fn named(api: &Api, body: Stream, id: &str) -> Result<Vec<IpNet>, ApiError> {
    let body = incoming::json(api, body, id).await?;
    let given = body.get("prefixes").filter(|given| given.is_array());
    let given = given.filter(|given| **given != json!([]));
    let given = given.ok_or_else(|| ApiError::malformed("Request body contains invalid data"))?;
    prefixes(given).map_err(|invalid| invalid.of("prefixes"))
}

async fn change(
    api: &Api,
    (caller, action): (&Caller, &str),
    id: &str,
    change: impl Fn(&Draft, &SubnetPool) -> Result<Vec<IpNet>, ApiError>,
) -> Result<Json<Value>, ApiError> {
    let plan = |draft: &mut Draft| {
        let pool = caller.find::<SubnetPool>(&draft.intent, id)?;
        caller.may_act(&draft.intent, &*pool, action)?;
        let mut pool = SubnetPool::clone(&*pool);
        let prefixes = change(draft, &pool)?;
        if prefixes != pool.prefixes {
            scope::refuse_foreign(caller, &draft.intent, &pool)?;
            pool.prefixes = prefixes;
            scope::check(draft, &pool)?;
            draft.revise(&mut pool.meta);
            draft.put(Object::SubnetPool(Arc::new(pool.clone())));
        }
        Ok(json!({"prefixes": pool.prefixes}))
    };
    let (answer, _) = api.write(plan).await?;
    Ok(Json(answer))
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
