//! Another prefix for a subnet whose prefix is delegated, which no request asks for.

use crate::api::contract::draft::Draft;
use crate::api::contract::error::ApiError;
use crate::api::contract::subnet::renumber::renumber;
use crate::api::requests::api::Api;
use ipnet::Ipv6Net;
use sextant_model::SubnetId;

/// Why a subnet keeps the prefix that it has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenumberError {
    /// The prefix cannot be the subnet's while the cloud is as it is.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be written, or others keep changing what this rests on.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ApiError> for RenumberError {
    fn from(error: ApiError) -> Self {
        if error.status.is_server_error() {
            Self::Unavailable(error.message)
        } else {
            Self::Refused(error.message)
        }
    }
}

impl Api {
    /// Gives a subnet whose prefix is delegated this one, of 64 bits, and returns the one that it had. Nothing happens where
    /// it has that prefix already, or is gone.
    ///
    /// # Errors
    /// [`RenumberError`] says why nothing has changed.
    pub(crate) async fn renumber(
        &self,
        subnet: SubnetId,
        prefix: Ipv6Net,
    ) -> Result<Option<Ipv6Net>, RenumberError> {
        let plan = move |draft: &mut Draft| renumber(draft, subnet, prefix);
        let (before, _) = self.write_apart(plan).await?;
        Ok(before)
    }
}
