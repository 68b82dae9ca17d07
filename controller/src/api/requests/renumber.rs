//! Gives a subnet another delegated prefix, which no request asks for.

use crate::api::contract::error::ApiError;
use crate::api::contract::subnet::renumber::renumber;
use crate::api::requests::api::Api;
use ipnet::Ipv6Net;
use sextant_model::SubnetId;

/// Why a subnet keeps its prefix.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenumberError {
    /// The subnet cannot have the prefix while the cloud is as it is.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be written, or other writers keep changing what this depends on.
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
    /// Gives a subnet this delegated prefix, of 64 bits, and returns the old one. Does nothing if it has the prefix
    /// already, or is gone.
    ///
    /// # Errors
    /// [`RenumberError`] says why nothing has changed.
    pub(crate) async fn renumber(
        &self,
        subnet: SubnetId,
        prefix: Ipv6Net,
    ) -> Result<Option<Ipv6Net>, RenumberError> {
        let (before, _) = self
            .write_apart(move |draft| renumber(draft, subnet, prefix))
            .await?;
        Ok(before)
    }
}
