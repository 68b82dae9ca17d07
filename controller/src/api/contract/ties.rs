//! On what access to an object rests besides the project that owns it.

use sextant_model::RbacObject;

/// What an object hangs together with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    /// Nothing.
    Nothing,
    /// Access policies for it.
    Object(RbacObject),
    /// The network that it is on, or the security group that it is in.
    Within(RbacObject),
}
