//! The default external network. There is at most one; a claim guarantees that.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use sextant_model::{Claim, Network};

/// Makes a network the default, or not the default any more, as a request says.
pub(super) fn choose(
    draft: &mut Draft,
    network: &mut Network,
    asked: Option<bool>,
) -> Result<(), ApiError> {
    let was = network.is_default;
    network.is_default = network.external && asked.unwrap_or(was);
    match (was, network.is_default) {
        (false, true) if !draft.claim(Claim::DefaultNetwork) => Err(exists(draft)),
        (true, false) => {
            draft.delete(Claim::DefaultNetwork);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn exists(draft: &Draft) -> ApiError {
    let mut networks = draft.intent.networks.values();
    let present = networks.find(|network| network.is_default);
    let id = present.map(|network| network.id.to_string());
    ApiError::conflict(
        "DefaultExternalNetworkExists",
        format!(
            "A default external network already exists: {}.",
            id.unwrap_or_default()
        ),
    )
}
