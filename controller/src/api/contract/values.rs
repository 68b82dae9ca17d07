//! Converts JSON values into types that cannot be invalid. Refusals are in the words of Neutron's validators and
//! converters.

use crate::api::contract::error::ApiError;
use crate::api::contract::python;
use ipnet::IpNet;
use serde_json::{Map, Value};
use sextant_model::{IpVersion, Ipv6Mode, MacAddr};
use std::net::IpAddr;
use std::str::FromStr;
use uuid::Uuid;

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// By a validator, whose message names the attribute.
    Reason(String),
    /// By a converter, whose message does not.
    Input(String),
    /// By a converter that has an error of its own.
    Own(ApiError),
}

impl Invalid {
    /// The error about this attribute.
    pub(crate) fn of(self, attribute: &str) -> ApiError {
        match self {
            Self::Reason(reason) => {
                ApiError::malformed(format!("Invalid input for {attribute}. Reason: {reason}."))
            }
            Self::Input(message) => ApiError::invalid_input(message),
            Self::Own(error) => error,
        }
    }
}

type Parsed<T> = Result<T, Invalid>;

fn reason<T>(reason: impl Into<String>) -> Parsed<T> {
    Err(Invalid::Reason(reason.into()))
}

/// The longest name, in characters.
pub(crate) const LONG: usize = 255;

/// A string of at most so many characters.
pub(crate) fn text(longest: usize) -> impl Fn(&Value) -> Parsed<String> {
    move |value| match value.as_str() {
        Some(text) if text.chars().count() <= longest => Ok(text.to_owned()),
        Some(text) => reason(format!("'{text}' exceeds maximum length of {longest}")),
        None => reason(format!("'{}' is not a valid string", python::text(value))),
    }
}

/// A string, or null for the empty one.
pub(crate) fn text_or_null(value: &Value) -> Parsed<String> {
    or_null(text(LONG))(value).map(Option::unwrap_or_default)
}

/// A boolean, or a word or number that Neutron accepts for one.
pub(crate) fn boolean(value: &Value) -> Parsed<bool> {
    let word = python::text(value);
    match word.to_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Invalid::Input(format!(
            "'{word}' cannot be converted to boolean"
        ))),
    }
}

/// An integer, or a string of one.
pub(crate) fn integer(value: &Value) -> Parsed<i64> {
    let text = value.as_str().and_then(|text| text.parse().ok());
    let number = value.as_i64().or(text);
    number.ok_or_else(|| Invalid::Input(format!("'{}' is not an integer", python::text(value))))
}

/// An integer within bounds.
pub(crate) fn between(least: i64, most: i64) -> impl Fn(&Value) -> Parsed<i64> {
    move |value| match integer(value)? {
        number if number < least => reason(format!(
            "'{number}' is too small - must be at least '{least}'"
        )),
        number if number > most => reason(format!(
            "'{number}' is too large - must be no larger than '{most}'"
        )),
        number => Ok(number),
    }
}

/// The length of a prefix.
pub(crate) fn prefix_length(value: &Value) -> Parsed<u8> {
    let length = between(0, 128)(value)?;
    Ok(u8::try_from(length).unwrap_or(u8::MAX))
}

