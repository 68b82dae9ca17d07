//! Attributes of resources, one row each. A row says what requests may do, how JSON becomes a type, how it is shown,
//! and how lists are filtered by it.
//!
//! All that the API does with an attribute follows from its row. That is the check of a request's body, the typed patch
//! that the body becomes, the text of answers, filters, and the order of lists.

use crate::api::contract::index::{self, Ids, Index};
use crate::api::contract::kind::Kind;
use crate::api::contract::shown::Slot;
use crate::api::contract::values::{self, Invalid};
use crate::api::contract::view::ResourceView;
use crate::clock;
use serde_json::Value;
use sextant_model::{IndexedValue, Meta, RbacObject, Span};

/// One attribute of a resource `R` whose requests are read into `P`.
pub(crate) struct Attribute<R: Kind, P> {
    pub(crate) name: &'static str,
    pub(crate) on_create: OnCreate,
    /// It may be changed later.
    pub(crate) on_update: bool,
    pub(crate) filter: Filter<R>,
    pub(crate) index: Option<Index<R>>,
    /// A number that sorts resources as what is shown would.
    pub(crate) rank: Option<Rank<R>>,
    /// The objects that a request names here, which its caller has to see.
    pub(crate) refers_to: Option<fn(&P) -> Vec<RbacObject>>,
    pub(crate) read: Option<Read<P>>,
    pub(crate) show: Option<Show<R>>,
}

/// Whether a request that makes the resource may or must give an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCreate {
    Required,
    Allowed,
    Refused,
    /// Requests do not know the attribute; only answers contain it.
    Unknown,
}

