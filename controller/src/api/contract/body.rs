//! The body of a request, read once into a patch. Unknown attributes, missing ones, and those that may not be given are
//! refused here for all resources, in Neutron's order and words.

use crate::api::contract::attributes::OnCreate;
use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use serde_json::{Map, Value};

/// What a request says about a resource.
pub(crate) struct Body<R: Resource> {
    /// The request as types.
    pub(crate) patch: R::Patch,
    /// The request as received: rights look at the attributes given.
    pub(crate) given: Map<String, Value>,
}

impl<R: Resource> Body<R> {
    /// The attributes of a resource to be made.
    pub(crate) fn create(given: Map<String, Value>) -> Result<Self, ApiError> {
        refuse_unknown::<R>(&given)?;
        for attribute in R::attributes() {
            let name = attribute.name;
            match (attribute.on_create, given.contains_key(name)) {
                (OnCreate::Required, false) => return Err(ApiError::missing(name)),
                (OnCreate::Refused, true) => {
                    let message = format!("Attribute '{name}' not allowed in POST");
                    return Err(ApiError::malformed(message));
                }
                _ => {}
            }
        }
        Self::read(given)
    }

    /// The attributes of a resource to be changed.
    pub(crate) fn update(given: Map<String, Value>) -> Result<Self, ApiError> {
        refuse_unknown::<R>(&given)?;
        let refused = R::attributes()
            .find(|attribute| !attribute.on_update && given.contains_key(attribute.name));
        match refused {
            Some(attribute) => Err(ApiError::malformed(format!(
                "Cannot update read-only attribute {}",
                attribute.name
            ))),
            None => Self::read(given),
        }
    }

    fn read(given: Map<String, Value>) -> Result<Self, ApiError> {
        let mut patch = R::Patch::default();
        for attribute in R::attributes() {
            if let Some(read) = attribute.read
                && let Some(value) = given.get(attribute.name)
            {
                read(&mut patch, value).map_err(|invalid| invalid.of(attribute.name))?;
            }
        }
        Ok(Self { patch, given })
    }
}

fn refuse_unknown<R: Resource>(given: &Map<String, Value>) -> Result<(), ApiError> {
    let unknown: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|name| !R::attributes().any(|attribute| attribute.is_known_as(name)))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(ApiError::malformed(format!(
            "Unrecognized attribute(s) '{}'",
            unknown.join(", ")
        )))
    }
}