/// One of some words.
pub(crate) fn one_of<'a>(words: &'a [&'a str]) -> impl Fn(&Value) -> Parsed<String> + 'a {
    move |value| match value.as_str() {
        Some(word) if words.contains(&word) => Ok(word.to_owned()),
        _ => reason(format!("{} is not in valid_values", python::text(value))),
    }
}

/// 4 or 6.
pub(crate) fn ip_version(value: &Value) -> Parsed<IpVersion> {
    let number = integer(value)?;
    let known = u8::try_from(number).ok();
    let known = known.and_then(|number| IpVersion::try_from(number).ok());
    known.map_or_else(|| reason(format!("{number} is not in valid_values")), Ok)
}

/// A mode. As in Neutron, null is not valid.
pub(crate) fn mode(value: &Value) -> Parsed<Ipv6Mode> {
    let word = python::text(value);
    word.parse()
        .or_else(|_| reason(format!("{word} is not in valid_values")))
}

/// A UUID.
pub(crate) fn uuid(value: &Value) -> Parsed<Uuid> {
    parsed(value, "UUID")
}

/// The id of an object.
pub(crate) fn id<T>(wrap: fn(Uuid) -> T) -> impl Fn(&Value) -> Parsed<T> {
    move |value| uuid(value).map(wrap)
}

/// An address.
pub(crate) fn address(value: &Value) -> Parsed<IpAddr> {
    parsed(value, "IP address")
}

/// An Ethernet address of one interface. Neutron also accepts multicast addresses, which no interface can have.
pub(crate) fn mac(value: &Value) -> Parsed<MacAddr> {
    let text = python::text(value);
    match text.replace('-', ":").parse::<MacAddr>() {
        Ok(mac) if mac != MacAddr([0; 6]) && !mac.is_multicast() => Ok(mac),
        _ => reason(format!("'{text}' is not a valid MAC address")),
    }
}

/// Null, or something else.
pub(crate) fn or_null<T>(
    parse: impl Fn(&Value) -> Parsed<T>,
) -> impl Fn(&Value) -> Parsed<Option<T>> {
    move |value| {
        if value.is_null() {
            Ok(None)
        } else {
            parse(value).map(Some)
        }
    }
}

/// A prefix, without the bits beyond its length.
pub(crate) fn cidr(value: &Value) -> Parsed<IpNet> {
    let text = python::text(value);
    prefix(&text).ok_or_else(|| Invalid::Input(format!("{text} is not in a CIDR format")))
}

/// A prefix, or an address as the prefix of itself.
pub(crate) fn subnet(value: &Value) -> Parsed<IpNet> {
    let text = python::text(value);
    prefix(&text).ok_or_else(|| Invalid::Reason(format!("'{text}' is not a valid IP subnet")))
}

fn prefix(text: &str) -> Option<IpNet> {
    let prefix = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()?;
    Some(IpNet::trunc(&prefix))
}

/// A list, or null for an empty one.
pub(crate) fn list<T>(parse: impl Fn(&Value) -> Parsed<T>) -> impl Fn(&Value) -> Parsed<Vec<T>> {
    move |value| match value.as_array() {
        Some(items) => items.iter().map(&parse).collect(),
        None if value.is_null() => Ok(Vec::new()),
        None => reason(format!("'{}' is not a list", python::text(value))),
    }
}

/// An object with no other fields than these.
pub(crate) fn object<'a>(
    value: &'a Value,
    fields: &[&str],
    what: &str,
) -> Parsed<&'a Map<String, Value>> {
    match value.as_object() {
        Some(object) if object.keys().all(|field| fields.contains(&field.as_str())) => Ok(object),
        _ => reason(format!(
            "Invalid data format for {what}: '{}'",
            python::text(value)
        )),
    }
}

/// The value of a field, or null where there is none.
pub(crate) fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a Value {
    fields.get(name).unwrap_or(&Value::Null)
}

/// The body inside its envelope: `{"network": {…}}`.
pub(crate) fn within(
    mut body: Map<String, Value>,
    envelope: &str,
) -> Result<Map<String, Value>, ApiError> {
    match body.remove(envelope) {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Err(ApiError::malformed(format!(
            "Unable to find '{envelope}' in request body"
        ))),
    }
}

/// An attribute that Sextant does not support. Only values that mean its absence are accepted.
pub(crate) fn nothing(value: &Value) -> Parsed<()> {
    let empty = match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    };
    if empty {
        Ok(())
    } else {
        reason(format!("'{}' is not supported", python::text(value)))
    }
}

fn parsed<T: FromStr>(value: &Value, what: &str) -> Parsed<T> {
    let text = python::text(value);
    text.parse()
        .or_else(|_| reason(format!("'{text}' is not a valid {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_refused_is_refused_in_neutrons_words() {
        let reasons = [
            (
                text(3)(&json!("long")).unwrap_err(),
                "'long' exceeds maximum length of 3",
            ),
            (
                text(3)(&json!(null)).unwrap_err(),
                "'None' is not a valid string",
            ),
            (
                mode(&json!(null)).unwrap_err(),
                "None is not in valid_values",
            ),
            (
                ip_version(&json!(5)).unwrap_err(),
                "5 is not in valid_values",
            ),
            (
                between(-1, 9)(&json!(-5)).unwrap_err(),
                "'-5' is too small - must be at least '-1'",
            ),
            (
                mac(&json!("01:00:5e:00:00:01")).unwrap_err(),
                "'01:00:5e:00:00:01' is not a valid MAC address",
            ),
            (
                address(&json!("2001:db8::1/64")).unwrap_err(),
                "'2001:db8::1/64' is not a valid IP address",
            ),
        ];
        for (invalid, expected) in reasons {
            assert_eq!(invalid, Invalid::Reason(expected.to_owned()));
        }
        assert_eq!(
            boolean(&json!("maybe")),
            Err(Invalid::Input(
                "'maybe' cannot be converted to boolean".into()
            ))
        );
        assert_eq!(
            cidr(&json!("hello")),
            Err(Invalid::Input("hello is not in a CIDR format".into()))
        );
    }

    #[test]
    fn what_neutron_converts_is_converted() {
        assert_eq!(boolean(&json!("True")), Ok(true));
        assert_eq!(boolean(&json!(0)), Ok(false));
        assert_eq!(integer(&json!("1400")), Ok(1400));
        assert_eq!(
            cidr(&json!("2001:DB8::5/64")).unwrap().to_string(),
            "2001:db8::/64"
        );
        assert_eq!(
            mac(&json!("FA-16-3E-00-00-01")).unwrap().to_string(),
            "fa:16:3e:00:00:01"
        );
    }
}