/// How a list is filtered by an attribute.
pub(crate) enum Filter<R> {
    /// Not at all.
    Never,
    /// A resource matches if one of the values given is what the API shows.
    Value,
    /// By a function of its own.
    Own(fn(&R, &[String], ResourceView<'_>) -> bool),
}

type Rank<R> = fn(&R) -> i64;
type Read<P> = fn(&mut P, &Value) -> Result<(), Invalid>;
type Show<R> = fn(&R, ResourceView<'_>, Slot<'_, '_>);

/// May be given when the resource is made, and changed.
pub(crate) const fn writable<R: Kind, P>(name: &'static str) -> Attribute<R, P> {
    attribute(name, OnCreate::Allowed, true)
}

/// May be given when the resource is made, not changed.
pub(crate) const fn fixed<R: Kind, P>(name: &'static str) -> Attribute<R, P> {
    attribute(name, OnCreate::Allowed, false)
}

/// Must be given when the resource is made, not changed.
pub(crate) const fn required<R: Kind, P>(name: &'static str) -> Attribute<R, P> {
    attribute(name, OnCreate::Required, false)
}

/// No request gives it.
pub(crate) const fn read_only<R: Kind, P>(name: &'static str) -> Attribute<R, P> {
    attribute(name, OnCreate::Refused, false)
}

/// In answers only: requests and lists do not know it.
pub(crate) const fn answer_only<R: Kind, P>(name: &'static str) -> Attribute<R, P> {
    attribute(name, OnCreate::Unknown, false).no_filter()
}

const fn attribute<R: Kind, P>(
    name: &'static str,
    on_create: OnCreate,
    on_update: bool,
) -> Attribute<R, P> {
    Attribute {
        name,
        on_create,
        on_update,
        filter: Filter::Value,
        index: None,
        rank: None,
        refers_to: None,
        read: None,
        show: None,
    }
}

impl<R: Kind, P> Attribute<R, P> {
    /// Whether requests know it by this name.
    pub(crate) fn is_known_as(&self, name: &str) -> bool {
        self.name == name && self.on_create != OnCreate::Unknown
    }

    /// The same, but it may be changed.
    pub(crate) const fn changeable(self) -> Self {
        Self {
            on_update: true,
            ..self
        }
    }

    /// The same, but lists cannot be filtered by it.
    pub(crate) const fn no_filter(self) -> Self {
        Self {
            filter: Filter::Never,
            ..self
        }
    }

    /// The same, but this says whether a resource matches the values that a filter gives.
    pub(crate) const fn filter(self, matches: fn(&R, &[String], ResourceView<'_>) -> bool) -> Self {
        Self {
            filter: Filter::Own(matches),
            ..self
        }
    }

    /// The same, but filters by it look through what an index yields.
    pub(crate) const fn index(self, index: Index<R>) -> Self {
        Self {
            index: Some(index),
            ..self
        }
    }

    /// The same, but lists are sorted by this number.
    pub(crate) const fn rank(self, rank: Rank<R>) -> Self {
        Self {
            rank: Some(rank),
            ..self
        }
    }

    /// The same, but it names these objects.
    pub(crate) const fn refers_to(self, objects: fn(&P) -> Vec<RbacObject>) -> Self {
        Self {
            refers_to: Some(objects),
            ..self
        }
    }

    /// The same, and this is how it is read.
    pub(crate) const fn read(self, read: Read<P>) -> Self {
        Self {
            read: Some(read),
            ..self
        }
    }

    /// The same, and this shows it, or leaves it out.
    pub(crate) const fn show(self, show: Show<R>) -> Self {
        Self {
            show: Some(show),
            ..self
        }
    }
}

/// What a request says about a resource `R`: a typed field for each attribute that is read.
pub(crate) trait Patch<R: Kind>: Default + Send + Sync + 'static {
    /// The attributes besides the standard ones, in the order in which they are read and shown.
    const ATTRIBUTES: &'static [Attribute<R, Self>];

    fn meta(&self) -> &MetaPatch;
    fn meta_mut(&mut self) -> &mut MetaPatch;

    /// Stores the values that need no further code.
    fn store(&self, resource: &mut R);
}

/// What a request says about standard attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetaPatch {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) tenant_id: Option<String>,
}

impl MetaPatch {
    /// Stores name and description.
    pub(crate) fn store(&self, meta: &mut Meta) {
        if let Some(name) = &self.name {
            meta.name.clone_from(name);
        }
        if let Some(description) = &self.description {
            meta.description.clone_from(description);
        }
    }
}

/// Declares the attributes of a resource and the patch that its requests are read into.
///
/// A row begins with the name and what requests may do. `=> stored field: T = parse` reads a value into the model's field
/// of this name, and shows it from there. `=> given field: T = parse` reads a value for the resource's own code.
/// `=> required field: T = parse` does the same, with a value that every request to make the resource contains.
/// `|resource, view| expression` shows the value of the expression.
macro_rules! attributes {
    (
        $(#[$doc:meta])*
        $patch:ident of $resource:ident:
        $(
            $row:expr
            $(=> $way:ident $field:ident : $type:ty = $parse:expr)?
            $(, |$this:ident $(, $view:ident)?| $show:expr)?
            ;
        )*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $patch {
            meta: $crate::api::contract::attributes::MetaPatch,
            $($( pub(crate) $field: Option<$type>, )?)*
        }

        impl $patch {
            $($( attributes!(@required $way $field $type); )?)*
        }

        impl $crate::api::contract::attributes::Patch<$resource> for $patch {
            const ATTRIBUTES: &'static [$crate::api::contract::attributes::Attribute<$resource, Self>] = &[
                $( attributes!(@row $resource, $patch, $row; $($way $field $parse)?; $(|$this $(, $view)?| $show)?), )*
            ];

            fn meta(&self) -> &$crate::api::contract::attributes::MetaPatch {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut $crate::api::contract::attributes::MetaPatch {
                &mut self.meta
            }

            #[allow(unused_variables)]
            fn store(&self, resource: &mut $resource) {
                $($( attributes!(@store $way, self, resource, $field); )?)*
            }
        }
    };
    (@row $resource:ident, $patch:ident, $row:expr; ;) => { $row };
    (@row $resource:ident, $patch:ident, $row:expr; ; |$this:ident| $show:expr) => {
        $row.show(|$this: &$resource, _, slot| slot.put($show))
    };
    (@row $resource:ident, $patch:ident, $row:expr; ; |$this:ident, $view:ident| $show:expr) => {
        $row.show(|$this: &$resource, $view, slot| slot.put($show))
    };
    (@row $resource:ident, $patch:ident, $row:expr; stored $field:ident $parse:expr;) => {
        attributes!(@row $resource, $patch, $row; stored $field $parse; |resource| &resource.$field)
    };
    (@row $resource:ident, $patch:ident, $row:expr; $way:ident $field:ident $parse:expr; $($show:tt)*) => {
        attributes!(@row $resource, $patch, $row.read(|patch: &mut $patch, value| {
            patch.$field = Some(($parse)(value)?);
            Ok(())
        }); ; $($show)*)
    };
    (@required required $field:ident $type:ty) => {
        /// The value, which a request to make the resource has to contain.
        pub(crate) fn $field(&self) -> Result<$type, $crate::api::contract::error::ApiError> {
            self.$field.clone().ok_or_else(|| {
                $crate::api::contract::error::ApiError::missing(stringify!($field))
            })
        }
    };
    (@required $way:ident $field:ident $type:ty) => {};
    (@store stored, $patch:expr, $resource:ident, $field:ident) => {
        if let Some(given) = &$patch.$field {
            $resource.$field.clone_from(given);
        }
    };
    (@store $way:ident, $patch:expr, $resource:ident, $field:ident) => {};
}
pub(crate) use attributes;

/// The attributes of every resource, except those that it goes [without](super::resource::Resource::WITHOUT).
pub(crate) const fn standard<R: Kind, P: Patch<R>>() -> [Attribute<R, P>; 9] {
    [
        read_only("id")
            .index(|_, ids, span| index::parsed(ids, |id| index::one(id, span)))
            .show(|resource: &R, _, slot| slot.put(resource.id())),
        fixed("project_id")
            .index(in_project::<R>)
            .read(|patch: &mut P, value| {
                patch.meta_mut().project_id = values::or_null(values::text(values::LONG))(value)?;
                Ok(())
            })
            .show(|resource: &R, _, slot| slot.put(&resource.meta().project_id)),
        fixed("tenant_id")
            .index(in_project::<R>)
            .read(|patch: &mut P, value| {
                patch.meta_mut().tenant_id = values::or_null(values::text(values::LONG))(value)?;
                Ok(())
            })
            .show(|resource: &R, _, slot| slot.put(&resource.meta().project_id)),
        writable("name")
            .index(named::<R>)
            .read(|patch: &mut P, value| {
                patch.meta_mut().name = Some(values::text(values::LONG)(value)?);
                Ok(())
            })
            .show(|resource: &R, _, slot| slot.put(&resource.meta().name)),
        writable("description")
            .read(|patch: &mut P, value| {
                patch.meta_mut().description = Some(values::text(values::LONG)(value)?);
                Ok(())
            })
            .show(|resource: &R, _, slot| slot.put(&resource.meta().description)),
        read_only("created_at")
            .rank(|resource: &R| resource.meta().created_at)
            .show(|resource: &R, _, slot| {
                slot.put(clock::rfc3339(resource.meta().created_at));
            }),
        read_only("updated_at")
            .rank(|resource: &R| resource.meta().updated_at)
            .show(|resource: &R, _, slot| {
                slot.put(clock::rfc3339(resource.meta().updated_at));
            }),
        read_only("revision_number")
            .show(|resource: &R, _, slot| slot.put(resource.meta().revision_number)),
        read_only("tags")
            .no_filter()
            .show(|resource: &R, _, slot| slot.put(&resource.meta().tags)),
    ]
}

fn in_project<'a, R: Kind>(
    view: ResourceView<'a>,
    projects: &[String],
    span: Span<R::Id>,
) -> Option<Vec<Ids<'a, R::Id>>> {
    index::texts::<R>(view, projects, span, |project| {
        IndexedValue::Project(project)
    })
}

/// The candidates of these names.
pub(crate) fn named<'a, R: Kind>(
    view: ResourceView<'a>,
    names: &[String],
    span: Span<R::Id>,
) -> Option<Vec<Ids<'a, R::Id>>> {
    index::texts::<R>(view, names, span, |name| IndexedValue::Name(name))
}
