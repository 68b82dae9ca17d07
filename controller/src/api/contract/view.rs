//! From what a resource is shown, and to whom.

use crate::api::contract::caller::Caller;
use sextant_model::{Facts, Intent};

/// What a resource is shown from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
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
    /// As text, wherever a pool is shown as it is.
    Text,
    /// As numbers, in the answer to a change of the pool; and wherever pools are put in order.
    Numbers,
}

impl View<'_> {
    /// The same with prefix lengths as numbers.
    pub(crate) fn with_numbers(self) -> Self {
        Self {
            lengths: Lengths::Numbers,
            ..self
        }
    }
}
