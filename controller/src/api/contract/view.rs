//! What a resource is shown from, and to whom.

use crate::api::contract::caller::Caller;
use sextant_model::{Facts, Intent};

/// What a resource is shown from.
#[derive(Clone, Copy)]
pub(crate) struct ResourceView<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) facts: &'a Facts,
    /// To whom.
    pub(crate) caller: &'a Caller,
    /// How prefix lengths of subnet pools are shown.
    pub(crate) lengths: Lengths,
}

/// How Neutron shows prefix lengths of subnet pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// As text, where a pool itself is shown.
    Text,
    /// As numbers, in the answer to a change of the pool, and where pools are sorted.
    Numbers,
}

impl ResourceView<'_> {
    /// The same with prefix lengths as numbers.
    pub(crate) fn with_numbers(self) -> Self {
        Self {
            lengths: Lengths::Numbers,
            ..self
        }
    }
}
