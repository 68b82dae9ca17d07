//! How long lists in requests may be. This is checked before anything else, so that no request causes more work.
//!
//! Where Neutron has a limit, it is Neutron's, with Neutron's error. Elsewhere the limit is far above any useful list.

use crate::api::contract::error::ApiError;
use serde_json::{Map, Value};

/// Objects that one request makes.
const OBJECTS: usize = 1000;
/// Entries of a list within an object that has no limit of its own.
pub(crate) const ENTRIES: usize = 64;
/// Attributes of an object, more than any has.
const ATTRIBUTES: usize = 128;

/// A list with a limit of its own.
struct Limit {
    list: &'static str,
    most: usize,
    /// Class of exception in Neutron.
    kind: &'static str,
    /// What Neutron says, from the object that it is about and the limit.
    message: fn(&str, usize) -> String,
}

/// Neutron's `max_subnet_host_routes`, `max_dns_nameservers`, `max_routes` and `max_allowed_address_pair`.
const LIMITS: [Limit; 4] = [
    Limit {
        list: "host_routes",
        most: 20,
        kind: "HostRoutesExhausted",
        message: |about, most| exceeds(about, "host routes", most),
    },
    Limit {
        list: "dns_nameservers",
        most: 5,
        kind: "DNSNameServersExhausted",
        message: |about, most| exceeds(about, "DNS nameservers", most),
    },
    Limit {
        list: "routes",
        most: 30,
        kind: "RoutesExhausted",
        message: |about, most| {
            format!(
                "Unable to complete operation for {about}. The number of routes exceeds the maximum {most}."
            )
        },
    },
    Limit {
        list: "allowed_address_pairs",
        most: 10,
        kind: "AllowedAddressPairExhausted",
        message: |_, most| {
            format!("The number of allowed address pair exceeds the maximum {most}.")
        },
    },
];

fn exceeds(about: &str, what: &str, most: usize) -> String {
    format!(
        "Unable to complete operation for {about}. The number of {what} exceeds the limit {most}."
    )
}

/// Refuses a body with a list that is too long. `about` is the object that the request is about, for Neutron's errors.
pub(crate) fn check(body: &Map<String, Value>, about: &str) -> Result<(), ApiError> {
    few_attributes(body)?;
    for (name, value) in body {
        match objects(name, value) {
            Some(items) => {
                few(name, items.len(), OBJECTS)?;
                items.iter().try_for_each(|item| within(item, about))?;
            }
            None => list(name, value, about)?,
        }
    }
    Ok(())
}

/// The objects of a request that makes many: a list and nothing beside it. Without an envelope, as in `add_prefixes`,
/// lists are attributes.
fn objects<'a>(name: &str, value: &'a Value) -> Option<&'a Vec<Value>> {
    if LIMITS.iter().any(|limit| limit.list == name) {
        return None;
    }
    let items = value.as_array()?;
    items.iter().any(Value::is_object).then_some(items)
}

fn within(value: &Value, about: &str) -> Result<(), ApiError> {
    match value {
        Value::Object(fields) => {
            few_attributes(fields)?;
            let mut fields = fields.iter();
            fields.try_for_each(|(name, value)| list(name, value, about))
        }
        Value::Array(items) => {
            few("list", items.len(), ENTRIES)?;
            items.iter().try_for_each(|item| within(item, about))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn list(name: &str, value: &Value, about: &str) -> Result<(), ApiError> {
    let Value::Array(items) = value else {
        return within(value, about);
    };
    match LIMITS.iter().find(|limit| limit.list == name) {
        Some(limit) if items.len() > limit.most => {
            let message = (limit.message)(about, limit.most);
            return Err(ApiError::bad(limit.kind, message));
        }
        Some(_) => {}
        None => few(name, items.len(), ENTRIES)?,
    }
    items.iter().try_for_each(|item| within(item, about))
}

fn few(name: &str, length: usize, most: usize) -> Result<(), ApiError> {
    if length <= most {
        return Ok(());
    }
    Err(ApiError::malformed(format!(
        "Invalid input for {name}. Reason: {length} items are more than {most}, the most that one request can have."
    )))
}

fn few_attributes(fields: &Map<String, Value>) -> Result<(), ApiError> {
    match fields.len() <= ATTRIBUTES {
        true => Ok(()),
        false => Err(ApiError::malformed(format!(
            "{} attributes are more than any object has",
            fields.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: &Value) -> Option<&'static str> {
        check(body.as_object().unwrap(), "x")
            .err()
            .map(|error| error.kind)
    }

    #[test]
    fn every_list_is_bounded_wherever_it_is() {
        let long = |length: usize| vec![json!({"ip_address": "2001:db8::1"}); length];
        for (name, most) in [
            ("fixed_ips", ENTRIES),
            ("allocation_pools", ENTRIES),
            ("never_heard_of", ENTRIES),
        ] {
            for (length, expected) in [(most, None), (most + 1, Some("HTTPBadRequest"))] {
                let one = json!({"port": {name: long(length)}});
                assert_eq!(refused(&one), expected, "{name} {length}");
                let many = json!({"ports": [{}, {name: long(length)}]});
                assert_eq!(refused(&many), expected, "{name} {length} of many");
                let nested = json!({"router": {"external_gateway_info": {name: long(length)}}});
                assert_eq!(refused(&nested), expected, "{name} {length} within");
            }
        }
        for limit in &LIMITS {
            let exact = json!({"x": {limit.list: long(limit.most)}});
            let over = json!({"x": {limit.list: long(limit.most + 1)}});
            assert_eq!((refused(&exact), refused(&over)), (None, Some(limit.kind)));
        }
    }

    #[test]
    fn many_objects_and_bare_lists_are_bounded() {
        assert_eq!(refused(&json!({"ports": vec![json!({}); OBJECTS]})), None);
        assert!(refused(&json!({"ports": vec![json!({}); OBJECTS + 1]})).is_some());
        assert!(refused(&json!({"prefixes": vec!["::/0"; ENTRIES + 1]})).is_some());
        assert!(refused(&json!({"port": {"fixed_ips": [vec![0; ENTRIES + 1]]}})).is_some());
        let wide: Map<String, Value> = (0..=ATTRIBUTES)
            .map(|n| (n.to_string(), json!(1)))
            .collect();
        assert!(refused(&json!({"port": wide})).is_some());
    }
}
