//! The resources of a list: those that meet its conditions and that the caller may read.

use super::parse::{TAG_FILTERS, tags_hold};
use super::shown_value;
use crate::api::contract::attributes::Filter;
use crate::api::contract::conditions::{Conditions, is};
use crate::api::contract::resource::{AttributeOf, Resource};
use crate::api::contract::view::ResourceView;

/// Conditions, prepared for checking resources.
pub(super) struct Filters<'q, R: Resource> {
    conditions: &'q Conditions,
    on_attributes: Vec<(&'static AttributeOf<R>, &'q [String])>,
    on_tags: Vec<(&'q str, &'q [String])>,
}

impl<'q, R: Resource> Filters<'q, R> {
    pub(super) fn of(conditions: &'q Conditions) -> Self {
        let on_attributes = R::attributes().filter_map(|attribute| {
            let values = conditions.get(attribute.name)?;
            Some((attribute, values.as_slice()))
        });
        let on_tags = conditions.iter().filter_map(|(name, values)| {
            let is_about_tags = TAG_FILTERS.contains(&name.as_str());
            is_about_tags.then_some((name.as_str(), values.as_slice()))
        });
        Self {
            conditions,
            on_attributes: on_attributes.collect(),
            on_tags: on_tags.collect(),
        }
    }

    /// The attributes that have conditions.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &'static AttributeOf<R>> {
        self.on_attributes.iter().map(|(attribute, _)| *attribute)
    }

    /// The values of which an attribute has to have one.
    pub(super) fn values(&self, attribute: &AttributeOf<R>) -> Option<&'q [String]> {
        self.conditions.get(attribute.name).map(Vec::as_slice)
    }

    /// Whether a resource is in the list.
    pub(super) fn hold(&self, resource: &R, view: ResourceView<'_>) -> bool {
        view.caller.may_read(view.intent, resource)
            && (self.conditions.is_empty() || self.conditions_hold(resource, view))
    }

    fn conditions_hold(&self, resource: &R, view: ResourceView<'_>) -> bool {
        let mut on_tags = self.on_tags.iter();
        if !on_tags.all(|(name, values)| tags_hold(resource.meta(), name, values)) {
            return false;
        }
        let hidden = view.caller.hidden(view.intent, resource);
        self.on_attributes
            .iter()
            .all(|(attribute, values)| match attribute.filter {
                Filter::Never => true,
                Filter::Own(matches) => matches(resource, values, view),
                Filter::Value => {
                    let value = shown_value(attribute, resource, view, &hidden);
                    values.iter().any(|wanted| is(&value, wanted))
                }
            })
    }
}
