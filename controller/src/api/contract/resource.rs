//! The contract of a kind of resource: its attributes, and what making, changing and removing one does to the cloud.

use crate::api::contract::attributes::{Attribute, Patch, standard};
use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::index::Ids;
use crate::api::contract::kind::Kind;
use crate::api::contract::shown::Shown;
use crate::api::contract::ties::Ties;
use crate::api::contract::view::ResourceView;
use sextant_model::{Intent, Meta, RbacObject, Span};
use std::collections::BTreeSet;

/// A kind of resource. Each is implemented in a file of its own.
pub(crate) trait Resource: Kind {
    /// What requests say about it, with its attributes.
    type Patch: Patch<Self>;
    /// The standard attributes that it does not have.
    const WITHOUT: &'static [&'static str] = &[];
    /// The standard attributes that it declares itself.
    const OWN: &'static [&'static str] = &[];
    /// The revision number that it begins with, as in Neutron.
    const FIRST_REVISION: u64 = 0;
    #[doc(hidden)]
    const STANDARD: &'static [Attribute<Self, Self::Patch>] = &standard::<Self, Self::Patch>();

    /// Makes one. `meta` has the request's standard attributes.
    fn create(draft: &mut Draft, meta: Meta, patch: &Self::Patch) -> Result<Self::Id, ApiError>;

    /// Changes it. `changed` already has the values that need no further code, and its change is counted.
    fn update(&self, changed: Self, draft: &mut Draft, patch: &Self::Patch)
    -> Result<(), ApiError>;

    fn delete(&self, draft: &mut Draft) -> Result<(), ApiError>;

    /// Makes what a project has without asking, before a list is shown to it.
    fn before_list(_intent: &Intent, _project: &str) -> Option<WritePlan> {
        None
    }

    /// All its attributes.
    fn attributes() -> impl Iterator<Item = &'static Attribute<Self, Self::Patch>> {
        let standard = Self::STANDARD
            .iter()
            .filter(|attribute| !Self::WITHOUT.contains(&attribute.name))
            .filter(|attribute| !Self::OWN.contains(&attribute.name));
        standard.chain(Self::Patch::ATTRIBUTES)
    }

    fn has_tags() -> bool {
        !Self::WITHOUT.contains(&"tags")
    }

    /// Refuses tags that mean something to Sextant, and cannot.
    fn check_tags(&self, _intent: &Intent, _tags: &BTreeSet<String>) -> Result<(), ApiError> {
        Ok(())
    }

    /// What access to it depends on, besides its project.
    fn ties(&self) -> Ties {
        Ties::Nothing
    }

    /// The ids within a span of the resources whose ties name this object. `None` if none can.
    fn tied_to<'a>(
        _intent: &'a Intent,
        _object: RbacObject,
        _span: Span<Self::Id>,
    ) -> Option<Ids<'a, Self::Id>> {
        None
    }

    /// What access to a resource that a request asks for depends on.
    fn ties_asked(_patch: &Self::Patch) -> Result<Ties, ApiError> {
        Ok(Ties::Nothing)
    }
}

/// An attribute of a resource.
pub(crate) type AttributeOf<R> = Attribute<R, <R as Resource>::Patch>;

/// What a write does for a project.
pub(crate) type WritePlan = fn(&mut Draft, &str) -> Result<(), ApiError>;

/// Shows what the API shows of a resource.
pub(crate) fn show<R: Resource>(resource: &R, view: ResourceView<'_>, shown: &mut Shown<'_>) {
    for attribute in R::attributes() {
        if let Some(show) = attribute.show
            && let Some(slot) = shown.slot(attribute.name)
        {
            show(resource, view, slot);
        }
    }
}
