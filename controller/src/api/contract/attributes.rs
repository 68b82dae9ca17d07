//! Attributes of resources as data, and request bodies read against them: what is unknown, what is missing, what may
//! not be set or changed is decided here for all resources, in Neutron's order and words.

use crate::api::contract::error::ApiError;
use crate::api::contract::resource::Resource;
use crate::api::contract::values::{self, Invalid};
use serde_json::{Map, Value};
use sextant_model::Meta;

/// One attribute of a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    post: Post,
    put: bool,
    /// Lists may be filtered by it.
    pub(crate) filter: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Post {
    Required,
    Allowed,
    Refused,
}

const fn attribute(name: &'static str, post: Post, put: bool) -> Attribute {
    Attribute {
        name,
        post,
        put,
        filter: true,
    }
}

/// May be given when the resource is made, and changed.
pub(crate) const fn free(name: &'static str) -> Attribute {
    attribute(name, Post::Allowed, true)
}

/// May be given when the resource is made, not changed.
pub(crate) const fn fixed(name: &'static str) -> Attribute {
    attribute(name, Post::Allowed, false)
}

/// Must be given when the resource is made, not changed.
pub(crate) const fn required(name: &'static str) -> Attribute {
    attribute(name, Post::Required, false)
}

/// Is shown only.
pub(crate) const fn shown(name: &'static str) -> Attribute {
    attribute(name, Post::Refused, false)
}

impl Attribute {
    /// The same, but it may be changed.
    pub(crate) const fn changeable(self) -> Self {
        Self { put: true, ..self }
    }

    /// The same, but lists cannot be filtered by it.
    pub(crate) const fn no_filter(self) -> Self {
        Self {
            filter: false,
            ..self
        }
    }
}

/// What every resource has, but for what it says that it is [without](Resource::WITHOUT).
pub(crate) const STANDARD: &[Attribute] = &[
    shown("id"),
    free("name"),
    free("description"),
    fixed("project_id"),
    fixed("tenant_id"),
    shown("created_at"),
    shown("updated_at"),
    shown("revision_number"),
    shown("tags").no_filter(),
];

/// The body of a request, known to have no attribute that it should not have.
#[derive(Clone, Debug)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    /// The attributes of a resource to be made.
    pub(crate) fn post<R: Resource>(given: Map<String, Value>) -> Result<Self, ApiError> {
        refuse_unknown::<R>(&given)?;
        for attribute in R::attributes() {
            match (attribute.post, given.contains_key(attribute.name)) {
                (Post::Required, false) => {
                    return Err(ApiError::malformed(format!(
                        "Failed to parse request. Required attribute '{}' not specified",
                        attribute.name
                    )));
                }
                (Post::Refused, true) => {
                    return Err(ApiError::malformed(format!(
                        "Attribute '{}' not allowed in POST",
                        attribute.name
                    )));
                }
                _ => {}
            }
        }
        Ok(Self(given))
    }

    /// The attributes of a resource to be changed.
    pub(crate) fn put<R: Resource>(given: Map<String, Value>) -> Result<Self, ApiError> {
        refuse_unknown::<R>(&given)?;
        let refused =
            R::attributes().find(|attribute| !attribute.put && given.contains_key(attribute.name));
        match refused {
            Some(attribute) => Err(ApiError::malformed(format!(
                "Cannot update read-only attribute {}",
                attribute.name
            ))),
            None => Ok(Self(given)),
        }
    }

    /// The attributes that are given, as they are.
    pub(crate) fn given(&self) -> &Map<String, Value> {
        &self.0
    }

    /// An attribute, if it is given, as what `parse` makes of it.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        parse(value).map(Some).map_err(|invalid| invalid.of(name))
    }

    /// An attribute that [`Body::post`] has found to be there.
    pub(crate) fn require<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, Invalid>,
    ) -> Result<T, ApiError> {
        let value = self.0.get(name).unwrap_or(&Value::Null);
        parse(value).map_err(|invalid| invalid.of(name))
    }
}

fn refuse_unknown<R: Resource>(given: &Map<String, Value>) -> Result<(), ApiError> {
    let known = |name: &str| R::attributes().any(|attribute| attribute.name == name);
    let unknown: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|name| !known(name))
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

/// Takes over name and description.
pub(crate) fn change_names(meta: &mut Meta, body: &Body) -> Result<(), ApiError> {
    for (name, attribute) in [
        ("name", &mut meta.name),
        ("description", &mut meta.description),
    ] {
        if let Some(given) = body.read(name, values::text(values::LONG))? {
            *attribute = given;
        }
    }
    Ok(())
}
