//! What access to an object depends on, besides its owner's project.

use sextant_model::RbacObject;

/// What an object depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    /// Nothing.
    Nothing,
    /// Access policies for it.
    Object(RbacObject),
    /// The network that it is on, or the security group that it is in.
    Within(RbacObject),
}
